"""Five typical traces, for the golden file of their prose: `python -m tests.healerd.decision.typical` writes it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from healerd.decision import Trace, decide, diagram, prose
from healerd.decision.aftermath import Deed, Move
from healerd.model import Answer, AnswerKind, Intent, IntentState, Outcome, Result, Stage
from tests.healerd.decision.situations import NOW, a_calm_situation, a_situation, ready, rules

FILE = Path(__file__).with_name("typical.txt")


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def moves(*states: tuple[float, str, IntentState]) -> tuple[Move, ...]:
    return tuple(
        Move(seq=100 + number, at=after(minutes), actor=actor, state=state, version=number)
        for number, (minutes, actor, state) in enumerate(states)
    )


def hold() -> Trace:
    return Trace(decision=decide(a_calm_situation(), rules()))


def announced() -> Trace:
    decision = decide(a_situation(), rules())
    intent = ready(decision, state=IntentState.ANNOUNCED, deadline_at=after(10))
    return Trace(decision=decision, deeds=(Deed(intent=intent, moves=moves((0, "daemon", IntentState.ANNOUNCED))),))


def approved() -> Trace:
    decision = decide(a_situation(stage=Stage.SUGGEST), rules())
    healed = ended(ready(decision, state=IntentState.VERIFIED), effect=31, end=1440)
    way = (
        (0, "daemon", IntentState.AWAITING_APPROVAL),
        (30, "ana", IntentState.AWAITING_APPROVAL),
        (30, "daemon", IntentState.READY),
        (30, "daemon", IntentState.EXECUTING),
        (31, "daemon", IntentState.CONFIRMED),
        (60, "daemon", IntentState.VERIFYING),
        (1440, "daemon", IntentState.VERIFIED),
    )
    said = answer(healed, AnswerKind.APPROVE, "ana", "the drift is real, go", 30)
    judged = outcome(healed, Result.HEALED, (0.061, 0.04, 0.082), 5120)
    return Trace(decision=decision, deeds=(Deed(intent=healed, moves=moves(*way), answers=(said,), outcome=judged),))


def vetoed() -> Trace:
    decision = decide(a_situation(), rules())
    stopped = replace(ready(decision, state=IntentState.VETOED), ended_at=after(4), reason="easter campaign, expected")
    way = ((0, "daemon", IntentState.ANNOUNCED), (4, "bo", IntentState.VETOED))
    said = answer(stopped, AnswerKind.VETO, "bo", "easter campaign, expected", 4)
    return Trace(decision=decision, deeds=(Deed(intent=stopped, moves=moves(*way), answers=(said,)),))


def undone() -> Trace:
    decision = decide(a_situation(), rules())
    heal = ended(ready(decision, state=IntentState.UNDONE), effect=11, end=720)
    back = replace(
        ended(ready(decision, id="act-1-undo", state=IntentState.VERIFIED), effect=720, end=720),
        action="undo",
        target="v2",
        parent_id=heal.id,
    )
    way = (
        (0, "daemon", IntentState.ANNOUNCED),
        (10, "daemon", IntentState.EXECUTING),
        (11, "daemon", IntentState.CONFIRMED),
        (40, "daemon", IntentState.VERIFYING),
        (710, "daemon", IntentState.UNDOING),
        (720, "daemon", IntentState.UNDONE),
    )
    step = Deed(intent=back, moves=moves((710, "daemon", IntentState.READY), (720, "daemon", IntentState.VERIFIED)))
    judged = outcome(heal, Result.WORSE, (-0.021, -0.034, -0.008), 3310)
    return Trace(decision=decision, deeds=(Deed(intent=heal, moves=moves(*way), outcome=judged, steps=(step,)),))


TYPICAL = {"hold": hold, "announced retrain": announced, "approval": approved, "veto": vetoed, "undo": undone}


def ended(intent: Intent, *, effect: float, end: float) -> Intent:
    return replace(intent, executed_at=after(effect - 1), effect_at=after(effect), ended_at=after(end))


def answer(intent: Intent, kind: AnswerKind, author: str, reason: str, minutes: float) -> Answer:
    return Answer(
        id=f"{intent.id}-{kind.value}",
        intent_id=intent.id,
        pipeline=intent.pipeline,
        kind=kind,
        author=author,
        roles=("operator", "approver"),
        reason=reason,
        revision=0,
        at=after(minutes),
    )


def outcome(intent: Intent, result: Result, gain: tuple[float, float, float], rows: int) -> Outcome:
    mean, low, high = gain
    return Outcome(
        intent_id=intent.id,
        at=intent.ended_at or NOW,
        result=result,
        gain=mean,
        gain_low=low,
        gain_high=high,
        p_better=None,
        n=rows,
        paired=True,
    )


def told() -> str:
    """All five, each with its three sentences and its diagram; where a rule stands in its pack is no matter here."""
    return re.sub(r"\.heal:\d+", ".heal:N", "\n".join(_told()) + "\n")


def _told() -> Iterator[str]:
    for name, make in TYPICAL.items():
        trace = make()
        yield f"== {name} =="
        yield from prose(trace)
        yield ""
        yield diagram(trace)


if __name__ == "__main__":
    FILE.write_text(told(), encoding="utf-8")
