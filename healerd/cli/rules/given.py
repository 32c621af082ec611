"""Reads facts and actions that a person gives by hand, in the units of the rule language. Must never guess a fact."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from healerd_rules import ActionRecord, FactDecl, RuleSet
from healerd_rules.build import BYTES, SECONDS, amount
from healerd_rules.testcheck import MAX_AGO_S, YEARS
from healerd_rules.words import did_you_mean

__all__ = ["read_alarms", "read_facts", "read_log", "read_moment"]

_FACT = re.compile(r"(\w+|baseline\((\w+)\))(?:\[([^\]]+)\])?=(.+)")
_ACTION = re.compile(r"(\w+) (?:ended (\S+) ago|is open)(?: on (\S+))?")
_AMOUNT = re.compile(r"([$€£]?)(-?\d{1,15}(?:\.\d{1,15})?)(%|pp|ms|s|m|h|d|w|KB|MB|GB)?")
_UNITS: Mapping[str, tuple[str, ...]] = {
    "ratio": ("", "%"),
    "number": ("", "%"),
    "duration": tuple(SECONDS),
    "bytes": ("", *BYTES),
}
"""What may stand behind a number, by the type of the fact; other types take plain numbers."""
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "missing": None}


def read_facts(given: Sequence[str], ruleset: RuleSet) -> Mapping[str, Any]:
    """Read `rows=5000`, `label_delay=3h`, `psi[age]=0.3`; a fact over a dimension becomes a mapping of its members."""
    declared = {fact.name: fact for fact in ruleset.facts}
    facts: dict[str, Any] = {}
    for text in given:
        found = _FACT.fullmatch(text)
        if not found:
            raise _wrong("--given", f"expected FACT=VALUE, got `{text}`")
        name, baseline, member, value = found.groups()
        fact = declared.get(baseline or name)
        if fact is None:
            mend = did_you_mean(baseline or name, declared) or "`healerd rules graph` shows the facts that rules read"
            raise _wrong("--given", f"no fact `{baseline or name}`; {mend}")
        if (fact.per is None) != (member is None):
            shape = f"{name}[{fact.per}]=VALUE" if fact.per else f"{name}=VALUE"
            raise _wrong("--given", f"`{text}`: write {shape}")
        read = _value(value, fact)
        if member is None:
            facts[name] = read
        else:
            facts.setdefault(name, {})[member] = read
    return facts


def read_log(said: Sequence[str], ruleset: RuleSet, pipeline: str, now: dt.datetime) -> tuple[ActionRecord, ...]:
    """Read `rollback ended 20m ago` and `retrain is open`, with `on PIPELINE` behind it for another one."""
    return tuple(_record(text, ruleset, pipeline, now) for text in said)


def _record(text: str, ruleset: RuleSet, pipeline: str, now: dt.datetime) -> ActionRecord:
    found = _ACTION.fullmatch(text)
    if not found:
        raise _wrong("--log", f"expected `ACTION ended 20m ago` or `ACTION is open`, got `{text}`")
    name, ago, other = found.groups()
    actions = {action.name: action for action in ruleset.actions}
    if name not in actions:
        raise _wrong("--log", f"no action `{name}`; {did_you_mean(name, actions) or 'known: ' + ', '.join(actions)}")
    ended_at = None if ago is None else now - dt.timedelta(seconds=_seconds(ago))
    return ActionRecord(
        action=name,
        pipeline=other or pipeline,
        started_at=ended_at or now,
        ended_at=ended_at,
        cost=actions[name].cost,
    )


def _seconds(text: str) -> float:
    found = _AMOUNT.fullmatch(text)
    seconds = amount(found[2], found[3]) if found and found[3] in SECONDS else -1.0
    if not 0 <= seconds <= MAX_AGO_S:
        raise _wrong("--log", f"expected a time such as 20m, up to 100 years, got `{text}`")
    return seconds


def _value(text: str, fact: FactDecl) -> float | bool | str | None:
    """A value in the units of the language; one that does not fit the type of its fact is refused."""
    if text == "missing" or (fact.type == "bool" and text in _WORDS):
        return _WORDS[text]
    if fact.type == "text":
        return text.strip('"')
    found = _AMOUNT.fullmatch(text)
    units, unit = _UNITS.get(fact.type, ("",)), (found[3] or "") if found else ""
    if not found or fact.type == "bool" or unit not in units or (found[1] and fact.type != "money"):
        mend = ", ".join(f"`{each}`" for each in units if each and each != unit)
        raise _wrong(
            "--given", f"`{fact.name}` is {fact.type}, not `{text}`" + (f"; its units: {mend}" if mend else "")
        )
    return amount(found[2], unit)


def read_moment(at: dt.datetime) -> dt.datetime:
    """Take a moment in UTC; one so far away that no time can be added to it is refused."""
    if at.year not in YEARS:
        raise _wrong("--at", f"choose a year from {YEARS[0]} to {YEARS[-1]}, not {at.year}")
    return at.replace(tzinfo=dt.UTC)


def read_alarms(said: Sequence[str]) -> Mapping[str, bool]:
    """Take the names of alarms that stand; one that does not exist is refused."""
    if not said:
        return {}
    from healerd.decision import SCHEMA  # the whole of deciding comes with it

    known = SCHEMA.alarms
    for name in said:
        if name not in known:
            raise _wrong("--alarm", f"no alarm `{name}`; {did_you_mean(name, known) or 'known: ' + ', '.join(known)}")
    return dict.fromkeys(said, True)


def _wrong(option: str, message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint=option)
