"""Whether two typed values may be compared, and what about it looks like a slip.

It never resolves a name.
"""

from healerd_rules import core
from healerd_rules.context import Context
from healerd_rules.core import Core
from healerd_rules.schema import STAGES, Type
from healerd_rules.tree import Expr
from healerd_rules.units import comparable


def check_comparable(left: Core, right: Core, op: str, expr: Expr, context: Context) -> bool:
    """Whether two values may be compared; if not, or if it looks odd, that is reported."""
    if not comparable(left.type, right.type, op):
        context.error("type", expr.span, f"cannot compare {left.type.value} {op} {right.type.value}")
        return False
    if isinstance(left, core.Confidence) and isinstance(right, core.Confidence):
        context.error("confidence", expr.span, "`confidence` is compared with itself")
        return False
    for one, other in ((left, right), (right, left)):
        if one.type is Type.POINTS and isinstance(other, core.Const) and other.type is Type.RATIO:
            mend = f"write `{float(other.value) * 100:g}pp`: a difference of ratios is in percentage points"
            context.error("unit", expr.span, "cannot compare points with per cent", mend)
            return False
        _look_closer(one, other, expr, context)
    return True


def _look_closer(one: Core, other: Core, expr: Expr, context: Context) -> None:
    if not isinstance(other, core.Const):
        return
    if one.type is Type.RATIO and other.type is Type.NUMBER and float(other.value) > 1:
        mend = f"did you mean `{float(other.value):g}%`?"
        context.module.findings.warning("scale", expr.span, f"a ratio is compared with {float(other.value):g}", mend)
    if isinstance(one, core.Builtin) and one.name == "stage" and other.value not in STAGES:
        mend = "the stages are " + ", ".join(f"`{stage}`" for stage in STAGES)
        context.error("value", expr.span, f"there is no stage `{other.value}`", mend)
