"""A backtest in shares, a group of pipelines each: what a pipeline carries along is its own, so each may walk alone.

Must never let a sum depend on who walked what: what each decision adds comes back, and is added up in the decisions'
own order.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Any

from healerd.client.backtest.evidence import Evidence
from healerd.client.backtest.figures import Counted, counted_of
from healerd.client.backtest.instead import Instead
from healerd.client.backtest.lanes import Lanes
from healerd.client.backtest.ledgers import Books
from healerd.client.backtest.recorded import Brief
from healerd.model import Decision
from healerd.store import Range, Reader, ReadStore, Watermark
from healerd.store.replay import ReplayStore
from healerd.workers import Crew, carry_out

__all__ = ["Period", "open_record", "walk_in_shares"]

SHARES = 4
"""Shares for each worker, so that one with much to do does not keep the others waiting for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Which decisions: of [since, until), of one pipeline, under one rule set; None leaves a side open."""

    since: datetime | None = None
    until: datetime | None = None
    pipeline: str | None = None
    rules_id: str | None = None

    @property
    def filters(self) -> dict[str, object]:
        """The same for the store."""
        found: dict[str, object] = {"pipeline": self.pipeline} if self.pipeline is not None else {}
        bounded = self.since is not None or self.until is not None
        return {**found, "at": Range(self.since, self.until)} if bounded else found

    def holds(self, brief: Brief) -> bool:
        """Tell whether a decision belongs to it."""
        in_time = (self.since is None or brief.at >= self.since) and (self.until is None or brief.at < self.until)
        return in_time and self.pipeline in (None, brief.pipeline) and self.rules_id in (None, brief.rules_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one worker walks: the decisions of some pipelines up to a number; the quiet ones too where they count."""

    place: Path
    instead: Instead
    period: Period
    pipelines: tuple[str, ...]
    last: int
    quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What came of a share: what each decision adds, in order, and each pipeline's books with its first number."""

    counted: tuple[Counted, ...]
    books: tuple[tuple[int, Books], ...]


def open_record(place: Path) -> Reader:
    """Open a state folder, or a database file that was copied out of one. Raises StoreError."""
    if not place.is_file():
        return ReadStore.open(place)
    copied = ReplayStore(place)
    copied.move(copied.last())
    return copied


def walk_in_shares(
    reader: Reader, place: Path, instead: Instead, period: Period, *, last: int, quiet: bool, crew: Crew
) -> tuple[Iterator[Counted], Sequence[Books]] | None:
    """Walk the decisions of every pipeline; None where the pipelines cannot be named, so that one walks them all.

    Raises SourceError when workers die again and again, or none can be had.
    """
    counts = _counts(reader, period)
    if sum(counts.values()) != reader.tally(Decision, **period.filters)[0]:
        return None
    shares = [
        Share(place=place.absolute(), instead=instead, period=period, pipelines=each, last=last, quiet=quiet)
        for each in _groups(counts, SHARES * crew.size)
    ]
    walked = list(carry_out(walk_share, shares, crew))
    books = sorted((each for one in walked for each in one.books), key=lambda found: found[0])
    return merge(*(one.counted for one in walked), key=_seq), [found for _, found in books]


def walk_share(share: Share) -> Walked:
    """Walk one share; a worker's whole task."""
    reader: Any = open_record(share.place)
    with closing(reader):
        lanes, evidence = Lanes(reader, share.instead), Evidence(reader)
        counted: list[Counted] = []
        books: list[tuple[int, Books]] = []
        for pipeline in share.pipelines:
            met = list(_counted(reader, lanes, evidence, share, pipeline))
            if met:
                books.append((met[0].seq, lanes.books[pipeline]))
            counted += met
    return Walked(counted=tuple(sorted(counted, key=_seq)), books=tuple(books))


def _counted(reader: Reader, lanes: Lanes, evidence: Evidence, share: Share, pipeline: str) -> Iterator[Counted]:
    filters = {**share.period.filters, "pipeline": pipeline}
    if not share.quiet:
        filters["incident_id"] = Range("")
    numbers = [seq for seq in reader.numbers(Decision, **filters) if seq <= share.last]
    for met in lanes.walk(reader.bodies(Decision, numbers), share.period.holds):
        yield counted_of(met, evidence)


def _counts(reader: Reader, period: Period) -> Mapping[str, int]:
    """Count the decisions of each pipeline of which a window was ever judged."""
    names = sorted({mark.pipeline for mark in reader.find(Watermark)} if period.pipeline is None else {period.pipeline})
    counts = {name: reader.tally(Decision, **{**period.filters, "pipeline": name})[0] for name in names}
    return {name: count for name, count in counts.items() if count}


def _groups(counts: Mapping[str, int], most: int) -> Sequence[tuple[str, ...]]:
    """Deal pipelines out, those with the most decisions first, each to the group that has the fewest so far."""
    groups: list[list[str]] = [[] for _ in range(min(most, len(counts)))]
    sizes = [0] * len(groups)
    for name in sorted(counts, key=lambda each: (-counts[each], each)):
        place = sizes.index(min(sizes))
        groups[place].append(name)
        sizes[place] += counts[name]
    return [tuple(each) for each in groups]


def _seq(one: Counted) -> int:
    return one.seq
