"""Add up what a trial came to, decision by decision, into the view that people and programs are shown.

Must never call a difference proven that chance did not prove, nor hold more than a bounded list of what changed.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from healerd.client.backtest.evidence import (
    Arm,
    Difference,
    Evidence,
    claim_of,
    difference,
    is_randomised,
    reliability,
    wilson,
)
from healerd.client.backtest.lanes import Met, Said
from healerd.client.backtest.ledgers import Books, ledgers_told
from healerd.client.views import Json, plain
from healerd.model import ACTIONS_THAT_HEAL, HOLD, Option

__all__ = ["AUTOMATIC", "FORBIDDEN", "LISTED_MAX", "Counted", "Figures", "counted_of"]

FORBIDDEN, AUTOMATIC = "newly forbidden", "newly automatic"
KINDS = (FORBIDDEN, AUTOMATIC, "newly deferred", "no longer proposed", "newly asked", "another action")
"""Ways in which a decision changes, what people want to know first in front."""
LISTED_MAX = 200
"""Changed decisions that are listed, the kinds in their order; all are counted."""
BUILT_IN = "healerd."
TRIED, OTHER = "tried", "other"
"""The sides of what chance has compared."""
RANDOMISED, OVERRIDDEN, NO_EVIDENCE = "randomised", "overridden by a person", "no evidence"
Costs = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decision that comes out otherwise: how, by which rule, what is known of it, and what it costs by estimate.

    `cost` is the difference of the means and its variance, where both actions have an estimate.
    """

    kind: str
    by: str
    was: str
    now: str
    backing: str
    assumed: bool
    cost: tuple[float, float] | None
    line: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one decision adds to the figures; what nothing differs in, and was quiet, adds nothing but itself.

    `starts` are the heals under each reading, `compared` says which side of a coin it was and whether that failed.
    """

    seq: int
    again: bool = False
    starts: tuple[tuple[str, str], ...] = ()
    claim: tuple[str, tuple[float, float | None]] | None = None
    compared: tuple[str, bool] | None = None
    change: Change | None = None


def counted_of(met: Met, evidence: Evidence) -> Counted:
    """Tell what a decision adds, with what the record knows of it."""
    brief, fresh = met.brief, met.fresh
    if brief.quiet and fresh is None:
        return Counted(seq=met.seq)
    claim = claim_of(brief)
    return Counted(
        seq=met.seq,
        again=fresh is not None,
        starts=tuple(_starts(met)),
        claim=None if claim is None else (brief.id, claim),
        compared=_compared(met, evidence) if is_randomised(brief) else None,
        change=_change(met, evidence) if met.changed else None,
    )


@dataclass(slots=True, eq=False)
class Figures:
    """The sums. `add` takes each decision once, in order; `view` gives what came of them."""

    evidence: Evidence
    met: int = 0
    again: int = 0
    assumed: int = 0
    changed: int = 0
    randomised: int = 0
    overridden: int = 0
    pairs: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    listed: dict[str, list[Json]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    tried: Arm = field(default_factory=Arm)
    other: Arm = field(default_factory=Arm)
    cost_mean: float = 0.0
    cost_variance: float = 0.0
    costed: int = 0
    starts: Counter[tuple[str, str]] = field(default_factory=Counter)
    claims: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    def add(self, one: Counted) -> None:
        """Count one decision."""
        self.met += 1
        self.again += one.again
        self.starts.update(one.starts)
        if one.claim is not None:
            self.claims[one.claim[0]] = one.claim[1]
        if one.compared is not None:
            side, failure = one.compared
            if side == TRIED:
                self.tried = self.tried.plus(failure)
            else:
                self.other = self.other.plus(failure)
        if one.change is not None:
            self._add(one.change)

    def _add(self, change: Change) -> None:
        self.changed += 1
        self.assumed += change.assumed
        self.pairs[change.kind, change.by, change.was, change.now] += 1
        self.randomised += change.backing == RANDOMISED
        self.overridden += change.backing == OVERRIDDEN
        if change.cost is not None:
            self.costed += 1
            self.cost_mean += change.cost[0]
            self.cost_variance += change.cost[1]
        if len(self.listed[change.kind]) < LISTED_MAX:
            self.listed[change.kind].append(change.line)

    def view(self, books: Sequence[Books] = ()) -> Json:
        """Put the figures together, all but where they come from; `books` hold what each pipeline's ledger counts."""
        found = difference(self.tried, self.other)
        verdict, why = verdict_of(found, self.changed)
        return {
            "decisions": self.met,
            "decided_again": self.again,
            "changed": {
                "count": self.changed,
                "assumed_targets": self.assumed,
                "pairs": list(self._pairs()),
                "listed": [line for kind in KINDS for line in self.listed[kind]][:LISTED_MAX],
            },
            "evidence": {
                "randomised": self.randomised,
                "overridden": self.overridden,
                "none": self.changed - self.randomised - self.overridden,
            },
            "failure": _failure(found, self.tried, self.other),
            "model_cost": self._model_cost(),
            "resimulated": self._resimulated(books),
            "reliability": [_bin(each) for each in reliability(self.claims, self.evidence)],
            "verdict": verdict,
            "why": why,
        }

    def _pairs(self) -> Iterator[Json]:
        ranked = sorted(self.pairs.items(), key=lambda pair: (KINDS.index(pair[0][0]), -pair[1], pair[0]))
        for (kind, by, was, now), count in ranked:
            yield {"kind": kind, "rule": by, "from": was, "to": now, "count": count}

    def _model_cost(self) -> Json:
        return {
            "label": "by the policy's own estimates, as if every answer were carried out; nothing was measured",
            "difference": self.cost_mean,
            "sd": math.sqrt(self.cost_variance),
            "decisions": self.costed,
            "without_estimate": self.changed - self.costed,
        }

    def _resimulated(self, books: Sequence[Books]) -> Json:
        heals = {
            name: {way: self.starts[name, way] for way in ("by itself", "asked")}
            for name in ("recorded", "alone", "sequence")
        }
        return {
            "heals": heals,
            "ledger": ledgers_told(books),
            "warning": WARNING,
        }


WARNING = (
    "each decision stands on the context that was recorded: after other actions, later windows would have been "
    "other ones. Heals that only the trial starts are taken to end at once, and what only the trial asks to go "
    "unanswered. Of other pipelines a limit over the fleet sees only what the rules counted that were recorded"
)


def _starts(met: Met) -> Iterator[tuple[str, str]]:
    """Name heals, as recorded, each on its own, and with the action log carried along."""
    for name, said in (("recorded", met.was), ("alone", met.now), ("sequence", met.then)):
        if said.action in ACTIONS_THAT_HEAL:
            yield name, "by itself" if said.alone else "asked"


def _compared(met: Met, evidence: Evidence) -> tuple[str, bool] | None:
    """Where a coin chose between two actions and the trial takes one of them for certain, chance has compared."""
    brief = met.brief
    failure = evidence.outcome(brief.id)
    if failure is None or met.now.action not in (brief.rule_action, brief.candidate):
        return None
    return TRIED if brief.chosen == met.now.action else OTHER, failure


def _change(met: Met, evidence: Evidence) -> Change:
    kind, by, backing = kind_of(met.was, met.now), rule_of(met), _backing(met, evidence)
    costs, cost = _costs(met.fresh.options if met.fresh is not None else met.brief.options), None
    if met.was.action in costs and met.now.action in costs:
        (before, sd_before), (after, sd_after) = costs[met.was.action], costs[met.now.action]
        cost = (0.0, 0.0) if met.was.action == met.now.action else (after - before, sd_before**2 + sd_after**2)
    return Change(
        kind=kind,
        by=by,
        was=met.was.plain,
        now=met.now.plain,
        backing=backing,
        assumed=met.assumed,
        cost=cost,
        line=_line(met, kind, by, backing),
    )


def _backing(met: Met, evidence: Evidence) -> str:
    """Say what is known of a changed decision beyond what was believed of it."""
    brief = met.brief
    if brief.chosen == HOLD:
        return NO_EVIDENCE
    if is_randomised(brief) and evidence.outcome(brief.id) is not None:
        return RANDOMISED
    return OVERRIDDEN if evidence.objected(brief.id) else NO_EVIDENCE


def kind_of(was: Said, now: Said) -> str:
    """Name the way in which an answer changes."""
    if now.action == HOLD:
        ways = {"forbidden": FORBIDDEN, "deferred": "newly deferred"}
        return ways.get(now.level, "no longer proposed")
    if now.alone and not (was.alone and was.action == now.action):
        return AUTOMATIC
    return "another action" if now.alone or was.action not in (HOLD, now.action) else "newly asked"


def rule_of(met: Met) -> str:
    """Name the rule that makes the difference, or `the policy` where no rule does."""
    if met.whole is None or met.fresh is None or not met.names:
        return "the policy"
    action = met.now.action if met.was.action == HOLD else met.was.action
    moved = _guards(met.whole.options, action) ^ _guards(met.fresh.options, action)
    spoke = {each.rule for each in met.whole.trace.proposals} ^ {
        each["rule"] for each in met.fresh.trace.get("proposals", ())
    }
    for found in (moved & met.names, spoke & met.names, _anywhere(met) & met.names, moved | spoke):
        named = sorted(name for name in found if not name.startswith(BUILT_IN))
        if named:
            return named[0]
    return "the policy"


def _guards(options: Sequence[Option], action: str) -> set[str]:
    return {rule for option in options if option.action == action for rule in option.by}


def _anywhere(met: Met) -> set[str]:
    """Every rule that acts on any action under either: a guard of the same name may say something else now."""
    assert met.whole is not None
    assert met.fresh is not None
    return {rule for option in (*met.whole.options, *met.fresh.options) for rule in option.by}


def verdict_of(found: Difference | None, changed: int) -> tuple[str, str]:
    """Judge by failures alone, and only by what chance has compared: better, not proven, worse."""
    if not changed:
        return "not proven", "no decision changes"
    if found is None:
        return "not proven", "no changed decision has a randomised outcome on both sides"
    interval = f"{found.mean:+.1%} [{found.low:+.1%}, {found.high:+.1%}]"
    if found.high < 0:
        return "better", f"failures {interval}: the interval lies below 0"
    if found.low > 0:
        return "worse", f"failures {interval}: the interval lies above 0"
    return "not proven", f"failures {interval}: the interval holds 0"


def _costs(options: Sequence[Option]) -> Costs:
    return {each.action: (each.cost_mean, each.cost_sd or 0.0) for each in options if each.cost_mean is not None}


def _line(met: Met, kind: str, by: str, backing: str) -> Json:
    brief = met.brief
    return {
        "id": brief.id,
        "pipeline": brief.pipeline,
        "at": plain(brief.at),
        "kind": kind,
        "rule": by,
        "from": met.was.plain,
        "to": met.now.plain,
        "then": met.then.plain,
        "backing": backing,
        "assumed": met.assumed,
        "reason": met.fresh.reason if met.fresh is not None else "",
    }


def _failure(found: Difference | None, tried: Arm, other: Arm) -> Json:
    arms = {"tried": {"n": tried.n, "failed": tried.failed}, "other": {"n": other.n, "failed": other.failed}}
    told = {"difference": None, "low": None, "high": None}
    return {**(told if found is None else {"difference": found.mean, "low": found.low, "high": found.high}), **arms}


def _bin(each: Any) -> Json:
    low, high = wilson(each.arm)
    return {
        "from": each.low,
        "to": each.high,
        "n": each.arm.n,
        "predicted": each.predicted if each.arm.n else None,
        "inconclusive": each.open,
        "failed": each.arm.failed,
        "low": low,
        "high": high,
    }
