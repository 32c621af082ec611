"""Says in plain words what a view or an event holds: for the CLI and the TUI alike. Pure; must never leave a number out
of a sentence that depends on it, and never say that something worked before it was verified.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from healerd.model import ANSWERABLE, AUTONOMOUS_FROM, DAEMON

__all__ = [
    "GLYPHS",
    "STAGES",
    "Z_80",
    "duration",
    "is_news",
    "say_event",
    "say_intent",
    "say_outcome",
    "say_stage",
]

Json = Mapping[str, Any]

GLYPHS: Mapping[str, tuple[str, str]] = {
    "pending": ("▲", "[? ]"),
    "failed": ("■", "[F ]"),
    "drift": ("◆", "[D ]"),
    "healing": ("↻", "[~ ]"),
    "watch": ("◐", "[w ]"),
    "stale": ("◌", "[- ]"),
    "paused": ("‖", "[p ]"),
    "vetoed": ("⊘", "[x ]"),
    "cooldown": ("◷", "[c ]"),
    "ok": ("●", "[ok]"),
}
"""State of a pipeline -> sign, and the same in ASCII. A sign never stands without its word."""


STAGES: Mapping[str, str] = {
    "observe": "sees and decides, and nothing may act",
    "suggest": "every action asks a person first",
    "canary": "acts alone; where policy and rules disagree, a coin decides",
    "live": "acts alone where the rules and its confidence allow",
}
"""What each stage of trust means."""
Z_80 = 1.2816
"""Half of an 80% interval of a normal law, in standard deviations."""


def say_stage(stage: str) -> str:
    """Say a stage with what it means."""
    return f"{stage}: {STAGES[stage]}" if stage in STAGES else stage


def is_news(event: Json) -> bool:
    """Tell what a person wants to hear: not every window that was fine, nor the bookkeeping."""
    if event["table"] == "decision":
        return bool(event["record"]["chosen"] != "hold")
    return event["table"] is None or event["table"] in _WORDS


def say_event(event: Json) -> str:
    """Say one entry of the audit log in one line, without its time."""
    about = f"{event['pipeline']}: " if event["pipeline"] else ""
    record = event["record"] if isinstance(event["record"], Mapping) else {}
    words = _WORDS.get(event["table"] or "")
    said = words(record) if words and record else _plainly(event["kind"], record)
    by = "" if event["actor"] == DAEMON else f" (by {event['actor']})"
    return f"{about}{said}{by}"


def say_intent(view: Json) -> Iterator[str]:
    """Say all that a person needs to answer an intent, line by line: `view` is that of `Client.intent`."""
    intent, decision = view["intent"], view["decision"]
    yield f"{intent['action'].upper()} {intent['pipeline']}  {_from_to(intent)}"
    yield f"  id          {intent['id']}  revision {intent['revision']}  state {intent['state']}"
    if decision is not None:
        yield f"  why         {view['prompt']['why']}"
        yield f"  silence     {view['prompt']['default']}"
        yield f"  stage       {say_stage(decision['stage'])}"
    yield f"  confidence  {_confidence(intent['confidence'])}"
    if decision is not None:
        yield f"  decided by  {decision['rule'] or 'the policy'}, at {decision['level']}, trace {decision['id']}"
        yield from _options(decision)
    question = view.get("review") or {}
    for line in (*question.get("diagnosis", ()), *question.get("segments", ())):
        yield f"  found       {line}"
    for need in intent["approvals"]:
        yield f"  asks        {need['role']}, by rule {need['rule']}; otherwise {need['otherwise']}"
    if intent["approved_by"]:
        yield f"  approved by {', '.join(intent['approved_by'])}"
    if view["outcome"] is not None:
        yield f"  outcome     {say_outcome(view['outcome'])}"


def duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:.0f}{unit}")
    return " ".join(parts[:2]) or "0s"


def _intent_moved(intent: Json) -> str:
    silence = f"; if nobody answers, {intent['default']}"
    if intent["approved_by"]:  # the record does not tell whether they are all who were asked
        silence = "; once all have approved, it runs unless somebody vetoes it"
    ends = silence if intent["state"] in ANSWERABLE else ""
    because = f": {intent['reason']}" if intent["reason"] else ""
    return f"{_what(intent)} is {intent['state']}{because}{ends}  [{intent['id']}]"


def _what(record: Json) -> str:
    action = record.get("action") or record["chosen"]
    return f"{action} to {record['target']}" if record["target"] else str(action)


def _from_to(intent: Json) -> str:
    return f"{intent['current'] or '-'} -> {intent['target'] or 'a new version'}"


def _confidence(confidence: float | None) -> str:
    if confidence is None:
        return "unknown: it cannot run without a person"
    if confidence < AUTONOMOUS_FROM:
        return f"{confidence:.2f}, below {AUTONOMOUS_FROM:.2f}: it cannot run without a person"
    return f"{confidence:.2f} that it costs less than doing nothing ({AUTONOMOUS_FROM:.2f} is needed to act alone)"


def _options(decision: Json) -> Iterator[str]:
    for option in decision["options"]:
        cost = _cost(option["cost_mean"], option["cost_sd"] or 0.0)
        sure = "" if option["confidence"] is None else f"  P(better than nothing) {option['confidence']:.2f}"
        why_not = f"  {option['why_not']}" if option["why_not"] else ""
        yield f"  option      {option['action']:<9} {option['level']}{cost}{sure}{why_not}"


def _cost(mean: float | None, sd: float) -> str:
    """Write an expected cost with its 80% interval; costs are not negative."""
    return (
        "" if mean is None else f"  cost {mean:.1f} (80%: {max(0.0, mean - Z_80 * sd):.1f} to {mean + Z_80 * sd:.1f})"
    )


def _incident_changed(incident: Json) -> str:
    if incident["closed_at"]:
        return f"incident closed: {incident['closed_by']}"
    if incident["clean_windows"]:
        return f"incident goes on, {incident['clean_windows']} clean windows so far"
    return f"incident of severity {incident['severity']}: {incident['reason']}"


def say_outcome(outcome: Json) -> str:
    """Say what an action came to, with the interval of its gain where it was measured."""
    if outcome["gain"] is None:
        return f"{outcome['result']} {outcome['note']}".strip()
    gain, low, high = (f"{100 * outcome[name]:+.1f}" for name in ("gain", "gain_low", "gain_high"))
    return f"{outcome['result']}: {gain} points fewer errors ({low} to {high}, n={outcome['n']})"


def _decided(decision: Json) -> str:
    return f"decided to {_what(decision)}: {decision['reason']}"


def _paused(pause: Json) -> str:
    return "goes on" if pause["ended_at"] else f"paused: {pause['reason']}"


def _staged(change: Json) -> str:
    return f"stage {change['stage']}: {change['reason']}"


def _answered(answer: Json) -> str:
    return f"{answer['author']} says {answer['kind']}: {answer['reason']}"


def _barred(bar: Json) -> str:
    return (
        f"{bar['action']} may be proposed again" if bar["lifted_at"] else f"{bar['action']} is barred: {bar['reason']}"
    )


def _stored(version: Json) -> str:
    return f"version {version['name']} is stored"


def _plainly(kind: str, record: Json) -> str:
    said = ", ".join(f"{name} {value}" for name, value in record.items() if isinstance(value, str | int | float))
    return f"{kind} {said}".strip()


_WORDS: Mapping[str, Callable[[Json], str]] = {
    "answer": _answered,
    "bar": _barred,
    "decision": _decided,
    "incident": _incident_changed,
    "intent": _intent_moved,
    "outcome": say_outcome,
    "pause": _paused,
    "stage_change": _staged,
    "version": _stored,
}
