"""The guards' answer for one action, and how answers combine.

It never evaluates a rule; the host joins its own guards with the same `join`.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from healerd_rules.inputs import Truth, Value


class Level(IntEnum):
    """How free an action is, from free to barred."""

    ALLOWED = 0
    ANNOUNCED = 1
    APPROVAL_NEEDED = 2
    DEFERRED = 3
    FORBIDDEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A consent that must be given by someone of `role`; without `within_s` until the incident closes."""

    role: str
    within_s: float | None = None
    otherwise: str = "deny"
    rule: str = ""

    @property
    def sort_key(self) -> tuple[str, str, float, str]:
        """A total order, so that a join does not depend on order."""
        return self.rule, self.role, float("inf") if self.within_s is None else self.within_s, self.otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One comparison inside a condition: the text as written, the measured value, the threshold, the truth."""

    text: str
    value: Value = None
    threshold: Value = None
    truth: Truth = None
    unit: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """A rule that acts on a verdict, with where it stands and why. Advisory rules are listed and do not count."""

    rule: str
    kind: str
    path: str = ""
    line: int = 0
    because: str = ""
    enforcement: str = "hard"
    leaves: tuple[Leaf, ...] = ()

    @property
    def sort_key(self) -> tuple[str, int, str, str, str]:
        """A total order, so that a join does not depend on order."""
        return self.path, self.line, self.rule, self.kind, repr(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the guards say about one action; every approval and the veto window apply side by side."""

    level: Level = Level.ALLOWED
    veto_within_s: float | None = None
    approvals: tuple[Approval, ...] = ()
    deferred_until: dt.datetime | None = None
    acting: tuple[Acting, ...] = field(default=())

    @property
    def autonomous(self) -> bool:
        """Whether it runs without a person's word: allowed or announced."""
        return self.level <= Level.ANNOUNCED

    @property
    def approval_within_s(self) -> float | None:
        """The earliest approval deadline; None when no approval has one."""
        return _smallest(approval.within_s for approval in self.approvals)

    @property
    def otherwise(self) -> str:
        """What silence means for the approvals: `deny` if any of them says so, else `defer`."""
        return "defer" if self.approvals and all(a.otherwise == "defer" for a in self.approvals) else "deny"


ALLOWED = Verdict()


def join(a: Verdict, b: Verdict) -> Verdict:
    """The stricter of two verdicts in every respect: commutative, associative, idempotent."""
    return join_all((a, b))


def join_all(verdicts: Sequence[Verdict]) -> Verdict:
    """The join of any number of verdicts, `ALLOWED` of none; each is looked at once."""
    vetoes = [one.veto_within_s for one in verdicts if one.veto_within_s is not None]
    deferrals = [one.deferred_until for one in verdicts if one.deferred_until is not None]
    approvals = {approval for one in verdicts for approval in one.approvals}
    acting = {rule for one in verdicts for rule in one.acting}
    return Verdict(
        level=max((one.level for one in verdicts), default=Level.ALLOWED),
        veto_within_s=max(vetoes, default=None),
        approvals=tuple(sorted(approvals, key=lambda approval: approval.sort_key)),
        deferred_until=max(deferrals, default=None),
        acting=tuple(sorted(acting, key=lambda rule: rule.sort_key)),
    )


def at_least_as_strict(a: Verdict, b: Verdict) -> bool:
    """Whether `a` lets nothing through that `b` would not; who says so is left out."""
    joined = join(a, b)
    return (joined.level, joined.veto_within_s, joined.approvals, joined.deferred_until) == (
        a.level,
        a.veto_within_s,
        a.approvals,
        a.deferred_until,
    )


def _smallest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
