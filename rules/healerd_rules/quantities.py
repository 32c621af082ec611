"""Shows values in the units people write: `80%`, `30m`, `$40`.

It never reads them; that is the parser's part.
"""

from datetime import UTC, datetime

from healerd_rules.inputs import Value

_DURATIONS = ((604800.0, "w"), (86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def show(value: Value, unit: str) -> str:
    """A value in words; unknown stays `unknown`."""
    if value is None:
        return "unknown"
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else f'"{value}"'
    if value == float("inf"):
        return "endless"
    if unit in ("ratio", "points"):
        return f"{value * 100:.4g}{'%' if unit == 'ratio' else 'pp'}"
    if unit == "duration":
        return _duration(value)
    if unit == "time":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="minutes")
    if unit == "windows":
        return f"{value:g} window{'' if value == 1 else 's'}"
    return f"{value:.6g}"


def _duration(seconds: float) -> str:
    for length, letter in _DURATIONS:
        if abs(seconds) >= length:
            return f"{seconds / length:.3g}{letter}"
    return f"{seconds * 1000:.3g}ms" if seconds else "0s"
