"""Keeps what was served: off the request's path, in bounded memory, durable within one flush interval.

Must never drop a row in silence: what could not be kept is counted, said in the log of the gateway and in the spool.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from healerd.columns import Column, Labels, Predictions
from healerd.errors import StoreError
from healerd.segments.spool import SpoolWriter
from healerd.serving.tensors import Array

__all__ = ["Recorder", "Served"]

ROWS_MAX = 100_000
"""Rows that may wait to be written; some tens of megabytes at twenty features."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """One answered request: the number and ids of its rows, when, by which version, and with what."""

    number: int
    ids: Sequence[str]
    at_us: int
    version: str
    output: Array
    columns: Mapping[str, Column]


class Recorder:
    """Writes one model's rows and labels to its spool, from a thread of its own.

    With `flush_s` 0 a request is answered only when its row is durable; otherwise a kill loses at most the rows of the
    last `flush_s` seconds.
    """

    def __init__(
        self, writer: SpoolWriter, *, flush_s: float, loop: asyncio.AbstractEventLoop, report: Callable[[str], None]
    ) -> None:
        self._writer, self._flush_s, self._loop, self._report = writer, flush_s, loop, report
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._rows: list[Served] = []
        self._labels: list[Labels] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._held = 0
        self._lost: list[tuple[int, int]] = []
        self._ends = False
        self._failing = False
        self.recorded, self.lost = 0, 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Count the rows that are not written yet."""
        return self._held

    async def keep(self, served: Served) -> None:
        """Take a row; with `flush_s` 0, come back when it is durable. Raises StoreError then."""
        with self._lock:
            if self._held + len(served.ids) > ROWS_MAX:
                self._lose(served)
                return
            self._rows.append(served)
            self._held += len(served.ids)
        await self._durable()

    async def keep_labels(self, labels: Labels) -> None:
        """Take labels, and come back when they are durable. Raises StoreError."""
        with self._lock:
            self._labels.append(labels)
        await self._durable(always=True)

    def close(self) -> None:
        """Write what waits, and end."""
        self._ends = True
        self._wake.set()
        self._thread.join()
        self._writer.close()

    async def _durable(self, *, always: bool = False) -> None:
        if not always and self._flush_s > 0:
            return
        done: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting.append(done)
        self._wake.set()
        await done

    def _lose(self, served: Served) -> None:
        self._lost.append((len(served.ids), served.at_us))
        self.lost += len(served.ids)

    def _run(self) -> None:
        """Write what came, flush, and wait for the next turn; this is the thread's whole life."""
        while True:
            self._wake.wait(self._flush_s if self._flush_s > 0 else None)
            self._wake.clear()
            ends = self._ends
            self._write()
            if ends:
                return
            if self._failing:
                time.sleep(0.2)  # a full disk is not asked a thousand times a second

    def _write(self) -> None:
        with self._lock:
            rows, labels, lost, waiting = self._rows, self._labels, self._lost, self._waiting
            self._rows, self._labels, self._lost, self._waiting = [], [], [], []
        problem = self._append(rows, labels, lost)
        if problem is None and self._failing:
            self._failing = False
            self._report("recording again")
        if problem is not None and not self._failing:
            self._failing = True
            self._report(f"recording fails: {problem}")
        with self._lock:
            self._held = sum(len(each.ids) for each in self._rows)
        if waiting:
            self._loop.call_soon_threadsafe(_tell, waiting, problem)

    def _append(
        self, rows: Sequence[Served], labels: Sequence[Labels], lost: Sequence[tuple[int, int]]
    ) -> StoreError | None:
        if not (rows or labels or lost):
            return None
        try:
            for group in _alike(rows):
                self._writer.add_rows(_joined(group), last_number=max(each.number for each in group))
            for each in labels:
                self._writer.add_labels(each)
            if lost:
                at = np.array([us for _, us in lost]).astype("datetime64[us]")
                self._writer.add_lost(sum(count for count, _ in lost), at)
            self._writer.flush()
        except StoreError as error:
            with self._lock:
                for served in rows:
                    self._lose(served)
            return error
        self.recorded += sum(len(each.ids) for each in rows)
        return None


def _alike(rows: Sequence[Served]) -> list[list[Served]]:
    """Put requests of one shape together, in the order in which the shapes came."""
    groups = dict[tuple[object, ...], list[Served]]()
    for each in rows:
        shape = (each.output.dtype, *((name, column.dtype) for name, column in each.columns.items()))
        groups.setdefault(shape, []).append(each)
    return [*groups.values()]


def _joined(group: Sequence[Served]) -> Predictions:
    output = np.concatenate([each.output for each in group])
    counts = [len(each.ids) for each in group]
    return Predictions(
        ids=np.array([name for each in group for name in each.ids], np.object_),
        at=np.repeat(np.array([each.at_us for each in group], np.int64), counts).astype("datetime64[us]"),
        version=np.repeat(np.array([each.version for each in group], np.object_), counts),
        output=output,
        label=np.full(len(output), None if output.dtype == np.object_ else np.nan, output.dtype),
        features={name: np.concatenate([each.columns[name] for each in group]) for name in group[0].columns},
    )


def _tell(waiting: Sequence["asyncio.Future[None]"], problem: StoreError | None) -> None:
    for each in waiting:
        if each.done():
            continue
        if problem is None:
            each.set_result(None)
        else:
            each.set_exception(problem)
