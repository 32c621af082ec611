"""Keeps what was served: off the request's path, in bounded memory, durable within one flush interval.

Must never drop a row in silence: what could not be kept is counted, said in the log of the gateway and in the spool.
While the disk works and memory is full a request waits for room; only a disk that refuses loses rows.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from healerd.columns import Column, Labels, Predictions
from healerd.errors import StoreError
from healerd.segments.spool import SpoolWriter
from healerd.serving.tensors import Array

__all__ = ["ROWS_MAX", "Recorder", "Served"]

ROWS_MAX = 100_000
"""Rows that may wait to be written; some tens of megabytes at twenty features."""
MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """One answered request: the ids of its rows and the last number in them, when, by which version, with what.

    `score` is how sure the model was of each row, where that is recorded.
    """

    last_number: int
    ids: Sequence[str]
    at_us: int
    version: str
    output: Array
    columns: Mapping[str, Column]
    score: Array | None = None


class Recorder:
    """Writes one model's rows and labels to its spool, from a thread of its own.

    With `flush_s` 0 a request is answered only when its row is durable; otherwise a kill loses at most the rows of the
    last `flush_s` seconds.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        *,
        flush_s: float,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[str], None],
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.writer, self._flush_s, self._loop, self._report, self._rows_max = writer, flush_s, loop, report, rows_max
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._rows: list[Served] = []
        self._labels: list[Labels] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._held = 0
        self._unsaid = Counter[int]()  # rows lost by the minute, until the spool says so
        self._ends = False
        self.failing = False
        self.recorded, self.lost = 0, 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Count the rows that are not written yet."""
        return self._held

    async def keep(self, served: Served) -> None:
        """Take a row, when there is room; with `flush_s` 0, come back when it is durable. Raises StoreError then."""
        done = self._loop.create_future() if self._flush_s <= 0 else None
        while not self._take(served, done):
            if self.failing:
                self._lose([served])
                if self._flush_s <= 0:
                    raise StoreError(f"`{self.writer.folder}` cannot be written; check the disk's room and the rights")
                return
            await self._room()
        if done is not None:
            self._wake.set()
            await done

    async def keep_labels(self, labels: Labels) -> None:
        """Take labels, and come back when they are durable. Raises StoreError."""
        done = self._loop.create_future()
        with self._lock:  # at once: written between the two, they could fail and nobody would be told
            self._labels.append(labels)
            self._waiting.append(done)
        self._wake.set()
        await done

    def close(self) -> None:
        """Write what waits, and end."""
        self._ends = True
        self._wake.set()
        self._thread.join()
        self.writer.close()
        if self._unsaid:
            self._report(f"{self._unsaid.total()} rows are lost, and the record does not say so")

    def _take(self, served: Served, done: "asyncio.Future[None] | None") -> bool:
        """Take a row, where there is room, together with who waits until it is durable."""
        rows = len(served.ids)
        with self._lock:
            # A request of more rows than may wait is taken when nothing else waits: its body is bounded already.
            if self._held and self._held + rows > self._rows_max:
                return False
            self._rows.append(served)
            if done is not None:
                self._waiting.append(done)
            self._held += rows
            soon = self._held > self._rows_max // 4
        if soon:
            self._wake.set()
        return True

    async def _room(self) -> None:
        """Wait until what waits now is written, or refused."""
        done: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting.append(done)
        self._wake.set()
        try:
            await done
        except StoreError:
            return

    def _lose(self, rows: Sequence[Served]) -> None:
        """Count rows that were answered and are not kept; with `flush_s` 0 such a request gets no answer."""
        if self._flush_s <= 0:
            return
        with self._lock:
            for each in rows:
                self._unsaid[each.at_us // MINUTE_US] += len(each.ids)
                self.lost += len(each.ids)

    def _run(self) -> None:
        """Write what came, flush, and wait for the next turn; this is the thread's whole life."""
        while True:
            self._wake.wait(self._flush_s if self._flush_s > 0 else None)
            self._wake.clear()
            ends = self._ends
            self._write()
            if ends:
                return
            if self.failing:
                time.sleep(0.2)  # a full disk is not asked a thousand times a second

    def _write(self) -> None:
        with self._lock:
            rows, labels, unsaid, waiting = self._rows, self._labels, self._unsaid, self._waiting
            self._rows, self._labels, self._unsaid, self._waiting = [], [], Counter(), []
        problem = self._append(rows, labels, unsaid) if rows or labels or unsaid else None
        if problem is None and self.failing and (rows or labels or unsaid):
            self.failing = False
            self._report("recording again")
        if problem is not None and not self.failing:
            self.failing = True
            self._report(f"recording fails: {problem}")
        with self._lock:
            self._held = sum(len(each.ids) for each in self._rows)
        if waiting:
            self._loop.call_soon_threadsafe(_tell, waiting, problem)

    def _append(self, rows: Sequence[Served], labels: Sequence[Labels], unsaid: Mapping[int, int]) -> StoreError | None:
        groups = _alike(rows)
        try:
            for minute, count in unsaid.items():
                self.writer.add_lost(count, np.array([minute * MINUTE_US]).astype("datetime64[us]"))
            unsaid = {}
            while groups:
                self.writer.add_rows(_joined(groups[0]), last_number=max(each.last_number for each in groups[0]))
                self.recorded += sum(len(each.ids) for each in groups.pop(0))
            for each in labels:
                self.writer.add_labels(each)
            self.writer.flush()
        except StoreError as error:
            with self._lock:
                self._unsaid.update(unsaid)
            self._lose([each for group in groups for each in group])
            return error
        return None


def _alike(rows: Sequence[Served]) -> list[list[Served]]:
    """Put requests of one shape together, in the order in which the shapes came."""
    groups = dict[tuple[object, ...], list[Served]]()
    for each in rows:
        kinds = ((name, column.dtype) for name, column in each.columns.items())
        groups.setdefault((each.output.dtype, each.score is None, *kinds), []).append(each)
    return [*groups.values()]


def _joined(group: Sequence[Served]) -> Predictions:
    output = np.concatenate([each.output for each in group])
    counts = [len(each.ids) for each in group]
    scores = [each.score for each in group if each.score is not None]
    return Predictions(
        ids=np.array([name for each in group for name in each.ids], np.object_),
        at=np.repeat(np.array([each.at_us for each in group], np.int64), counts).astype("datetime64[us]"),
        version=np.repeat(np.array([each.version for each in group], np.object_), counts),
        output=output,
        label=np.full(len(output), None if output.dtype == np.object_ else np.nan, output.dtype),
        features={name: np.concatenate([each.columns[name] for each in group]) for name in group[0].columns},
        score=np.concatenate(scores) if scores else None,
    )


def _tell(waiting: Sequence["asyncio.Future[None]"], problem: StoreError | None) -> None:
    for each in waiting:
        if each.done():
            continue
        if problem is None:
            each.set_result(None)
        else:
            each.set_exception(problem)
