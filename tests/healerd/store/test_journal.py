from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from healerd.clock import ManualClock
from healerd.errors import Conflict, StaleEpoch, StoreError, TooLong
from healerd.model import Cohort, Decision, Incident, Intent, IntentState, Outcome, Version
from healerd.segments import Segment
from healerd.store import TABLES, Epoch, Range, ReadStore, Saved, SavedProfile, SigningKey, Store, Watermark
from tests.healerd.store.records import EACH, HALF_HOUR, START, WINDOW, a_decision, a_measurement, a_segment, an_intent


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    with Store.open(tmp_path, clock=clock) as opened:
        yield opened


@pytest.mark.parametrize("record", EACH, ids=lambda record: type(record).__name__)
def test_each_record_comes_back_as_it_was(store: Store, record: object) -> None:
    """A record read back is equal to the one written, in type and in every field."""
    with store.transaction() as tx:
        tx.put(record)
    table = TABLES[type(record)]
    key = tuple(getattr(record, field) for field in table.key)
    assert store.get(table.record, key) == record
    assert store.find(table.record) == (record,)
    assert store.verify().first_bad is None


def test_every_record_type_with_a_table_is_tested() -> None:
    """A record type that gets a table is added to the tests above, or is one of the store's own."""
    assert {type(record) for record in EACH} | {Epoch, Watermark, Saved, SavedProfile, SigningKey} == set(TABLES)


def test_what_is_not_there_is_none(store: Store) -> None:
    """Asking for what was never written is no error."""
    assert store.get(Intent, "nothing") is None
    assert store.find(Intent) == ()
    assert store.watermark("p") is None
    assert store.state("p", "detector") is None
    assert store.profile("p", "v1", START) is None
    assert store.measurements("p", START) == ()


def test_each_change_has_its_leaf(store: Store, clock: ManualClock) -> None:
    """A leaf says what happened, when, by whom, on which pipeline, and holds the whole record."""
    clock.advance(5)
    with store.transaction() as tx:
        seq = tx.put(an_intent(), kind="announced", actor="ada")
        tx.note("clock jump", {"seconds": 3.5}, pipeline="p")
    leaf, note = store.leaves(after=seq - 1)
    assert (leaf.kind, leaf.actor, leaf.pipeline, leaf.table, leaf.key) == ("announced", "ada", "p", "intent", "i1")
    assert leaf.at == START + timedelta(seconds=5)
    assert leaf.record["state"] == "announced"
    assert leaf.epoch == store.epoch
    assert (note.table, note.record) == (None, {"seconds": 3.5})


def test_an_outcome_belongs_to_its_intents_pipeline(store: Store) -> None:
    """A record that names only an intent is found in the log under the intent's pipeline."""
    outcome = next(record for record in EACH if isinstance(record, Outcome))
    with store.transaction() as tx:
        tx.put(an_intent())
        tx.put(outcome)
    assert [leaf.kind for leaf in store.leaves(pipeline="p")] == ["intent", "outcome"]


def test_an_exception_leaves_nothing(store: Store) -> None:
    """A transaction that raises changes neither rows nor log, and the next one goes on from before it."""
    before = store.head()

    def fail() -> None:
        with store.transaction() as tx:
            tx.put(an_intent())
            tx.save_state("p", "detector", b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.head() == before
    assert store.find(Intent) == ()
    with store.transaction() as tx:
        tx.put(an_intent())
    assert store.verify().first_bad is None


def test_a_transaction_reads_its_own_changes_and_others_do_not(store: Store, tmp_path: Path) -> None:
    """Inside the block the change is there; outside of it only after the commit."""
    with store.transaction() as tx, ReadStore.open(tmp_path) as reader:
        tx.put(an_intent())
        assert tx.get(Intent, "i1") == an_intent()
        assert reader.get(Intent, "i1") is None
        assert store.get(Intent, "i1") is None
    assert store.get(Intent, "i1") == an_intent()


def test_a_transaction_inside_another_is_a_mistake(store: Store) -> None:
    """A second transaction on the same thread is refused instead of waiting for itself."""
    with store.transaction(), pytest.raises(AssertionError, match="already open"), store.transaction():
        pass


def test_a_transaction_that_is_over_takes_nothing(store: Store) -> None:
    """A transaction kept beyond its block cannot write."""
    with store.transaction() as tx:
        pass
    with pytest.raises(AssertionError, match="is over"):
        tx.put(an_intent())
    with pytest.raises(AssertionError, match="is over"):
        tx.put_measurements(WINDOW, [a_measurement()])
    assert store.find(Intent) == ()
    assert store.measurements(WINDOW.pipeline, WINDOW.end_at) == ()


def test_threads_take_turns(store: Store) -> None:
    """Transactions of several threads follow one another, none is lost, and the log holds."""

    def work(name: str) -> None:
        for index in range(20):
            with store.transaction() as tx:
                tx.put(an_intent(id=f"{name}{index}"))

    threads = [Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.find(Intent)) == 60
    assert store.verify().first_bad is None


def test_what_this_daemon_writes_is_no_other_daemon(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that sees the leaves of another one's commit, before the store has noted them, finds no new leader."""
    found: list[Exception | None] = []

    def check() -> None:
        try:
            store.check_epoch()
            found.append(None)
        except StaleEpoch as error:
            found.append(error)

    checking = Thread(target=check)
    with store.transaction() as tx:
        over = tx.end

        def end() -> tuple[int, bytes]:  # called once the commit is there
            if checking.ident is None:
                checking.start()
                checking.join(0.5)  # without a turn of its own it is over long before
            return over()

        monkeypatch.setattr(tx, "end", end)
        tx.put(an_intent())
    checking.join()
    assert found == [None]


def test_s14_an_intent_moves_by_compare_and_set(store: Store) -> None:
    """A move counts one more; whoever expects an older state or move gets a conflict that says where it stands."""
    first = an_intent()
    with store.transaction() as tx:
        tx.put(first)
        ready = tx.replace(replace(first, state=IntentState.READY), expect=first, actor="daemon")
    assert (ready.state, ready.version) == (IntentState.READY, 1)
    assert store.get(Intent, "i1") == ready
    with pytest.raises(Conflict, match=r"is `ready` by now \(move 1\), not `announced`"), store.transaction() as tx:
        tx.replace(replace(first, state=IntentState.VETOED), expect=first, actor="ada")
    with pytest.raises(Conflict, match="`ready` by now"), store.transaction() as tx:
        tx.replace(first, expect=replace(ready, version=0))
    assert store.get(Intent, "i1") == ready


def test_s14_an_intent_is_never_put_over_another(store: Store) -> None:
    """An intent that exists moves by compare-and-set alone; one that does not cannot be moved."""
    with pytest.raises(Conflict, match="does not exist"), store.transaction() as tx:
        tx.replace(an_intent(), expect=an_intent())
    with store.transaction() as tx:
        tx.put(an_intent())
    with pytest.raises(Conflict, match="already recorded"), store.transaction() as tx:
        tx.put(an_intent(state=IntentState.EXECUTING))


def test_what_is_written_once_stays(store: Store) -> None:
    """A decision, an answer or a segment is never written over."""
    with store.transaction() as tx:
        tx.put(a_decision())
        tx.add_segment(a_segment())
    for again in (a_decision(reason="other"), a_segment(rows=4)):
        with pytest.raises(Conflict, match="already recorded"), store.transaction() as tx:
            tx.put(again)
    assert store.find(Decision) == (a_decision(),)


def test_a_row_keeps_its_place_when_it_changes(store: Store) -> None:
    """Rows come in the order in which they were first written, however often they change."""
    incidents = [record for record in EACH if isinstance(record, Incident)]
    one, other = incidents[0], replace(incidents[0], id="n2")
    with store.transaction() as tx:
        tx.put(one)
        tx.put(other)
        tx.put(replace(one, clean_windows=1))
    assert [(found.id, found.clean_windows) for found in store.find(Incident)] == [("n1", 1), ("n2", 0)]


def test_records_are_found_by_their_fields(store: Store) -> None:
    """Values, None, collections and ranges filter; an order and a limit choose."""
    times = [START + index * HALF_HOUR for index in range(4)]
    states = [IntentState.READY, IntentState.VETOED, IntentState.READY, IntentState.EXECUTING]
    with store.transaction() as tx:
        for index, (at, state) in enumerate(zip(times, states, strict=True)):
            parent = "i0" if index else None
            tx.put(an_intent(id=f"i{index}", created_at=at, state=state, parent_id=parent))

    def ids(**filters: object) -> list[str]:
        return [intent.id for intent in store.find(Intent, **filters)]  # type: ignore[arg-type]

    assert ids(state=IntentState.READY) == ["i0", "i2"]
    assert ids(state={IntentState.VETOED, IntentState.EXECUTING}) == ["i1", "i3"]
    assert ids(state=()) == []
    assert ids(parent_id=None) == ["i0"]
    assert ids(pipeline="p", version=0, order="-created_at", limit=2) == ["i3", "i2"]
    assert ids(created_at=Range(times[1], times[3])) == ["i1", "i2"]
    assert ids(created_at=Range(high=times[1])) == ["i0"]


def test_cohorts_that_are_due_are_found(store: Store) -> None:
    """A range on the time of maturity gives the cohorts to judge."""
    cohort = next(record for record in EACH if isinstance(record, Cohort))
    with store.transaction() as tx:
        tx.put(cohort)
    assert store.find(Cohort, pipeline="p", mature_at=Range(None, cohort.mature_at)) == ()
    assert store.find(Cohort, mature_at=Range(None, cohort.mature_at + HALF_HOUR)) == (cohort,)
    assert store.get(Cohort, ("p", "v1", WINDOW.start_at)) == cohort


@pytest.mark.parametrize("field", ["reason", "no_such_field", 'id" = id OR "1'])
def test_a_search_by_what_is_no_column_is_a_mistake(store: Store, field: str) -> None:
    """A field that cannot be searched is refused, never taken for a text that equals nothing."""
    with pytest.raises(AssertionError, match="cannot be searched"):
        store.find(Intent, **{field: "x"})  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="cannot be searched"):
        store.find(Intent, order=field)


def test_the_log_is_read_in_pages(store: Store) -> None:
    """Pages by number are stable while the log grows, forwards and backwards, by kind and by pipeline."""
    with store.transaction() as tx:
        for index in range(6):
            tx.note("even" if index % 2 == 0 else "odd", {"n": index}, pipeline="pq"[index % 2])
    first = store.head()[0] - 5
    assert [leaf.seq for leaf in store.leaves(after=first, limit=2)] == [first + 1, first + 2]
    newest = store.leaves(limit=2, newest_first=True)
    assert [leaf.record["n"] for leaf in newest] == [5, 4]
    assert [leaf.record["n"] for leaf in store.leaves(before=newest[-1].seq, limit=2, newest_first=True)] == [3, 2]
    assert [leaf.record["n"] for leaf in store.leaves(kind="odd")] == [1, 3, 5]
    assert [leaf.record["n"] for leaf in store.leaves(kind={"odd", "even"}, pipeline="p")] == [0, 2, 4]


def test_saved_state_comes_back(store: Store) -> None:
    """Bytes come back as they were, a JSON object in its canonical bytes; the newest counts."""
    with store.transaction() as tx:
        tx.save_state("p", "detector", b"\x00\xff")
        tx.save_state("p", "signals", {"b": 1, "a": [0.5]})
        tx.save_state("p", "detector", b"\x01")
    assert store.state("p", "detector") == b"\x01"
    assert store.state("p", "signals") == b'{"a":[0.5],"b":1}'
    assert store.state("q", "detector") is None
    assert store.verify().first_bad is None


def test_profiles_come_back(store: Store) -> None:
    """A profile is found by pipeline, version and window."""
    with store.transaction() as tx:
        tx.put_profile(WINDOW, "v1", b"profile")
    assert store.profile("p", "v1", WINDOW.end_at) == b"profile"
    assert store.profile("p", "v2", WINDOW.end_at) is None
    (found,) = store.find(SavedProfile, pipeline="p", window_end_at=Range(START))
    assert (found.window_start_at, found.size) == (WINDOW.start_at, 7)


def test_measurements_make_a_series(store: Store) -> None:
    """Measurements come back by window, and by name as a series, oldest first; a window measured again counts once."""
    with store.transaction() as tx:
        for index in range(3):
            start_at = START + index * HALF_HOUR
            window = replace(WINDOW, start_at=start_at, end_at=start_at + HALF_HOUR)
            tx.put_measurements(window, [a_measurement(value=float(index)), a_measurement(name="ks", subject=None)])
        tx.put_measurements(window, [a_measurement(value=9.0, alarm=None)])
    assert [found.name for found in store.measurements("p", WINDOW.end_at)] == ["drift", "ks"]
    series = store.series("p", "drift", subject="x", limit=2)
    assert [(at, found.value) for at, found in series] == [
        (START + 2 * HALF_HOUR, 1.0),
        (START + 3 * HALF_HOUR, 9.0),
    ]
    assert len(store.series("p", "ks")) == 3


def test_a_watermark_never_goes_back(store: Store) -> None:
    """What was judged stays judged."""
    with store.transaction() as tx:
        tx.set_watermark("p", START + HALF_HOUR)
    assert store.watermark("p") == START + HALF_HOUR
    with pytest.raises(AssertionError, match="never goes back"), store.transaction() as tx:
        tx.set_watermark("p", START)


def test_a_full_disk_is_an_error_that_passes(store: Store) -> None:
    """When the disk is full a transaction fails whole, and once there is space the store goes on."""

    def flood() -> None:
        with store.transaction() as tx:
            tx.save_state("p", "detector", b"x" * 1_000_000)

    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(StoreError, match="free some disk space"):
        flood()
    assert store.state("p", "detector") is None
    store._writer.execute("PRAGMA max_page_count = 1000000")
    flood()
    assert store.verify().first_bad is None


def test_a_leaf_has_a_limit(store: Store) -> None:
    """A trace beyond all measure is an error of that tick, not a database that grows without end."""
    with pytest.raises(TooLong, match="the limit is"), store.transaction() as tx:
        tx.note("flood", {"text": "x" * 5_000_000})
    assert store.verify().first_bad is None
    trace = {"situation": {"log": ["x" * 5_000_000], "measurements": [1]}}
    parts = r"features \(3 bytes\).*count \(5,000,004 bytes\)"
    with pytest.raises(TooLong, match=parts), store.transaction() as tx:
        tx.put(a_decision(id="long", trace=trace))


def test_a_record_without_an_exact_form_is_refused(store: Store) -> None:
    """NaN in a trace is an error that names it, and nothing of it is written."""
    with pytest.raises(ValueError, match=r"record\.trace\.x` is nan"), store.transaction() as tx:
        tx.put(a_decision(trace={"x": float("nan")}))
    assert store.find(Decision) == ()


def test_the_body_of_a_row_is_plain_json(store: Store, tmp_path: Path) -> None:
    """A row's body is the record as anyone's JSON reader sees it."""
    version = next(record for record in EACH if isinstance(record, Version))
    with store.transaction() as tx:
        tx.put(version)
    leaf = store.leaves(kind="version")[0]
    assert leaf.record == msgspec.json.decode(msgspec.json.encode(leaf.record))
    assert leaf.record["created_at"] == "2026-01-01T00:00:00.000000Z"
    assert store.find(Segment) == ()
