"""How remembered things move on by one window: one step function for both readings.

It never reads inputs; what an operand was in this window comes in.
"""

import math
from collections.abc import Mapping, Sequence

from healerd_rules import core
from healerd_rules.arithmetic import at_least, every, negate, some
from healerd_rules.builtins import BUILTINS
from healerd_rules.inputs import Memory, Truth, Value

Memories = Mapping[str, Memory]


def step(node: core.Remembered, before: Memory, inputs: Sequence[Value], window_s: float, *, patient: bool) -> Memory:
    """The memory after a window in which the operands were `inputs`.

    Patient: a window whose operand is unknown reads unknown and leaves the past alone. Strict: it enters the past
    as a window that could have been anything.
    """
    if node.kind in ("since", "opens"):
        return _hold(node, before, inputs, patient=patient)
    if patient and inputs[0] is None:
        return Memory(before.past, None)
    span = node.span(window_s)
    if node.kind in BUILTINS:
        return _series(node, before, inputs[0], span)
    past = (*before.past, inputs[0])[-span:]
    return Memory(past, _count(node, past, span))


def anew(node: core.Remembered, window_s: float, *, patient: bool) -> Memory:
    """What is left of a memory of windows of another length: strictly, each of them could have been anything."""
    return Memory() if patient else Memory((None,) * (node.span(window_s) + 1))


def _count(node: core.Remembered, past: tuple[Value, ...], span: int) -> Truth:
    """`for`, `within last`, `for k of last n`: windows before the first one count as false."""
    truths: list[Truth] = [value if isinstance(value, bool) else None for value in past]
    padded = [False] * (span - len(truths)) + truths
    if node.kind == "for":
        return every(padded)
    return some(padded) if node.kind == "once" else at_least(node.need, padded)


def _hold(node: core.Remembered, before: Memory, inputs: Sequence[Value], *, patient: bool) -> Memory:
    """`a since b`: b, or a while it already held. Hysteresis: opens, or stays open while it does not clear."""
    first, second = (value if isinstance(value, bool) else None for value in inputs)
    starts, keeps = (second, first) if node.kind == "since" else (first, negate(second))
    held: Truth = False
    if before.past:
        held = before.past[-1] if isinstance(before.past[-1], bool) else None
    now = some((starts, every((keeps, held))))
    if patient and now is None:
        return Memory(before.past, None)
    return Memory((now,), now)


def _series(node: core.Remembered, before: Memory, value: Value, span: int) -> Memory:
    function = BUILTINS[node.kind]
    assert function.fold is not None, "only functions over past windows are remembered"
    length = span + 1 if function.needs_full else span
    past = (*before.past, value)[-length:]
    numbers = [float(number) for number in past if isinstance(number, int | float)]
    if len(numbers) < len(past) or (function.needs_full and len(past) < length):
        return Memory(past, None)
    result = function.fold(numbers)
    # endless minus endless is no number: unknown, never something that a comparison takes for false
    return Memory(past, None if result is None or math.isnan(result) else result)
