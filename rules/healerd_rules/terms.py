"""z3 terms for truths that may be unknown (two rails: surely true, surely false) and for values that may be unknown.

It never reads a rule and never solves; constants are folded here, because z3's own objects are dear to make.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import z3

Bit = Any  # a bool that is known now, or a z3 truth
Amount = Any  # a Fraction that is known now, or a z3 number


@dataclass(frozen=True, slots=True)
class Rails:
    """Kleene's truth: `t` surely true, `f` surely false, neither for unknown; never both."""

    t: Bit
    f: Bit

    @property
    def known(self) -> Bit:
        """Whether it is true or false at all."""
        return disj((self.t, self.f))


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, or a text by its number; `endless` is plus infinity, the age of what never happened."""

    value: Amount
    known: Bit = True
    endless: Bit = False


Thing = Rails | Quantity
Key = tuple[Any, ...]  # what a variable stands for: its kind first, then what it is about


def conj(parts: Iterable[Bit]) -> Bit:
    """`and`."""
    found = [part for part in parts if part is not True]
    if any(part is False for part in found):
        return False
    return True if not found else found[0] if len(found) == 1 else z3.And(found)


def disj(parts: Iterable[Bit]) -> Bit:
    """`or`."""
    found = [part for part in parts if part is not False]
    if any(part is True for part in found):
        return True
    return False if not found else found[0] if len(found) == 1 else z3.Or(found)


def neg(part: Bit) -> Bit:
    """`not`."""
    return (not part) if isinstance(part, bool) else z3.Not(part)


def implies(first: Bit, second: Bit) -> Bit:
    """`first` only together with `second`."""
    return disj((neg(first), second))


def either(condition: Bit, one: Bit, other: Bit) -> Bit:
    """`one` if the condition holds, else `other`, for truths."""
    return disj((conj((condition, one)), conj((neg(condition), other))))


def tally(bits: Iterable[Bit]) -> Any:
    """How many of the truths hold."""
    return z3.Sum([z3.If(bit, 1, 0) if not isinstance(bit, bool) else z3.IntVal(int(bit)) for bit in bits])


def opposite(rails: Rails) -> Rails:
    """Kleene's `not`."""
    return Rails(rails.f, rails.t)


def every(rails: Sequence[Rails]) -> Rails:
    """Kleene's `and`."""
    return Rails(conj(one.t for one in rails), disj(one.f for one in rails))


def some(rails: Sequence[Rails]) -> Rails:
    """Kleene's `or`."""
    return Rails(disj(one.t for one in rails), conj(one.f for one in rails))


def sure(truth: Bit) -> Rails:
    """A truth that is always known."""
    return Rails(truth, neg(truth))


def exact(value: float) -> Fraction:
    """The number as it is written: 0.8 is four fifths, not the nearest double."""
    return Fraction(repr(float(value)))


def term(amount: Amount) -> Any:
    """A number as z3 takes it."""
    return z3.Q(amount.numerator, amount.denominator) if isinstance(amount, Fraction) else amount


def compare(op: str, left: Quantity, right: Quantity) -> Rails:
    """A comparison; unknown when either side is."""
    if op in (">", ">="):
        return compare("<" if op == ">" else "<=", right, left)
    if op == "!=":
        return opposite(compare("==", left, right))
    known = conj((left.known, right.known))
    holds = _holds(op, left, right)
    return Rails(conj((known, holds)), conj((known, neg(holds))))


def _holds(op: str, left: Quantity, right: Quantity) -> Bit:
    finite = _order(op, left.value, right.value)
    if op == "<":
        return conj((neg(left.endless), disj((right.endless, finite))))
    if op == "<=":
        return disj((right.endless, conj((neg(left.endless), finite))))
    both = conj((left.endless, right.endless))
    return disj((both, conj((neg(left.endless), neg(right.endless), finite))))


def _order(op: str, left: Amount, right: Amount) -> Bit:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left < right if op == "<" else left <= right if op == "<=" else left == right
    one, other = term(left), term(right)
    return one < other if op == "<" else one <= other if op == "<=" else one == other


def same(left: Rails, right: Rails) -> Rails:
    """Whether two truths are equal."""
    return Rails(
        disj((conj((left.t, right.t)), conj((left.f, right.f)))),
        disj((conj((left.t, right.f)), conj((left.f, right.t)))),
    )
