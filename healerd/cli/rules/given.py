"""Reads facts and actions that a person gives by hand, in the units of the rule language. Must never guess a fact."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from healerd_rules import ActionRecord, FactDecl, RuleSet
from healerd_rules.build import BYTES, SECONDS
from healerd_rules.words import did_you_mean

__all__ = ["read_facts", "read_log"]

_FACT = re.compile(r"(\w+|baseline\((\w+)\))(?:\[([^\]]+)\])?=(.+)")
_ACTION = re.compile(r"(\w+) (?:ended (\S+) ago|is open)(?: on (\S+))?")
_AMOUNT = re.compile(r"([$€£]?)(-?\d+(?:\.\d+)?)(%|pp|ms|s|m|h|d|w|KB|MB|GB)?")
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
    if not found or found[3] not in SECONDS:
        raise _wrong("--log", f"expected a time such as 20m, got `{text}`")
    return float(found[2]) * SECONDS[found[3]]


def _value(text: str, fact: FactDecl) -> float | bool | str | None:
    """A value in the units of the language; one that does not fit the type of its fact is refused."""
    if text == "missing" or (fact.type == "bool" and text in _WORDS):
        return _WORDS[text]
    if fact.type == "text":
        return text.strip('"')
    found = _AMOUNT.fullmatch(text)
    if not found or fact.type == "bool":
        raise _wrong("--given", f"`{fact.name}` is {fact.type}, not `{text}`")
    _, number, unit = found.groups()
    scale = {"%": 0.01, "pp": 0.01, **SECONDS, **BYTES}
    return float(number) * scale[unit] if unit not in ("%", "pp", None) else float(number) / (100 if unit else 1)


def _wrong(option: str, message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint=option)
