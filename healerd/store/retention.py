"""Let go of what is old in a state folder: raw rows and the bodies of entries. Must never drop what is still needed.

Hashes stay, a leaf says what was dropped, and a file goes only after the commit that took it off the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from healerd.segments import FOLDER, Segment
from healerd.segments.sweep import sweep
from healerd.store.care import prune
from healerd.store.filters import Range
from healerd.store.journal import Store
from healerd.store.read import Reader

__all__ = ["Retained", "let_go", "would_let_go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What went, or would go: segment files with their bytes, and bodies of entries (at most, in a rehearsal)."""

    segments: int
    size: int
    entries: int


def would_let_go(reader: Reader, before: datetime, *, rows_before: Mapping[str, datetime]) -> Retained:
    """Count what `let_go` would drop, and change nothing."""
    gone = [segment for name, at in rows_before.items() for segment in _old(reader, name, min(at, before))]
    size = sum(_size(reader, segment.path) for segment in gone)
    return Retained(segments=len(gone), size=size, entries=max(0, reader.leaf_before(before) - 1))


def let_go(store: Store, before: datetime, *, rows_before: Mapping[str, datetime], actor: str, reason: str) -> Retained:
    """Drop bodies of entries from before a time, and of each pipeline the segments that ended before its own."""
    there = {path: _size(store, path) for path in store.manifest()}
    with store.transaction() as tx:
        entries = prune(tx, before, actor=actor, reason=reason, rows_before=rows_before)
    left = store.manifest()
    sweep(store.folder / FOLDER, left)
    store.shrink()
    gone = [size for path, size in there.items() if path not in left]
    return Retained(segments=len(gone), size=sum(gone), entries=entries)


def _old(reader: Reader, pipeline: str, before: datetime) -> tuple[Segment, ...]:
    found = reader.find(Segment, pipeline=pipeline, end_at=Range(None, before))
    newest = reader.find(Segment, pipeline=pipeline, content="predictions", order="-end_at", limit=1)
    return tuple(segment for segment in found if segment not in newest)


def _size(reader: Reader, name: str) -> int:
    path = reader.folder / FOLDER / name
    return path.stat().st_size if path.exists() else 0
