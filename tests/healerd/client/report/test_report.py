"""The report: every figure from the log, what cannot be known unknown, and each figure with its traces."""

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.client.report import Asked, report_view
from healerd.client.report.figures import FIGURES, OF_WINDOWS, PARTLY
from healerd.client.report.quantiles import quantile, share
from healerd.client.report.words import say_interval, say_pruned, say_value
from healerd.clock import ManualClock
from healerd.errors import NotFound
from healerd.model import (
    Answer,
    AnswerKind,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Outcome,
    Result,
)
from healerd.offline.figures_page import figures_page
from healerd.store import ReadStore, Store, Watermark
from healerd.store.care import prune
from tests.healerd.client.conftest import Past
from tests.served import NOW, a_decision, an_intent

README = Path(__file__).parents[4] / "healerd" / "client" / "report" / "README.md"
HOUR = timedelta(hours=1)


def a_window(number: int, **trace: Any) -> Decision:
    """The decision of the hour that ends `number` hours after NOW."""
    end = NOW + number * HOUR
    told = {"alarms": {"harm": False}, "facts": {}, **trace}
    return a_decision(
        id=f"dec-{number}",
        at=end,
        window_start_at=end - HOUR,
        window_end_at=end,
        incident_id=trace.pop("incident_id", None),
        chosen="hold",
        trace=told,
    )


def an_incident(number: int, *, hours: float | None, opened: float = 0.0) -> Incident:
    at = NOW + opened * HOUR
    return Incident(
        id=f"inc-{number}",
        pipeline="churn",
        opened_at=at,
        kind=Layer.HARM,
        severity=3,
        reason="<b>the error rose</b>",
        opened_by="alarm",
        closed_at=None if hours is None else at + hours * HOUR,
        closed_by=None if hours is None else "3 clean windows",
    )


def report_of(folder: Path, *records: Any, **asked: Any) -> dict[str, Any]:
    with Store.open(folder, clock=ManualClock(NOW)) as store, store.transaction() as tx:
        tx.put(Watermark(pipeline="churn", end_at=NOW))
        for record in records:
            tx.put(record)
    with ReadStore.open(folder) as reader:
        return report_view(reader, Asked(**asked), at=NOW + 1000 * HOUR)


def named(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {figure["key"]: figure for figure in view["figures"]}


def test_an_empty_log_knows_nothing(tmp_path: Path) -> None:
    """Counts are 0, everything else is unknown and says why; the page says that there is nothing to draw."""
    view = report_of(tmp_path)
    found = named(view)
    assert found["windows"]["value"] == found["incidents"]["value"] == 0
    for key in ("detect_median", "recover_p90", "degraded_share", "false_alarms", "failures_against_rules"):
        assert found[key]["value"] is None
        assert found[key]["note"]
    assert "there is nothing to draw" in figures_page(view)


def test_one_window_is_a_report(tmp_path: Path) -> None:
    """A single judged window is counted, and drawn."""
    view = report_of(tmp_path, a_window(1))
    assert named(view)["observed"]["value"] == 3600
    assert "<svg" in figures_page(view)


def test_times_are_those_of_the_records(tmp_path: Path) -> None:
    """Detection counts from the onset of the alarms that opened the incident, recovery from there to its end."""
    onset = {"name": "error", "layer": "harm", "n": 9, "value": 0.3, "alarm": True, "since_at": NOW - 3 * HOUR}
    first = a_window(
        1, alarms={"harm": True}, situation={"measurements": [{**onset, "since_at": (NOW - 3 * HOUR).isoformat()}]}
    )
    view = report_of(
        tmp_path,
        an_incident(1, hours=5, opened=1),
        an_incident(2, hours=None, opened=2),
        replace(first, incident_id="inc-1"),
    )
    found = named(view)
    assert found["detect_median"]["value"] == 4 * 3600
    assert found["detect_median"]["note"].startswith("1 has no recorded onset")
    assert found["detect_median"]["traces"] == ["dec-1"]
    assert found["recover_median"]["value"] == 5 * 3600
    assert found["recover_p90"]["value"] == "not over"
    assert "1 is still open" in found["recover_p90"]["note"]


def test_degraded_time_is_that_of_the_windows(tmp_path: Path) -> None:
    """Windows with a grave alarm count, those nobody could judge are said apart, the safe model's too."""
    view = report_of(
        tmp_path,
        a_window(1),
        a_window(2, alarms={"harm": True}),
        a_window(3, alarms={"harm": None}),
        a_window(4, facts={"serving_fallback": True}),
    )
    found = named(view)
    assert (found["degraded"]["value"], found["safe"]["value"]) == (3600, 3600)
    assert found["degraded_share"]["value"] == 25.0
    assert "25% of the time nobody could tell" in found["degraded"]["note"]
    assert found["degraded"]["traces"] == ["dec-2"]


VETO = Answer(
    id="a-1",
    intent_id="act-1",
    pipeline="churn",
    kind=AnswerKind.VETO,
    author="ana",
    roles=("operator",),
    reason="campaign",
    revision=0,
    at=NOW,
)
STOPPED = {"state": IntentState.VETOED, "ended_at": NOW}


def later(result: Result) -> tuple[Intent, Outcome]:
    intent = an_intent(id="act-2", state=IntentState.VERIFIED, executed_at=NOW + HOUR, effect_at=NOW + HOUR)
    outcome = Outcome(
        intent_id="act-2", at=NOW + 2 * HOUR, result=result, gain=None, gain_low=None, gain_high=None,
        p_better=None, n=9, paired=True,
    )  # fmt: skip
    return intent, outcome


@pytest.mark.parametrize(
    ("after", "hours", "verdict"),
    [
        ((), 5, "right"),
        (later(Result.WORSE), 5, "right"),
        (later(Result.HEALED), 5, "wrong"),
        (later(Result.UNKNOWN), 5, "unknown"),
        ((), None, "unknown"),
    ],
)
def test_a_veto_is_judged_only_where_the_log_can(tmp_path: Path, after: Any, hours: Any, verdict: str) -> None:
    """It was right where all went well without, wrong where the same action healed later; else nobody can tell."""
    view = report_of(tmp_path, an_incident(1, hours=hours), an_intent(**STOPPED), VETO, *after)
    found = named(view)
    assert {each: found[f"vetoes_{each}"]["value"] for each in ("right", "wrong", "unknown")} == {
        "right": 0,
        "wrong": 0,
        "unknown": 0,
        verdict: 1,
    }
    assert found[f"vetoes_{verdict}"]["traces"] == ["dec-1"]


def test_people_and_simulated_people_are_told_apart(tmp_path: Path) -> None:
    """What an operator recorded as simulated did is no manual intervention (SAFETY S19)."""
    view = report_of(tmp_path, an_intent(), VETO, replace(VETO, id="a-2", author="simulated"))
    assert named(view)["interventions"]["value"] == 1
    assert named(view)["interventions_simulated"]["value"] == 1
    assert "simulated operator" in figures_page(view)


def test_savings_against_rules_need_a_coin(tmp_path: Path) -> None:
    """Without a coin they are unknown, with outcomes on both sides they are a difference with its interval."""
    coin = {"key": "k", "policy": "rollback", "rule": "retrain", "up": "rollback"}
    tosses: list[Any] = []
    for number in range(1, 9):
        ours = number % 2 == 0
        told = a_window(number, gate={"deviates": ours, "coin": {**coin, "up": "rollback" if ours else "retrain"}})
        tosses.append(replace(told, chosen="rollback" if ours else "retrain"))
        tosses.append(an_intent(id=f"act-{number}", decision_id=told.id, state=IntentState.VERIFIED))
        result = Result.HEALED if ours else Result.WORSE
        tosses.append(replace(later(result)[1], intent_id=f"act-{number}"))
    figure = named(report_of(tmp_path, *tosses))["failures_against_rules"]
    assert (figure["value"], figure["n"]) == (-100.0, 8)
    assert figure["low"] == pytest.approx(-100) and figure["high"] < 0  # noqa: PT018 - the two ends of one interval


def test_a_report_of_a_stretch_counts_only_what_began_in_it(tmp_path: Path) -> None:
    """Since is included, until is not."""
    records = [an_incident(n, hours=1, opened=n) for n in range(4)] + [a_window(n) for n in range(1, 4)]
    view = report_of(tmp_path, *records, since=NOW + HOUR, until=NOW + 3 * HOUR)
    assert named(view)["incidents"]["value"] == 2
    assert named(view)["windows"]["value"] == 2


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """Ten windows, the second of which acted and the third of which was bad; all before the sixth was pruned."""
    clock = ManualClock(NOW)
    with Store.open(tmp_path, clock=clock) as store:
        for number in range(1, 11):
            clock.advance(3600)
            with store.transaction() as tx:
                tx.put(a_window(number, alarms={"harm": number in (2, 3)}))
                if number == 2:
                    tx.put(an_intent(decision_id="dec-2", created_at=clock.now(), effect_at=clock.now()))
                tx.put(Watermark(pipeline="churn", end_at=clock.now()))
        with store.transaction() as tx:
            prune(tx, NOW + 6 * HOUR, actor="ada", reason="a week is enough")
            prune(tx, NOW + 4 * HOUR, actor="ada", reason="less than before")
    return tmp_path


def looked_at(folder: Path, **asked: Any) -> dict[str, Any]:
    with ReadStore.open(folder) as reader:
        return report_view(reader, Asked(**asked), at=NOW + 1000 * HOUR)


@pytest.mark.parametrize("asked", [{}, {"since": NOW + 7 * HOUR}, {"until": NOW + 9 * HOUR}])
def test_a_report_begins_where_the_record_is_whole(pruned: Path, asked: dict[str, Any]) -> None:
    """After a pruning the windows before it, of which those that acted alone are left, are in no share."""
    view = looked_at(pruned, **asked)
    since = max(asked.get("since", NOW), NOW + 6 * HOUR)
    assert datetime.fromisoformat(view["since"]) == since
    assert datetime.fromisoformat(view["pruned_before"]) == NOW + 6 * HOUR
    assert named(view)["windows"]["value"] == (asked.get("until", NOW + 11 * HOUR) - since) / HOUR
    assert named(view)["degraded_share"]["value"] == 0
    assert not any(PARTLY in figure["note"] for figure in view["figures"])
    assert say_pruned(view).endswith("only the record from then on is whole")
    assert say_pruned(view) in figures_page(view)


@pytest.mark.parametrize("asked", [{"since": NOW}, {"until": NOW + 5 * HOUR}])
def test_figures_of_what_was_pruned_say_so(pruned: Path, asked: dict[str, Any]) -> None:
    """Whoever asks for an earlier stretch is told at each figure of windows what it stands on."""
    view = looked_at(pruned, **asked)
    assert named(view)["heals.retrain.not over"]["value"] == 1
    assert {figure["key"] for figure in view["figures"] if PARTLY in figure["note"]} == OF_WINDOWS
    assert say_pruned(view).endswith("only those that acted count")
    assert say_pruned(view) in figures_page(view)


def test_without_a_pruning_nothing_is_said(tmp_path: Path) -> None:
    """A log of which nothing was dropped is reported from its first decision on."""
    view = report_of(tmp_path, a_window(1), a_window(2))
    assert (view["pruned_before"], say_pruned(view)) == (None, "")
    assert named(view)["windows"]["value"] == 2


def test_a_pipeline_that_is_not_known_is_not_found(tmp_path: Path) -> None:
    """The nearest name is suggested."""
    with pytest.raises(NotFound, match="did you mean `churn`"):
        report_of(tmp_path, pipeline="chrun")


def test_every_trace_of_a_lived_report_is_there(past: Past) -> None:
    """Each id that a figure links to is a decision of the log, and every figure is JSON and drawn."""
    with past.store() as store:
        view = report_view(store, Asked(), at=past.now)
        known = {decision.id for decision in store.find(Decision)}
        retrains = len(store.find(Intent, action="retrain"))
    linked = {id_ for figure in view["figures"] for id_ in figure["traces"]}
    assert linked
    assert linked <= known
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    counted = [figure for figure in view["figures"] if figure["key"].startswith("heals.retrain.")]
    assert sum(figure["value"] for figure in counted) == retrains
    assert all(id_ in figures_page(view) for id_ in linked)


def test_a_report_says_how_far_it_is(past: Past) -> None:
    """Progress rises with the leaves that were read, and never passes the last one."""
    told: list[tuple[int, int]] = []
    with past.store() as store:
        report_view(store, Asked(), at=past.now, progress=lambda done, last: told.append((done, last)))
        last = store.head()[0]
    assert told
    assert told == sorted(told)
    assert all(done <= end == last for done, end in told)


def test_the_page_trusts_no_text(tmp_path: Path) -> None:
    """A reason with markup in it is shown as text, and the page loads nothing from elsewhere."""
    page = figures_page(report_of(tmp_path, an_incident(1, hours=5), a_window(1)))
    assert "<b>the error rose</b>" not in page
    assert "&lt;b&gt;the error rose" in page
    assert not any(word in page for word in ("<script", "http:", "https:", "@import", "src="))


def test_every_figure_is_defined(past: Past) -> None:
    """The README defines each figure that a report may hold."""
    with past.store() as store:
        keys = {figure["key"] for figure in report_view(store, Asked(), at=past.now)["figures"]}
    text = README.read_text(encoding="utf-8")
    plain = {"heals.ACTION.RESULT" if key.startswith("heals.") else key for key in keys}
    assert {key for key in plain if f"`{key}`" not in text} == set()
    assert len(FIGURES) == 11


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=60), q=st.sampled_from([0.5, 0.9]))
def test_a_quantile_lies_in_its_interval(values: list[float], q: float) -> None:
    """The value is one of the values, and no end of the interval is on the wrong side of it."""
    found = quantile(values, q)
    assert found is not None
    assert found.value in values
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (40, 0.5), (40, 0.9), (200, 0.9)])
def test_an_interval_of_order_statistics_covers(n: int, q: float) -> None:
    """Over drawn samples of a skewed law the true quantile lies in the interval at least as often as stated."""
    rng = np.random.Generator(np.random.Philox(7))
    truth = -math.log(1 - q)
    hits = 0
    for sample in rng.exponential(size=(400, n)):
        found = quantile(sample.tolist(), q)
        assert found is not None
        low, high = (-math.inf if found.low is None else found.low), (math.inf if found.high is None else found.high)
        hits += low <= truth <= high
    assert hits / 400 >= 0.93


def test_few_values_leave_an_end_open() -> None:
    """A median of five values has no 95% interval, one of six has; what is not over may be the upper end."""
    assert quantile([1.0] * 5, 0.5) is not None
    five, six = quantile([1, 2, 3, 4, 5], 0.5), quantile([1, 2, 3, 4, 5, math.inf], 0.5)
    assert five is not None
    assert six is not None
    assert (five.low, five.high) == (None, None)
    assert (six.low, six.high) == (1, math.inf)
    assert quantile([], 0.5) is None
    assert share(0, 0) is None


def test_figures_are_said_with_their_units() -> None:
    """Unknown is a word, an open end too."""
    assert [say_value(value, unit) for value, unit in ((None, "s"), (90.0, "s"), (12.34, "%"), ("not over", "s"))] == [
        "unknown",
        "1m 30s",
        "12.3%",
        "not over",
    ]
    assert say_interval({"low": None, "high": 60.0, "unit": "s"}) == "open to 1m"
    assert say_interval({"low": None, "high": None, "unit": "s"}) == ""
