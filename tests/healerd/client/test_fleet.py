"""The fleet at a glance: what each number comes from, and that reading it again costs only what has changed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from healerd.client.access import ACTIONS
from healerd.client.fleet import Fleet, status_view
from healerd.clock import ManualClock
from healerd.daemon.recording import MemoryStore
from healerd.model import (
    Answer,
    AnswerKind,
    ApprovalNeed,
    Incident,
    IntentState,
    Layer,
    Measurement,
    Outcome,
    Pause,
    Result,
    Window,
)
from healerd.store import Reader
from tests.healerd.client.conftest import Past
from tests.served import NOW, a_decision, an_intent

INCIDENT = Incident(
    id="inc-1", pipeline="churn", opened_at=NOW, kind=Layer.HARM, severity=2, reason="r", opened_by="alarm"
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(ManualClock(NOW))


def row(store: Reader, at: datetime = NOW, fleet: Fleet | None = None) -> dict:
    return status_view(store, ["churn"], at=at, fleet=fleet)["pipelines"][0]


def measured(error: float | None, drift: float, p_value: float = 0.5) -> dict:
    """A trace in which this was measured on the newest window."""
    told = [
        {"name": "error", "layer": "harm", "value": error, "n": 100},
        {"name": "drift", "layer": "drift", "subject": "tenure", "value": 0.5 + drift, "n": 100, "effect": -drift},
        {"name": "drift", "layer": "drift", "subject": "age", "value": 0.5, "n": 100, "effect": 0.01},
        {"name": "ks", "layer": "drift", "subject": "tenure", "value": 0.2, "n": 100, "p_value": p_value},
        {"name": "ks", "layer": "score", "subject": "(output)", "value": 0.2, "n": 100, "p_value": 1e-9},
    ]
    return {"facts": {"reference_error": 0.1}, "situation": {"measurements": told, "active": {"name": "v14"}}}


def windows(store: MemoryStore, name: str, values: list[float | None]) -> None:
    """Measure `values` on whole windows of a quarter of an hour, the last of which ends with the decision's."""
    end = a_decision().window_end_at
    for back, value in enumerate(reversed(values)):
        at = end - timedelta(minutes=15 * back)
        with store.transaction() as tx:
            window = Window(pipeline="churn", start_at=at - timedelta(minutes=15), end_at=at)
            tx.put_measurements(window, [Measurement(name=name, layer=Layer.DRIFT, value=value, n=1)])


def test_the_numbers_are_those_of_the_newest_window(store: MemoryStore) -> None:
    """Error, version, the foremost feature and the smallest p-value over inputs are what its decision recorded."""
    store.put(a_decision(trace=measured(0.28, 0.2, 3e-6)))
    seen = row(store)
    assert (seen["error"], seen["reference_error"], seen["version"]) == (0.28, 0.1, "v14")
    assert seen["health"] == pytest.approx(80.0)
    assert (seen["drift"], seen["drift_feature"], seen["ks_p"]) == (0.2, "tenure", 3e-6)


def test_what_is_not_known_is_none(store: MemoryStore) -> None:
    """A pipeline of which nothing was judged has no numbers, rather than good ones."""
    seen = row(store)
    numbers = ("version", "health", "error", "drift", "drift_trend", "ks_p", "last_action", "series", "deadline_at")
    assert {seen[name] for name in numbers} == {None}


def test_an_error_that_has_not_matured_is_the_newest_that_has(store: MemoryStore) -> None:
    """While the labels of the newest window are out, the error is that of the last window that had them."""
    store.put(a_decision(trace=measured(None, 0.0)))
    windows(store, "error", [0.3, 0.4, None])
    assert row(store)["error"] == 0.4


def test_the_series_has_an_hour_a_bucket_and_gaps(store: MemoryStore) -> None:
    """The newest value lies in the last bucket, each bucket holds its largest, and an hour without windows is None."""
    store.put(a_decision())
    windows(store, "drift", [0.1, 0.3, 0.2, 0.05, 0.4])
    series = row(store)["series"]
    assert (series["step_s"], len(series["drift"])) == (3600.0, 24)
    assert series["drift"][-2:] == [0.1, 0.4]
    assert set(series["drift"][:-2]) == {None}
    assert set(series["error"]) == {None}


@pytest.mark.parametrize(("now", "trend"), [(0.3, "up"), (0.1, "flat"), (0.01, "down")])
def test_drift_has_a_trend(store: MemoryStore, now: float, trend: str) -> None:
    """The newest drift is held against the mean of the hours before it."""
    store.put(a_decision(trace=measured(0.1, now)))
    windows(store, "drift", [value for value in (0.1, 0.1, 0.1) for _ in range(4)] + [now] * 4)
    assert row(store)["drift_trend"] == trend


def test_the_earliest_deadline_counts(store: MemoryStore) -> None:
    """Of a veto window and the approvals of what waits, the one that runs out first is shown, with its kind."""
    soon, late = NOW + timedelta(minutes=3), NOW + timedelta(minutes=9)
    need = ApprovalNeed(role="operators", deadline_at=soon, otherwise="deny", rule="r")
    store.put(a_decision())
    store.put(an_intent(state=IntentState.AWAITING_APPROVAL, deadline_at=late, approvals=(need,)))
    seen = row(store)
    assert (seen["deadline_at"], seen["deadline_kind"]) == ("2026-05-07T14:20:00Z", "approval")


def test_who_vetoed_is_named(store: MemoryStore) -> None:
    """A veto carries the name of whoever gave it, as the last action does."""
    store.put(INCIDENT)
    store.put(an_intent(state=IntentState.VETOED, ended_at=NOW))
    said = Answer(
        id="a", intent_id="act-1", pipeline="churn", kind=AnswerKind.VETO, author="bo", roles=(), reason="r",
        revision=3, at=NOW,
    )  # fmt: skip
    store.put(said)
    seen = row(store)
    assert (seen["state"], seen["vetoed_by"], seen["last_action"]["by"]) == ("vetoed", "bo", "bo")


def test_the_result_of_the_last_action_is_shown(store: MemoryStore) -> None:
    """What it came to stands beside it once it was judged."""
    store.put(an_intent(state=IntentState.VERIFIED, effect_at=NOW, ended_at=NOW))
    judged = {"gain": 0.1, "gain_low": 0.0, "gain_high": 0.2, "p_better": 0.9, "n": 9, "paired": True}
    store.put(Outcome(intent_id="act-1", at=NOW, result=Result.HEALED, **judged))
    assert row(store)["last_action"]["result"] == "healed"


def test_time_alone_makes_a_pipeline_stale(store: MemoryStore) -> None:
    """Nothing need be read again for the state to change with the clock."""
    fleet = Fleet()
    store.put(a_decision())
    assert row(store, fleet=fleet)["state"] == "ok"
    assert row(store, at=NOW + timedelta(hours=2), fleet=fleet)["state"] == "stale"


@pytest.mark.parametrize("hides", ["pause", "heal", "cooldown"])
def test_nothing_hides_that_rows_do_not_come(store: MemoryStore, hides: str) -> None:
    """A pipeline that is paused, heals or cools down is stale all the same once its rows stay away."""
    later = NOW + timedelta(hours=2)
    store.put(a_decision(chosen="hold", deferred_until=later + timedelta(hours=1) if hides == "cooldown" else None))
    match hides:
        case "pause":
            store.put(Pause(pipeline="churn", since_at=NOW, author="ana", reason="labels are late"))
        case "heal":
            store.put(an_intent(state=IntentState.VERIFYING, effect_at=NOW))
    assert row(store)["state"] == {"pause": "paused", "heal": "healing"}.get(hides, hides)
    assert row(store, at=later)["state"] == "stale"


def test_a_longer_window_is_waited_for(store: MemoryStore) -> None:
    """After a window was made longer, a pipeline is stale by its length of now, not by that of the last one judged."""
    store.put(a_decision())
    with store.transaction() as tx:
        tx.save_state("churn", ACTIONS, {"actions": [], "window_s": 86400.0})
    assert row(store, at=NOW + timedelta(hours=2))["state"] == "ok"
    assert row(store, at=NOW + timedelta(days=4))["state"] == "stale"


def test_a_cooldown_ends_with_the_clock(store: MemoryStore) -> None:
    """Until the moment that the decision names, the pipeline cools down, and not a second longer."""
    fleet, until = Fleet(), NOW + timedelta(minutes=5)
    store.put(a_decision(chosen="hold", deferred_until=until))
    during = row(store, fleet=fleet)
    assert (during["state"], during["cooldown_until"]) == ("cooldown", "2026-05-07T14:22:00Z")
    after = row(store, at=until, fleet=fleet)
    assert (after["state"], after["cooldown_until"]) == ("ok", None)


def test_reading_again_shows_what_a_first_reading_would(past: Past, name: str) -> None:
    """A fleet that was kept from the past and is refreshed equals one that was read anew."""
    from healerd.store.replay import ReplayStore

    store = ReplayStore(past.state / "healerd.db")
    kept = Fleet()
    for seq in (*range(30, store.last(), 23), store.last()):
        store.move(seq)
        assert status_view(store, [name], at=past.now, fleet=kept) == status_view(store, [name], at=past.now)
    store.close()


def test_the_measurements_of_the_past_are_those_that_were_measured(past: Past, name: str) -> None:
    """What a replay shows of a window is what the store says of it, and nothing before it was judged."""
    from healerd.store.replay import ReplayStore

    with past.store() as store:
        end = store.watermark(name)
        told = store.measurements(name, end)
    replayed = ReplayStore(past.state / "healerd.db")
    replayed.move(replayed.last())
    assert replayed.measurements(name, end) == told
    assert told
    replayed.move(1)
    assert replayed.measurements(name, end) == ()
    replayed.close()


class Counting(MemoryStore):
    """Counts the queries that a view takes."""

    queries = 0

    def _query(self, sql: str, values: list) -> list:
        self.queries += 1
        return super()._query(sql, values)


def test_a_thousand_pipelines_take_as_many_queries_as_one() -> None:
    """Each kind of record is read in one pass, however many pipelines there are."""
    taken = []
    for count in (1, 50):
        store = Counting(ManualClock(NOW))
        names = [f"p{n}" for n in range(count)]
        for name in names:
            store.put(a_decision(id=f"dec-{name}", pipeline=name))
            store.put(replace(an_intent(), id=f"act-{name}", pipeline=name))
        store.queries = 0
        assert len(status_view(store, names, at=NOW)["pipelines"]) == count
        taken.append(store.queries)
    assert taken[0] == taken[1] < 25
