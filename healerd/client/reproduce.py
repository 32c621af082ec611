"""Decides again what a database recorded: proof that the log reproduces. Must never write, nor mend a difference.

A decision is decided anew from its own trace and from the rule texts that were kept when they came in force. It is
reproduced when every field comes out the same, bit for bit.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from healerd.client.firing import sources_of
from healerd.decision import SCHEMA, is_erased, replay
from healerd.model import Decision
from healerd.store import Range, Reader
from healerd.store.tables import decode
from healerd_rules import Loaded, RuleSet, load
from healerd_rules.sources import absolute

__all__ = ["SHIPPED", "Recorded", "Reproduced", "decisions", "kept_rules", "load_texts", "reproduce"]

SHIPPED = "healerd_rules/packs/"
"""Where the paths of shipped packs begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """One decision, and what came out otherwise: empty when nothing did. `field` is where, `was` and `now` are JSON."""

    decision: Decision
    problem: str = ""
    field: str = ""
    was: Any = None
    now: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Recorded decisions, oldest first: their number is known, and they are read a page at a time."""

    reader: Reader
    numbers: "array[int]"

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Decision]:
        return (decode(Decision, body) for _, body in self.reader.bodies(Decision, self.numbers))


def decisions(reader: Reader, *, since: datetime | None = None, pipeline: str | None = None) -> Recorded:
    """Find the decisions to check."""
    wanted: dict[str, Any] = {
        **({"pipeline": pipeline} if pipeline else {}),
        **({"at": Range(low=since)} if since else {}),
    }
    return Recorded(reader=reader, numbers=reader.numbers(Decision, **wanted))


def reproduce(reader: Reader, found: Iterable[Decision]) -> Iterator[Reproduced]:
    """Decide each decision again, but for those of which what they stood on was erased."""

    @cache
    def rules_of(rules_id: str) -> RuleSet | None:
        return kept_rules(reader, rules_id)

    return (_again(decision, rules_of(decision.rules_id)) for decision in found if not is_erased(decision))


def _again(decision: Decision, ruleset: RuleSet | None) -> Reproduced:
    if ruleset is None:
        lost = f"the texts of the rule set {decision.rules_id[:12]} are not kept, or load otherwise"
        return Reproduced(decision=decision, problem=lost)
    try:
        fresh = replay(decision, ruleset)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        return Reproduced(decision=decision, problem=f"its trace cannot be decided again: {error!r}")
    if fresh == decision:
        return Reproduced(decision=decision)
    was, now = msgspec.to_builtins(decision), msgspec.to_builtins(fresh)
    field, old, new = first_difference(was, now) or ("", was, now)
    return Reproduced(decision=decision, problem="it comes out otherwise", field=field, was=old, now=new)


def kept_rules(reader: Reader, rules_id: str) -> RuleSet | None:
    """Load a rule set that was in force from the texts that were kept; None when they make another one by now.

    That is so after an upgrade of a shipped pack.
    """
    return _rules(sources_of(reader, rules_id)["sources"], rules_id)


def load_texts(sources: Sequence[Mapping[str, str]]) -> Loaded:
    """Load texts that were kept, or changed since, as the files that they were; shipped packs come as they ship."""
    own = {one["path"]: one["text"] for one in sources if not one["path"].startswith(SHIPPED)}
    drafts = {str(absolute(Path(path))): text for path, text in own.items()}
    return load(own, schema=SCHEMA, drafts=drafts)


def _rules(sources: Sequence[Mapping[str, str]], rules_id: str) -> RuleSet | None:
    loaded = load_texts(sources)
    return loaded.ruleset if sources and loaded.ruleset is not None and loaded.ruleset.id == rules_id else None


def first_difference(was: Any, now: Any, at: str = "") -> tuple[str, Any, Any] | None:
    """Find the first place, in the order of the keys, where two JSON values part; None when they are one."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [*was, *(key for key in now if key not in was)]
        parts = (first_difference(was.get(key), now.get(key), f"{at}.{key}" if at else str(key)) for key in keys)
        return next((found for found in parts if found), None)
    if isinstance(was, list | tuple) and isinstance(now, list | tuple) and len(was) == len(now):
        pairs = enumerate(zip(was, now, strict=True))
        return next((found for n, (a, b) in pairs if (found := first_difference(a, b, f"{at}[{n}]"))), None)
    return None if was == now else (at, was, now)
