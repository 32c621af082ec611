"""The reducer: what is known after a snapshot and the leaves that follow it, whatever their order."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_tui.state import (
    BUFFER_MAX,
    NEWS_MAX,
    Conn,
    Leaf,
    Lost,
    Snapshot,
    State,
    deadline_of,
    now,
    pending,
    reduce,
    seconds_left,
)

AT = "2026-05-07T14:17:00Z"
STATES = ("announced", "awaiting approval", "ready", "executing", "verified", "vetoed")


def a_row(name: str, **changed: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": "ok",
        "stage": "live",
        "revision": "live:running",
        "paused": None,
        "open": [],
        **changed,
    }


def a_snapshot(head: int = 10, *, heard_s: float = 100.0, state: str = "live", intents: Any = ()) -> Snapshot:
    status = {
        "at": AT,
        "head": head,
        "stopped": None,
        "stop_file": None,
        "daemon": {"state": state},
        "you": {"name": "ana", "roles": ["viewer", "operator"]},
        "pipelines": [a_row("churn"), a_row("fraud")],
    }
    return Snapshot(status=status, intents=tuple(intents), heard_s=heard_s)


def an_intent(id_: str = "act-1", **changed: Any) -> dict[str, Any]:
    valid = {"id": id_, "pipeline": "churn", "action": "retrain", "state": "announced", "revision": 0}
    return {**valid, "created_at": AT, "deadline_at": "2026-05-07T14:27:00Z", "reason": "", **changed}


def a_leaf(seq: int, table: str = "intent", record: Any = None, pipeline: str | None = "churn") -> Leaf:
    event = {
        "seq": seq,
        "at": AT,
        "kind": table,
        "actor": "daemon",
        "pipeline": pipeline,
        "table": table,
        "record": record,
    }
    return Leaf(event=event, heard_s=101.0)


def after(*messages: Any, state: State | None = None) -> State:
    found = state or State()
    for message in messages:
        found = reduce(found, message)
    return found


@st.composite
def leaves(draw: st.DrawFn) -> list[Leaf]:
    """Leaves 11, 12, ... about intents, pauses, stages and incidents of two pipelines."""
    found = []
    for seq in range(11, 11 + draw(st.integers(0, 12))):
        name = draw(st.sampled_from(["churn", "fraud", "unknown"]))
        ended = draw(st.sampled_from([None, AT]))
        table, record = draw(
            st.sampled_from(
                [
                    (
                        "intent",
                        an_intent(f"act-{draw(st.integers(1, 3))}", pipeline=name, state=draw(st.sampled_from(STATES))),
                    ),
                    (
                        "pause",
                        {"pipeline": name, "author": "bo", "reason": "labels", "since_at": AT, "ended_at": ended},
                    ),
                    ("stage_change", {"pipeline": name, "stage": draw(st.sampled_from(["live", "suggest"]))}),
                    ("incident", {"id": "inc", "reason": "drift", "closed_at": ended}),
                    (None, None),
                ]
            )
        )
        found.append(a_leaf(seq, table or "", record, name))
    return found


@settings(max_examples=120, deadline=None)
@given(leaves(), st.data())
def test_any_order_of_leaves_gives_the_same_state(given_leaves: list[Leaf], data: st.DataObject) -> None:
    """Leaves after a snapshot give the same state in any order, also when some come twice."""
    straight = after(a_snapshot(), *given_leaves)
    twice = data.draw(st.lists(st.sampled_from(given_leaves), max_size=4)) if given_leaves else []
    shuffled = data.draw(st.permutations([*given_leaves, *twice]))
    assert after(a_snapshot(), *shuffled) == straight
    assert straight.seq == 10 + len(given_leaves)
    assert not straight.gap


@settings(max_examples=60, deadline=None)
@given(leaves(), st.integers(0, 12))
def test_a_gap_asks_for_a_snapshot_and_shows_nothing_new(given_leaves: list[Leaf], missing: int) -> None:
    """Without one leaf nothing after it is applied, and a snapshot is asked for; the snapshot closes the gap."""
    if missing >= len(given_leaves):
        return
    rest = [leaf for leaf in given_leaves if leaf is not given_leaves[missing]]
    state = after(a_snapshot(), *rest)
    upto = after(a_snapshot(), *given_leaves[:missing])
    assert (state.seq, state.intents, state.pipelines) == (upto.seq, upto.intents, upto.pipelines)
    assert state.gap is (missing < len(given_leaves) - 1)
    closed = after(a_snapshot(head=10 + len(given_leaves)), state=state)
    assert not closed.gap
    assert closed.seq == 10 + len(given_leaves)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=30))
def test_sequence_numbers_never_go_back(numbers: list[int]) -> None:
    """Whatever arrives, the newest applied leaf never becomes an older one."""
    state = after(a_snapshot())
    for number in numbers:
        moved = after(a_leaf(number, "intent", an_intent()), state=state)
        assert moved.seq >= state.seq
        state = moved


def test_a_snapshot_that_is_older_changes_nothing_that_is_known() -> None:
    """A snapshot taken before the newest leaf does not undo it."""
    state = after(a_snapshot(), a_leaf(11, "intent", an_intent(state="vetoed")))
    again = after(a_snapshot(head=10, intents=[an_intent()]), state=state)
    assert again.intents["act-1"]["state"] == "vetoed"


def test_what_waits_is_known_at_once_and_the_pressing_first() -> None:
    """An intent that begins to wait makes its pipeline pending with the leaf itself; the earliest deadline is first."""
    later = an_intent("act-2", pipeline="fraud", deadline_at="2026-05-07T15:00:00Z")
    state = after(a_snapshot(), a_leaf(11, "intent", later, "fraud"), a_leaf(12, "intent", an_intent()))
    assert [intent["id"] for intent in pending(state)] == ["act-1", "act-2"]
    assert state.pipelines["churn"]["state"] == "pending"
    decided = after(a_leaf(13, "intent", an_intent(state="vetoed")), state=state)
    assert [intent["id"] for intent in pending(decided)] == ["act-2"]
    assert decided.pipelines["churn"]["open"] == []


def test_a_deadline_is_that_of_the_approvals_until_somebody_approves() -> None:
    """Silence decides when the daemon says; of a record, which does not say it, approvals that lack come first."""
    needs = [{"deadline_at": "2026-05-07T14:30:00Z"}, {"deadline_at": None}]

    def told(**changed: Any) -> str | None:
        return deadline_of(after(a_snapshot(), a_leaf(11, "intent", an_intent(**changed))).intents["act-1"])

    assert told(approvals=needs) == "2026-05-07T14:30:00Z"
    assert told(approvals=needs, approved_by=["bo"]) == "2026-05-07T14:27:00Z"
    assert told(approvals=[{"deadline_at": None}]) is None
    assert deadline_of(an_intent(approvals=needs)) == an_intent()["deadline_at"]
    assert deadline_of(an_intent(deadline_at=None)) is None


def test_no_silence_decides_about_what_needs_a_person() -> None:
    """An intent whose effect nobody knows has no deadline, whatever its record holds."""
    assert deadline_of(an_intent(state="needs person")) is None


def test_the_daemon_owns_the_clock() -> None:
    """Time goes on from the daemon's own while it is live, and stands still from the moment it is lost."""
    state = after(a_snapshot(heard_s=100.0))
    start = datetime(2026, 5, 7, 14, 17, tzinfo=UTC)
    assert now(state, 130.0) == start + timedelta(seconds=30)
    lost = after(Lost(why="no daemon answers", at_s=130.0), Lost(why="still none", at_s=150.0), state=state)
    assert now(lost, 500.0) == start + timedelta(seconds=30)
    assert (lost.conn, lost.lost_s, lost.lost_why) == (Conn.STALE, 130.0, "still none")
    assert lost.roles == ()
    back = after(a_snapshot(head=10, heard_s=600.0), state=lost)
    assert (back.conn, back.lost_s, back.roles[-1]) == (Conn.LIVE, None, "operator")


def test_seconds_are_unknown_without_a_deadline_or_a_clock() -> None:
    """What nobody knows is None, never zero."""
    at = datetime(2026, 5, 7, 14, 26, tzinfo=UTC)
    assert seconds_left(an_intent(), at) == 60
    assert seconds_left(an_intent(), None) is None
    assert seconds_left(an_intent(deadline_at=None), at) is None


def test_what_the_store_says_is_never_live() -> None:
    """A snapshot from the store alone shows everything and makes nothing live."""
    state = after(a_snapshot(state="away"))
    assert state.conn == Conn.CONNECTING
    assert set(state.pipelines) == {"churn", "fraud"}
    assert not state.live


def test_a_stop_of_everything_shows_with_its_leaf() -> None:
    """A stop shows as soon as its leaf comes, and ends with the leaf that ends it."""
    stop = {"pipeline": "*", "author": "bo", "reason": "fire drill", "since_at": AT, "ended_at": None}
    state = after(a_snapshot(), a_leaf(11, "pause", stop, "*"))
    assert state.stopped is not None
    assert state.stopped["author"] == "bo"
    assert after(a_leaf(12, "pause", {**stop, "ended_at": AT}, "*"), state=state).stopped is None


def test_memory_is_bounded() -> None:
    """News and waiting leaves are bounded; when too many wait, a snapshot is asked for instead."""
    state = after(a_snapshot(), *(a_leaf(seq) for seq in range(11, 11 + NEWS_MAX + 50)))
    assert len(state.news) == NEWS_MAX
    gap = after(a_snapshot(), *(a_leaf(seq) for seq in range(12, 12 + BUFFER_MAX + 5)))
    assert len(gap.waiting) <= BUFFER_MAX
    assert gap.gap


def test_a_replay_takes_any_snapshot_and_no_leaf() -> None:
    """In a replay one may go back; what a daemon says is not heard."""
    first = a_snapshot(head=50)
    replayed = Snapshot(status=first.status, intents=(), heard_s=0.0, replay=True)
    earlier = Snapshot(status={**first.status, "head": 20}, intents=(), heard_s=0.0, replay=True)
    state = after(replayed, earlier, a_leaf(21, "intent", an_intent()))
    assert (state.conn, state.seq, state.intents) == (Conn.REPLAY, 20, {})
