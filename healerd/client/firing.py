"""The rules in force on a pipeline, and how often each fired. Must never count what no decision recorded.

A rule fires in a decision when it acts in one of its verdicts, or proposes; where it acts on several actions it counts
once. `allow` counts the decisions under this rule set in which a guard did not act.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from healerd.client.asked import Asked, number
from healerd.client.briefs import JudgedBrief
from healerd.client.views import Json, Reader, plain, require_pipeline
from healerd.model import EVERYTHING, Decision
from healerd.store import Range

__all__ = ["DECISIONS_MAX", "rules", "sources_of"]

DECISIONS_MAX = 2000
"""Newest decisions that are counted; a trace has some ten kilobytes."""
HOURS = 24
EFFECTS: Mapping[str, str] = {"forbid": "block", "cooldown": "block", "limit": "block", "require": "ask"}
GUARDS = ("permit", "forbid", "require", "cooldown", "limit")
BUILT_IN = "healerd."


def rules(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at a pipeline's rules: the texts, and what each did in the last `days`. Raises NotFound."""
    name, days = asked["name"], number(asked, "days", usual=7, most=366)
    require_pipeline(name, names)
    since = at - timedelta(days=days)
    found, older = reader.page(Decision, as_type=JudgedBrief, limit=DECISIONS_MAX, pipeline=name, at=Range(since))
    judged = [one for _, one in found]
    newest = judged[0] if judged else _newest(reader, name)
    rules_id = _in_force(reader, name, newest)
    counted = [one for one in judged if one.rules_id == rules_id]
    known = sources_of(reader, rules_id)
    return {
        "schema": 1,
        "pipeline": name,
        "rules_id": rules_id,
        "since": plain(since),
        "decisions": len(counted),
        "other_decisions": len(judged) - len(counted),
        "cut": older is not None,
        "sources": known["sources"],
        "rules": [*_counted(known["rules"], counted, at), *_built_in(counted, at)],
    }


def sources_of(reader: Reader, rules_id: str | None) -> Json:
    """Read the texts and the rules of a rule set; both are empty when the daemon that had it kept none."""
    kept = reader.state(EVERYTHING, f"rules {rules_id}") if rules_id else None
    read: Json = msgspec.json.decode(kept) if kept else {"sources": [], "rules": []}
    return read


def _newest(reader: Reader, name: str) -> JudgedBrief | None:
    found, _ = reader.page(Decision, as_type=JudgedBrief, limit=1, pipeline=name)
    return found[0][1] if found else None


def _in_force(reader: Reader, name: str, newest: JudgedBrief | None) -> str | None:
    """The set of the newest decision, unless the rules were read anew since then."""
    for entry in reader.leaves(kind=("rules",), newest_first=True, limit=HOURS):
        changed = entry.record.get("changed", {}) if isinstance(entry.record, dict) else {}
        if name in changed and (newest is None or entry.at > newest.at):
            return str(changed[name])
    return newest.rules_id if newest else None


def _counted(known: Sequence[Mapping[str, Any]], judged: Sequence[JudgedBrief], at: datetime) -> Iterator[Json]:
    fired = [(one, _fired(one)) for one in judged]
    for rule in known:
        effects = [(one.at, effects[rule["name"]]) for one, effects in fired if rule["name"] in effects]
        quiet = len(judged) - len(effects) if rule["kind"] in GUARDS else 0
        yield {**_told(rule), **_numbers(effects, quiet, at)}


def _built_in(judged: Sequence[JudgedBrief], at: datetime) -> Iterator[Json]:
    """The guards that no file can take away, as far as they fired."""
    fired: dict[str, list[tuple[datetime, str]]] = {}
    for one in judged:
        for name, effect in _fired(one).items():
            if name.startswith(BUILT_IN):
                fired.setdefault(name, []).append((one.at, effect))
    for name, effects in sorted(fired.items()):
        rule = {"name": name, "kind": "built in", "path": "", "line": 0, "because": "", "actions": []}
        yield {**_told({**rule, "enforcement": "hard"}), **_numbers(effects, len(judged) - len(effects), at)}


def _told(rule: Mapping[str, Any]) -> Json:
    return {name: rule.get(name) for name in ("name", "kind", "path", "line", "because", "actions", "enforcement")}


def _fired(one: JudgedBrief) -> dict[str, str]:
    """Which rules fired in a decision, each with its effect."""
    verdicts = (*one.trace.first_pass.values(), *((one.trace.second_pass,) if one.trace.second_pass else ()))
    acting = {
        acting.rule: "advise" if acting.enforcement == "advisory" else EFFECTS.get(acting.kind, "block")
        for verdict in verdicts
        for acting in verdict.acting
    }
    return {**acting, **{proposal.rule: "propose" for proposal in one.trace.proposals}}


def _numbers(effects: Sequence[tuple[datetime, str]], quiet: int, at: datetime) -> Json:
    counts = Counter(effect for _, effect in effects)
    day = [0] * HOURS
    for when, _ in effects:
        hours_ago = int((at - when).total_seconds() // 3600)
        if 0 <= hours_ago < HOURS:
            day[HOURS - 1 - hours_ago] += 1
    return {
        "fired": {"allow": quiet, **{each: counts[each] for each in ("ask", "block", "propose", "advise")}},
        "last_at": plain(max((when for when, _ in effects), default=None)),
        "day": day,
    }
