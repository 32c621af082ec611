"""The functions a rule may call, each with its signature, and the arithmetic of the ones over past windows.

It never reads inputs: asking the log or the alarms is the evaluator's part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from healerd_rules.schema import Type

Series = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function: the kinds of its arguments, the type it gives, and what it means.

    Arguments are `action`, `alarm`, `metric`, `value` (any numeric expression) or `duration`. A function with
    `fold` looks at past windows: it is given their values, oldest first. `result` None means the type of the
    first argument. `needs_full` says that a shorter history is unknown, and asks for one more value.
    """

    arguments: tuple[str, ...]
    result: Type | None
    meaning: str
    fold: Callable[[Series], float | None] | None = None
    needs_full: bool = False


def mean(values: Series) -> float:
    """The plain mean."""
    return sum(values) / len(values)


def fall(values: Series) -> float:
    """How far the newest value lies below the oldest."""
    return values[0] - values[-1]


def growth(values: Series) -> float | None:
    """The newest value over the oldest; unknown when the oldest is zero."""
    return values[-1] / values[0] if values[0] else None


BUILTINS: dict[str, Function] = {
    "age": Function(
        arguments=("action",),
        result=Type.DURATION,
        meaning="time since the action last ended on this pipeline; 0 while it is open, endless if it never ran",
    ),
    "alarm": Function(arguments=("alarm",), result=Type.BOOL, meaning="whether the named alarm stands"),
    "autonomous": Function(
        arguments=("action",),
        result=Type.BOOL,
        meaning="whether the action would run without a person's word; in invariants only",
    ),
    "avg": Function(
        arguments=("value", "duration"),
        result=None,
        meaning="mean over the windows of the last duration",
        fold=mean,
    ),
    "baseline": Function(
        arguments=("metric",),
        result=None,
        meaning="the metric's value on the reference, handed in as the fact `baseline(metric)`",
    ),
    "did": Function(arguments=("action",), result=Type.BOOL, meaning="whether the action was started in this incident"),
    "drop": Function(
        arguments=("value", "duration"),
        result=None,
        meaning="the value one duration ago minus the value now; of a ratio, in points",
        fold=fall,
        needs_full=True,
    ),
    "max": Function(
        arguments=("value", "duration"),
        result=None,
        meaning="highest value of the last duration",
        fold=max,
    ),
    "min": Function(
        arguments=("value", "duration"),
        result=None,
        meaning="lowest value of the last duration",
        fold=min,
    ),
    "rate": Function(
        arguments=("value", "duration"),
        result=Type.NUMBER,
        meaning="the value now over the value one duration ago: 2 means doubled",
        fold=growth,
        needs_full=True,
    ),
}
