"""The verdict on every action, the proposals, the signals and the notifications of one moment.

It never acts, never waits and never keeps anything: the same inputs give the same answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise

from healerd_rules import core, tree
from healerd_rules.actionlog import cooling, limited
from healerd_rules.inputs import Inputs, Memory, SignalState, Truth
from healerd_rules.memory import anew
from healerd_rules.program import (
    GUARDS,
    PROPOSING,
    ApprovalTerms,
    BoundTerms,
    CompiledRule,
    NotifyTerms,
    RestTerms,
    RuleSet,
    VetoTerms,
)
from healerd_rules.schema import SEVERITIES, ActionDecl
from healerd_rules.verdicts import ALLOWED, Acting, Approval, Leaf, Level, Verdict, join, join_all
from healerd_rules.walk import Walk

OPERATORS = "operators"
NOBODY_PERMITS = Acting(
    rule="default", kind="forbid", because="no permit allows it: what is not permitted is forbidden"
)
UNRANKED_RISK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An action that a rule asks for."""

    action: str
    rule: str
    priority: int
    severity: str
    because: str
    last_resort: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message that a rule asks for; `unknown` says that its condition could not be known."""

    rule: str
    channel: str
    because: str
    unknown: bool
    repeat_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer of a rule set; proposals best first, last resorts at the end."""

    signals: Mapping[str, Truth]
    proposals: tuple[Proposal, ...]
    verdicts: Mapping[str, Verdict]
    notifications: tuple[Notification, ...]


@dataclass(frozen=True, slots=True)
class Free:
    """Confidence may be anything in [0, 1], or unknown: the first pass."""


FREE = Free()
Sureness = float | None | Free


@dataclass(frozen=True, slots=True)
class Weighed:
    """A rule's condition at one moment; `acts` is decided, `truth` is how it was."""

    rule: CompiledRule
    acts: bool
    truth: Truth
    leaves: tuple[Leaf, ...]
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One rule set at one moment; what a condition comes to is worked out once, however many actions ask."""

    ruleset: RuleSet
    inputs: Inputs
    state: SignalState
    _weighed: dict[tuple[int, Sureness], Weighed] = field(default_factory=dict)

    def weigh(self, rule: CompiledRule, confidence: Sureness) -> Weighed:
        """The condition of a rule and whether the rule acts; with free confidence, the most lenient outcome."""
        key = (id(rule), confidence if rule.reads_confidence else None)
        if key not in self._weighed:
            self._weighed[key] = _weigh(rule, self.inputs, self.state, key[1])
        return self._weighed[key]


def evaluate(
    ruleset: RuleSet, inputs: Inputs, state: SignalState, *, confidence: Mapping[str, float | None] | None
) -> Evaluation:
    """Everything the rules say now. Confidence None is the first pass (SAFETY S1): each guard as lenient as any
    confidence makes it. A mapping is the second: an action it leaves out has unknown confidence.
    """
    moment = Moment(ruleset, inputs, state)
    return Evaluation(
        signals=_signals(moment),
        proposals=_proposals(moment),
        verdicts={action.name: judge(moment, action, sureness(confidence, action.name)) for action in ruleset.actions},
        notifications=tuple(_notifications(moment)),
    )


def advance(ruleset: RuleSet, inputs: Inputs, state: SignalState) -> SignalState:
    """The state after one more closed window; called once a window, empty windows included.

    What the rule set no longer remembers is dropped, what is new begins; so does what counted a time in windows of
    another length.
    """
    patient = _renew(ruleset, inputs, state, patient=True)
    strict = _renew(ruleset, inputs, state, patient=False)
    return SignalState(patient=patient, strict=strict, window_s=inputs.window_s if strict else None)


def _renew(ruleset: RuleSet, inputs: Inputs, state: SignalState, *, patient: bool) -> dict[str, Memory]:
    renewed: dict[str, Memory] = {}
    memories = state.patient if patient else state.strict
    if state.window_s not in (None, inputs.window_s):
        memories = _of_length(ruleset, inputs.window_s, memories, patient=patient)
    walk = Walk(inputs, memories, patient, renew=renewed)
    for node in ruleset.remembering:
        walk.value(node)
    return renewed


def _of_length(
    ruleset: RuleSet, window_s: float, memories: Mapping[str, Memory], *, patient: bool
) -> dict[str, Memory]:
    """The memories for windows of another length; what is counted in windows stays."""
    parts = (part for node in ruleset.remembering for part in core.distinct(node))
    timed = {part.key: part for part in parts if isinstance(part, core.Remembered) and part.seconds}
    nodes = ((key, memory, timed.get(key.partition("[")[0])) for key, memory in memories.items())
    return {key: anew(node, window_s, patient=patient) if node else memory for key, memory, node in nodes}


def sureness(confidence: Mapping[str, float | None] | None, action: str) -> Sureness:
    """What stands for an action's confidence; anything outside [0, 1] is unknown."""
    if confidence is None:
        return FREE
    value = confidence.get(action)
    return value if value is not None and 0 <= value <= 1 else None


def judge(moment: Moment, action: ActionDecl, confidence: Sureness) -> Verdict:
    """The verdict on one action: the join of all acting guards, forbidden when no permit holds."""
    permitted = False
    verdicts: list[Verdict] = []
    for rule in moment.ruleset.compiled:
        if rule.kind not in GUARDS or not rule.covers(action.name) or not applies(rule, moment.inputs):
            continue
        if rule.kind == "permit":
            permitted = moment.weigh(rule, confidence).acts or permitted
        else:
            verdicts.append(restriction(rule, moment, action, confidence))
    if not permitted:
        verdicts.append(Verdict(level=Level.FORBIDDEN, acting=(NOBODY_PERMITS,)))
    return join_all(verdicts)


def applies(rule: CompiledRule, inputs: Inputs) -> bool:
    """Whether the pipeline lies in the rule's scope."""
    return rule.scope is None or _in_scope(rule.scope, inputs)


def _in_scope(scope: tree.ScopeExpr, inputs: Inputs) -> bool:
    if isinstance(scope, tree.ScopeAtom):
        if scope.kind == "pipeline":
            return fnmatchcase(inputs.pipeline, scope.text)
        return scope.text in inputs.tags
    inside = [_in_scope(operand, inputs) for operand in scope.operands]
    if scope.op == "not":
        return not inside[0]
    return all(inside) if scope.op == "and" else any(inside)


# conditions ----------------------------------------------------------------


def _weigh(rule: CompiledRule, inputs: Inputs, state: SignalState, confidence: Sureness) -> Weighed:
    if not isinstance(confidence, Free):
        return weigh_at(rule, inputs, state, confidence)
    outcomes = [weigh_at(rule, inputs, state, point) for point in _turning_points(rule, inputs, state)]
    return min(outcomes, key=_strictness)


def _strictness(weighed: Weighed) -> tuple[bool, bool]:
    """Lenient first: a permit that holds, a guard that does not act; then what is known."""
    return weighed.acts is not (weighed.rule.kind == "permit"), weighed.truth is None


def _turning_points(rule: CompiledRule, inputs: Inputs, state: SignalState) -> list[float | None]:
    """Confidences between which the condition cannot change: thresholds, the points between, and unknown."""
    walk = Walk(inputs, state.strict, patient=False)
    walk.truth(rule.condition)
    edges = sorted({0.0, 1.0, *(t for t in walk.thresholds if 0 <= t <= 1)})
    between = [(low + high) / 2 for low, high in pairwise(edges)]
    return [*edges, *between, None]


def weigh_at(
    rule: CompiledRule,
    inputs: Inputs,
    state: SignalState,
    confidence: float | None,
    forced: dict[int, bool] | None = None,
) -> Weighed:
    """The condition at one confidence, with the truth of some leaves forced for "what if"."""
    patient = rule.kind not in GUARDS
    memories = state.patient if patient else state.strict
    walk = Walk(inputs, memories, patient, confidence=confidence, forced=forced or {})
    truth = walk.truth(rule.condition)
    return Weighed(rule, acts(rule, truth), truth, tuple(walk.leaves), confidence)


def acts(rule: CompiledRule, truth: Truth) -> bool:
    """Whether a rule acts when its condition comes out so."""
    return truth is True if rule.needs_truth else truth is not False


# restrictions --------------------------------------------------------------


def restriction(rule: CompiledRule, moment: Moment, action: ActionDecl, confidence: Sureness) -> Verdict:
    """What one forbid, require, cooldown or limit says about an action; `ALLOWED` when it does not act."""
    if isinstance(rule.terms, RestTerms | BoundTerms):
        verdict = _deferral(rule, rule.terms, moment.inputs, action)
    else:
        weighed = moment.weigh(rule, confidence)
        verdict = _consent(rule, weighed) if weighed.acts else ALLOWED
    return Verdict(acting=verdict.acting) if rule.enforcement == "advisory" else verdict


def _deferral(rule: CompiledRule, terms: RestTerms | BoundTerms, inputs: Inputs, action: ActionDecl) -> Verdict:
    """Cooldowns and limits count steps, and never bar them (SAFETY S5, S10)."""
    if action.step:
        return ALLOWED
    found = cooling(terms, rule, inputs) if isinstance(terms, RestTerms) else limited(terms, rule, action, inputs)
    if found is None:
        return ALLOWED
    acting = (acting_of(rule, (found.leaf,)),)
    if rule.enforcement == "soft":
        return _ask(rule, acting)
    return Verdict(level=Level.DEFERRED, deferred_until=found.until, acting=acting)


def _consent(rule: CompiledRule, weighed: Weighed) -> Verdict:
    acting = (acting_of(rule, weighed.leaves),)
    terms = rule.terms
    if isinstance(terms, ApprovalTerms):
        approval = Approval(role=terms.role, within_s=terms.within_s, otherwise=terms.otherwise, rule=rule.id)
        return Verdict(level=Level.APPROVAL_NEEDED, approvals=(approval,), acting=acting)
    if isinstance(terms, VetoTerms):
        announced = Verdict(level=Level.ANNOUNCED, veto_within_s=terms.within_s, acting=acting)
        asks = weighed.truth is None and rule.unknown == "asks"
        return join(announced, _ask(rule, acting)) if asks else announced
    return _ask(rule, acting) if rule.enforcement == "soft" else Verdict(level=Level.FORBIDDEN, acting=acting)


def _ask(rule: CompiledRule, acting: tuple[Acting, ...]) -> Verdict:
    """A person may let it pass."""
    approval = Approval(role=OPERATORS, rule=rule.id)
    return Verdict(level=Level.APPROVAL_NEEDED, approvals=(approval,), acting=acting)


def acting_of(rule: CompiledRule, leaves: tuple[Leaf, ...]) -> Acting:
    """The rule as verdicts name it."""
    return Acting(
        rule=rule.id,
        kind=rule.kind,
        path=rule.path,
        line=rule.line,
        because=rule.because,
        enforcement=rule.enforcement,
        leaves=leaves,
    )


# the other layers ----------------------------------------------------------


def _signals(moment: Moment) -> dict[str, Truth]:
    return {
        name: Walk(moment.inputs, moment.state.patient, patient=True).truth(node)
        for name, node in moment.ruleset.signals.items()
    }


def _proposals(moment: Moment) -> tuple[Proposal, ...]:
    acting = (
        rule
        for rule in moment.ruleset.compiled
        if rule.kind in PROPOSING and applies(rule, moment.inputs) and moment.weigh(rule, None).acts
    )
    return ranked(moment.ruleset, acting)


def ranked(ruleset: RuleSet, acting: Iterable[CompiledRule]) -> tuple[Proposal, ...]:
    """The proposals of the rules that act, best first, last resorts at the end."""
    risks = {action.name: UNRANKED_RISK if action.risk is None else action.risk for action in ruleset.actions}
    found = [
        Proposal(
            action=action,
            rule=rule.id,
            priority=rule.priority,
            severity=rule.severity,
            because=rule.because,
            last_resort=rule.kind == "last resort",
        )
        for rule in acting
        for action in sorted(rule.actions or ())
    ]

    def rank(proposal: Proposal) -> tuple[bool, int, int, int, str, str]:
        severity = -SEVERITIES.index(proposal.severity)
        return (
            proposal.last_resort,
            -proposal.priority,
            severity,
            risks[proposal.action],
            proposal.rule,
            proposal.action,
        )

    return tuple(sorted(set(found), key=rank))


def _notifications(moment: Moment) -> Iterator[Notification]:
    for rule in moment.ruleset.compiled:
        if isinstance(rule.terms, NotifyTerms) and applies(rule, moment.inputs):
            weighed = moment.weigh(rule, None)
            if weighed.acts:
                yield Notification(
                    rule=rule.id,
                    channel=rule.terms.channel,
                    because=rule.because,
                    unknown=weighed.truth is None,
                    repeat_s=rule.terms.repeat_s,
                )
