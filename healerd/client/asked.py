"""What a look was asked with: text from a path or a query, read into numbers, times and names.

Must never guess: what cannot be read is a ConfigError that names the parameter, the same with and without a daemon.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from healerd.errors import ConfigError

__all__ = ["DIGITS_MAX", "Asked", "choices", "moment", "number", "whole"]

DIGITS_MAX = 18
"""Digits of a whole number: the database counts in 64 bits."""

Asked = Mapping[str, str]
"""The parts of the path and the parameters of the query, as they were written."""


def whole(asked: Asked, name: str, *, least: int = 0, most: int | None = None) -> int | None:
    """Read a whole number, brought between `least` and `most`; None when it was not given."""
    text = asked.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > DIGITS_MAX:
        raise ConfigError(f"`{name}` must be a whole number of at most {DIGITS_MAX} digits, not `{text[:40]}`")
    return max(least, int(text) if most is None else min(most, int(text)))


def number(asked: Asked, name: str, *, usual: int, most: int) -> int:
    """Read a count of at least 1 and at most `most`; `usual` when it was not given."""
    given = whole(asked, name, least=1, most=most)
    return usual if given is None else given


def moment(asked: Asked, name: str) -> datetime | None:
    """Read a time in ISO 8601; without a zone it is UTC. None when it was not given."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"`{name}` must be a time such as `2026-05-07T09:11Z`, not `{text}`") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def choices(asked: Asked, name: str) -> tuple[str, ...] | None:
    """Read names parted by commas; None when none was given."""
    found = tuple(part for part in (part.strip() for part in asked.get(name, "").split(",")) if part)
    return found or None
