"""Counts of a dimension's members as z3 terms: what a quantifier makes of them, and how counts are related.

It never knows which members they are.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import z3

from healerd_rules import core
from healerd_rules.core import Core
from healerd_rules.terms import Bit, Rails, exact, term

# A share of a count is rounded with this much to spare, as in `walk.needed`.
ROUNDING = Fraction(1, 10**9)
OPPOSITE = {">": "<=", ">=": "<", "!=": "=="}


def quantify(node: core.Quantified, total: Any, held: Any, failed: Any) -> Rails:
    """How many of `total` members hold and how many fail decides; nothing is known about an empty dimension."""
    there = total > 0
    if node.kind == "any":
        return Rails(held >= 1, z3.And(there, failed == total))
    if node.kind == "every":
        return Rails(z3.And(there, held == total), failed >= 1)
    need = z3.IntVal(node.bound) if node.share is None else term(exact(node.share)) * z3.ToReal(total)
    slack = term(ROUNDING) if node.share is not None else 0
    possible = total - failed
    if node.kind == "at most":
        return Rails(z3.And(there, possible <= need + slack), held > need + slack)
    return Rails(z3.And(there, held >= need - slack), z3.And(there, possible < need - slack))


def plain(body: Core) -> tuple[Core, bool]:
    """A condition without what only turns it round, and whether it is the condition itself or its opposite."""
    if isinstance(body, core.Logic) and body.op == "not":
        inner, straight = plain(body.operands[0])
        return inner, not straight
    if isinstance(body, core.Compare) and body.op in OPPOSITE:
        return replace(body, op=OPPOSITE[body.op]), False
    return body, True


def relations(one: Core, counts: tuple[Any, Any], other: Core, counts_too: tuple[Any, Any]) -> Iterator[Bit]:
    """Of two bounds on one value as many members are known, and more lie under the higher; counts are held, failed."""
    if _bounds(one, other):
        (held, failed), (held_too, failed_too) = counts, counts_too
        yield held + failed == held_too + failed_too
        if _under(one, other):
            yield held <= held_too
        if _under(other, one):
            yield held_too <= held


def _bounds(one: Core, other: Core) -> bool:
    if not isinstance(one, core.Compare) or not isinstance(other, core.Compare) or one.left != other.left:
        return False
    fixed = isinstance(one.right, core.Const) and isinstance(other.right, core.Const)
    return fixed and isinstance(one.left, core.Fact)


def _under(one: Core, other: Core) -> bool:
    """Whether what satisfies the one surely satisfies the other."""
    assert isinstance(one, core.Compare), "both are bounds"
    assert isinstance(other, core.Compare), "both are bounds"
    a, b = one.right, other.right
    assert isinstance(a, core.Const), "both are bounds"
    assert isinstance(b, core.Const), "both are bounds"
    if isinstance(a.value, str) or isinstance(b.value, str) or other.op == "==":
        return False
    return a.value < b.value or (a.value == b.value and (other.op == "<=" or one.op == "<"))
