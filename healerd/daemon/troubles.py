"""What goes wrong with one pipeline and is for people to mend.

Must never be said in other words each time it is seen: channels tell by the words what was told already.
"""

import logging
from dataclasses import dataclass

from healerd.daemon.ingest import Arrived

__all__ = ["Trouble", "troubles_with_ids"]

log = logging.getLogger("healerd")

NO_ROWS_NAMED = (
    "most ids of a window were served in an earlier one, and their rows are left out: an id names one prediction, not "
    "a customer who is asked about again; name another column as `source.id`, or leave it out"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps one pipeline from being judged, and is for people to mend; told once while it lasts.

    Where it is `judged` nevertheless, most of its rows are left out.
    """

    pipeline: str
    said: str
    judged: bool = False


def troubles_with_ids(pipeline: str, arrived: Arrived) -> tuple[Trouble, ...]:
    """Say that ids name no predictions, where most of them came before."""
    if not arrived.names_no_rows:
        return ()
    log.warning("`%s`: %d of %d ids were served in earlier windows", pipeline, arrived.recurring, arrived.named)
    return (Trouble(pipeline=pipeline, said=NO_ROWS_NAMED, judged=True),)
