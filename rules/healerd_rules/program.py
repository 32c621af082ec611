"""What a loaded rule set consists of: rules ready to be evaluated, and what a host may show of them.

It never parses and never evaluates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from healerd_rules.core import TRUE, Ask, Confidence, Core, Remembered, distinct, mentions
from healerd_rules.schema import ActionDecl, FactDecl
from healerd_rules.script import Script
from healerd_rules.tree import Invariant, ScopeExpr

GUARDS = ("permit", "forbid", "require", "cooldown", "limit")
PROPOSING = ("propose", "last resort")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTerms:
    """`approval from role within s else ...`."""

    role: str
    within_s: float | None
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VetoTerms:
    """`veto within s`."""

    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestTerms:
    """A cooldown: `length_s` (or a number of windows) since the end of the newest of `after`."""

    length_s: float
    windows: int
    per: str | None
    after: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTerms:
    """A limit: `kind` is `count`, `money`, `concurrent` or `fleet`; `share` stands for a per cent bound."""

    kind: str
    amount: float
    share: bool
    period_s: float
    windows: int
    per: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTerms:
    """A notification's channel, and after how long it is repeated."""

    channel: str
    repeat_s: float | None


Terms = ApprovalTerms | VetoTerms | RestTerms | BoundTerms | NotifyTerms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule with everything resolved; `actions` None means any action, `scope` None everywhere.

    `reads_confidence` tells whether the condition is about confidence.
    """

    id: str
    name: str
    kind: str
    actions: frozenset[str] | None
    scope: ScopeExpr | None = None
    condition: Core = TRUE
    unknown: str = ""
    terms: Terms = None
    priority: int = 0
    severity: str = "medium"
    because: str = ""
    owner: str = ""
    ticket: str = ""
    enforcement: str = "hard"
    path: str = ""
    line: int = 0
    text: str = ""
    reads_confidence: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads_confidence", mentions(self.condition, Confidence))

    @property
    def needs_truth(self) -> bool:
        """Whether it acts only on a condition that is definitely true; all others act unless definitely false."""
        return self.kind in ("permit", *PROPOSING) or self.unknown == "skips"

    def covers(self, action: str) -> bool:
        """Whether the rule is about that action."""
        return self.actions is None or action in self.actions


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """What a rule set tells about one rule."""

    name: str
    kind: str
    actions: tuple[str, ...]
    path: str
    line: int
    because: str
    owner: str
    ticket: str
    enforcement: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A checked rule set. `id` is the sha256 over its sources; two sets with one id mean the same.

    `actions` and `facts` are the host's declarations joined with those of the files. `lets` are the named formulas
    as they stand in conditions; the places are path and line of each signal, and of each invariant in its order.
    `remembering` are the signals and conditions that look at windows before the newest; `aged` the actions whose age
    some formula asks for, however long ago they ran.
    """

    id: str
    actions: tuple[ActionDecl, ...]
    facts: tuple[FactDecl, ...]
    signals: Mapping[str, Core] = field(repr=False)
    compiled: tuple[CompiledRule, ...] = field(repr=False)
    invariants: tuple[tuple[Invariant, Core], ...] = field(default=(), repr=False)
    tests: tuple[Script, ...] = field(default=(), repr=False)
    lets: Mapping[str, Core] = field(default_factory=dict, repr=False)
    signal_places: Mapping[str, tuple[str, int]] = field(default_factory=dict, repr=False)
    invariant_places: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    remembering: tuple[Core, ...] = field(init=False, repr=False, compare=False)
    aged: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        formulas = (*self.signals.values(), *(rule.condition for rule in self.compiled))
        object.__setattr__(self, "remembering", tuple(each for each in formulas if mentions(each, Remembered)))
        asked = (part for each in formulas for part in distinct(each) if isinstance(part, Ask))
        object.__setattr__(self, "aged", frozenset(ask.argument for ask in asked if ask.function == "age"))

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """Every rule, in the order of the files."""
        return tuple(self._info(rule) for rule in self.compiled)

    def _info(self, rule: CompiledRule) -> RuleInfo:
        names = tuple(action.name for action in self.actions) if rule.actions is None else sorted(rule.actions)
        return RuleInfo(
            name=rule.id,
            kind=rule.kind,
            actions=tuple(names),
            path=rule.path,
            line=rule.line,
            because=rule.because,
            owner=rule.owner,
            ticket=rule.ticket,
            enforcement=rule.enforcement,
            text=rule.text,
        )
