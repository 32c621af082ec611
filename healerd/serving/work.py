"""A thread that asks one version, so that the event loop never waits for it. Must never hold up another version.

Requests that wait at the same moment are asked about together: one call for many rows is
cheaper than many calls for one. Nothing waits for others to come. A model that raises for a batch is asked again about
each request alone, so that a bad row spoils no other's answer.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np

from healerd.columns import Column
from healerd.errors import ServingError
from healerd.serving.models import Loaded
from healerd.serving.tensors import Array

__all__ = ["HUNG_MAX", "Question", "Worker", "ask_at_once"]

ROWS_MAX = 1024
"""Rows asked about in one call; a request of more is asked alone."""
HUNG_MAX = 4
"""Threads that may hang in a model's code before the gateway asks it no more until one comes back."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What one request asks; the answer goes to `answer` in the loop that asked."""

    columns: Mapping[str, Column]
    rows: int
    chances: bool
    answer: "asyncio.Future[tuple[Array, Array | None]]"


class Worker:
    """Asks one version in a thread of its own. A thread that hangs is left behind, and another takes its place."""

    def __init__(self, loaded: Loaded, loop: asyncio.AbstractEventLoop) -> None:
        self.loaded, self._loop = loaded, loop
        self._queue: SimpleQueue[Question | None] = SimpleQueue()
        self._turn = 0
        self._hung = 0
        self._start()

    @property
    def hangs(self) -> bool:
        """Tell whether as many threads hang as are allowed."""
        return self._hung >= HUNG_MAX

    async def ask(
        self, columns: Mapping[str, Column], *, rows: int, chances: bool, timeout_s: float
    ) -> tuple[Array, Array | None]:
        """Ask for the outputs, and where wanted the probabilities, of n rows.

        Raises TimeoutError when the model hangs or takes too long, ServingError with what it raised itself.
        """
        if self.hangs:
            raise TimeoutError("the model hangs")
        turn = self._turn
        answer = self._loop.create_future()
        self._queue.put(Question(columns=columns, rows=rows, chances=chances, answer=answer))
        watch = self._loop.call_later(timeout_s, _expire, answer)
        try:
            found: tuple[Array, Array | None] = await answer
        except TimeoutError:
            self._leave(turn)
            raise
        finally:
            watch.cancel()
        return found

    def close(self) -> None:
        """Let the thread end after what it is asked."""
        self._queue.put(None)

    def _start(self) -> None:
        name = f"version {self.loaded.version}"
        threading.Thread(target=self._run, args=(self._queue,), name=name, daemon=True).start()

    def _leave(self, turn: int) -> None:
        """Give the thread of that turn up, once, with the questions that wait behind the one that hangs."""
        if turn != self._turn or self.hangs:
            return
        self._turn += 1
        self._hung += 1
        behind, self._queue = self._queue, SimpleQueue()
        _move(behind, self._queue)
        behind.put(None)
        self._start()

    def _run(self, queue: "SimpleQueue[Question | None]") -> None:
        """Take questions until None comes; this is the thread's whole life."""
        held: Question | None = None
        while True:
            first = held if held is not None else queue.get()
            if first is None:
                break
            batch, held, ends = _together(first, queue)
            batch = [each for each in batch if not each.answer.done()]  # nobody waits for these any more
            if batch:
                self._loop.call_soon_threadsafe(_hand_over, batch, _answers(self.loaded, batch))
            if ends:
                break
        if queue is not self._queue:
            self._loop.call_soon_threadsafe(self._come_back)

    def _come_back(self) -> None:
        self._hung -= 1


def ask_at_once(loaded: Loaded, columns: Mapping[str, Column], *, chances: bool) -> tuple[Array, Array | None]:
    """Ask a model that only computes, without its thread. Raises ServingError with what it raised itself."""
    found = _ask(loaded, columns, chances=chances)
    if isinstance(found, ServingError):
        raise found
    return found


def _together(first: Question, queue: "SimpleQueue[Question | None]") -> tuple[list[Question], Question | None, bool]:
    """Take what waits and fits the first question; give what did not fit, and whether the end was called."""
    batch, rows = [first], first.rows
    while rows < ROWS_MAX:
        try:
            following = queue.get_nowait()
        except Empty:
            break
        if following is None:
            return batch, None, True
        if (
            following.chances != first.chances
            or rows + following.rows > ROWS_MAX
            or not _alike(first.columns, following.columns)
        ):
            return batch, following, False
        batch.append(following)
        rows += following.rows
    return batch, None, False


def _alike(one: Mapping[str, Column], other: Mapping[str, Column]) -> bool:
    return one.keys() == other.keys() and all(one[name].dtype == other[name].dtype for name in one)


_Answer = tuple[Array, Array | None] | ServingError


def _answers(loaded: Loaded, batch: Sequence[Question]) -> list[_Answer]:
    if len(batch) == 1:
        return [_ask(loaded, batch[0].columns, chances=batch[0].chances)]
    columns = {name: np.concatenate([each.columns[name] for each in batch]) for name in batch[0].columns}
    found = _ask(loaded, columns, chances=batch[0].chances)
    if isinstance(found, ServingError):
        return [_ask(loaded, each.columns, chances=each.chances) for each in batch]
    outputs, chances = found
    ends = np.cumsum([each.rows for each in batch])
    return [
        (outputs[end - each.rows : end], None if chances is None else chances[end - each.rows : end])
        for each, end in zip(batch, ends, strict=True)
    ]


def _ask(loaded: Loaded, columns: Mapping[str, Column], *, chances: bool) -> _Answer:
    try:
        return loaded.predict(columns), loaded.chances(columns) if chances else None
    except ServingError as error:
        return error
    except (Exception, SystemExit) as error:  # a model's own code may raise anything; its thread must live
        return ServingError(f"version `{loaded.version}` raised {type(error).__name__}: {error}", status=500)


def _hand_over(batch: Sequence[Question], answers: Sequence[_Answer]) -> None:
    for question, answer in zip(batch, answers, strict=True):
        if question.answer.done():
            continue
        if isinstance(answer, ServingError):
            question.answer.set_exception(answer)
        else:
            question.answer.set_result(answer)


def _expire(answer: "asyncio.Future[tuple[Array, Array | None]]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("the model did not answer in time"))


def _move(behind: "SimpleQueue[Question | None]", ahead: "SimpleQueue[Question | None]") -> None:
    while True:
        try:
            ahead.put(behind.get_nowait())
        except Empty:
            return
