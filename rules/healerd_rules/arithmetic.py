"""Numbers with unknowns: three-valued logic, arithmetic and comparison.

None is unknown; nothing here raises, and nothing that is unknown becomes known by accident.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence

from healerd_rules import core
from healerd_rules.inputs import Truth, Value

OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
"""What holds where a comparison of known values does not."""
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def every(truths: Iterable[Truth]) -> Truth:
    """Kleene's `and`: false if any is false, else unknown if any is unknown."""
    found = list(truths)
    if any(truth is False for truth in found):
        return False
    return None if any(truth is None for truth in found) else True


def some(truths: Iterable[Truth]) -> Truth:
    """Kleene's `or`."""
    return negate(every(negate(truth) for truth in truths))


def negate(truth: Truth) -> Truth:
    """Kleene's `not`."""
    return None if truth is None else not truth


def at_least(need: int, truths: Sequence[Truth]) -> Truth:
    """Whether `need` of the truths hold, whatever the unknown ones are."""
    sure = sum(truth is True for truth in truths)
    if sure >= need:
        return True
    return False if sure + sum(truth is None for truth in truths) < need else None


def compare(op: str, left: Value, right: Value) -> Truth:
    """A comparison; unknown when either side is."""
    if left is None or right is None:
        return None
    if op == "==":
        return left == right
    if op == "!=":
        return left != right
    if isinstance(left, str) or isinstance(right, str):
        return None
    return _ORDER[op](left, right)


def arithmetic(node: core.Negative | core.Arith, values: Sequence[Value]) -> float | None:
    """The value of a sum, a product or a negation; unknown for x/0 and for anything not finite."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return None
    if isinstance(node, core.Negative):
        return -numbers[0] if math.isfinite(numbers[0]) else None
    total: float | None = numbers[0]
    for (op, _), number in zip(node.rest, numbers[1:], strict=True):
        total = _apply(total, op, number)
    return total


def _apply(left: float | None, op: str, right: float) -> float | None:
    if left is None or (op == "/" and right == 0):
        return None
    result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[op](left, right)
    return result if math.isfinite(result) else None
