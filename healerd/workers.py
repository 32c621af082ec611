"""The one place where work is handed out: to processes of this machine, or to a Dask cluster by its address.

Must never start a cluster, nor leave a process behind, nor let who does the work change what comes of it: results come
in the order of the tasks, whatever dies in between.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from healerd.config import WorkersSettings
from healerd.errors import ConfigError, SourceError

__all__ = ["ALONE", "Crew", "carry_out", "crew_of", "open_workers"]

PATIENCE_S = 10
AHEAD = 2
"""Tasks in the hands of each worker: while one is done, the next is there."""
TRIES = 3
"""Times that a pool is opened anew when its workers die, before their death counts as the tasks' own fault."""

T = TypeVar("T")
R = TypeVar("R")
Open = Callable[[], AbstractContextManager[Executor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who works: how workers are opened (None: this process alone, in turn), and how many of them there are."""

    open: Open | None = None
    size: int = 1


ALONE = Crew()


def crew_of(settings: WorkersSettings) -> Crew:
    """Give the workers that a configuration names; one process and no cluster is this process itself."""
    if settings.scheduler is None and settings.processes == 1:
        return ALONE
    return Crew(open=partial(open_workers, settings), size=settings.processes)


def carry_out(work: Callable[[T], R], tasks: Iterable[T], crew: Crew = ALONE) -> Iterator[R]:
    """Do the work of each task, and give what comes of it in the order of the tasks, whoever dies in between.

    Tasks are taken as workers come free, so that few of them are in memory at a time.
    Raises what the work raises; SourceError when workers die again and again, or none can be had.
    """
    if crew.open is None:
        yield from map(work, tasks)
        return
    rest, begun = iter(tasks), deque[T]()
    for _ in range(TRIES):
        try:
            with crew.open() as executor:
                yield from _in_turn(executor, work, begun, rest, ahead=AHEAD * crew.size)
            return
        except BrokenExecutor:
            continue  # a worker died, and the pool with it: what it had in hand, and the rest, is done by a fresh one
    raise SourceError(f"workers died {TRIES} times over the same {len(begun)} tasks: is there memory for them?")


def _in_turn(
    executor: Executor, work: Callable[[T], R], begun: deque[T], rest: Iterator[T], *, ahead: int
) -> Iterator[R]:
    """Give results in order, with at most so many tasks under way; `begun` holds those whose result was not given."""
    waiting = deque[Future[R]](executor.submit(work, task) for task in begun)
    while True:
        for task in islice(rest, ahead - len(waiting)):
            begun.append(task)
            waiting.append(executor.submit(work, task))
        if not waiting:
            return
        found = waiting.popleft().result()
        begun.popleft()
        yield found


@contextmanager
def open_workers(settings: WorkersSettings) -> Iterator[Executor]:
    """Open an executor until the block ends.

    Raises:
        ConfigError: a scheduler is named, and the extra `dask` is not installed.
        SourceError: the scheduler does not answer.
    """
    if settings.scheduler is None:
        # Spawned, not forked: DuckDB's and numpy's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(settings.processes, mp_context=context) as executor:
            yield executor
        return
    try:
        # Only who has a cluster waits for it. The library ships half of its types.
        make_client: Any = import_module("distributed").Client
    except ImportError as error:
        raise ConfigError("`workers.scheduler` needs the extra: `pip install healerd[dask]`") from error
    try:
        client = make_client(settings.scheduler, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"no scheduler answers at `{settings.scheduler}`: start `dask scheduler`, or mend it"
        ) from error
    with client, client.get_executor(retries=2, pure=False) as executor:
        yield executor
