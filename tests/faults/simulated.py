"""A store in memory and a registry that break off at a chosen point, and heals to break off: for exhaustive crashes.

The executor, the actions and the registry's files are the real ones. `Fuse` numbers every point at which a crash can
matter: before and after each commit, and before and after each effect on the registry.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from healerd.actions import FolderRegistry, InlineWorker
from healerd.actions.model_files import ModelFiles
from healerd.daemon.answers import take_answer
from healerd.errors import Conflict
from healerd.model import AnswerKind, Intent, IntentState, Quality
from tests.healerd.daemon.bench import SETTINGS, Bench, with_healing


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Fuse:
    """Counts points while armed, and ends the process at the chosen ones."""

    blow_at: frozenset[int] = frozenset()
    armed: bool = False
    points: int = 0

    def __call__(self) -> None:
        if self.armed:
            self.points += 1
            if self.points in self.blow_at:
                raise Crash


class MemoryStore:
    """The face of the store, in memory: a transaction is all or nothing, before or after its point."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse, self.epoch = fuse, 1
        self.records: dict[tuple[type, object], object] = {}
        self.notes: list[str] = []
        self.mark: datetime | None = None

    @contextmanager
    def transaction(self) -> Iterator["MemoryStore"]:
        kept, notes = dict(self.records), list(self.notes)
        try:
            yield self
            self.fuse()
        except BaseException:
            self.records, self.notes = kept, notes
            raise
        self.fuse()

    def get(self, record: type, key: object):
        return self.records.get((record, key))

    def find(self, record: type, *, order: str = "seq", limit: int | None = None, **filters: object):
        found = [each for (kind, _), each in self.records.items() if kind is record and _matches(each, filters)]
        if order != "seq":
            found.sort(key=lambda each: getattr(each, order.lstrip("-")), reverse=order.startswith("-"))
        return tuple(found[:limit])

    def put(self, record, **_: object) -> None:
        name = next(name for name in ("intent_id", "id", "name", "at") if hasattr(record, name))
        if type(record).__name__ == "Answer":
            name = "id"
        key = (type(record), getattr(record, name))
        if isinstance(record, Intent) and key in self.records:
            raise Conflict(f"`{record.id}` exists")
        self.records[key] = record

    def replace(self, intent: Intent, *, expect: Intent, **_: object) -> Intent:
        found = self.records[Intent, intent.id]
        if (found.state, found.version) != (expect.state, expect.version):
            raise Conflict(f"`{intent.id}` is `{found.state}` by now")
        self.records[Intent, intent.id] = moved = replace(intent, version=expect.version + 1)
        return moved

    def note(self, kind: str, _body: object, **_: object) -> None:
        self.notes.append(kind)

    def watermark(self, _pipeline: str) -> datetime | None:
        return self.mark

    def set_watermark(self, _pipeline: str, at: datetime) -> None:
        self.mark = at

    def check_epoch(self) -> None:
        """Nobody else writes."""

    def close(self) -> None:
        """Nothing is open."""


class CrashingRegistry(FolderRegistry):
    """The real registry, with points around its effects; `carried_out` counts calls that were not refused."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder, "flights", ModelFiles(allow_pickle=True))
        self.fuse, self.carried_out, self.trained = fuse, Counter[str](), Counter[str]()

    def set_alias(self, target, *, if_current, key, epoch, by, at):
        self.fuse()
        move = super().set_alias(target, if_current=if_current, key=key, epoch=epoch, by=by, at=at)
        self.carried_out[key] += 1
        self.fuse()
        return move

    def add(self, model, draft):
        self.fuse()
        version = super().add(model, draft)
        self.fuse()
        return version


class CrashingWorker(InlineWorker):
    """The inline worker, with points around a training."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    def start(self, job) -> None:
        self.fuse()
        super().start(job)
        self.fuse()


@dataclass
class Run:
    """How a scenario ended: where each intent and the alias stand, and what was carried out how often."""

    states: dict[str, IntentState]
    alias: str
    moves: Counter[str]
    carried_out: Counter[str]
    points: int
    crashes: int
    started: set[str] = field(default_factory=set)


Script = Callable[["Simulation"], Iterator[None]]


class Simulation(Bench):
    """A bench in memory that is started anew whenever the process ends."""

    def __init__(self, folder: Path, blow_at: frozenset[int], **changes) -> None:
        self.fuse = Fuse(blow_at=blow_at)
        store = MemoryStore(self.fuse)
        registry = CrashingRegistry(folder / "registry", self.fuse)
        super().__init__(folder, store=store, registry=registry, worker=CrashingWorker(self.fuse), **changes)
        self.crashes = 0
        self.with_versions()

    def live(self, times: int = 2) -> None:
        """Let the executor step; a crash starts the daemon anew, which steps at once."""
        left = times
        while left:
            self.fuse.armed = True
            try:
                self.executor.step(channel_open=True)
                left -= 1
            except Crash:
                self.crashes += 1
                self.store.epoch += 1
                self.worker = CrashingWorker(self.fuse)
                self.start_anew()
                self.fuse.armed = False
                self.executor.recover(["flights"])
            finally:
                self.fuse.armed = False


def run(folder: Path, script: Script, blow_at: frozenset[int] = frozenset(), **changes) -> Run:
    """Play a script, letting the executor live after each of its steps."""
    bench = Simulation(folder, blow_at, **changes)
    for _ in script(bench):
        bench.live()
    intents = bench.store.find(Intent)
    return Run(
        states={intent.id: intent.state for intent in intents},
        alias=bench.registry.active,
        moves=Counter(move.key for move in bench.registry.alias().moves),
        carried_out=bench.registry.carried_out,
        points=bench.fuse.points,
        crashes=bench.crashes,
        started={intent.id for intent in intents if intent.executed_at is not None},
    )


def rollback_helps(bench: Simulation) -> Iterator[None]:
    bench.close_windows(2, label=1.0)
    bench.propose("rollback")
    yield
    bench.close_windows(2, label=1.0)
    yield


def rollback_harms(bench: Simulation) -> Iterator[None]:
    bench.close_windows(2, label=1.0)
    bench.propose("rollback")
    yield
    bench.close_windows(2, label=0.0)
    yield


def retrain_and_refit(bench: Simulation) -> Iterator[None]:
    bench.registry.set_alias("one", if_current="zero", key="k", epoch=0, by="test", at=bench.clock.now())
    bench.close_windows(6, label=3.0)
    bench.propose("retrain")
    yield
    bench.close_window(label=3.0)
    yield
    bench.close_windows(2, label=3.0)
    yield


def fallback_and_return(bench: Simulation) -> Iterator[None]:
    bench.registry.set_alias("one", if_current="zero", key="k", epoch=0, by="test", at=bench.clock.now())
    bench.close_windows(2, label=0.0)
    bench.quality = Quality.BAD
    bench.propose("fallback")
    yield
    bench.close_windows(2, label=0.0)
    yield
    bench.quality = Quality.GOOD
    for _ in range(3):
        bench.close_window(label=1.0)
        yield
    bench.close_windows(2, label=1.0)
    yield


def vetoed(bench: Simulation) -> Iterator[None]:
    bench.close_windows(2, label=1.0)
    bench.propose("rollback", state=IntentState.ANNOUNCED, veto_within_s=600.0)
    yield
    bench.clock.advance(599)
    yield
    take_answer(bench.store, bench.answer(AnswerKind.VETO))
    yield
    bench.clock.advance(3600)
    yield


SCRIPTS: dict[str, Script] = {
    "rollback helps": rollback_helps,
    "rollback harms": rollback_harms,
    "retrain and refit": retrain_and_refit,
    "fallback and return": fallback_and_return,
    "vetoed": vetoed,
}
WITH_REFIT = with_healing(SETTINGS, refit=True)


def _matches(record, filters: dict[str, object]) -> bool:
    return all(_is(getattr(record, name), wanted) for name, wanted in filters.items())


def _is(value: object, wanted: object) -> bool:
    if isinstance(wanted, set | frozenset | tuple | list):
        return value in wanted
    return value == wanted
