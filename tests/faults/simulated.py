"""A store in memory and a registry that break off at a chosen point, and heals to break off: for exhaustive crashes.

The executor, the actions and the rules of the alias are the real ones. `Fuse` numbers every point at which a crash can
matter: before and after each commit, and before and after each effect on the registry or outside.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from healerd.action_settings import ActionSettings
from healerd.actions import FolderRegistry, InlineWorker, Model
from healerd.actions.alias import Alias, AliasFile
from healerd.actions.call import CallJob
from healerd.actions.job import work
from healerd.actions.model_files import ModelFiles
from healerd.actions.outside import Desk
from healerd.daemon.answers import take_answer
from healerd.errors import ActionError, Conflict
from healerd.model import AnswerKind, Intent, IntentState, Quality, Version
from tests.healerd.daemon.bench import SETTINGS, Bench, with_healing


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Fuse:
    """Counts points while armed, and ends the process at the chosen ones."""

    blow_at: frozenset[int] = frozenset()
    armed: bool = False
    points: int = 0
    watch: Callable[[], None] = lambda: None

    def __call__(self) -> None:
        if self.armed:
            self.points += 1
            self.watch()
            if self.points in self.blow_at:
                raise Crash


class MemoryStore:
    """The face of the store, in memory: a transaction is all or nothing, before or after its point."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse, self.epoch = fuse, 1
        self.records: dict[tuple[type, object], object] = {}
        self.durable = self.records
        self.mark: datetime | None = None

    @contextmanager
    def transaction(self) -> Iterator["MemoryStore"]:
        self.records = dict(self.durable)
        try:
            yield self
            self.fuse()
        except BaseException:
            self.records = self.durable
            raise
        self.durable = self.records
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

    def note(self, _kind: str, _body: object, **_: object) -> None:
        """Nobody reads what was noted."""

    def watermark(self, _pipeline: str) -> datetime | None:
        return self.mark

    def set_watermark(self, _pipeline: str, at: datetime) -> None:
        self.mark = at

    def check_epoch(self) -> None:
        """Nobody else writes."""

    def close(self) -> None:
        """Nothing is open."""


class MemoryAlias(AliasFile):
    """The alias under its real rules, kept in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = Alias()

    def read(self) -> Alias:
        return self.now

    def _write(self, alias: Alias) -> None:
        self.now = alias


class CrashingRegistry(FolderRegistry):
    """A registry with its versions in memory, and points around its effects; `carried_out` counts those done."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder, "flights", ModelFiles())
        folder.mkdir(parents=True, exist_ok=True)
        self._alias = self.aliased = MemoryAlias(folder)
        self.fuse, self.carried_out = fuse, Counter[str]()
        self.stored: dict[str, tuple[Version, Model]] = {}

    def prepare(self) -> None:
        """Nothing has to be made."""

    def sweep(self) -> None:
        """Nothing is half made."""

    def set_alias(self, target, *, if_current, key, epoch, by, at):
        self.fuse()
        move = super().set_alias(target, if_current=if_current, key=key, epoch=epoch, by=by, at=at)
        self.carried_out[key] += 1
        self.fuse()
        return move

    def add(self, model, draft):
        self.fuse()
        if draft.name not in self.stored:
            self.stored[draft.name] = (self._version(draft, sha256=draft.name), model)
        version, _ = self.stored[draft.name]
        assert version.key == draft.key
        self.fuse()
        return version

    def get(self, name):
        if name not in self.stored:
            raise ActionError(f"no version `{name}`")
        return self.stored[name][0]

    check = get

    def made_by(self, key, name):
        return self.get(name) if name in self.stored else None

    def names(self):
        return tuple(sorted(self.stored))

    def load(self, name):
        return self.stored[self.get(name).name][1]

    def _remove(self, name):
        del self.stored[name]


class FolderWithPoints(FolderRegistry):
    """The registry that is a folder, with points around its effects."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder, "flights", ModelFiles(allow_pickle=True))
        self.fuse, self.carried_out = fuse, Counter[str]()

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


DESK = Desk(folder=Path("/nowhere"), out=lambda _: None, tell=lambda *_: None)
"""Trainings by an entry point leave nothing on a desk."""


class CrashingWorker(InlineWorker):
    """The inline worker, with points around a training; calls of named actions are counted in `called`."""

    def __init__(self, fuse: Fuse, called: Counter[str]) -> None:
        super().__init__()
        self.fuse, self.called = fuse, called

    def start(self, job) -> None:
        self.fuse()
        if isinstance(job, CallJob):
            self._call(job)
        else:
            self._notes[job.key] = work(job, DESK)
        self.fuse()

    def _call(self, job: CallJob) -> None:
        if not job.only_ask:
            self.called[job.key] += 1
        self._notes[job.key] = {"run": "done" if self.called[job.key] else "absent"}


@dataclass
class Run:
    """How a scenario ended: where each intent and the alias stand, and what was carried out how often."""

    states: dict[str, IntentState]
    alias: str
    moves: Counter[str]
    carried_out: Counter[str]
    called: Counter[str]
    points: int
    crashes: int
    started: set[str] = field(default_factory=set)


Script = tuple[Callable[["Simulation"], None], ...]


class Simulation(Bench):
    """A bench in memory, or on a `disk`, that is started anew whenever the process ends."""

    def __init__(
        self, folder: Path, blow_at: frozenset[int] = frozenset(), *, files: bool = False, disk: bool = False, **changes
    ) -> None:
        self.fuse = Fuse(blow_at=blow_at)
        self.called = Counter[str]()
        store = None if disk else MemoryStore(self.fuse)
        kind = FolderWithPoints if files else CrashingRegistry
        registry = kind(folder / "registry", self.fuse)
        worker = CrashingWorker(self.fuse, self.called)
        super().__init__(folder, store=store, registry=registry, worker=worker, **changes)
        self.crashes = 0
        self.step_number, self.left = 0, LIVES
        if not self.registry.names():
            self.with_versions()

    def play(self, script: Script) -> None:
        """Go on with a script from where it stands, letting the executor live after each of its steps."""
        while True:
            self.live()
            if self.step_number == len(script):
                break
            script[self.step_number](self)
            self.step_number, self.left = self.step_number + 1, LIVES

    def live(self) -> None:
        """Let the executor step as often as is left; a crash starts the daemon anew, which steps at once."""
        while self.left:
            self.fuse.armed = True
            try:
                self.step()
                self.left -= 1
            except Crash:
                self.crashes += 1
                self.begin_anew()
            finally:
                self.fuse.armed = False

    def begin_anew(self) -> None:
        """What a start of the daemon does; nothing breaks off meanwhile."""
        self.fuse.armed = False
        self.store.epoch += 1
        self.worker = CrashingWorker(self.fuse, self.called)
        self.start_anew()
        self.executor.recover(["flights"])

    def ended(self) -> Run:
        intents = self.store.find(Intent)
        return Run(
            states={intent.id: intent.state for intent in intents},
            alias=self.registry.active,
            moves=Counter(move.key for move in self.registry.alias().moves),
            carried_out=self.registry.carried_out,
            called=self.called,
            points=self.fuse.points,
            crashes=self.crashes,
            started={intent.id for intent in intents if intent.executed_at is not None},
        )


LIVES = 3
"""How often the executor steps after each step of a script."""


def run(folder: Path, script: Script, blow_at: frozenset[int] = frozenset(), **changes) -> Run:
    """Play a script from its beginning, and end the process at the chosen points."""
    bench = Simulation(folder, blow_at, **changes)
    bench.play(script)
    return bench.ended()


def closing(windows: int, *, label: float) -> Callable[["Simulation"], None]:
    return lambda bench: bench.close_windows(windows, label=label)


def healing(action: str, *, windows: int, label: float, **changes) -> Callable[["Simulation"], None]:
    def step(bench: Simulation) -> None:
        bench.close_windows(windows, label=label)
        bench.propose(action, **changes)

    return step


def serving_one(step: Callable[["Simulation"], None]) -> Callable[["Simulation"], None]:
    def stepped(bench: Simulation) -> None:
        now, epoch = bench.registry.active, bench.store.epoch
        bench.registry.set_alias("one", if_current=now, key="k", epoch=epoch, by="test", at=bench.clock.now())
        step(bench)

    return stepped


def judged(quality: Quality, step: Callable[["Simulation"], None]) -> Callable[["Simulation"], None]:
    def stepped(bench: Simulation) -> None:
        bench.quality = quality
        step(bench)

    return stepped


def bad_then_fallback(bench: Simulation) -> None:
    bench.close_windows(2, label=0.0)
    bench.quality = Quality.BAD
    bench.propose("fallback")


def waiting(seconds: float) -> Callable[["Simulation"], None]:
    return lambda bench: bench.clock.advance(seconds)


def a_veto(bench: Simulation) -> None:
    take_answer(bench.store, bench.answer(AnswerKind.VETO))


def heal(number: int) -> dict[str, str]:
    return {"name": f"h{number}", "incident": f"i{number}"}


ANNOUNCED = {"state": IntentState.ANNOUNCED, "veto_within_s": 600.0}
SCRIPTS: dict[str, Script] = {
    "rollback helps": (healing("rollback", windows=2, label=1.0), closing(2, label=1.0)),
    "rollback harms": (healing("rollback", windows=2, label=1.0), closing(2, label=0.0)),
    "retrain and refit": (
        serving_one(healing("retrain", windows=6, label=3.0)),
        closing(1, label=3.0),
        closing(2, label=3.0),
    ),
    "recalibrate": (healing("recalibrate", windows=5, label=0.37), closing(3, label=0.37)),
    "fallback and return": (
        serving_one(bad_then_fallback),
        closing(2, label=0.0),
        *(judged(Quality.GOOD, closing(1, label=1.0)),) * 3,
        closing(2, label=1.0),
    ),
    "vetoed": (healing("rollback", windows=2, label=1.0, **ANNOUNCED), waiting(599), a_veto, waiting(3600)),
    "a command": (healing("call", windows=2, label=1.0), closing(1, label=1.0)),
    "a blind command": (healing("blind", windows=2, label=1.0, approved_by=("ann",)), closing(1, label=1.0)),
    "a message": (healing("tell", windows=2, label=1.0), closing(1, label=1.0)),
}
STORIES: dict[str, Script] = {
    "a message, a command, harm, a retraining": (
        healing("tell", windows=2, label=1.0),
        healing("call", windows=1, label=1.0, **heal(2)),
        healing("rollback", windows=1, label=1.0, **heal(3)),
        closing(2, label=0.0),
        serving_one(healing("retrain", windows=6, label=3.0, **heal(4))),
        closing(1, label=3.0),
        closing(2, label=3.0),
    ),
    "a retraining, a safe model": (
        serving_one(healing("retrain", windows=6, label=3.0)),
        closing(1, label=3.0),
        closing(2, label=3.0),
        judged(Quality.BAD, healing("fallback", windows=2, label=0.0, **heal(2))),
        closing(2, label=0.0),
        *(judged(Quality.GOOD, closing(1, label=3.0)),) * 3,
        closing(2, label=3.0),
    ),
}
"""Several heals one after another: the long form, where three crashes may lie in three of them."""
V, OVER = IntentState.VERIFIED, IntentState.INCONCLUSIVE
UNDONE, ASKS = IntentState.UNDONE, IntentState.NEEDS_PERSON
EXPECTED: dict[str, tuple[tuple[dict[str, IntentState], str], ...]] = {
    "rollback helps": (({"h1": V}, "one"),),
    "rollback harms": (({"h1": UNDONE, "h1-undo": V}, "zero"),),
    "retrain and refit": (({"h1": V, "h1-promote": V}, "refit"),),
    "recalibrate": (({"h1": V, "h1-promote": V}, "recalibrate"),),
    "fallback and return": (({"h1": V, "h1-return": V}, "one"),),
    "vetoed": (({"h1": IntentState.VETOED}, "zero"),),
    "a command": (({"h1": OVER}, "zero"),),
    "a blind command": (({"h1": OVER}, "zero"), ({"h1": ASKS}, "zero")),
    "a message": (({"h1": OVER}, "zero"),),
    "a message, a command, harm, a retraining": (
        ({"h1": OVER, "h2": OVER, "h3": UNDONE, "h3-undo": V, "h4": V, "h4-promote": V}, "refit"),
    ),
    "a retraining, a safe model": (({"h1": V, "h1-promote": V, "h2": V, "h2-return": V}, "refit"),),
}
"""How each script may end, whatever breaks off: a command that nobody can observe may end with a question instead."""
OWN = {
    "call": ActionSettings(kind="run", command=["true"], observe=["true"]),
    "blind": ActionSettings(kind="run", command=["true"]),
    "tell": ActionSettings(kind="notify", message="look"),
    "recalibrate": ActionSettings(method="offset"),
}
WORLD = msgspec.structs.replace(with_healing(SETTINGS, refit=True), actions={**SETTINGS.actions, **OWN})


def wrongs(found: Run, name: str) -> Counter[str]:
    """Count what must not be, of one end of a script: effects doubled, heals lost, vetoes ignored."""
    doubled = sum(count - 1 for count in found.moves.values())
    doubled += sum(count - 1 for count in found.carried_out.values())
    if not name.startswith("a message"):  # a message is sent once more rather than not at all
        doubled += sum(max(0, count - 1) for count in found.called.values())
    doubled += max(0, found.called["h2-" + "0" * 60] - 1)
    ends = [(states, alias) for states, alias in EXPECTED[name] if found.alias.startswith(alias)]
    lost = found.states not in [states for states, _ in ends]
    ignored = name == "vetoed" and found.started != set()
    return Counter(doubled=doubled, lost=int(lost), ignored=int(ignored))


def _matches(record, filters: dict[str, object]) -> bool:
    return all(_is(getattr(record, name), wanted) for name, wanted in filters.items())


def _is(value: object, wanted: object) -> bool:
    if isinstance(wanted, set | frozenset | tuple | list):
        return value in wanted
    return value == wanted
