import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.model import Intent
from healerd.store import TABLES, ReadStore, Store
from healerd.store.library import sqlite
from tests.healerd.store.records import EACH, START, WINDOW


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a state with a row in every table, and with rows that changed."""
    folder = tmp_path_factory.mktemp("sound")
    with Store.open(folder, clock=ManualClock(START)) as store:
        for name in (b"1", b"2", b"3"):
            with store.transaction() as tx:
                for record in EACH:
                    if not TABLES[type(record)].once and type(record).__name__ != "Intent":
                        tx.put(record)
                tx.save_state("p", "detector", name)
                tx.put_profile(WINDOW, name.decode(), name)
                tx.set_watermark("p", START)
        with store.transaction() as tx:
            for record in EACH:
                if TABLES[type(record)].once or type(record).__name__ == "Intent":
                    tx.put(record)
            tx.note("last", {})
        assert store.verify().first_bad is None
    return folder


def tampered(sound: Path, tmp_path: Path, *statements: str) -> tuple[int | None, str | None]:
    """Change a copy of the state as somebody with the file in hand could, and verify it."""
    shutil.copy(sound / "healerd.db", tmp_path / "healerd.db")
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    connection.execute("DROP TRIGGER audit_leaf_no_delete")
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.commit()
    connection.close()
    with ReadStore.open(tmp_path) as reader:
        report = reader.verify()
    return report.first_bad, report.problem


LEAF = "UPDATE audit_leaf SET"


@pytest.mark.parametrize(
    ("statements", "bad", "said"),
    [
        ([f"{LEAF} body = replace(body, 'daemon', 'nobody') WHERE seq = 4"], 4, "was changed"),
        ([f"{LEAF} leaf_hash = zeroblob(32) WHERE seq = 4"], 4, "was changed"),
        ([f"{LEAF} chain = zeroblob(32) WHERE seq = 4"], 4, "does not follow"),
        (["DELETE FROM audit_leaf WHERE seq = 4"], 4, "is missing"),
        (["DELETE FROM audit_leaf WHERE seq = 1"], 1, "is missing"),
        (
            [f"{LEAF} seq = -1 WHERE seq = 4", f"{LEAF} seq = 4 WHERE seq = 5", f"{LEAF} seq = 5 WHERE seq = -1"],
            4,
            "does not follow",
        ),
        (["INSERT INTO audit_leaf (body, leaf_hash, chain) VALUES ('{}', x'00', x'00')"], None, "was changed"),
        (["DELETE FROM audit_leaf WHERE kind = 'last'"], None, "it was cut off"),
    ],
)
def test_a_changed_log_is_found(sound: Path, tmp_path: Path, statements: list[str], bad: int | None, said: str) -> None:
    """A leaf edited, taken out, moved, added or cut off is found, and the first bad number named."""
    found, problem = tampered(sound, tmp_path, *statements)
    assert problem is not None
    assert said in problem
    assert found is not None
    assert bad is None or found == bad


@pytest.mark.parametrize("table", sorted(table.name for table in TABLES.values()))
@pytest.mark.parametrize("change", ["edit", "delete", "rename", "add", "point elsewhere", "date back", "date forward"])
def test_a_changed_row_is_found_in_every_table(sound: Path, tmp_path: Path, table: str, change: str) -> None:
    """A row of any table that was edited, deleted, renamed, added or detached from its leaf is found."""
    columns = "body, leaf, row_key" + (", value" if table in {"saved", "saved_profile"} else "")
    others = columns.replace("row_key", "row_key || 'x'")
    statement = {
        "edit": f"UPDATE \"{table}\" SET body = json_set(body, '$.note', 'x')",
        "delete": f'DELETE FROM "{table}"',
        "rename": f"UPDATE \"{table}\" SET row_key = row_key || 'x'",
        "add": f'INSERT INTO "{table}" (seq, {columns}) SELECT -5, {others} FROM "{table}" LIMIT 1',
        "point elsewhere": f'UPDATE "{table}" SET leaf = leaf + 1',
        "date back": f'UPDATE "{table}" SET seq = -seq',
        "date forward": f'UPDATE "{table}" SET seq = seq + 1',
    }[change]
    found, problem = tampered(sound, tmp_path, statement)
    assert found is not None
    assert problem is not None
    assert table in problem


@pytest.mark.parametrize("table", ["saved", "saved_profile"])
def test_a_replaced_value_is_found(sound: Path, tmp_path: Path, table: str) -> None:
    """State and profiles are known to the log by hash, so other bytes are found."""
    found, problem = tampered(sound, tmp_path, f"UPDATE {table} SET value = x'99'")
    assert found is not None
    assert problem is not None
    assert "the value" in problem


def test_a_row_put_back_is_found(sound: Path, tmp_path: Path) -> None:
    """A row restored from an older copy, leaf and all, is older than the log says."""
    shutil.copy(sound / "healerd.db", tmp_path / "older.db")
    statements = (
        "UPDATE incident SET body = (SELECT body ->> '$.record' FROM audit_leaf WHERE kind = 'incident' LIMIT 1), "
        "leaf = (SELECT min(seq) FROM audit_leaf WHERE kind = 'incident')",
    )
    _, problem = tampered(sound, tmp_path, *statements)
    assert problem is not None
    assert "put back" in problem


def test_a_row_that_is_no_record_is_damage(sound: Path, tmp_path: Path) -> None:
    """Reading a row that somebody broke is an error that says how to find it, never a half-read record."""
    tampered(sound, tmp_path, "UPDATE intent SET body = json_remove(body, '$.state')")
    with ReadStore.open(tmp_path) as reader, pytest.raises(StoreError, match="a stored intent is damaged"):
        reader.get(Intent, "i1")


def test_leaves_cannot_be_changed_by_accident(sound: Path, tmp_path: Path) -> None:
    """The database itself aborts a change or deletion of a leaf."""
    shutil.copy(sound / "healerd.db", tmp_path / "healerd.db")
    connection = sqlite.connect(tmp_path / "healerd.db")
    for statement in ("UPDATE audit_leaf SET body = '{}'", "DELETE FROM audit_leaf"):
        with pytest.raises(sqlite.IntegrityError, match="never changed"):
            connection.execute(statement)
    connection.close()


def test_an_edit_anywhere_is_found(sound: Path, tmp_path: Path) -> None:
    """Of 200 scattered edits of one byte of a leaf, a hash, a row or a value, each is found."""
    shutil.copy(sound / "healerd.db", tmp_path / "healerd.db")
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    connection.commit()
    columns = [("audit_leaf", name) for name in ("body", "leaf_hash", "chain")]
    columns += [(table.name, "body") for table in TABLES.values()] + [("saved", "value"), ("saved_profile", "value")]
    with ReadStore.open(tmp_path) as reader:
        for turn in range(200):
            spot = int(sha256(str(turn).encode()).hexdigest(), 16)
            table, column = columns[spot % len(columns)]
            assert _is_found(connection, reader, f'"{table}"', column, spot), (turn, table, column)
    connection.close()


def _is_found(connection: sqlite.Connection, reader: ReadStore, table: str, column: str, spot: int) -> bool:
    """Change one character or byte somewhere, verify, and put it back."""
    rows = connection.execute(f"SELECT seq, {column} FROM {table}").fetchall()
    seq, value = rows[spot // 1000 % len(rows)]
    try:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", [_changed(value, spot), seq])
    except sqlite.OperationalError:
        return True  # no longer JSON: the database's own columns refuse it
    connection.commit()
    found = reader.verify().first_bad is not None
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", [value, seq])
    connection.commit()
    return found


def _changed(value: str | bytes, spot: int) -> str | bytes:
    place = spot // 1_000_000 % len(value)
    if isinstance(value, str):
        return value[:place] + ("1" if value[place] != "1" else "2") + value[place + 1 :]
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
