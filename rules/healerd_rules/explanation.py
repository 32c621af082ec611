"""Why a verdict is what it is: leaf by leaf, with values, and what would flip it.

It never changes a verdict; it asks the evaluator, also with single leaves the other way round.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from healerd_rules.evaluation import (
    Moment,
    Weighed,
    acting_of,
    applies,
    judge,
    sureness,
    weigh_at,
)
from healerd_rules.inputs import Inputs, SignalState, Truth, spoken
from healerd_rules.nearest import Nearest, nearest
from healerd_rules.program import RuleSet
from healerd_rules.quantities import show
from healerd_rules.verdicts import Acting, Leaf, Level, Verdict

TRUTHS = {True: "true", False: "false", None: "unknown"}
LEVELS = {
    Level.ALLOWED: "allowed",
    Level.ANNOUNCED: "announced",
    Level.APPROVAL_NEEDED: "approval needed",
    Level.DEFERRED: "deferred",
    Level.FORBIDDEN: "forbidden",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A single comparison that alone decides whether a rule acts: it would stop if the text were `needed`."""

    rule: str
    leaf: Leaf
    needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A verdict with its reasons. `permits` are the permits for the action and whether they hold.

    `nearest` is the smallest change of facts found that would turn the verdict round.
    """

    action: str
    verdict: Verdict
    permits: tuple[tuple[Acting, bool], ...]
    flips: tuple[Flip, ...]
    nearest: Nearest | None = None

    def prose(self) -> str:
        """The reasons in plain lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.action} is {describe(self.verdict)}"
        if self.verdict.level is Level.FORBIDDEN:
            for permit, holds in self.permits:
                if not holds:
                    yield from describe_rule(permit, "does not hold")
        for acting in self.verdict.acting:
            yield from describe_rule(acting, "advises only" if acting.enforcement == "advisory" else "acts")
        for flip in self.flips:
            yield f"  would change: {flip.rule}, if `{flip.leaf.text}` were {TRUTHS[flip.needed]}"
        if self.nearest is not None:
            yield f"  {self.nearest.prose()}"

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "action": self.action,
            "verdict": verdict_to_json(self.verdict),
            "permits": [{**_acting_to_json(permit), "holds": holds} for permit, holds in self.permits],
            "flips": [
                {"rule": flip.rule, "leaf": _leaf_to_json(flip.leaf), "needed": flip.needed} for flip in self.flips
            ],
            "nearest": None if self.nearest is None else self.nearest.to_json(),
        }


def explain(
    ruleset: RuleSet,
    inputs: Inputs,
    state: SignalState,
    action: str,
    confidence: Mapping[str, float | None] | None,
) -> Explanation:
    """Why `action` gets its verdict; KeyError when the rule set knows no such action."""
    declared = {known.name: known for known in ruleset.actions}[action]
    sure = sureness(confidence, action)
    moment = Moment(ruleset, inputs, state)
    rules = [rule for rule in ruleset.compiled if rule.covers(action) and applies(rule, inputs)]
    permits = [moment.weigh(rule, sure) for rule in rules if rule.kind == "permit"]
    guards = [moment.weigh(rule, sure) for rule in rules if rule.kind in ("forbid", "require")]
    barred = not any(permit.acts for permit in permits)
    failing = [*(permits if barred else []), *(guard for guard in guards if guard.acts)]
    return Explanation(
        action=action,
        verdict=judge(moment, declared, sure),
        permits=tuple((acting_of(permit.rule, permit.leaves), permit.acts) for permit in permits),
        flips=tuple(flip for weighed in failing for flip in flips_of(weighed, inputs, state)),
        nearest=nearest(ruleset, inputs, state, declared, sure),
    )


def flips_of(weighed: Weighed, inputs: Inputs, state: SignalState) -> Iterator[Flip]:
    """Each leaf that alone turns the rule round."""
    for position, leaf in enumerate(weighed.leaves):
        for needed in _others(leaf.truth):
            forced = weigh_at(weighed.rule, inputs, state, weighed.confidence, {position: needed})
            if forced.acts is not weighed.acts:
                yield Flip(rule=weighed.rule.id, leaf=leaf, needed=needed)


def _others(truth: Truth) -> tuple[bool, ...]:
    return (True, False) if truth is None else (not truth,)


def describe(verdict: Verdict) -> str:
    """A verdict in words."""
    words = [LEVELS[verdict.level]]
    if verdict.veto_within_s is not None:
        words.append(f"announced, with {show(verdict.veto_within_s, 'duration')} for a veto")
    for approval in verdict.approvals:
        within = "" if approval.within_s is None else f" within {show(approval.within_s, 'duration')}"
        words.append(f"needs approval from {approval.role}{within}, else {approval.otherwise}")
    if verdict.deferred_until is not None:
        words.append(f"not before {verdict.deferred_until.isoformat(timespec='seconds')}")
    return "; ".join(words)


def describe_rule(acting: Acting, says: str) -> Iterator[str]:
    """A rule in words: what it does, where it stands and why, then its comparisons."""
    place = f" ({acting.path}:{acting.line})" if acting.path else ""
    because = f": {acting.because}" if acting.because else ""
    yield f"  {acting.kind} {acting.rule} {says}{place}{because}"
    for leaf in acting.leaves:
        yield f"    {describe_leaf(leaf)}"


def describe_leaf(leaf: Leaf) -> str:
    """A leaf in words: what was compared, and how it came out."""
    if leaf.value is None and leaf.threshold is None:
        return f"`{leaf.text}` is {TRUTHS[leaf.truth]}"
    against = "" if leaf.threshold is None else f", threshold {show(leaf.threshold, leaf.unit)}"
    among = f" ({', '.join(leaf.members)})" if leaf.members else ""
    return f"`{leaf.text}` is {TRUTHS[leaf.truth]}: value {show(leaf.value, leaf.unit)}{among}{against}"


def verdict_to_json(verdict: Verdict) -> dict[str, object]:
    """A verdict as a JSON object."""
    until = verdict.deferred_until
    return {
        "level": verdict.level.name.lower(),
        "autonomous": verdict.autonomous,
        "veto_within_s": verdict.veto_within_s,
        "approvals": [
            {"role": a.role, "within_s": a.within_s, "otherwise": a.otherwise, "rule": a.rule}
            for a in verdict.approvals
        ],
        "deferred_until": None if until is None else until.isoformat(),
        "acting": [_acting_to_json(acting) for acting in verdict.acting],
    }


def _acting_to_json(acting: Acting) -> dict[str, object]:
    return {
        "rule": acting.rule,
        "kind": acting.kind,
        "path": acting.path,
        "line": acting.line,
        "because": acting.because,
        "enforcement": acting.enforcement,
        "leaves": [_leaf_to_json(leaf) for leaf in acting.leaves],
    }


def _leaf_to_json(leaf: Leaf) -> dict[str, object]:
    return {
        "text": leaf.text,
        "value": spoken(leaf.value),
        "threshold": spoken(leaf.threshold),
        "truth": leaf.truth,
        "unit": str(leaf.unit),
        "members": list(leaf.members),
    }
