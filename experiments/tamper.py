"""Tamper with audit logs in six ways and in four places, and see that each is found; and that no clean log is accused.

    python -m experiments.tamper [--edits N] [--clean N] [--seed S]

Prints one JSON object; exit 1 if an edit was not found, was found at an impossible number, or a clean log was accused.
Places: leaves, stored nodes of the tree, checkpoints, tables of state (with measurements and values). Half of the edits
of leaves are by somebody who knows the format: hashes, chain and stored nodes are made anew up to the end, so that only
the signatures tell. Truncation and roll-back are checked against a checkpoint that was kept outside, which is what it
takes. Clean logs have random lengths; a third end in a crash: the files are copied while the store is open, the
write-ahead log cut off at a random byte, and opened again.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from healerd.audit import EMPTY, AuditReport, leaf_hash, link
from healerd.audit.notes import read_checkpoint, read_notes
from healerd.audit.personal import hashed_form
from healerd.audit.tree import Frontier
from healerd.clock import ManualClock
from healerd.model import Intent, Layer, Measurement, Window
from healerd.store import TABLES, ReadStore, Store
from healerd.store.keys import KEY
from healerd.store.library import sqlite
from tests.healerd.store.records import EACH, HALF_HOUR, START, a_decision, an_intent

KINDS = ("edit", "delete", "insert", "reorder", "truncate", "roll back")
PLACES = ("leaf", "node", "checkpoint", "state")
FILES = ("healerd.db", "healerd.db-wal", KEY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both halves and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--clean", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = tamper(Path(folder), edits=given.edits, seed=given.seed)
        accused, crashed = clean(Path(folder), logs=given.clean, seed=given.seed)
    told = {
        "edits": given.edits,
        "found": given.edits - len(found.missed),
        "by_kind": dict(found.kinds),
        "named_right": found.named,
        "missed": found.missed[:10],
        "misnamed": found.misnamed[:10],
        "clean_logs": given.clean,
        "after_a_crash": crashed,
        "accused": accused[:10],
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told, indent=2))
    return 1 if found.missed or found.misnamed or accused else 0


@dataclass
class Found:
    """What became of the edits."""

    kinds: Counter[str]
    missed: list[str]
    misnamed: list[str]
    named: int = 0


@dataclass(frozen=True)
class Log:
    """A state folder, a checkpoint of it kept outside, and how it was some time before its end."""

    folder: Path
    kept: str
    size: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Edit:
    """What was done: the numbers that a check may name as the first bad leaf."""

    said: str
    low: int
    high: int


Rng = np.random.Generator


def make_log(folder: Path, rng: Rng, *, windows: int) -> Log:
    """Write a log with rows in every table, some written again, and keep a copy from its middle."""
    clock = ManualClock(START)
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            for record in EACH:
                tx.put(record)
        for turn in range(windows):
            clock.advance(1800)
            _window(store, turn, clock, rng)
            if turn == windows // 2:
                _copy(folder, folder / "old")
        kept = store.checkpoint()
    with ReadStore.open(folder) as reader:
        report = reader.verify()
        assert report.problem is None, report.problem
        sizes = tuple(size for (size,) in reader._query("SELECT size FROM checkpoint ORDER BY number", []))
    assert kept is not None
    return Log(folder, kept, report.leaves, sizes)


def _window(store: Store, turn: int, clock: ManualClock, rng: Rng) -> None:
    window = Window(pipeline="p", start_at=START + turn * HALF_HOUR, end_at=START + (turn + 1) * HALF_HOUR)
    measured = [
        Measurement(name="drift", layer=Layer.DRIFT, subject=each, value=float(rng.random()), n=100) for each in "xyz"
    ]
    told = {"situation": {"measurements": measured}}
    with store.transaction() as tx:
        said = {"window_start_at": window.start_at, "window_end_at": window.end_at, "at": clock.now()}
        tx.put(a_decision(id=f"w{turn}", trace=told, **said))
        tx.put_measurements(window, measured)
        tx.put_profile(window, "v1", rng.bytes(20))
        tx.save_state("p", "detector", rng.bytes(20))
        tx.set_watermark("p", window.end_at)
    if turn % 4 == 0:
        with store.transaction() as tx:
            tx.put(an_intent(id=f"i-{turn}", key=f"k{turn}"), actor="ada")
            intent = tx.get(Intent, f"i-{turn}")
            assert intent is not None
            tx.replace(replace(intent, reason=f"turn {turn}"), expect=intent)
            tx.note("more", {"turn": turn})


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in FILES:
        if (source / name).exists():
            shutil.copy(source / name, target / name)


# tampering ------------------------------------------------------------------------


def tamper(folder: Path, *, edits: int, seed: int, logs: int = 10, windows: int = 110) -> Found:
    """Do so many random edits, each on a copy of a log of its own, and check each."""
    rng = np.random.Generator(np.random.Philox(seed))
    made = [make_log(folder / f"log{n}", rng, windows=windows + 7 * n) for n in range(logs)]
    found = Found(Counter(), [], [])
    for turn in range(edits):
        log, kind, place = made[turn % logs], KINDS[turn % 6], PLACES[turn // 6 % 4]
        bad = folder / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        _copy(log.folder, bad)
        edit = _do(bad, log, kind, place, rng)
        report = _checked(bad, log, outside=kind in {"truncate", "roll back"} and place == "leaf")
        found.kinds[f"{kind} {place}"] += 1
        name = f"{turn}: {kind} {place}, {edit.said}"
        if report.first_bad is None:
            found.missed.append(name)
        elif not edit.low <= report.first_bad <= edit.high:
            found.misnamed.append(f"{name}: named {report.first_bad}, not in {edit.low}-{edit.high}: {report.problem}")
        else:
            found.named += 1
    return found


def _checked(folder: Path, log: Log, *, outside: bool) -> AuditReport:
    with ReadStore.open(folder) as reader:
        return reader.verify(saved=list(read_notes(log.kept)) if outside else ())


def _do(folder: Path, log: Log, kind: str, place: str, rng: Rng) -> Edit:
    """Make one edit of a kind in a place."""
    if (kind, place) == ("roll back", "leaf"):
        _copy(log.folder / "old", folder)
        size = _size(folder)
        return Edit("an old copy", size + 1, size + 1)
    connection = sqlite.connect(folder / "healerd.db")
    for name in ("audit_leaf_no_update", "audit_leaf_no_delete"):
        connection.execute(f"DROP TRIGGER {name}")
    edit = DOERS[place](connection, log, kind, rng)
    connection.commit()
    connection.close()
    return edit


def _size(folder: Path) -> int:
    with ReadStore.open(folder) as reader:
        return reader.head()[0]


def _leaf(db: Any, log: Log, kind: str, rng: Rng) -> Edit:
    seq = int(rng.integers(3, log.size - 3))
    by_expert = bool(rng.random() < 0.5)
    match kind:
        case "edit":
            (body,) = db.execute("SELECT body FROM audit_leaf WHERE seq = ?", [seq]).fetchone()
            changed = body.replace('"boot_id":"manual"', f'"boot_id":"m{rng.integers(10**6)}"', 1)
            db.execute("UPDATE audit_leaf SET body = ? WHERE seq = ?", [changed, seq])
        case "delete":
            db.execute("DELETE FROM audit_leaf WHERE seq = ?", [seq])
            if by_expert:
                _renumber(db, seq, by=-1)
        case "insert":
            _renumber(db, seq - 1, by=1)
            db.execute(
                "INSERT INTO audit_leaf (seq, body, leaf_hash, chain, salt) "
                "SELECT ?, replace(body, '\"seq\":' || seq, '\"seq\":' || ?), leaf_hash, chain, salt FROM audit_leaf "
                "WHERE seq = ?",
                [seq, seq, seq - 1],
            )
        case "reorder":
            columns = "body, leaf_hash, salt"
            one, two = (
                db.execute(f"SELECT {columns} FROM audit_leaf WHERE seq = ?", [s]).fetchone() for s in (seq, seq + 1)
            )
            for place, row in ((seq, two), (seq + 1, one)):
                db.execute("UPDATE audit_leaf SET body = ?, leaf_hash = ?, salt = ? WHERE seq = ?", [*row, place])
        case "truncate":
            return _cut(db, log, seq, whole=by_expert)
        case _:
            raise AssertionError(kind)
    if by_expert:
        _hash_anew(db, seq)
    if not by_expert:
        return Edit(f"leaf {seq}", seq - 1, seq + 1)
    # Whoever knows the format leaves nothing but rows and signatures: the checkpoints around the place bound it.
    before = max((size for size in log.sizes if size < seq), default=0)
    after = min((size for size in log.sizes if size > seq), default=log.size)
    return Edit(f"leaf {seq}, hashed anew", before + 1, after + 1)


def _cut(db: Any, log: Log, seq: int, *, whole: bool) -> Edit:
    """Cut the log off after a leaf; as a `whole`, so that by itself it is one: state, nodes, checkpoints and all."""
    if whole:
        seq = max(size for size in log.sizes if size <= max(seq, log.sizes[0]))
    db.execute("DELETE FROM audit_leaf WHERE seq > ?", [seq])
    if not whole:
        return Edit(f"cut after {seq}", 1, seq + 1)
    db.execute("DELETE FROM checkpoint WHERE size > ?", [seq])
    db.execute('DELETE FROM audit_node WHERE ("index" + 1) << level > ?', [seq])
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit_leaf'", [seq])
    for table in TABLES.values():
        db.execute(f'DELETE FROM "{table.name}" WHERE leaf > ?', [seq])
    return Edit(f"cut after {seq}, with all that came of it", 1, seq + 1)


def _renumber(db: Any, after: int, *, by: int) -> None:
    rows = db.execute("SELECT seq FROM audit_leaf WHERE seq > ? ORDER BY seq", [after]).fetchall()
    for (seq,) in rows[:: -1 if by > 0 else 1]:
        db.execute(
            "UPDATE audit_leaf SET seq = seq + ?, body = replace(body, '\"seq\":' || seq, '\"seq\":' || (seq + ?)) "
            "WHERE seq = ?",
            [by, by, seq],
        )


def _hash_anew(db: Any, first: int) -> None:
    """Make hashes, chain, nodes and the counter fit what the bodies say now."""
    chain, frontier, nodes = EMPTY, Frontier(), list[Any]()
    for seq, body, hashed, salt in db.execute(
        "SELECT seq, CAST(body AS BLOB), leaf_hash, salt FROM audit_leaf ORDER BY seq"
    ).fetchall():
        new = leaf_hash(hashed_form(body, salt) if salt else body) if seq >= first else hashed
        chain = link(chain, new)
        nodes += frontier.add(new)
        db.execute("UPDATE audit_leaf SET leaf_hash = ?, chain = ? WHERE seq = ?", [new, chain, seq])
    db.execute("DELETE FROM audit_node")
    db.executemany('INSERT INTO audit_node (level, "index", hash) VALUES (?, ?, ?)', nodes)
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit_leaf'", [frontier.size])


def _node(db: Any, log: Log, kind: str, rng: Rng) -> Edit:
    rows = db.execute('SELECT level, "index", hash FROM audit_node ORDER BY level, "index"').fetchall()
    level, index, hashed = rows[int(rng.integers(len(rows)))]
    place = 'WHERE level = ? AND "index" = ?'
    match kind:
        case "edit" | "roll back":
            wrong = rng.bytes(32) if kind == "edit" else EMPTY
            db.execute(f"UPDATE audit_node SET hash = ? {place}", [wrong, level, index])
        case "delete":
            db.execute(f"DELETE FROM audit_node {place}", [level, index])
        case "insert":
            db.execute("INSERT INTO audit_node VALUES (?, ?, ?)", [level + 8, int(rng.integers(50)), hashed])
            return Edit("a node", log.size + 1, log.size + 1)
        case "reorder":
            (one, two) = rows[0], rows[1]
            for row, other in ((one, two), (two, one)):
                db.execute(f"UPDATE audit_node SET hash = ? {place}", [other[2], row[0], row[1]])
            index = 0
        case "truncate":
            index = rows[-1][1]
            db.execute(f"DELETE FROM audit_node {place}", [rows[-1][0], index])
    return Edit(f"node {index}", (index << level) + 1, (index + 1) << level)


def _checkpoint(db: Any, log: Log, kind: str, rng: Rng) -> Edit:
    number = int(rng.integers(2, len(log.sizes) - 1))
    size = log.sizes[number - 1]
    before, after = log.sizes[number - 2], log.sizes[number]
    swap = "SELECT note FROM checkpoint WHERE number = ?"
    match kind:
        case "edit":
            (note,) = db.execute(swap, [number]).fetchone()
            wrong = (
                note.replace(f"\n{size}\n", f"\n{size + 1}\n") if rng.random() < 0.5 else note[:-20] + "A" * 18 + "=\n"
            )
            db.execute("UPDATE checkpoint SET note = ? WHERE number = ?", [wrong, number])
        case "delete":
            db.execute("DELETE FROM checkpoint WHERE number = ?", [number])
        case "insert":
            db.execute("INSERT INTO checkpoint SELECT max(number) + 1, max(size), note FROM checkpoint", [])
            return Edit("a copy of the newest", log.sizes[-1], log.size + 1)
        case "reorder":
            one, two = (db.execute(swap, [each]).fetchone()[0] for each in (number, number + 1))
            for each, note in ((number, two), (number + 1, one)):
                db.execute("UPDATE checkpoint SET note = ? WHERE number = ?", [note, each])
        case "truncate":
            db.execute("DELETE FROM checkpoint WHERE number > ?", [number])
            return Edit(f"all after {number}", size + 1, log.size)
        case "roll back":
            db.execute(f"UPDATE checkpoint SET note = ({swap}) WHERE number = ?", [number - 1, number])
    return Edit(f"checkpoint {number}", before + 1, after + 1)


def _state(db: Any, log: Log, kind: str, rng: Rng) -> Edit:
    """Change a row; which leaf it belongs to is told by the leaf that last wrote it."""
    if rng.random() < 0.15:
        return _measurement(db, log, kind, rng)
    names = [table.name for table in TABLES.values()]
    if kind == "roll back":
        names = ["intent", "watermark", "saved"]
    if kind == "reorder":
        names = ["decision", "intent", "saved_profile"]
    name = names[int(rng.integers(len(names)))]
    rows = db.execute(f'SELECT seq, leaf, row_key, body FROM "{name}" ORDER BY seq').fetchall()
    seq, leaf, key, body = rows[int(rng.integers(len(rows)))]
    match kind:
        case "edit":
            db.execute(
                f"UPDATE \"{name}\" SET body = json_set(body, '$.extra', ?) WHERE seq = ?", [int(rng.integers(99)), seq]
            )
        case "delete":
            db.execute(f'DELETE FROM "{name}" WHERE seq = ?', [seq])
        case "insert":
            columns = "leaf, body" + (", value" if name in {"saved", "saved_profile"} else "")
            db.execute(
                f"INSERT INTO \"{name}\" (seq, row_key, {columns}) SELECT -7, row_key || 'x', {columns} "
                f'FROM "{name}" WHERE seq = ?',
                [seq],
            )
            return Edit(f"{name} {key}", -7, log.size + 1)
        case "reorder":
            other = next(row for row in rows if row[0] != seq)
            for place, text in ((seq, other[3]), (other[0], body)):
                db.execute(f'UPDATE "{name}" SET body = ? WHERE seq = ?', [text, place])
            return Edit(f"{name} {key}", 1, log.size + 1)
        case "truncate":
            db.execute(f'DELETE FROM "{name}" WHERE seq = (SELECT max(seq) FROM "{name}")')
            return Edit(f"the newest {name}", 1, log.size + 1)
        case "roll back":
            old = (
                "SELECT body ->> '$.record', seq FROM audit_leaf WHERE body ->> '$.table' = ? AND body ->> '$.key' = ? "
                "AND seq < ? ORDER BY seq LIMIT 1"
            )
            seq, leaf, key, body = next(row for row in rows if row[0] != row[1])
            text, earlier = db.execute(old, [name, key, leaf]).fetchone()
            db.execute(f'UPDATE "{name}" SET body = ?, leaf = ? WHERE seq = ?', [text, earlier, seq])
            return Edit(f"{name} {key} as of leaf {earlier}", earlier, leaf)
    return Edit(f"{name} {key}", seq, leaf)


def _measurement(db: Any, log: Log, kind: str, rng: Rng) -> Edit:
    rows = db.execute("SELECT pipeline, name, subject, window_end_at, body FROM measurement").fetchall()
    *key, body = rows[int(rng.integers(len(rows)))]
    place = "WHERE pipeline = ? AND name = ? AND subject = ? AND window_end_at = ?"
    match kind:
        case "edit":
            db.execute(f"UPDATE measurement SET value = value + 1 {place}", key)
        case "delete" | "truncate":
            db.execute(f"DELETE FROM measurement {place}", key)
        case "insert":
            db.execute(
                f"INSERT INTO measurement SELECT pipeline, name, 'q', window_end_at, value, alarm, body "
                f"FROM measurement {place}",
                key,
            )
        case _:
            other = next(row for row in rows if row[4] != body)
            db.execute(f"UPDATE measurement SET body = ? {place}", [other[4], *key])
    return Edit(f"measurement {key}", 1, log.size + 1)


DOERS: dict[str, Callable[[Any, Log, str, Rng], Edit]] = {
    "leaf": _leaf,
    "node": _node,
    "checkpoint": _checkpoint,
    "state": _state,
}


# clean logs ------------------------------------------------------------------------


def clean(folder: Path, *, logs: int, seed: int) -> tuple[list[str], int]:
    """Write so many logs of random length, a third through a crash; give what was said of any, and the crashes."""
    rng = np.random.Generator(np.random.Philox(seed + 1))
    accused, crashed = list[str](), 0
    for turn in range(logs):
        state = folder / "clean"
        shutil.rmtree(state, ignore_errors=True)
        kept = _grow(state, int(rng.integers(1, 60)), rng)
        if turn % 3 == 0:
            crashed += 1
            state = _crashed(folder / "clean", folder / "crashed", rng)
            kept = []
        with ReadStore.open(state) as reader:
            report = reader.verify(saved=kept)
        if report.problem is not None:
            accused.append(f"{turn}: {report.first_bad}: {report.problem}")
    return accused, crashed


def _grow(state: Path, windows: int, rng: Rng) -> list[Any]:
    """Write some windows; a copy of the files is kept from one moment in between, as a crash would leave them."""
    clock, kept = ManualClock(START), list[Any]()
    moment = int(rng.integers(windows))
    with Store.open(state, clock=clock) as store:
        for turn in range(windows):
            clock.advance(float(rng.integers(1, 4000)))
            if rng.random() < 0.05:
                clock.jump(-3600.0)
            _window(store, turn, clock, rng)
            if turn == moment:
                _copy(state, state / "then")
                kept = list(read_notes(store.checkpoint() or ""))
                assert read_checkpoint(kept[0]).size > 0
            if rng.random() < 0.1:
                _abandon(store, turn)
    return kept


def _abandon(store: Store, turn: int) -> None:
    """Begin a transaction and let it fail."""
    try:
        with store.transaction() as tx:
            tx.put(an_intent(id=f"gone-{turn}"))
            raise RuntimeError
    except RuntimeError:
        pass


def _crashed(state: Path, target: Path, rng: Rng) -> Path:
    """Open what a crash left, its newest writes torn at a random byte, and write on."""
    shutil.rmtree(target, ignore_errors=True)
    _copy(state / "then", target)
    wal = target / "healerd.db-wal"
    if wal.exists() and rng.random() < 0.7:
        data = wal.read_bytes()
        # What was written before the first window is on the disk in any case: the key names the log.
        wal.write_bytes(data[: int(rng.integers(len(data) * 2 // 3, len(data) + 1))])
    with Store.open(target, clock=ManualClock(START)) as store, store.transaction() as tx:
        tx.note("again", {})
    return target


if __name__ == "__main__":
    sys.exit(main())
