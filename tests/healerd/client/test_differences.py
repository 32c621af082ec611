"""Two traces side by side: what is the same is said to be, and the first step that parts them is named."""

import copy

import pytest

from healerd.client import diff_traces, trace_steps
from healerd.client.differences import STEPS
from tests.healerd.client.conftest import Past


@pytest.fixture
def traces(past: Past) -> list[dict]:
    return [past.client.trace(one["id"]) for one in past.client.traces(limit=1000)["traces"]]


def test_every_trace_can_be_taken_apart(traces: list[dict]) -> None:
    """Ticks, steps and holds all have the seven steps, and a row for each measurement."""
    for trace in traces:
        steps = {step["step"]: step for step in trace_steps(trace)}
        assert tuple(steps) == STEPS
        measured = trace["decision"]["trace"]["situation"].get("measurements", [])
        assert len(steps["signals"]["rows"]) >= len(measured)
        assert steps["action"]["rows"][0]["value"] == trace["decision"]["chosen"]


def test_a_trace_differs_in_nothing_from_itself(traces: list[dict]) -> None:
    """Every row of every step is the same, and there is no first difference."""
    for trace in traces:
        diff = diff_traces(trace, trace)
        assert all(step["same"] and all(row["same"] for row in step["rows"]) for step in diff["steps"])
        assert diff["first"] is None


def test_the_order_of_two_traces_does_not_matter(traces: list[dict]) -> None:
    """Swapping the two swaps the columns, and parts them at the same place."""
    one, other = traces[0], traces[-1]
    there, back = diff_traces(one, other), diff_traces(other, one)
    for a, b in zip(there["steps"], back["steps"], strict=True):
        assert {(row["name"], str(row["a"]), str(row["b"])) for row in a["rows"]} == {
            (row["name"], str(row["b"]), str(row["a"])) for row in b["rows"]
        }


def test_the_first_difference_that_counts_is_named(traces: list[dict]) -> None:
    """An alarm of one alone comes before the verdicts; a changed gate is named when nothing before it differs."""
    acted = next(trace for trace in traces if trace["decision"]["chosen"] == "retrain")
    calm = next(trace for trace in reversed(traces) if trace["decision"]["chosen"] == "hold")
    assert diff_traces(calm, acted)["first"]["step"] == "signals"
    held = copy.deepcopy(acted)
    held["decision"] |= {"chosen": "hold", "target": None, "confidence": 0.52}
    first = diff_traces(held, acted)["first"]
    assert (first["step"], first["name"], first["a"]) == ("gate", "confidence", 0.52)


@pytest.mark.parametrize(("confidence", "word"), [(0.79, "fails"), (0.81, "passes"), (None, "unknown")])
def test_a_confidence_is_held_against_what_acting_alone_needs(
    traces: list[dict], confidence: float | None, word: str
) -> None:
    """80%, whatever the gate of a deviation asked for."""
    acted = copy.deepcopy(next(trace for trace in traces if trace["decision"]["chosen"] == "retrain"))
    acted["decision"]["confidence"] = confidence
    acted["decision"]["trace"]["gate"] = {"sure_enough": 0.95, "p": None, "deviates": False}
    (gate,) = (step for step in trace_steps(acted) if step["step"] == "gate")
    assert gate["title"].endswith(f"against 0.80: {word}")
    rows = {row["name"]: row["value"] for row in gate["rows"]}
    assert (rows["needed to deviate"], rows["needed to act alone"]) == (0.95, 0.8)


def test_numbers_that_move_a_little_decide_nothing(traces: list[dict]) -> None:
    """A measured value that crossed no line is a difference, with its ratio, and not the cause."""
    acted = next(trace for trace in traces if trace["decision"]["chosen"] == "retrain")
    moved = copy.deepcopy(acted)
    one = next(m for m in moved["decision"]["trace"]["situation"]["measurements"] if m.get("value"))
    one["value"] *= 2
    moved["decision"]["level"] = "allowed"
    diff = diff_traces(acted, moved)
    (row,) = [row for row in diff["steps"][0]["rows"] if not row["same"]]
    assert row["ratio"] == pytest.approx(2.0)
    assert diff["first"] == {"step": "people", "name": "level", "a": acted["decision"]["level"], "b": "allowed"}


def test_what_only_one_has_is_none_in_the_other(traces: list[dict]) -> None:
    """A rule that acts in one alone is a row with nothing on the other side."""
    acted = next(trace for trace in traces if trace["decision"]["chosen"] == "retrain")
    freed = copy.deepcopy(acted)
    verdict = freed["decision"]["trace"]["first_pass"]["retrain"]
    gone = verdict["acting"].pop()
    rows = {row["name"]: row for row in diff_traces(acted, freed)["steps"][1]["rows"]}
    assert rows[f"retrain: {gone['rule']}"]["a"] == gone["kind"]
    assert rows[f"retrain: {gone['rule']}"]["b"] is None
