"""Translate between the records' times (aware UTC) and the columns' times (naive UTC). Must never guess a zone."""

from datetime import UTC, datetime

import numpy as np

__all__ = ["aware", "naive"]


def naive(at: datetime) -> np.datetime64:
    """Turn an aware time into the naive UTC time of columns.

    >>> naive(datetime(2026, 1, 2, tzinfo=UTC))
    np.datetime64('2026-01-02T00:00:00.000000')
    """
    assert at.tzinfo is not None, "times of records are aware"
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def aware(at: np.datetime64) -> datetime:
    """Turn a naive UTC time of columns into an aware time.

    >>> aware(np.datetime64("2026-01-02"))
    datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)
    """
    found: datetime = at.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
