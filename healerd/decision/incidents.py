"""Incidents: what is wrong with one pipeline, from its first alarm until enough windows are clean (SAFETY S6).

Must never close an incident because nothing was seen, because a safe model serves, or while a heal is unproven.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from healerd.decision.facts import ALARMS, alarms, facts
from healerd.decision.segments import segment_alarms
from healerd.decision.situation import Situation
from healerd.detectors.segments import VERDICT, segment_of
from healerd.model import NOT_STARTED, OPEN_STATES, Incident, Layer, Quality
from healerd_rules import Proposal

__all__ = ["COLLAPSE", "GRAVE", "SEVERITIES", "WISHED", "follow", "open_for_wish", "severity_of"]

SEVERITIES = {Layer.OPERATIONS: 1, Layer.SCORE: 1, Layer.DRIFT: 1, Layer.REGRET: 2, Layer.QUALITY: 2, Layer.HARM: 3}
"""Severity of an alarm by its layer: 1 low, 2 medium, 3 high, 4 critical."""
COLLAPSE = 0.10
"""Harm is critical from this rise of the error on: one more wrong answer in ten."""
CRITICAL = 4
WORDS = {"low": 1, "medium": 2, "high": 3, "critical": 4}
ORDER = (Layer.HARM, Layer.QUALITY, Layer.REGRET, Layer.DRIFT, Layer.SCORE)
"""Alarms that open an incident, the weightiest first; that of operations opens none: it is a warning."""
GRAVE = (Layer.HARM, Layer.QUALITY, Layer.REGRET)
"""Alarms that say something is wrong, not merely different: a window with one of them is not clean."""
WISHED = 2
"""Severity of an incident that a person opens by asking for a heal."""


def follow(situation: Situation, proposals: Sequence[Proposal]) -> Incident | None:
    """Move the incident along by one window: open it, raise it, count clean windows, close it; None when all is well.

    A closed incident is given back with `closed_at` set, once.
    """
    incident = situation.open_incident
    if incident is None:
        return _open(situation, proposals)
    incident = _raise(situation, incident)
    clean = _clean(situation, incident, proposals)
    if clean is None:
        return incident
    incident = replace(incident, clean_windows=incident.clean_windows + 1 if clean else 0)
    if incident.clean_windows < situation.clean_windows or _unproven(situation, incident):
        return incident
    return replace(incident, closed_at=situation.now, closed_by=f"{incident.clean_windows} clean windows")


def open_for_wish(situation: Situation) -> Incident | None:
    """Open an incident for what a person asks for, unless one is open; it permits what that person proposes."""
    wish = situation.wish
    if wish is None or situation.open_incident is not None:
        return situation.incident
    reason = f"`{wish.author}` proposes {wish.action}: {wish.reason}"
    return _made(situation, kind=Layer.SCORE, severity=WISHED, reason=reason, opened_by=wish.author)


def severity_of(situation: Situation, layer: Layer) -> int:
    """Tell how severe an alarm of a layer is in this window."""
    known = facts(situation)
    error, reference = known["error_rate"], known["reference_error"]
    collapsed = isinstance(error, float) and isinstance(reference, float) and error - reference >= COLLAPSE
    return CRITICAL if layer is Layer.HARM and collapsed else SEVERITIES[layer]


def _open(situation: Situation, proposals: Sequence[Proposal]) -> Incident | None:
    standing = list(_alarming(situation))
    if standing:
        severity = max(severity_of(situation, layer) for layer in standing)
        return _made(
            situation, kind=standing[0], severity=severity, reason=_told(situation, standing), opened_by="alarm"
        )
    turned = [proposal for proposal in proposals if proposal.rule not in situation.standing]
    if not turned:
        return None
    first = turned[0]
    reason = f"rule `{first.rule}` proposes {first.action}" + (f": {first.because}" if first.because else "")
    severity = max(WORDS[proposal.severity] for proposal in turned)
    return _made(situation, kind=Layer.SCORE, severity=severity, reason=reason, opened_by=f"rule {first.rule}")


def _raise(situation: Situation, incident: Incident) -> Incident:
    """A more severe alarm raises the severity, a weightier layer becomes the kind; nothing lowers either."""
    standing = list(_alarming(situation))
    severity = max((severity_of(situation, layer) for layer in standing), default=0)
    weightier = standing and standing[0] in ORDER[: (*ORDER, incident.kind).index(incident.kind)]
    if severity <= incident.severity and not weightier:
        return incident
    return replace(
        incident,
        severity=max(severity, incident.severity),
        kind=standing[0] if weightier else incident.kind,
        reason=_told(situation, standing),
    )


def _clean(situation: Situation, incident: Incident, proposals: Sequence[Proposal]) -> bool | None:
    """Tell whether a window was clean; None while nobody can tell, which neither counts nor starts anew.

    Clean: no grave alarm stands, nor the incident's own alarm or rule; the error is within its limit, the data good.
    """
    seen, known = alarms(situation), facts(situation)
    own = incident.kind if incident.opened_by == "alarm" or incident.kind in GRAVE else None
    if any(seen[layer] for layer in ALARMS if layer in GRAVE or layer is own):
        return False
    if any(incident.opened_by == f"rule {proposal.rule}" for proposal in proposals):
        return False
    error, limit = known["error_rate"], known["error_limit"]
    if isinstance(error, float) and isinstance(limit, float) and error > limit:
        return False
    measured = own is None or seen[own] is False
    return True if measured and situation.quality is Quality.GOOD and known["serving_fallback"] is False else None


def _unproven(situation: Situation, incident: Incident) -> bool:
    """Tell whether an effect of a heal on this incident still waits for its verification."""
    return any(
        intent.incident_id == incident.id and intent.state in OPEN_STATES - NOT_STARTED for intent in situation.intents
    )


def _made(situation: Situation, *, kind: Layer, severity: int, reason: str, opened_by: str) -> Incident:
    name = hashlib.sha256(f"{situation.pipeline}\n{situation.now.isoformat()}".encode()).hexdigest()[:12]
    return Incident(
        id=f"inc-{name}",
        pipeline=situation.pipeline,
        opened_at=situation.now,
        kind=kind,
        severity=severity,
        reason=reason,
        opened_by=opened_by,
    )


def _alarming(situation: Situation) -> Iterator[Layer]:
    """List the layers whose alarm stands, the weightiest first."""
    seen = alarms(situation)
    return (layer for layer in ORDER if seen[layer])


def _told(situation: Situation, layers: Sequence[Layer]) -> str:
    return "; ".join(_said(situation, layer) for layer in layers)


def _said(situation: Situation, layer: Layer) -> str:
    """Say an alarm with its numbers, and the segments in which it stands too, or alone."""
    inside = segment_alarms(situation.measurements).get(layer, ())
    if not inside:
        return _said_of_all(situation, layer)
    where = ", ".join(f"`{name}`" for name in inside[:3]) + (f" and {len(inside) - 3} more" if len(inside) > 3 else "")
    if _stands_in_all(situation, layer):
        return f"{_said_of_all(situation, layer)}, in {where} too"
    return f"{ALONE[layer]} in {where} alone"


ALONE = {
    Layer.HARM: "harm: the error has risen",
    Layer.QUALITY: "bad data",
    Layer.DRIFT: "the inputs have drifted",
    Layer.SCORE: "the outputs have drifted",
}
"""What an alarm says that stands in segments, and not over all rows."""


def _stands_in_all(situation: Situation, layer: Layer) -> bool:
    """Tell whether the alarm stands over all rows; the verdict on the data, which is bad for either, does not count."""
    own = (one for one in situation.measurements if one.layer is layer and segment_of(one.name) is None)
    return any(one.alarm for one in own if one.name != VERDICT)


def _said_of_all(situation: Situation, layer: Layer) -> str:
    if layer is Layer.HARM:
        known = facts(situation)
        error, reference = known["error_rate"], known["reference_error"]
        if isinstance(error, float) and isinstance(reference, float):
            return f"harm: the error is {error:.1%}, on the reference {reference:.1%}"
        return "harm: the alarm of the error stands"
    own = [one for one in situation.measurements if one.layer is layer and segment_of(one.name) is None]
    named = [one.subject for one in own if one.alarm and one.subject]
    where = ", ".join(f"`{name}`" for name in dict.fromkeys(named[:3]))
    said = {
        Layer.REGRET: "a stored version does better",
        Layer.QUALITY: "bad data",
        Layer.DRIFT: "the inputs have drifted",
        Layer.SCORE: "the outputs have drifted",
    }
    return f"{said[layer]}: {where}" if where else said[layer]
