"""Predictions and labels that the inference gateway recorded. Must never read what is not yet whole."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from healerd.columns import Column, Labels, Predictions, concatenate, is_missing, take
from healerd.config import SourceSettings
from healerd.errors import SourceError, StoreError
from healerd.segments.read import no_rows
from healerd.segments.spool import Block, BlockKind, read_blocks, spool_files, written_at
from healerd.segments.times import naive

__all__ = ["GatewaySource"]

CLOCK_S = 3600.0
"""How far the clock may have been set back between a row's time and the writing of its file."""


class GatewaySource:
    """The folder in which a gateway records one model: `source = { kind = "gateway", path = "..." }`."""

    def __init__(self, settings: SourceSettings, folder: Path, active: Callable[[], str]) -> None:
        if not settings.path:
            raise SourceError(
                "a gateway's record is read from its folder: set `source.path`, such as `state/served/NAME`"
            )
        self._folder = folder / settings.path

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at); see `Source`."""
        start, end = naive(start_at), naive(end_at)
        parts = [block.rows() for block in self._blocks(BlockKind.ROWS, start, end)]
        kept = [take(rows, (rows.at >= start) & (rows.at < end)) for rows in parts]
        return concatenate(kept) if kept else no_rows()

    def labels(self, start_at: datetime, end_at: datetime, now: datetime) -> Labels:
        """Read the labels known at `now` of the predictions of [start_at, end_at); see `Source`."""
        ids = set(self.fetch(start_at, end_at).ids)
        start, known = naive(start_at), naive(now)
        found = [block.labels() for block in self._blocks(BlockKind.LABELS, start, known + np.timedelta64(1, "us"))]
        wanted = [
            (each, np.fromiter((i in ids for i in each.ids), np.bool_, len(each)) & (each.at <= known))
            for each in found
        ]
        if not wanted:
            return Labels(ids=np.empty(0, np.object_), label=np.empty(0), at=np.empty(0, "datetime64[us]"))
        kinds = {each.label.dtype for each, which in wanted if which.any()}
        kept = [(each, which) for each, which in wanted if which.any() or not kinds][: None if kinds else 1]
        if len(kinds) > 1:
            # As in a table: numbers beside text are text. Whoever reads them knows the kind of the outputs.
            kept = [(replace(each, label=_texts(each.label)), which) for each, which in kept]
        return Labels(
            ids=np.concatenate([each.ids[which] for each, which in kept]),
            label=np.concatenate([each.label[which] for each, which in kept]),
            at=np.concatenate([each.at[which] for each, which in kept]),
        )

    def lost(self, start_at: datetime, end_at: datetime) -> int:
        """Count the rows that were served and could not be kept; see `Lossy`."""
        return sum(block.lost() for block in self._blocks(BlockKind.LOST, naive(start_at), naive(end_at)))

    def _blocks(self, kind: BlockKind, start: np.datetime64, end: np.datetime64) -> Iterator[Block]:
        from_us, to_us = (int(each.astype("datetime64[us]").astype(np.int64)) for each in (start, end))
        if not self._folder.exists():
            raise SourceError(
                f"no record at `{self._folder}`; start `healerd serve`, or name its folder in `source.path`"
            )
        try:
            for path in spool_files(self._folder):
                if (written_at(path) + CLOCK_S) * 1e6 >= from_us:
                    yield from read_blocks(path, kind=kind, from_us=from_us, to_us=to_us)
        except StoreError as error:
            raise SourceError(str(error)) from error


def _texts(column: Column) -> Column:
    if column.dtype == np.object_:
        return column
    texts = [None if gone else f"{value:.17g}" for value, gone in zip(column, is_missing(column), strict=True)]
    return np.array(texts, np.object_)
