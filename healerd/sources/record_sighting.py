"""Look at what a gateway has recorded of one model lately: how dense it is, and what it holds.

Must never take in more than a day of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from healerd.config import SourceSettings
from healerd.segments.times import aware
from healerd.sources.gateway import GatewaySource

__all__ = ["RecordSighting", "sight_record"]

DAY = timedelta(days=1)
ENOUGH_S = 600.0
"""How much time tells how fast rows come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSighting:
    """The rows of the last day: how many, how many of them labelled, how fast they come, and which features they have.

    `rows_per_s` is None where they cover too little time to tell.
    """

    rows: int
    labelled: int
    rows_per_s: float | None
    features: tuple[str, ...]


def sight_record(folder: Path, now: datetime) -> RecordSighting | None:
    """Look at a record; None where nothing was recorded within a day. Raises SourceError when it cannot be read."""
    source = GatewaySource(SourceSettings(kind="gateway", path=str(folder)), Path(), lambda: "unknown")
    rows = source.fetch(now - DAY, now)
    if not len(rows):
        return None
    labels = source.labels(now - DAY, now, now)
    age_s = (now - aware(rows.at.min())).total_seconds()
    return RecordSighting(
        rows=len(rows),
        labelled=len(set(labels.ids.tolist())),
        rows_per_s=len(rows) / age_s if age_s >= ENOUGH_S else None,
        features=tuple(rows.features),
    )
