"""Shows values in the units people write: `80%`, `30m`, `23h59m59s`.

It never reads them; that is the parser's part.
"""

import math
from datetime import UTC, datetime

from healerd_rules.inputs import Value

EXACT = 1e15
"""Up to here a whole number is shown digit by digit."""
_DURATIONS = ((604800.0, "w"), (86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def show(value: Value, unit: str) -> str:
    """A value in words; unknown stays `unknown`."""
    if value is None:
        return "unknown"
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else f'"{value}"'
    if math.isinf(value):
        return "endless"
    if unit in ("ratio", "points"):
        return f"{value * 100:.6g}{'%' if unit == 'ratio' else 'pp'}"
    if unit == "duration":
        return _duration(value)
    if unit == "time":
        return _moment(value)
    if unit == "windows":
        return f"{value:g} window{'' if value == 1 else 's'}"
    return f"{value:.0f}" if value == int(value) and abs(value) < EXACT else f"{value:.6g}"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.6g}s after 1970"


def _duration(seconds: float) -> str:
    """One unit where three digits say it exactly, else several, to the second."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g}ms" if seconds else "0s"
    length, letter = next((length, letter) for length, letter in _DURATIONS if abs(seconds) >= length)
    short = f"{seconds / length:.3g}"
    if length == 1.0 or math.isclose(float(short) * length, seconds, rel_tol=1e-9):
        return short + letter
    left, words = round(abs(seconds)), ["-" if seconds < 0 else ""]
    for length, letter in _DURATIONS:
        count, left = divmod(left, int(length))
        words.append(f"{count}{letter}" if count else "")
    return "".join(words)
