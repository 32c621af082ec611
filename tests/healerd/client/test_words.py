"""What is said in plain words."""

import pytest

from healerd.client.fleet import PipelineState
from healerd.client.views import plain
from healerd.client.words import GLYPHS, duration, is_news, say_event
from healerd.model import (
    Answer,
    AnswerKind,
    Bar,
    Incident,
    IntentState,
    Layer,
    Outcome,
    Pause,
    Result,
    Stage,
    StageChange,
    Version,
    VersionKind,
)
from tests.served import NOW, a_decision, an_intent


def event(table: str | None, record: object, *, actor: str = "daemon", kind: str = "changed") -> dict[str, object]:
    return {"table": table, "record": plain(record), "pipeline": "churn", "actor": actor, "kind": kind}


OUTCOME = Outcome(
    intent_id="act-1",
    at=NOW,
    result=Result.HEALED,
    gain=0.06,
    gain_low=0.02,
    gain_high=0.1,
    p_better=0.99,
    n=800,
    paired=True,
)
INCIDENT = Incident(
    id="inc-1", pipeline="churn", opened_at=NOW, kind=Layer.HARM, severity=2, reason="the error rose", opened_by="alarm"
)
SAID = {
    "churn: decided to retrain: the error rose": event("decision", a_decision()),
    "churn: rollback to v12 is verified  [act-1]": event(
        "intent", an_intent(action="rollback", target="v12", state=IntentState.VERIFIED)
    ),
    "churn: retrain is announced; if nobody answers, it runs  [act-1]": event("intent", an_intent()),
    "churn: retrain is awaiting approval; once all have approved, it runs unless somebody vetoes it  [act-1]": event(
        "intent", an_intent(state=IntentState.AWAITING_APPROVAL, approved_by=("bo",), default="it does not run")
    ),
    "churn: incident of severity 2: the error rose": event("incident", INCIDENT),
    "churn: healed: +6.0 points fewer errors (+2.0 to +10.0, n=800)": event("outcome", OUTCOME),
    "churn: paused: labels are late (by ana)": event(
        "pause", Pause(pipeline="churn", since_at=NOW, author="ana", reason="labels are late"), actor="ana"
    ),
    "churn: stage live: it has earned it (by ana)": event(
        "stage_change",
        StageChange(pipeline="churn", stage=Stage.LIVE, at=NOW, author="ana", reason="it has earned it"),
        actor="ana",
    ),
    "churn: ana says veto: bad timing (by ana)": event(
        "answer",
        Answer(
            id="a",
            intent_id="act-1",
            pipeline="churn",
            kind=AnswerKind.VETO,
            author="ana",
            roles=(),
            reason="bad timing",
            revision=3,
            at=NOW,
        ),
        actor="ana",
    ),
    "churn: retrain is barred: bad timing": event(
        "bar",
        Bar(
            id="b",
            pipeline="churn",
            action="retrain",
            incident_id=None,
            author="ana",
            reason="bad timing",
            since_at=NOW,
            severity=2,
        ),
    ),
    "churn: version v15 is stored": event(
        "version", Version(pipeline="churn", name="v15", kind=VersionKind.MODEL, sha256="0", created_at=NOW)
    ),
    "churn: clock jump seconds 3600.0": event(None, {"seconds": 3600.0}, kind="clock jump"),
}


@pytest.mark.parametrize("said", SAID)
def test_every_kind_of_event_is_said_in_one_line(said: str) -> None:
    """Each record that a person wants to hear of is told in one line, with who did it when it was not the daemon."""
    assert say_event(SAID[said]) == said
    assert is_news(SAID[said])


def test_what_is_not_news() -> None:
    """Windows that were fine and the bookkeeping are no news."""
    assert not is_news(event("decision", a_decision(chosen="hold")))
    assert not is_news(event("watermark", {}))


def test_an_event_that_nobody_foresaw_is_said_plainly() -> None:
    """A record of a later version is still shown with what it holds."""
    assert say_event(event("novelty", {"depth": 3, "parts": [1]}, kind="found")) == "churn: found depth 3"


def test_every_state_has_a_sign() -> None:
    """No state of a pipeline is without a sign, and no two share one."""
    assert set(GLYPHS) == {state.value for state in PipelineState}
    assert len({sign for sign, _ in GLYPHS.values()}) == len({plain_ for _, plain_ in GLYPHS.values()}) == len(GLYPHS)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59, "59s"), (600, "10m"), (3661, "1h 1m"), (90000, "1d 1h")])
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """A duration is said in its two largest units."""
    assert duration(seconds) == text
