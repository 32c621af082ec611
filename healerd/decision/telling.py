"""A trace told in three sentences for an operator, and what came of it line by line: all read from the trace.

Must never state what the trace does not hold, nor say that something worked before it was verified. The other forms,
`chain.py` and `explain.py`, take their words about the aftermath from here, so that none can disagree.
"""

from collections.abc import Iterator, Mapping

from healerd.decision.aftermath import Deed, Move, Trace, states_of, undo_of
from healerd.decision.explain import page, sentences
from healerd.decision.words import when
from healerd.model import ANSWERABLE, DAEMON, HOLD, Answer, AnswerKind, IntentState, Outcome
from healerd.silence import on_silence, silence_at

__all__ = ["answer_said", "deed_lines", "move_said", "outcome_said", "prose", "trace_page"]

SAID: Mapping[AnswerKind, str] = {
    AnswerKind.APPROVE: "approved it",
    AnswerKind.DENY: "denied it",
    AnswerKind.VETO: "vetoed it",
    AnswerKind.LIFT: "lifted the veto",
}
STANDS: Mapping[IntentState, str] = {
    IntentState.ANNOUNCED: "is announced and may be vetoed",
    IntentState.AWAITING_APPROVAL: "waits for approval",
    IntentState.READY: "may start and has not",
    IntentState.EXECUTING: "is under way",
    IntentState.CONFIRMED: "is not verified yet",
    IntentState.VERIFYING: "is being verified",
    IntentState.UNDOING: "is being undone",
    IntentState.NEEDS_PERSON: "has an unknown effect: a person must find out",
    IntentState.VERIFIED: "was verified",
    IntentState.INCONCLUSIVE: "ended without a verdict",
    IntentState.UNDONE: "was undone",
    IntentState.FAILED: "failed",
    IntentState.VETOED: "did not run, vetoed",
    IntentState.EXPIRED: "did not run, for nobody answered",
    IntentState.WITHDRAWN: "did not run, withdrawn",
    IntentState.REFUSED: "was refused",
}
"""How an intent stands, in words; what is not verified is not said to have worked."""


def prose(trace: Trace) -> tuple[str, str, str]:
    """Say what was seen, what was decided and why, and what came of it: or, while nothing has, what happens next."""
    seen, decided, then = sentences(trace.decision)
    return seen, decided, _came(trace) if trace.deeds else then


def trace_page(trace: Trace) -> str:
    """Write the page for an auditor: the decision's own page, and below it what came of it with every move."""
    return "\n".join([page(trace.decision), *_aftermath(trace)]) + "\n"


def deed_lines(deed: Deed, *, step: bool = False) -> Iterator[str]:
    """Say all that was recorded about an intent, a line each: how it stands, its moves, answers, outcome and steps."""
    intent = deed.intent
    to = f" to `{intent.target}`" if intent.target else ""
    name = "step" if step else "intent"
    yield f"{name} `{intent.id}`: {intent.action}{to} {STANDS[intent.state]}{_because(intent.reason)}"
    yield from (f"  {when(move.at)} {move_said(move)}" for move in states_of(deed))
    yield from (f"  {answer_said(answer)}" for answer in deed.answers)
    if deed.outcome is not None:
        yield f"  outcome {outcome_said(deed.outcome)}"
    for each in deed.steps:
        yield from (f"  {line}" for line in deed_lines(each, step=True))


def outcome_said(outcome: Outcome) -> str:
    """Say an outcome, with how the error moved where that was measured: in points, the interval behind it."""
    note = f" ({outcome.note})" if outcome.note else ""
    if outcome.gain is None or outcome.gain_low is None or outcome.gain_high is None:
        return f"{outcome.result.value}{note}"
    moved, low, high = (f"{-100 * value:+.1f}" for value in (outcome.gain, outcome.gain_high, outcome.gain_low))
    rows = f"{outcome.n} rows served by both" if outcome.paired else f"{outcome.n} rows"
    return f"{outcome.result.value}: the error moved by {moved} points ({low} to {high}, on {rows}){note}"


def answer_said(answer: Answer) -> str:
    """Say what a person said, when and why."""
    return f"{when(answer.at)} `{answer.author}` {SAID[answer.kind]}{_because(answer.reason)}"


def move_said(move: Move) -> str:
    """Say a move: the state it led to, and who moved it when it was not the daemon."""
    by = "" if move.actor == DAEMON else f" by `{move.actor}`"
    return f"{move.state.value}{by}"


# the third sentence ---------------------------------------------------------


def _came(trace: Trace) -> str:
    told = "; ".join(part for deed in trace.deeds for part in _deed(deed))
    return f"{told[0].upper()}{told[1:]}."


def _deed(deed: Deed) -> Iterator[str]:
    """Tell one intent in clauses: what people said, how it stands, its outcome, and its steps."""
    yield from (f"`{one.author}` {SAID[one.kind]} {when(one.at)}{_in_brackets(one.reason)}" for one in deed.answers)
    yield f"{_stands(deed)}{_silence(deed)}"
    if deed.outcome is not None:
        yield f"its outcome is {outcome_said(deed.outcome)}"
    yield from (_stands(step) for step in deed.steps)


def _stands(deed: Deed) -> str:
    intent = deed.intent
    effect = f"took effect {when(intent.effect_at)} and " if intent.effect_at is not None else ""
    ended = f" {when(intent.ended_at)}" if intent.ended_at is not None else ""
    return f"{intent.action} `{intent.id}` {effect}{STANDS[intent.state]}{ended}{_reason(deed)}"


def _silence(deed: Deed) -> str:
    """Say until when an answer is awaited, and what silence means."""
    intent = deed.intent
    if intent.state not in ANSWERABLE:
        return ""
    at = silence_at(intent, deed.answers)
    until = f" until {when(at)}" if at is not None else ""
    return f"{until}; if nobody answers, {on_silence(intent, deed.answers)}"


def _reason(deed: Deed) -> str:
    """Give the reason for how an intent ended, unless it is told already."""
    told = {answer.reason for answer in deed.answers}
    if deed.outcome is not None:
        told.add(deed.outcome.note)
    open_ = deed.intent.ended_at is None
    return "" if open_ or deed.intent.reason in told else _in_brackets(deed.intent.reason)


def _aftermath(trace: Trace) -> Iterator[str]:
    yield "what came of it"
    if not trace.deeds:
        held = trace.decision.chosen == HOLD
        yield "  nothing was started: it holds" if held else "  nothing is recorded yet"
    for deed in trace.deeds:
        yield from (f"  {line}" for line in deed_lines(deed))
        if deed.intent.state is IntentState.UNDONE and not undo_of(deed):
            yield "  it was undone, and the log holds no step for it"


def _in_brackets(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
