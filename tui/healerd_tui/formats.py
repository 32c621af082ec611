"""Numbers and times as people read them in a table. Pure; must never turn a missing value into a number, and never
write a number so that it reads as another.
"""

import math

__all__ = ["ago", "clock", "say_count", "say_number", "say_p", "say_share"]

NONE = "-"
"""What stands where there is no value."""


def say_number(value: float | None, digits: int = 3) -> str:
    """Write a number with that many significant digits, as a power of ten where it is far from one."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        written = f"{value:.{decimals}f}"
        return written.rstrip("0").rstrip(".") if "." in written else written
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def say_share(share: float | None) -> str:
    """Write a probability or a share with two decimals; one that is not certain is never rounded to 0 or 1."""
    if share is None or math.isnan(share):
        return NONE
    if 0 < share < 0.005:
        return "<.01"
    if 0.995 <= share < 1:
        return ">.99"
    return f"{share:.2f}"


def say_p(p_value: float | None) -> str:
    """Write a p-value: decimals down to a thousandth, a power of ten below."""
    if p_value is None or math.isnan(p_value):
        return NONE
    if p_value == 0:
        return "0"
    return f"{p_value:.0e}" if p_value < 0.001 else say_number(round(p_value, 3), 2)


def say_count(count: float | None) -> str:
    """Write a count with a comma between thousands."""
    return NONE if count is None or not math.isfinite(count) else f"{count:,.0f}"


def ago(seconds: float | None) -> str:
    """Write how long ago something was, in its largest unit: `12s`, `4m`, `2h`, `9d`."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    left = max(seconds, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= size:
            return f"{int(left // size)}{unit}"
    return f"{int(left)}s"


def clock(seconds: float | None) -> str:
    """Write the time that is left: `03:41`, `1:02:11`, `2d 03h`; `--:--` where nobody knows."""
    if seconds is None or not math.isfinite(seconds):
        return "--:--"
    # Rounded up, so that 00:00 means over and nothing but over.
    left = math.ceil(max(seconds, 0))
    days, rest = divmod(left, 86400)
    hours, rest = divmod(rest, 3600)
    if days:
        return f"{days}d {hours:02}h"
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"
