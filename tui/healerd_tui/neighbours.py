"""Finds the decision before or after another one on its pipeline. It must never say that there is none without
having read that far."""

from collections.abc import Iterator

from healerd.client import Looking

__all__ = ["neighbour"]

PAGE = 500


def neighbour(access: Looking, pipeline: str, here: str, by: int) -> str | None:
    """Find the id of the next older decision (`by` > 0) or the next newer one, if there is. Raises HealerdError."""
    newer, ids = None, _newest_first(access, pipeline)
    for each in ids:
        if each == here:
            return next(ids, None) if by > 0 else newer
        newer = each
    return None


def _newest_first(access: Looking, pipeline: str) -> Iterator[str]:
    before: int | None = None
    while True:
        page = access.traces(pipeline=pipeline, limit=PAGE, before=before)
        yield from (line["id"] for line in page["traces"])
        before = page["before"]
        if before is None:
            return
