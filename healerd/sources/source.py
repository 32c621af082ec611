"""What every source can do. Must never say more than the daemon needs."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from healerd.columns import Labels, Predictions

__all__ = ["Lossy", "Source"]


class Source(Protocol):
    """Gives the served predictions of a stretch of time, and the labels known for them by now.

    Reading twice gives the same rows with the same ids, as long as the data behind it is the same.
    """

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at).

        Raises:
            SourceError: they cannot be read; the message names file, column and row, and the mend.
        """
        ...

    def labels(self, start_at: datetime, end_at: datetime, now: datetime) -> Labels:
        """Read the labels known at `now` of the predictions of [start_at, end_at).

        A label whose data does not say when it became known was first seen `now`.

        Raises:
            SourceError: they cannot be read.
        """
        ...


@runtime_checkable
class Lossy(Protocol):
    """A source that knows how many rows were served and are not in it."""

    def lost(self, start_at: datetime, end_at: datetime) -> int:
        """Count the rows of [start_at, end_at), by the minute, that were served and could not be kept.

        Raises:
            SourceError: it cannot be read.
        """
        ...
