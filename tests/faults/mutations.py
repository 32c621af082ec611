"""The suite is tested: each safeguard is taken away in turn, and the faults that it is there for must show.

`FAULTS` are small scripted faults that end well; `MUTATIONS` take a safeguard of the code under test away while the
block lasts, and name the faults that must then show something wrong.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import healerd.actions.alias as alias_module
import healerd.daemon.executor as executor_module
from healerd.actions import FolderRegistry
from healerd.actions.alias import AliasFile
from healerd.actions.model_files import ModelFiles
from healerd.daemon.answers import take_answer
from healerd.daemon.starting import start
from healerd.errors import HealerdError
from healerd.model import AnswerKind, IntentState
from healerd.store import Store, Transaction
from healerd.store.library import connect_to_write
from healerd.store.tables import table_of
from tests.faults.explored import explore
from tests.faults.power import cuts
from tests.faults.simulated import WORLD, CrashingWorker, Fuse
from tests.healerd.daemon.bench import Bench

# Faults.


def crashes(folder: Path) -> Counter[str]:
    """The process ends at every point of running a command."""
    wrong = Counter[str]()
    for _, found in explore(folder, "a command", crashes=1):
        wrong.update(found)
    return wrong


def overtaken(folder: Path) -> Counter[str]:
    """A daemon stops between its promise and its effect, another does the work, and the first goes on."""
    called: Counter[str] = Counter()

    def bench() -> Bench:
        worker = CrashingWorker(Fuse(), called)
        registry = FolderRegistry(folder / "registry", "flights", ModelFiles(allow_pickle=True))
        return Bench(folder, settings=WORLD, worker=worker, registry=registry)

    older = bench().with_versions()
    older.close_windows(2, label=1.0)
    older.propose("call")

    class Stopped(Store):
        """It is stopped when it looks once more whether it leads."""

        def check_epoch(self) -> None:
            self.__class__ = Store
            (folder / "state" / "lock").unlink()
            newer = bench()
            newer.clock, newer.served = older.clock, older.served
            newer.start_anew()
            for _ in range(3):
                newer.step()
            newer.store.close()
            self.check_epoch()

    older.store.__class__ = Stopped
    with suppress(HealerdError):
        older.step()
    older.store.close()
    return Counter(doubled=max(0, max(called.values(), default=0) - 1))


def vetoed_meanwhile(folder: Path) -> Counter[str]:
    """A veto is taken right before the transaction that ends its window."""
    bench = Bench(folder).with_versions()
    bench.close_windows(2, label=1.0)
    bench.propose("rollback", state=IntentState.ANNOUNCED, veto_within_s=600.0)
    bench.step()
    bench.clock.advance(601)
    vetoed: list[Any] = []

    class Meddled(Store):
        """Somebody else's transaction comes right before the first."""

        @contextmanager
        def transaction(self) -> Iterator[Any]:
            self.__class__ = Store
            vetoed.append(take_answer(self, bench.answer(AnswerKind.VETO)))
            with self.transaction() as tx:
                yield tx

    bench.store.__class__ = Meddled
    bench.step()
    bench.step()
    ran = bench.intent().executed_at is not None
    bench.store.close()
    return Counter(ignored=int(bool(vetoed) and ran))


def moved_meanwhile(folder: Path) -> Counter[str]:
    """Somebody else moves the alias between the last look and the effect."""

    class Moved(FolderRegistry):
        """Somebody is faster, once."""

        def set_alias(self, target: str, **given: Any) -> Any:
            if given["by"] == "healerd":
                other = {**given, "key": "theirs", "by": "ann"}
                super().set_alias("two", **other)
            return super().set_alias(target, **given)

    registry = Moved(folder / "registry", "flights", ModelFiles(allow_pickle=True))
    bench = Bench(folder, registry=registry).with_versions()
    bench.add_version("two", 2.0)
    bench.close_windows(2, label=1.0)
    bench.propose("rollback")
    with suppress(HealerdError):
        bench.step()
    bench.store.close()
    return Counter(overwritten=int(registry.active != "two"))


def power(folder: Path) -> Counter[str]:
    """The power fails after every sync of a rollback."""
    return cuts(folder)[1]


FAULTS: dict[str, Callable[[Path], Counter[str]]] = {
    "crashes": crashes,
    "overtaken": overtaken,
    "vetoed meanwhile": vetoed_meanwhile,
    "moved meanwhile": moved_meanwhile,
    "power": power,
}

# What is taken away.


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One safeguard, how it is taken away, and the fault that must show it."""

    taken: str
    away: Callable[[], Any]
    shows: str


@contextmanager
def no_fence() -> Iterator[None]:
    with (
        mock.patch.object(alias_module, "check_fence", return_value=None),
        mock.patch.object(Store, "_check_newest", _follow_the_head),
    ):
        yield


def _follow_the_head(self: Store, connection: Any) -> None:
    """Instead of ending, go on behind the leaves of the other."""
    row = connection.execute("SELECT seq, chain FROM audit_leaf ORDER BY seq DESC LIMIT 1").fetchone()
    self._head = (row[0], row[1]) if row else self._head


def no_observe() -> Any:
    return mock.patch.object(executor_module, "resume", start)


@contextmanager
def no_fsync() -> Iterator[None]:
    def unsynced(path: Path) -> Any:
        connection = connect_to_write(path)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    with mock.patch("healerd.store.journal.connect_to_write", unsynced):
        yield


@contextmanager
def no_fsync_of_the_alias() -> Iterator[None]:
    def written(path: Path, content: Any) -> None:
        with mock.patch.object(os, "fsync", return_value=None):
            true_write(path, content)

    true_write = alias_module.write_json
    with mock.patch.object(alias_module, "write_json", written):
        yield


def no_compare_and_set() -> Any:
    def replaced(self: Transaction, intent: Any, *, expect: Any, kind: str = "intent", actor: str = "daemon") -> Any:
        moved = replace(intent, version=expect.version + 1)
        self._write(table_of(type(intent)), moved, kind=kind, actor=actor)
        return moved

    return mock.patch.object(Transaction, "replace", replaced)


def no_compare_and_set_of_the_alias() -> Any:
    true_move = AliasFile.move

    def moved(self: AliasFile, target: str, **given: Any) -> Any:
        return true_move(self, target, **{**given, "if_current": self.read().version})

    return mock.patch.object(AliasFile, "move", moved)


MUTATIONS = (
    Mutation(taken="the fence", away=no_fence, shows="overtaken"),
    Mutation(taken="observe", away=no_observe, shows="crashes"),
    Mutation(taken="fsync of the database", away=no_fsync, shows="power"),
    Mutation(taken="fsync of the alias", away=no_fsync_of_the_alias, shows="power"),
    Mutation(taken="compare-and-set of intents", away=no_compare_and_set, shows="vetoed meanwhile"),
    Mutation(taken="compare-and-set of the alias", away=no_compare_and_set_of_the_alias, shows="moved meanwhile"),
)
