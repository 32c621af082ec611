"""What goes wrong with one pipeline and is for people to mend.

Must never be said in other words each time it is seen: channels tell by the words what was told already.
"""

import logging
from dataclasses import dataclass

from healerd.daemon.ingest import Arrived
from healerd.daemon.pipeline import Pipeline

__all__ = ["Trouble", "troubles_with_ids"]

log = logging.getLogger("healerd")

NO_ROWS_NAMED = (
    "most ids of a window were served in an earlier one, and their rows are left out: an id names one prediction, not "
    "a customer who is asked about again; name another column as `source.id`, or leave it out"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong with one pipeline, and is for people to mend: `what` with it, and the verb to `see`.

    Told once while it lasts.
    """

    pipeline: str
    said: str
    what: str = "is not judged"
    see: str = "doctor"


def troubles_with_ids(pipeline: Pipeline, arrived: Arrived) -> tuple[Trouble, ...]:
    """Say that ids are missing, with files that cannot be read, or name no predictions: most of them came before."""
    found, unread = [], pipeline.recent.unread
    if unread:
        first = next(iter(unread.values()))
        said = f"rows may be taken in twice, for the ids of {len(unread):,} files cannot be read; the first: {first}"
        found.append(Trouble(pipeline=pipeline.name, said=said, what="misses ids"))
    if arrived.names_no_rows:
        counted = f"{arrived.recurring} of {arrived.named} ids"
        log.warning("`%s`: %s were served in earlier windows", pipeline.name, counted)
        what, see = "is judged without most of its rows", f"source probe {pipeline.name}"
        found.append(Trouble(pipeline=pipeline.name, said=NO_ROWS_NAMED, what=what, see=see))
    return tuple(found)
