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

__all__ = ["AUTOMATIC", "FORBIDDEN", "LISTED_MAX", "Figures"]

FORBIDDEN, AUTOMATIC = "newly forbidden", "newly automatic"
KINDS = (FORBIDDEN, AUTOMATIC, "newly deferred", "no longer proposed", "newly asked", "another action")
"""Ways in which a decision changes, what people want to know first in front."""
LISTED_MAX = 200
"""Changed decisions that are listed, the kinds in their order; all are counted."""
BUILT_IN = "healerd."
Costs = Mapping[str, tuple[float, float]]


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

    def add(self, met: Met) -> None:
        """Count one decision."""
        brief, fresh = met.brief, met.fresh
        self.met += 1
        if brief.quiet and fresh is None:
            return
        self.again += fresh is not None
        self._starts(met)
        now = _costs(fresh.options if fresh is not None else brief.options)
        claim = claim_of(brief)
        if claim is not None:
            self.claims[brief.id] = claim
        if is_randomised(brief):
            self._compare(met)
        if met.changed:
            self._changed(met, now)

    def _starts(self, met: Met) -> None:
        """Count heals, as recorded, each on its own, and with the action log carried along."""
        for name, said in (("recorded", met.was), ("alone", met.now), ("sequence", met.then)):
            if said.action in ACTIONS_THAT_HEAL:
                self.starts[name, "by itself" if said.alone else "asked"] += 1

    def _compare(self, met: Met) -> None:
        """Where a coin chose between two actions and the trial takes one of them for certain, chance has compared."""
        brief = met.brief
        failure = self.evidence.outcome(brief.id)
        if failure is None or met.now.action not in (brief.rule_action, brief.candidate):
            return
        if brief.chosen == met.now.action:
            self.tried = self.tried.plus(failure)
        else:
            self.other = self.other.plus(failure)

    def _changed(self, met: Met, costs: Costs) -> None:
        self.changed += 1
        self.assumed += met.assumed
        kind, by = kind_of(met.was, met.now), rule_of(met)
        self.pairs[kind, by, met.was.plain, met.now.plain] += 1
        backing = self._backing(met)
        if met.was.action in costs and met.now.action in costs:
            (before, sd_before), (after, sd_after) = costs[met.was.action], costs[met.now.action]
            self.costed += 1
            if met.was.action != met.now.action:
                self.cost_mean += after - before
                self.cost_variance += sd_before**2 + sd_after**2
        if len(self.listed[kind]) < LISTED_MAX:
            self.listed[kind].append(_line(met, kind, by, backing))

    def _backing(self, met: Met) -> str:
        """Say what is known of a changed decision beyond what was believed of it."""
        brief = met.brief
        if brief.chosen == HOLD:
            return "no evidence"
        if is_randomised(brief) and self.evidence.outcome(brief.id) is not None:
            self.randomised += 1
            return "randomised"
        if self.evidence.objected(brief.id):
            self.overridden += 1
            return "overridden by a person"
        return "no evidence"

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
    "unanswered"
)


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
