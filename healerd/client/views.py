"""What a person is shown, as plain JSON values made from the records: one shape for the socket, the CLI and the TUI.

Pure: reads through a `Reader` and never decides, writes or keeps anything. Times are ISO 8601 in UTC.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from healerd.audit import Entry
from healerd.client.asked import Asked, number
from healerd.client.briefs import DecisionBrief
from healerd.errors import ConfigError, NotFound
from healerd.model import (
    ANSWERABLE,
    AWAITED,
    EVERYTHING,
    HOLD,
    OPEN_STATES,
    Answer,
    AnswerKind,
    Decision,
    Intent,
    IntentState,
    Outcome,
    Pause,
    Stage,
    StageChange,
)
from healerd.silence import missing, on_silence, silence_at
from healerd.store import Reader

__all__ = [
    "PRESETS",
    "Json",
    "Reader",
    "answers_to",
    "deadline",
    "decision_line",
    "decision_named",
    "did_you_mean",
    "entry_view",
    "intent_line",
    "intent_view",
    "intents",
    "one_of",
    "pipeline_revision",
    "plain",
    "require_pipeline",
    "require_reason",
    "revision_of",
    "stage_of",
    "standing_pause",
    "trace_view",
]

Json = dict[str, Any]
R = TypeVar("R")


REASON_MIN = 8
PRESETS = ("known campaign", "data bug upstream", "bad timing", "prefer rollback", "unsure")
"""Reasons that need no more words."""


def plain(value: Any) -> Any:
    """Turn a record, or anything made of records, into plain JSON values."""
    return msgspec.json.decode(msgspec.json.encode(value))


def pipeline_revision(reader: Reader, name: str) -> str:
    """Name what a person must have seen before they loosen a pipeline: its stage, and the pause that stands."""
    pause = standing_pause(reader, name)
    stage = "all" if name == EVERYTHING else stage_of(reader, name).value
    return revision_of(stage, pause)


def revision_of(stage: str, pause: Pause | None) -> str:
    """Write the revision of a pipeline in this stage, under this pause."""
    return f"{stage}:{plain(pause.since_at) if pause else 'running'}"


def standing_pause(reader: Reader, name: str) -> Pause | None:
    """Find the pause in force on one pipeline, or on everything."""
    return _newest(reader, Pause, "-since_at", pipeline=name, ended_at=None)


def stage_of(reader: Reader, name: str) -> Stage:
    """Tell a pipeline's stage, by order, for clocks are set back; what nobody moved is in `suggest` (SAFETY S5)."""
    change = _newest(reader, StageChange, "-seq", pipeline=name)
    return change.stage if change else Stage.SUGGEST


def intents(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at the intents that stand open, the most pressing first; with `all`, the newest of any state."""
    equal: dict[str, Any] = {"pipeline": asked["pipeline"]} if "pipeline" in asked else {}
    if "all" in asked:
        limit = number(asked, "limit", usual=50, most=1000)
        found = list(reader.find(Intent, order="-created_at", limit=limit, **equal))
    else:
        found = list(reader.find(Intent, state=OPEN_STATES, **equal))
        due = {intent.id: silence_at(intent, answers_to(reader, intent)) for intent in found}
        found.sort(key=lambda i: (i.state not in AWAITED, due[i.id] is None, due[i.id] or i.created_at))
    return {"schema": 1, "intents": [intent_line(intent, answers_to(reader, intent)) for intent in found]}


def answers_to(reader: Reader, intent: Intent) -> tuple[Answer, ...]:
    """Read what people have said to an intent, if anybody has approved it: else it lacks every approval."""
    return reader.find(Answer, intent_id=intent.id) if intent.approved_by else ()


def intent_view(reader: Reader, intent_id: str) -> Json:
    """One intent with the decision behind it and what came of it: all a person needs to answer. Raises NotFound."""
    from healerd.decision import prompt  # loads numpy and scipy, which a status must not wait for

    intent = one_of(reader, Intent, intent_id, "healerd inbox")
    decision = reader.get(Decision, intent.decision_id)
    answers = reader.find(Answer, intent_id=intent.id)
    return {
        "schema": 1,
        "intent": plain(intent),
        "prompt": plain(prompt(intent, decision, answers=answers)) if decision else None,
        "answers": [kind.value for kind in _answers(intent)],
        "decision": _without_trace(decision) if decision else None,
        "outcome": plain(reader.get(Outcome, intent.id)),
    }


def _answers(intent: Intent) -> tuple[AnswerKind, ...]:
    """Tell what a person can still say to an intent."""
    if intent.state is IntentState.VETOED:
        return (AnswerKind.LIFT,)
    if intent.state is IntentState.READY:
        return (AnswerKind.VETO,)
    if intent.state not in ANSWERABLE:
        return ()
    return (AnswerKind.VETO, AnswerKind.APPROVE) if intent.approvals else (AnswerKind.VETO,)


def decision_named(reader: Reader, id_: str) -> Decision:
    """Find a decision by its id, or by that of the intent which came of it. Raises NotFound."""
    intent = reader.get(Intent, id_)
    return one_of(reader, Decision, intent.decision_id if intent else id_, "healerd trace list")


def trace_view(reader: Reader, id_: str) -> Json:
    """One decision with everything it stood on, and all that came of it, in every form. Raises NotFound."""
    from healerd.client.aftermath import trace_of  # as above
    from healerd.decision import chain, diagram, prose, trace_page

    trace = trace_of(reader, decision_named(reader, id_))
    return {
        "schema": 1,
        "decision": plain(trace.decision),
        "said": list(prose(trace)),
        "page": trace_page(trace),
        "diagram": diagram(trace),
        "chain": plain(chain(trace)),
        "intents": [intent_line(deed.intent, deed.answers) for deed in trace.deeds],
        "outcomes": [plain(deed.outcome) for deed in trace.deeds if deed.outcome],
        "deeds": plain(trace.deeds),
    }


def entry_view(entry: Entry) -> Json:
    """One entry of the audit log, as the event stream sends it."""
    return {
        "seq": entry.seq,
        "at": plain(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "pipeline": entry.pipeline,
        "table": entry.table,
        "key": entry.key,
        "record": plain(entry.record),
    }


def intent_line(intent: Intent, answers: Collection[Answer]) -> Json:
    """One intent as a row of a table; `deadline_at` is when silence decides about it, or could have; `default` what."""
    return {
        "id": intent.id,
        "pipeline": intent.pipeline,
        "action": intent.action,
        "target": intent.target,
        "state": intent.state.value,
        "revision": intent.revision,
        "confidence": intent.confidence,
        "severity": intent.severity,
        "created_at": plain(intent.created_at),
        "deadline_at": plain(silence_at(intent, answers) if intent.state in ANSWERABLE else intent.deadline_at),
        "ended_at": plain(intent.ended_at),
        "default": on_silence(intent, answers),
        "reason": intent.reason,
        "author": intent.author,
    }


def deadline(open_: Collection[Intent], answers: Mapping[str, tuple[Answer, ...]]) -> Json:
    """The earliest moment at which silence decides something, and whether it lacks an approval then."""
    asked = [intent for intent in open_ if intent.state in ANSWERABLE]
    due = [(silence_at(each, answers[each.id]), missing(each, answers[each.id])) for each in asked]
    dated = [(at, "approval" if lacking else "veto") for at, lacking in due if at is not None]
    at, kind = min(dated, default=(None, None))
    return {"deadline_at": plain(at), "deadline_kind": kind}


def decision_line(decision: Decision | DecisionBrief) -> Json:
    """One decision as a row of a table."""
    return {
        "id": decision.id,
        "pipeline": decision.pipeline,
        "at": plain(decision.at),
        "window_end_at": plain(decision.window_end_at),
        "chosen": decision.chosen,
        "target": decision.target,
        "held": decision.chosen == HOLD,
        "level": decision.level,
        "confidence": decision.confidence,
        "incident_id": decision.incident_id,
        "reason": decision.reason,
        "author": decision.author,
    }


def _without_trace(decision: Decision) -> Json:
    return {name: value for name, value in plain(decision).items() if name != "trace"}


def one_of(reader: Reader, kind: type[R], id_: str, listed_by: str) -> R:
    """Get a record that a person names; `listed_by` is what lists the known ones. Raises NotFound."""
    found = reader.get(kind, id_)
    if found is None:
        raise NotFound(f"no {kind.__name__.lower()} `{id_}`; list them with `{listed_by}`")
    return found


def _newest(reader: Reader, kind: type[R], order: str, **filters: Any) -> R | None:
    return next(iter(reader.find(kind, order=order, limit=1, **filters)), None)


def require_pipeline(name: str, known: Sequence[str]) -> None:
    """Raise NotFound, with the nearest name, for a pipeline that is not known."""
    if name not in known:
        raise NotFound(f"no pipeline `{name}`; {did_you_mean(name, known)}")


def require_reason(reason: str) -> None:
    """Raise ConfigError for a reason that tells whoever reads the record nothing."""
    if len(reason.strip()) < REASON_MIN and reason not in PRESETS:
        raise ConfigError(f"a reason of at least {REASON_MIN} characters is needed, or one of: {', '.join(PRESETS)}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest of the `known` names, or list them."""
    from difflib import get_close_matches  # only on the way to an error

    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(known)}" if known else "none is known yet"
