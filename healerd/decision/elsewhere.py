"""How far back, and on which other pipelines, a rule set looks into the action log. Must never leave out a line that
it counts.

A decision is recorded with the action log that it stood on: with every line of a whole fleet, each would grow with it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from healerd.decision.situation import Logged
from healerd_rules import RuleSet
from healerd_rules.program import BoundTerms, CompiledRule, RestTerms

__all__ = ["counted_money", "counts", "looks_back", "looks_elsewhere"]

CENTURY_S = 100 * 365 * 86400.0
"""No log is longer; ten thousand windows of months would lie before there were years."""


def looks_elsewhere(ruleset: RuleSet) -> bool:
    """Tell whether any rule counts what was done on other pipelines."""
    return any(_across(rule) is not None for rule in ruleset.compiled)


def looks_back(ruleset: RuleSet, window_s: float) -> timedelta:
    """Tell how long ago the oldest line may lie that a cooldown or a limit counts; `age` looks back without a bound."""
    terms = (rule.terms for rule in ruleset.compiled)
    periods = (_period_s(each, window_s) for each in terms if isinstance(each, RestTerms | BoundTerms))
    return timedelta(seconds=min(CENTURY_S, max(periods, default=0.0)))


def _period_s(terms: RestTerms | BoundTerms, window_s: float) -> float:
    seconds = terms.length_s if isinstance(terms, RestTerms) else terms.period_s
    return seconds or terms.windows * window_s


def counted_money(ruleset: RuleSet) -> frozenset[str]:
    """Name the actions under a limit on money."""
    terms = ((rule, rule.terms) for rule in ruleset.compiled)
    limits = [rule for rule, each in terms if isinstance(each, BoundTerms) and each.kind == "money"]
    return frozenset(action.name for action in ruleset.actions if any(rule.covers(action.name) for rule in limits))


def counts(ruleset: RuleSet, line: Logged, *, tags: Collection[str], now: datetime, window_s: float) -> bool:
    """Tell whether a rule counts a line of another pipeline for one with these tags and windows, at `now`.

    `age`, `did` and the built-in guards look at their own pipeline alone.
    """
    for rule in ruleset.compiled:
        terms = _across(rule)
        if terms is not None and _is_about(rule, terms, line, tags) and _is_recent(terms, line, now, window_s):
            return True
    return False


def _across(rule: CompiledRule) -> RestTerms | BoundTerms | None:
    """Give the terms of a rule that looks beyond its own pipeline; None for any other."""
    terms = rule.terms
    return terms if isinstance(terms, RestTerms | BoundTerms) and terms.per != "pipeline" else None


def _is_about(rule: CompiledRule, terms: RestTerms | BoundTerms, line: Logged, tags: Collection[str]) -> bool:
    """Tell whether the line is of a counted action and group; without a tag of its own, all are one group."""
    after = terms.after if isinstance(terms, RestTerms) else None
    mine = {tag for tag in tags if tag.startswith(f"{terms.per}:")} if terms.per is not None else set()
    named = rule.covers(line.action) if after is None else line.action in after
    return named and (not mine or not mine.isdisjoint(line.tags))


def _is_recent(terms: RestTerms | BoundTerms, line: Logged, now: datetime, window_s: float) -> bool:
    """Tell whether the line is open, or lies within the time that counts."""
    if isinstance(terms, RestTerms):
        return line.ended_at is None or line.ended_at + timedelta(seconds=_period_s(terms, window_s)) > now
    if terms.kind == "concurrent":
        return line.ended_at is None
    return line.started_at + timedelta(seconds=_period_s(terms, window_s)) > now
