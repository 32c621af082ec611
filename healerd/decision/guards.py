"""The host's own guards: what no rule file can loosen. Each is one function, joined to the rules' verdicts.

Must never permit anything: a guard can only restrict, and what it does not know counts against acting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from healerd.decision.incidents import GRAVE, WISHED
from healerd.decision.log import rejected_at
from healerd.decision.situation import Situation
from healerd.model import EVERYTHING, OPEN_STATES, Bar, Incident, Intent, IntentState, Layer, Pause
from healerd_rules import ALLOWED, Acting, Approval, Level, Verdict, join_all

__all__ = [
    "ASKED_AGAIN",
    "BUILT_IN",
    "HEAL_GUARDS",
    "PROMOTE_GUARDS",
    "RETREAT_GUARDS",
    "Asked",
    "Guard",
    "bar_stands",
    "guard",
    "stopped",
]

BUILT_IN = "healerd."
"""What the names of these guards begin with; rules of files cannot."""
ASKED_ROLE = "operators"
ASK_FOR_S = 12 * 3600.0
"""How long a question of these guards stays open: a night."""
ASKED_AGAIN = timedelta(hours=6)
"""What nobody answered is asked again at most this often (SAFETY S8)."""
BAR_LEAST, BAR_MOST = timedelta(hours=24), timedelta(days=7)
RETURN_AGAIN = timedelta(hours=24)
BACKOFF_WINDOWS_MAX = 32
"""The longest wait between candidates of one incident, in windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a guard is asked about. `proposed`: a rule or a person proposes the action; `ignoring`: intents that are
    not in the way; `heal_id`: the heal whose step it is.
    """

    situation: Situation
    action: str
    proposed: bool = False
    ignoring: frozenset[str] = frozenset()
    heal_id: str | None = None


Guard = Callable[[Asked], Verdict]


def guard(guards: tuple[Guard, ...], asked: Asked) -> Verdict:
    """Join what the guards say."""
    return join_all([each(asked) for each in guards])


def stopped(situation: Situation) -> Pause | None:
    """Find the standing stop of everything."""
    return _pause(situation, EVERYTHING)


def bar_stands(bar: Bar, situation: Situation) -> bool:
    """Tell whether a veto is still remembered: 24 h, then until its incident closes, at most 7 days, unless lifted."""
    age = situation.now - bar.since_at
    if bar.lifted_at is not None or age >= BAR_MOST:
        return False
    incident = situation.open_incident
    same = bar.incident_id is None or (incident is not None and incident.id == bar.incident_id)
    return age < BAR_LEAST or same


# each guard ----------------------------------------------------------------


def _brakes(asked: Asked) -> Verdict:
    """S15: a pause stops the pipeline, stop-all everything."""
    if (stop := stopped(asked.situation)) is not None:
        return _forbid("stop_all", f"`{stop.author}` stopped everything: {stop.reason}")
    if (pause := _pause(asked.situation, asked.situation.pipeline)) is not None:
        return _forbid("pause", f"`{pause.author}` paused the pipeline: {pause.reason}")
    return ALLOWED


def _soft_brakes(asked: Asked) -> Verdict:
    """S15: under a pause a way back asks; under stop-all nothing runs."""
    if (stop := stopped(asked.situation)) is not None:
        return _forbid("stop_all", f"`{stop.author}` stopped everything: {stop.reason}")
    if (pause := _pause(asked.situation, asked.situation.pipeline)) is not None:
        return _ask("pause", f"`{pause.author}` paused the pipeline: {pause.reason}")
    return ALLOWED


def _on_hold(asked: Asked) -> Verdict:
    """S16: while the host's time or data cannot be trusted, nothing starts."""
    because = asked.situation.on_hold
    return _defer("on_hold", because, None) if because else ALLOWED


def _newest_window(asked: Asked) -> Verdict:
    """S16: of a backlog only the newest closed window may lead to an action."""
    return ALLOWED if asked.situation.newest else _forbid("late_window", "a later window is closed already")


def _incident(asked: Asked) -> Verdict:
    """S6: without an open incident the answer is hold."""
    if asked.situation.open_incident is None:
        return _forbid("no_incident", "no incident is open")
    return ALLOWED


def _warning_only(asked: Asked) -> Verdict:
    """S6: covariate or score alarms alone permit only what a rule, or a person, proposes."""
    incident = asked.situation.open_incident
    if incident is None or asked.proposed or incident.kind in GRAVE:
        return ALLOWED
    return _forbid("warning_only", "without harm or bad data only what a rule proposes may be done")


def _veto_memory(asked: Asked) -> Verdict:
    """S8: a veto bars the action; a more severe alarm or a new harm incident may ask, by approval only."""
    bars = [bar for bar in asked.situation.bars if bar.pipeline == asked.situation.pipeline]
    return join_all([_barred(bar, asked.situation) for bar in bars if bar.action == asked.action])


def _barred(bar: Bar, situation: Situation) -> Verdict:
    if not bar_stands(bar, situation):
        return ALLOWED
    because = f"`{bar.author}` objected on {bar.since_at:%Y-%m-%d %H:%M}: {bar.reason}"
    incident = situation.open_incident
    worse = incident is not None and (
        incident.severity > max(bar.severity, _wished_severity(incident))
        or (incident.id != bar.incident_id and incident.kind is Layer.HARM)
    )
    return (
        _ask("veto_memory", f"{because}; it is asked all the same, for it is graver now")
        if worse
        else _forbid("veto_memory", f"{because}; a person may lift it")
    )


def _wished_severity(incident: Incident) -> int:
    """A person's wish is no alarm: the severity that it gave its incident makes nothing graver."""
    alarmed = incident.opened_by == "alarm" or incident.opened_by.startswith("rule ")
    return 0 if alarmed else WISHED


def _asked_lately(asked: Asked) -> Verdict:
    """S8: what nobody answered is asked again at most every 6 h."""
    expired = [
        intent.ended_at
        for intent in asked.situation.intents
        if intent.pipeline == asked.situation.pipeline
        and intent.action == asked.action
        and intent.state is IntentState.EXPIRED
        and intent.ended_at is not None
    ]
    last = max(expired, default=None)
    if last is None or asked.situation.now >= last + ASKED_AGAIN:
        return ALLOWED
    return _defer("asked_lately", "nobody answered the last time it was asked", last + ASKED_AGAIN)


def _open_intents(asked: Asked) -> Verdict:
    """S10: no heal starts while an intent is open on the pipeline, or on another that shares its alias."""
    barring = next((intent for intent in asked.situation.intents if _bars(intent, asked)), None)
    if barring is None:
        return ALLOWED
    where = "" if barring.pipeline == asked.situation.pipeline else f" on `{barring.pipeline}`, which shares the alias"
    return _defer("open_intent", f"{barring.action} `{barring.id}` is {barring.state}{where}", None)


def _bars(intent: Intent, asked: Asked) -> bool:
    """What is in effect and only being verified does not bar a heal for harm or bad data; a candidate that is still
    being judged bars another retraining.
    """
    if intent.state not in OPEN_STATES or intent.id in asked.ignoring:
        return False
    if intent.state not in (IntentState.CONFIRMED, IntentState.VERIFYING):
        return True
    incident = asked.situation.open_incident
    grave = incident is not None and incident.kind in GRAVE
    judged = intent.action == "retrain" and intent.state is IntentState.CONFIRMED
    return not grave or (judged and asked.action == "retrain")


def _rejected(asked: Asked) -> Verdict:
    """After each rejected candidate of an incident the next one waits twice as long, in windows."""
    rejections = _rejections(asked)
    if not rejections:
        return ALLOWED
    windows = min(2 ** (len(rejections) - 1), BACKOFF_WINDOWS_MAX)
    until = max(rejections) + timedelta(seconds=windows * asked.situation.window_s)
    if asked.situation.now >= until:
        return ALLOWED
    said = f"{len(rejections)} candidate{'s' if len(rejections) > 1 else ''} of this incident rejected"
    return _defer("rejected_candidates", said, until)


def _rejections(asked: Asked) -> tuple[datetime, ...]:
    """When candidates of the action were rejected in this incident; of corrections, those of the last day."""
    incident = asked.situation.open_incident
    if asked.action == "retrain":
        return asked.situation.rejected_at
    if asked.action != "recalibrate" or incident is None:
        return ()
    return rejected_at(asked.situation.intents, incident.id, action=asked.action)


def _target(asked: Asked) -> Verdict:
    """What cannot be done is not proposed; S14: what cannot be observed is approved each time."""
    target = asked.situation.target(asked.action)
    if target is None:
        return _forbid("no_target", "this pipeline has no such action")
    if target.refusal:
        return _forbid("no_target", target.refusal)
    return _observable(asked)


def _observable(asked: Asked) -> Verdict:
    """S14; the target of a step is its heal's."""
    target = asked.situation.target(asked.action)
    unseen = target is not None and not target.observable
    return _ask("not_observable", "nobody could tell afterwards whether it took place") if unseen else ALLOWED


def _one_undo(asked: Asked) -> Verdict:
    """S10: one undo an intent."""
    began = [line for line in asked.situation.log if line.action == "undo" and line.heal_id == asked.heal_id]
    again = asked.action == "undo" and any(line.intent_id not in asked.ignoring for line in began)
    return _forbid("one_undo", "this heal has been undone once") if again else ALLOWED


def _second_return(asked: Asked) -> Verdict:
    """S10: a second return within 24 h asks."""
    if asked.action != "return":
        return ALLOWED
    lately = [
        line
        for line in asked.situation.log
        if line.pipeline == asked.situation.pipeline
        and line.action == "return"
        and line.intent_id not in asked.ignoring
        and line.started_at > asked.situation.now - RETURN_AGAIN
    ]
    return _ask("second_return", "it went back from the safe model within the last 24 h already") if lately else ALLOWED


HEAL_GUARDS: tuple[Guard, ...] = (
    _brakes,
    _on_hold,
    _newest_window,
    _incident,
    _warning_only,
    _veto_memory,
    _asked_lately,
    _open_intents,
    _rejected,
    _target,
)
"""In force for every heal."""

PROMOTE_GUARDS: tuple[Guard, ...] = (_brakes, _on_hold, _veto_memory, _asked_lately, _observable)
"""In force for a promotion."""

RETREAT_GUARDS: tuple[Guard, ...] = (_soft_brakes, _veto_memory, _asked_lately, _one_undo, _second_return, _observable)
"""In force for undo and return."""


# verdicts ------------------------------------------------------------------


def _pause(situation: Situation, pipeline: str) -> Pause | None:
    return next((p for p in situation.pauses if p.pipeline == pipeline and p.ended_at is None), None)


def _acting(name: str, kind: str, because: str) -> tuple[Acting, ...]:
    return (Acting(rule=f"{BUILT_IN}{name}", kind=kind, because=because),)


def _forbid(name: str, because: str) -> Verdict:
    return Verdict(level=Level.FORBIDDEN, acting=_acting(name, "forbid", because))


def _defer(name: str, because: str, until: datetime | None) -> Verdict:
    return Verdict(level=Level.DEFERRED, deferred_until=until, acting=_acting(name, "limit", because))


def _ask(name: str, because: str) -> Verdict:
    approval = Approval(role=ASKED_ROLE, within_s=ASK_FOR_S, otherwise="defer", rule=f"{BUILT_IN}{name}")
    return Verdict(level=Level.APPROVAL_NEEDED, approvals=(approval,), acting=_acting(name, "require", because))
