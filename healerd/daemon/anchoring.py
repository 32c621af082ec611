"""Keep checkpoints outside from time to time, beside the ticks. Must never hold one up: a slow place waits elsewhere.

What became of each place is written down, so that a place that fails for a month is seen before it is needed.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from healerd.audit.notes import read_checkpoint, read_notes
from healerd.config import AuditSettings
from healerd.store import Store
from healerd.store.anchors import Anchored, anchor, places

__all__ = ["ANCHORED", "Anchoring"]

ANCHORED = "anchored"
"""The kind of the leaf that says where a checkpoint was kept."""
log = logging.getLogger("healerd")


class Anchoring:
    """Anchors the newest checkpoint every so often, one at a time, on a thread of its own."""

    def __init__(self, store: Store, settings: AuditSettings) -> None:
        self._store, self._settings = store, settings
        self._active = bool(places(settings))
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="anchor") if self._active else None
        self._running: Future[tuple[Anchored, ...]] | None = None
        self._size, self._since_s = 0, float("-inf")

    def step(self, boot_s: float) -> None:
        """Write down what has ended, and begin anew when it is time; `boot_s` is the time since boot."""
        if self._running is not None and self._running.done():
            self._record(self._running.result())
            self._running = None
        due = boot_s - self._since_s >= self._settings.anchor_every
        if self._pool is None or self._running is not None or not due:
            return
        note = self._store.checkpoint()
        size = _size(note) if note else 0
        if note is not None and size > self._size:
            self._size, self._since_s = size, boot_s
            self._running = self._pool.submit(anchor, note, self._settings)

    def wait(self) -> None:
        """Wait for what is under way, and write it down."""
        if self._running is not None:
            self._record(self._running.result())
            self._running = None

    def close(self) -> None:
        """Wait for what is under way, and let go of the thread."""
        self.wait()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _record(self, done: tuple[Anchored, ...]) -> None:
        for each in done:
            if each.problem:
                log.error("the checkpoint could not be kept in %s: %s", each.where, each.problem)
        with self._store.transaction() as tx:
            kept = [{"where": each.where, "problem": each.problem} for each in done]
            tx.note(ANCHORED, {"leaves": self._size, "kept": kept})


def _size(text: str) -> int:
    (note,) = read_notes(text)
    return read_checkpoint(note).size
