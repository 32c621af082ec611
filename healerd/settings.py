"""What every table of the configuration is made of: records that turn unknown keys away, durations, and checks.

Must never hold a setting of its own.
"""

import re
from typing import Annotated

import msgspec

__all__ = [
    "Bytes",
    "Cost",
    "Duration",
    "Megabytes",
    "Minutely",
    "Points",
    "Rows",
    "Settings",
    "Share",
    "Windows",
    "Yearly",
    "parse_duration",
    "require",
]

# The unit of a number is part of its type: the reference of the configuration prints it.
Bytes = Annotated[int, "bytes"]
Cost = Annotated[float, "unit of the costs"]
Megabytes = Annotated[int, "MB"]
Minutely = Annotated[float, "unit of the costs, a minute"]
Points = Annotated[int, "points"]
Rows = Annotated[int, "rows"]
Share = Annotated[float, "share of 1"]
Windows = Annotated[int, "windows"]
Yearly = Annotated[float, "a year"]

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def require(holds: bool, key: str, wanted: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Check a value of a record. Raises ValueError that names its key and what it must be."""
    if not holds:
        raise ValueError(f"`{key}` must be {wanted}")


class Duration(float):
    """Seconds; written as `30m`, `1d`, `500ms` or a bare number of seconds."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every table of the configuration has in common: unknown keys are errors."""


def parse_duration(text: str | float) -> Duration:
    """Read `30m`, `1d`, `500ms`, or a bare number of seconds. Raises ValueError."""
    if isinstance(text, bool):
        raise ValueError("expected a duration such as `30m`, got a boolean")
    if isinstance(text, int | float):
        return Duration(text)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", text)
    if not found:
        raise ValueError(f"expected a duration such as `30m`, `12h` or `1d`, got `{text}`")
    return Duration(float(found[1]) * UNITS_S[found[2]])
