"""What checking a log costs: no body is sorted, and a part of the log is found without reading the rest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healerd.audit.verify import Start
from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.store import ReadStore, Store, check
from healerd.store.care import in_use
from healerd.store.library import DATABASE, sqlite
from tests.healerd.store.records import EACH, START, WINDOW, a_decision, a_measurement
from tests.healerd.store.steps import steps


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, clock=ManualClock(START)) as opened:
        with opened.transaction() as tx:
            for record in EACH:
                tx.put(record)
            tx.put_profile(WINDOW, "v1", b"profile")
            tx.save_state("p", "detector", b"state")
        yield opened


def grow(store: Store, count: int) -> None:
    for _ in range(count):
        with store.transaction() as tx:
            tx.set_watermark("p", START)


def asked(store: Store, run: Callable[[sqlite.Connection], object]) -> dict[str, str]:
    """Every text of SQL that a check asks the database, with the plan that SQLite has for it."""
    connection, texts = store._connection(), set[str]()
    connection.set_trace_callback(texts.add)
    run(connection)
    connection.set_trace_callback(None)
    plans = {text: connection.execute(f"EXPLAIN QUERY PLAN {text}") for text in texts if text.startswith("SELECT")}
    return {text: "; ".join(step[-1] for step in plan) for text, plan in plans.items()}


@pytest.mark.parametrize(
    "run",
    [
        check.check,
        lambda connection: check.check(connection, after=5),
        lambda connection: check.check_slice(connection, Start(), 8),
        check.first_bad_row,
    ],
    ids=["whole", "since", "slice", "start"],
)
def test_a_check_sorts_no_bodies(store: Store, run: Callable[[sqlite.Connection], object]) -> None:
    """What is read in an order is read by a key or an index: SQLite holds a sort in memory, and bodies are large."""
    found = asked(store, run)
    assert any("checkpoint" in text for text in found)
    assert {text for text, plan in found.items() if "TEMP B-TREE" in plan} == set()


def test_a_start_parses_no_older_decision(store: Store) -> None:
    """A start goes to the first decision that it checks by its number: it reads none before it."""
    found = asked(store, lambda connection: list(check.measured_flaws(connection, after=9)))
    assert [plan for text, plan in found.items() if "FROM decision" in text] == [
        "SEARCH decision USING INTEGER PRIMARY KEY (rowid>?)"
    ]


def test_measurements_of_later_decisions_alone_are_compared(store: Store) -> None:
    """With `after` a decision of that leaf is passed over, and one of the next is not."""
    with store.transaction() as tx:
        measured = a_measurement()
        told = {"situation": {"measurements": [measured]}}
        seq = tx.put(a_decision(id="d2", author="daemon", trace=told))
    connection = store._connection()
    assert [leaf for leaf, _ in check.measured_flaws(connection, after=seq - 1)] == [seq]
    assert list(check.measured_flaws(connection, after=seq)) == []


def test_the_first_of_two_changed_values_is_named(store: Store) -> None:
    """Of values that were changed, the one with the lowest leaf is named, in whichever table and row it lies."""
    with store.transaction() as tx:
        tx.save_state("p", "detector", b"newer")
        tx.save_state("p", "policy", b"first row after")
    with store.transaction() as tx:
        tx.save_state("p", "detector", b"newest")
    connection = store._connection()
    wanted = connection.execute("SELECT min(leaf) FROM saved").fetchone()[0]
    assert wanted > connection.execute("SELECT max(seq) FROM saved_profile").fetchone()[0]
    with sqlite.connect(store.folder / DATABASE) as other:
        other.execute("UPDATE saved SET value = x'99'")
    assert store.verify().first_bad == wanted
    with sqlite.connect(store.folder / DATABASE) as other:
        other.execute("UPDATE saved_profile SET value = x'99'")
    assert store.verify().first_bad < wanted


def test_a_slice_costs_no_more_in_a_longer_log(store: Store) -> None:
    """What SQLite's machine does for a slice, early or late, does not rise with the number of checkpoints."""
    grow(store, 60)
    early, late = (
        steps(store._connection(), lambda: read_slice(store, 20)),
        steps(store._connection(), lambda: read_slice(store, 50)),
    )
    grow(store, 240)
    assert steps(store._connection(), lambda: read_slice(store, 20)) < 1.1 * early
    assert steps(store._connection(), lambda: read_slice(store, 290)) < 1.1 * late


def read_slice(store: Store, after: int) -> None:
    start = check._start(store._connection(), after, saved=(), pinned=())[0]
    report, _ = store.verify_slice(start, upto=after + 10)
    assert report.problem is None


def test_slices_meet_every_checkpoint(store: Store) -> None:
    """A checkpoint that was taken out is missed by the reading in slices, as by the whole one."""
    grow(store, 20)
    connection = store._connection()
    (number,) = connection.execute("SELECT max(number) FROM checkpoint").fetchone()
    with sqlite.connect(store.folder / DATABASE) as other:
        other.execute("DELETE FROM checkpoint WHERE number = ?", [number - 5])
    for size in (1, 4, 1000):
        start, problem = Start(), None
        while problem is None and start.after < store.head()[0]:
            report, start = store.verify_slice(start, upto=start.after + size)
            problem = report.problem
        assert f"checkpoint {number - 5} is missing" in (problem or "")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("DELETE FROM audit_leaf WHERE seq = 1", "leaf 1 is missing"),
        ("DELETE FROM audit_leaf WHERE seq = {after}", "leaf {after} is missing"),
        ("DELETE FROM audit_leaf WHERE kind = 'key'", "is missing"),
        ("UPDATE audit_leaf SET body = '{{}}' WHERE kind = 'key'", "cannot be read"),
    ],
    ids=["first", "last before", "key", "key changed"],
)
def test_a_check_that_cannot_begin_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str, said: str
) -> None:
    """A leaf that a check in the middle of the log stands on, and that is gone, is a finding and no traceback."""
    after = 20
    with Store.open(tmp_path, clock=ManualClock(START)) as store:
        grow(store, 30)
        start = check._start(store._connection(), after, saved=(), pinned=())[0]
    other = sqlite.connect(tmp_path / DATABASE)
    for change in ("update", "delete"):
        other.execute(f"DROP TRIGGER audit_leaf_no_{change}")
    other.execute(spoil.format(after=after))
    other.commit()
    other.close()
    with ReadStore.open(tmp_path) as reader:
        report = reader.verify(after=after)
        assert (report.first_bad, said.format(after=after) in (report.problem or "")) == (1, True)
        assert reader.leaf_at(START) == reader.head()[0]
        if "{after}" not in said:
            sliced, _ = reader.verify_slice(start, upto=after + 5)
            assert said in (sliced.problem or "")
        monkeypatch.setattr(check, "_NEWEST", reader.head()[0] - after)
    with pytest.raises(StoreError, match=r"is missing|cannot be read"):
        Store.open(tmp_path, clock=ManualClock(START))


def test_the_decisions_behind_open_heals_are_found_by_their_keys(store: Store) -> None:
    """What is in use is found without reading every decision for the name that it bears."""
    (plan,) = asked(store, in_use).values()
    assert "AUTOMATIC" not in plan
