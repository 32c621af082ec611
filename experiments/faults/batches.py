"""Play a row in batches, each from a seed of its own, and keep what came of each: a row that was ended goes on.

Must never play a batch again that was kept, nor count one twice. What is kept holds for the program that played it:
remove the folder after a change of the code under test.
"""

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from experiments.faults.sizes import Size
from tests.faults.tally import Tally

__all__ = ["Batch", "draw_of", "play_batches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came of one batch: how often it tried, what was wrong and what that was called, and what else it saw."""

    tries: int
    wrong: Counter[str] = field(default_factory=Counter)
    said: str = ""
    seen: Counter[str] = field(default_factory=Counter)


One = Callable[[int, int], Batch]
"""Plays the batch of a seed and a number; a function of a module, so that another process can be asked."""


def draw_of(seed: int, number: int) -> np.random.Generator:
    """Give a batch chances of its own, which are the same whenever it is played."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number))))


def play_batches(size: Size, tally: Tally, wanted: int, one: One) -> Counter[str]:
    """Play batches until there were so many tries or the time is over; give what they saw. Fills `tally`."""
    kept, seen = _kept(size, tally.fault), Counter[str]()
    for number in count():
        if tally.tries >= wanted or number not in kept:
            break
        _take(tally, seen, kept[number])
    if tally.tries < wanted:
        with _played(size, number, one) as batches:
            for done, batch in batches:
                _keep(size, tally.fault, done, batch)
                _take(tally, seen, batch)
                if tally.tries >= wanted or size.over():
                    break
    tally.held = tally.held and tally.tries >= wanted
    return seen


def _take(tally: Tally, seen: Counter[str], batch: Batch) -> None:
    tally.count(batch.wrong, batch.said, tries=batch.tries)
    seen.update(batch.seen)


@contextmanager
def _played(size: Size, first: int, one: One) -> Iterator[Iterator[tuple[int, Batch]]]:
    """Give batches in order from the first one on: here one after the other, or ahead of time in other processes."""
    if size.workers == 1:
        yield ((number, one(size.seed, number)) for number in count(first))
        return
    pool = ProcessPoolExecutor(size.workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield _ahead(pool, size, first, one)
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(pool: Executor, size: Size, first: int, one: One) -> Iterator[tuple[int, Batch]]:
    numbers = count(first)
    waiting = [(number, pool.submit(one, size.seed, number)) for number in islice(numbers, size.workers)]
    while True:
        number, done = waiting.pop(0)
        batch = done.result()
        fresh = next(numbers)
        waiting.append((fresh, pool.submit(one, size.seed, fresh)))
        yield number, batch


# What is kept.


def _kept(size: Size, fault: str) -> dict[int, Batch]:
    path = _path(size, fault)
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["number"]: _batch(line) for line in lines}


def _batch(line: dict[str, Any]) -> Batch:
    return Batch(tries=line["tries"], wrong=Counter(line["wrong"]), said=line["said"], seen=Counter(line["seen"]))


def _keep(size: Size, fault: str, number: int, batch: Batch) -> None:
    path = _path(size, fault)
    if path is None:
        return
    line = {"number": number, "tries": batch.tries, "wrong": batch.wrong, "said": batch.said, "seen": batch.seen}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _path(size: Size, fault: str) -> Path | None:
    return None if size.keep is None else size.keep / f"{fault.replace(' ', '-')}-{size.seed}.jsonl"
