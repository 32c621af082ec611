"""One byte of the database of a daemon that is about to act is another: it must not act on it, and must say so."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from healerd.errors import HealerdError
from healerd.model import IntentState, Stage
from healerd.store.library import DATABASE, sqlite
from healerd.store.tables import TABLES
from tests.healerd.daemon.loop import NAME, ROLES, Loop


class Ready:
    """A state folder in which a heal is ready, so that the next step acts; `try_with` steps on a damaged copy."""

    def __init__(self, folder: Path) -> None:
        self.loop = loop = Loop(folder / "world", daemon="unattended = true")
        loop.play(3)
        loop.core.set_stage(NAME, Stage.LIVE, author="ada", roles=ROLES, reason="it has proved itself")
        loop.add("other", -1.0, activate=False)
        stop = loop.core.config.state / "STOP"
        while not loop.intents():
            loop.serve(turned=True)
            loop.core.run_due()
        (intent,) = loop.intents()
        stop.write_text("not yet")
        with loop.core.store.transaction() as tx:
            tx.replace(replace(intent, state=IntentState.READY), expect=intent)
        loop.core.close()
        stop.unlink()
        self.state, self.kept = loop.core.config.state, folder / "kept"
        shutil.copytree(self.state, self.kept)
        self.good = dump(self.kept / DATABASE)
        self.size = (self.kept / DATABASE).stat().st_size

    def try_with(self, offset: int, mask: int) -> tuple[str, Counter[str]]:
        """Change one byte, start the daemon and let it step; tell how it went, and what was wrong with that."""
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)
        path = self.state / DATABASE
        data = bytearray(path.read_bytes())
        data[offset] ^= mask
        path.write_bytes(data)
        try:
            self.loop.open()
        except HealerdError:
            return "refused", Counter()
        except Exception as error:  # a bug is what is looked for
            return f"bug: {type(error).__name__}", Counter(bug=1)
        with contextlib.closing(self.loop.core) as core:
            problem = core.store.verify().problem
            same = self._same(path)
            before = core.pipelines[NAME].registry.alias().generation, len(core.pipelines[NAME].registry.names())
            with contextlib.suppress(HealerdError):
                core.run_due()
                core.settle()
            now = core.pipelines[NAME].registry.alias().generation, len(core.pipelines[NAME].registry.names())
            return self._judged(problem, same=same, acted=before != now)

    def _same(self, path: Path) -> bool:
        """Tell whether every row says what it said, but for those that a start adds."""
        found = dump(path)
        return all(rows <= found[name] for name, rows in self.good.items())

    def _judged(self, problem: str | None, *, same: bool, acted: bool) -> tuple[str, Counter[str]]:
        if problem is not None:
            return ("acted on bad data", Counter(acted=1)) if acted else ("reported by verify", Counter())
        if same:  # a measurement, which lies under no leaf of its own, may have kept it from acting
            return ("nothing was hit" if acted else "held, on what no leaf describes"), Counter()
        return "not reported", Counter(unreported=1)


def dump(path: Path) -> dict[str, set[Any]]:
    """Read every row that a leaf describes, and every leaf."""
    with contextlib.closing(sqlite.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        names = [table.name for table in TABLES.values()]
        opened.text_factory = bytes
        rows = {name: set(opened.execute(f'SELECT row_key, seq, leaf, body FROM "{name}"')) for name in names}
        return {**rows, "audit_leaf": set(opened.execute("SELECT seq, body, leaf_hash, chain FROM audit_leaf"))}


def spots(size: int, count: int, draw: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Draw offsets, each with the bits that change."""
    for offset in draw.integers(0, size, size=count):
        yield int(offset), int(draw.integers(1, 256))
