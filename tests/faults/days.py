"""Simulated days of a whole core under a manual clock, with scripted faults drawn from a seed.

The core, its rules, its database, its registry and its executor are those of production; only time, the rows that are
served, the people and the worker are made up. A day has a few moments; at each something may happen, and the core then
does what is due. What must never be is counted from outside: at the alias's moves, at what people said, and at a
clock that nobody sets. A seed replays exactly: `history` is its schedule.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions import InlineWorker
from healerd.actions.worker import Look, Run
from healerd.clock import ManualClock
from healerd.columns import Labels, Predictions, take
from healerd.daemon.clocks import ClockGuard
from healerd.daemon.core import Core
from healerd.errors import ActionError, Conflict, HealerdError, NotAllowed, StaleEpoch, StoreError
from healerd.model import OPEN_STATES, AnswerKind, Intent, IntentState, Stage
from healerd.store import Store
from tests.faults.simulated import Crash, Fuse
from tests.healerd.daemon.loop import NAME, ROLES, Loop, Source

DAY_S = 86400.0
WINDOW_S = 4 * 86400
ROWS = 160
COOLDOWN_S = 1800.0
STARTS = ("2026-03-26", "2026-10-22", "2026-01-01")
"""Two of the three begin before a change to or from summer time in Europe."""

RULES = """
import "base"
metric error_rate: ratio
metric data_quality: text
calendar nights = 22:00..06:00 tz "Europe/Berlin"
signal wrong = (error_rate > 0.3) for 1 windows
  because "one answer in three is wrong"
propose learn: retrain
  when wrong and data_quality == "good"
  priority 50 severity high
  because "the relation has turned"
propose back: rollback
  when wrong
  priority 40 severity high
  because "an earlier version may do"
propose safe: fallback
  when data_quality == "bad"
  priority 60 severity high
  because "the rows cannot be trusted"
forbid by_night: retrain when now in nights
  because "nobody is there to look"
require announce_heavy: retrain
  veto within 10m
require announce_back: rollback, fallback
  veto within 5m
"""


class FaultyStore(Store):
    """The store, with points around each commit, moments at which its disk is full, and answers that come between."""

    fuse: Fuse
    full: Callable[[], bool] = staticmethod(lambda: False)
    between: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        self.between()
        if self.full():
            raise StoreError("the database cannot be used: database or disk is full; free some disk space")
        with super().transaction() as tx:
            yield tx
            self.fuse()
        self.fuse()


class FaultyWorker(InlineWorker):
    """A worker whose jobs may hang until their deadline, crash, or say that they are done and leave nothing."""

    def __init__(self, fault: Callable[[], str], now_s: Callable[[], float], fuse: Fuse) -> None:
        super().__init__()
        self._fault, self._now_s, self._fuse = fault, now_s, fuse
        self._until: dict[str, float] = {}

    def start(self, job) -> None:
        self._fuse()
        match self._fault():
            case "hangs":
                self._until[job.key] = self._now_s() + job.deadline_s
            case "crashes":
                self._notes[job.key] = {"failed": "its process died"}
            case "lies":
                self._notes[job.key] = {"done": True}
            case _:
                super().start(job)
        self._fuse()

    def look(self, key: str) -> Look:
        if key in self._until:
            if self._now_s() < self._until[key]:
                return Look(run=Run.RUNNING)
            return Look(run=Run.FAILED, reason="killed at its deadline")
        return super().look(key)


@dataclass
class Move:
    """One move of the alias as the world saw it: under which key, and when by a clock that nobody sets."""

    key: str
    true_s: float


@dataclass
class Days(Loop):
    """A loop that lives through faults. `live` plays days, `wrongs` says what must not have been."""

    faults: float = 1.0
    true_s: float = 0.0
    history: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    begun: dict[str, float] = field(default_factory=dict)
    vetoed: set[str] = field(default_factory=set)
    wrong: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    heals: int = 0
    full_for: int = 0
    bad_for: int = 0
    turned: bool = False
    late: list[Callable[[], Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = np.random.Generator(np.random.Philox(self.seed))
        self.rules, self.window_s, self.daemon = RULES, WINDOW_S, "unattended = true"
        self.fuse = Fuse()
        start_s = datetime.fromisoformat(STARTS[self.seed % len(STARTS)]).replace(tzinfo=UTC).timestamp()
        self.clock = ManualClock(datetime.fromtimestamp(start_s - start_s % WINDOW_S, UTC))
        self.source = Source()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "flights.heal").write_text(self.rules, encoding="utf-8")
        self.open()
        self.add("first", 1.0)
        self.add("other", -1.0, activate=False)
        self.trust(Stage.LIVE)

    def open(self) -> None:
        self.guard = ClockGuard(self.clock.read())
        self.core = Core.open(
            self.config,
            self.clock,
            sources={NAME: self.source},
            worker=FaultyWorker(self._job_fault, lambda: self.true_s, self.fuse),
            start_at=self.clock.now(),
            open_store=self._open_store,
        )
        self._watch_registry()

    def _open_store(self, folder: Path, **given: Any) -> Store:
        FaultyStore.fuse = self.fuse
        store = FaultyStore.open(folder, **given)
        store.full, store.between = self._is_full, self._meddle
        return store

    def _watch_registry(self) -> None:
        """Put points around moves of the alias, and look from outside whether each was allowed to be."""
        registry = self.core.pipelines[NAME].registry
        true_set = registry.set_alias

        def set_alias(target: str, **given: Any) -> Any:
            self.fuse()
            self._check_allowed(given["key"])
            if self._happens(0.02):
                self.late.append(lambda: true_set(target, **given))
                self.history.append(f"late landing of {given['key'][:8]}")
                raise Crash
            move = self._landing(lambda: true_set(target, **given), given["key"])
            self.fuse()
            return move

        registry.set_alias = set_alias

    def _landing(self, land: Callable[[], Any], key: str) -> Any:
        before = self.core.pipelines[NAME].registry.alias().generation
        move = land()
        if self.core.pipelines[NAME].registry.alias().generation > before:
            self.moves.append(Move(key=key, true_s=self.true_s))
        return move

    def _check_allowed(self, key: str) -> None:
        """No effect without its intent on disk, executing; none under stop-all (S14, S15)."""
        if not key or key.startswith("added "):
            return
        known = [each for each in self.core.store.find(Intent) if each.key == key]
        if [each.state for each in known] != [IntentState.EXECUTING]:
            self._count("undurable", key)
        if (self.folder / "state" / "STOP").exists():
            self._count("under stop-all", key)

    def _count(self, what: str, key: str) -> None:
        self.wrong[what] += 1
        self.history.append(f"WRONG: {what} ({key})")

    # What may happen.

    def _happens(self, probability: float) -> bool:
        return bool(self.fuse.armed and self.draw.random() < probability * self.faults)

    def _is_full(self) -> bool:
        if self.fuse.armed and self.full_for:
            self.full_for -= 1
            return True
        return False

    def _meddle(self) -> None:
        """A person answers from another thread, right before a transaction."""
        if self._happens(0.03):
            self._answer()

    def _job_fault(self) -> str:
        return str(self.draw.choice(["", "", "", "hangs", "crashes", "lies"])) if self.faults else ""

    def _answer(self) -> None:
        waiting = self.core.store.find(Intent, state=OPEN_STATES)
        if not waiting:
            return
        intent = waiting[int(self.draw.integers(len(waiting)))]
        kind = (AnswerKind.VETO, AnswerKind.DENY, AnswerKind.APPROVE, AnswerKind.APPROVE)[int(self.draw.integers(4))]
        armed, self.fuse.armed = self.fuse.armed, False
        with suppress(Conflict, NotAllowed, StoreError):
            self.answer(kind, intent, author=f"ada{len(self.history)}")
            self.history.append(f"{kind} {intent.id} ({intent.state})")
            if kind is not AnswerKind.APPROVE:
                self.vetoed.add(intent.id)
        self.fuse.armed = armed

    def _propose(self) -> None:
        action = ("retrain", "rollback", "fallback")[int(self.draw.integers(3))]
        self.history.append(f"propose {action}")
        self._lived(lambda: self.core.propose(NAME, action, to=None, author="ada", roles=ROLES, reason="as agreed"))

    def _jump(self) -> None:
        by = float(self.draw.choice([3600.0, -3600.0] * 6 + [30 * DAY_S]))
        self.history.append(f"clock set by {by:+.0f} s")
        self.clock.jump(by)

    def _brake(self) -> None:
        said = {"author": "ada", "reason": "as agreed"}
        choice = int(self.draw.choice([0, 1, 2, 2, 3, 3]))
        self.history.append(("pause", "stop-all", "resume", "resume all")[choice])
        calls: tuple[Callable[[], None], ...] = (
            lambda: self.core.pause(NAME, **said),
            lambda: self.core.stop_all(**said),
            lambda: self.core.resume(NAME, **said),
            lambda: self.core.resume("*", **said),
        )
        self._lived(calls[choice])

    def _restart(self) -> None:
        """The daemon is away for a while; the machine may be restarted meanwhile, or its clock set."""
        self.core.close()
        self._pass(float(self.draw.choice([0.0, 5.0, 300.0, 4000.0])))
        if self.draw.random() < 0.3:
            self.clock.reboot(f"boot {len(self.history)}")
        if self.draw.random() < 0.2 * self.faults:
            self._jump()
        for land in self.late if self.draw.random() < 0.5 else ():
            self._land(land)
        self.open()
        for land in self.late:
            self._land(land)
        self.late.clear()
        self.history.append("restarted")

    def _land(self, land: Callable[[], Any]) -> None:
        """A call that was under way when the daemon died reaches the registry now; an old epoch is turned away."""
        with suppress(StaleEpoch, ActionError):
            move = self._landing(land, "")
            if self.moves and self.moves[-1].key == "":
                self.moves[-1].key = move.key

    # Living.

    def live(self, days: int) -> None:
        """Play days; afterwards everything heals up for a while, with no faults."""
        for _ in range(days):
            self._day()
        self.faults, self.full_for, self.bad_for = 0.0, 0, 0
        self._lived(lambda: self.core.resume(NAME, author="ada", reason="as agreed"))
        self._lived(lambda: self.core.resume("*", author="ada", reason="as agreed"))
        for _ in range(6):
            self._day()

    def _day(self) -> None:
        self.history.append(f"day {self.true_s / DAY_S:.2f}")
        for _ in range(3):
            event = self.draw.random()
            if event < 0.10 * self.faults:
                self._jump()
            elif event < 0.22 * self.faults:
                self._restart()
            elif event < 0.45:
                self._answer()
            elif event < 0.65:
                self._propose()
            elif event < 0.75 * self.faults:
                self._brake()
            elif event < 0.80 * self.faults:
                self.full_for = int(self.draw.integers(1, 8))
                self.history.append(f"disk full for {self.full_for} writes")
            for seconds in self._moments():
                self._pass(seconds)
                self._lived(self._due)
        self._serve_to(self.clock.now().timestamp())

    def _moments(self) -> list[float]:
        """A third of a day, looked at often right after something happened."""
        near = [float(self.draw.choice([1.0, 50.0])), 310.0, 650.0, float(self.draw.choice([300.0, 900.0, 1790.0]))]
        return [*near, DAY_S / 3 - sum(near)]

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.true_s += seconds

    def _due(self) -> None:
        jumped_s = self.guard.check(self.clock.read())
        if jumped_s:
            self.core.clock_jumped(jumped_s)
        self._serve_to(self.clock.now().timestamp())
        self.core.channel_opened("ada")
        self.core.run_due()

    def _lived(self, work: Callable[[], Any]) -> None:
        """Let the core do something; it may end at any point, and is then started anew."""
        if self._armed(0.25):
            self.fuse.blow_at = frozenset({self.fuse.points + int(self.draw.integers(1, 25))})
        self.fuse.armed = True
        try:
            work()
        except Crash:
            self.crashes += 1
            self.fuse.armed = False
            self.history.append("crashed")
            self._restart()
        except HealerdError as error:
            self.history.append(str(error)[:80])
        finally:
            self.fuse.armed, self.fuse.blow_at = False, frozenset()
        self._look()

    def _armed(self, probability: float) -> bool:
        return bool(self.draw.random() < probability * self.faults)

    def _look(self) -> None:
        """Note when heals began, by the clock that nobody sets."""
        for intent in self.core.store.find(Intent, parent_id=None, state=tuple(OPEN_STATES)):
            if intent.executed_at is not None and intent.id not in self.begun:
                self.begun[intent.id] = self.true_s
                self.history.append(f"{intent.id} has begun")

    def _serve_to(self, until: float) -> None:
        """Serve the windows that have closed since, by what is active; some rows come late, some twice."""
        window = int(until // WINDOW_S)
        served = getattr(self, "_window", window - 1)
        for number in range(max(served + 1, window - 2), window):
            if self.draw.random() < 0.25:
                self.turned = not self.turned
            if self.faults and self.draw.random() < 0.08:
                self.bad_for = 1
            self._serve_window(number)
        self._window = max(served, window - 1)

    def _serve_window(self, number: int) -> None:
        start = datetime.fromtimestamp(number * WINDOW_S, UTC)
        rows = self._some_rows(start, number)
        known = np.full(ROWS, np.datetime64(start.replace(tzinfo=None), "us") + np.timedelta64(WINDOW_S, "s"))
        self.source.push(rows)
        if self.draw.random() < 0.15:
            self.source.push(take(rows, np.arange(ROWS) < 10))
        labels = Labels(ids=rows.ids, label=self._truth, at=known)
        self.source.push_labels(labels)
        self.source.forget(datetime.fromtimestamp((number - 8) * WINDOW_S, UTC))

    def _some_rows(self, start: datetime, number: int) -> Predictions:
        version = self.active
        x = self.draw.normal(size=ROWS)
        self._truth = ((x > 0) ^ self.turned ^ (self.draw.random(ROWS) < 0.05)).astype(np.float64)
        seen = np.full(ROWS, np.nan) if self.bad_for else x
        self.bad_for = 0
        at = np.datetime64(start.replace(tzinfo=None), "us") + (
            np.arange(ROWS) * (WINDOW_S * 1_000_000 // ROWS)
        ).astype("timedelta64[us]")
        model = self.core.pipelines[NAME].registry.load(version)
        return Predictions(
            ids=np.array([f"{number}-{i}" for i in range(ROWS)], dtype=object),
            at=at,
            version=np.full(ROWS, version, dtype=object),
            output=model.predict({"x": seen, "z": seen}),
            label=np.full(ROWS, np.nan),
            features={"x": seen, "z": self.draw.normal(size=ROWS)},
        )

    # What must not have been.

    def wrongs(self) -> Counter[str]:
        """Look at the whole record, and at what the world saw."""
        wrong = self.wrong.copy()
        intents = {intent.key: intent for intent in self.core.store.find(Intent)}
        by_id = {intent.id: intent for intent in intents.values()}
        keys = Counter(move.key for move in self.moves if not move.key.startswith("added "))
        wrong["doubled"] += sum(count - 1 for count in keys.values())
        wrong["doubled"] += sum(key not in intents for key in keys)
        for key in keys:
            told = intents.get(key)
            if told is not None and told.effect_at is None and told.state is not IntentState.NEEDS_PERSON:
                wrong["lost"] += 1
                self.history.append(f"WRONG: {told.id} is {told.state} ({told.reason}) and moved the alias")
        for intent in intents.values():
            if intent.effect_at is not None and intent.action not in {"retrain"} and intent.key not in keys:
                wrong["lost"] += 1
                self.history.append(f"WRONG: {intent.id} is {intent.state}, and no move is known")
            if intent.state is IntentState.EXECUTING:
                wrong["stuck"] += 1
                self.history.append(f"WRONG: {intent.id} still executes")
            if intent.id in self.vetoed and intent.executed_at is not None:
                wrong["ignored"] += 1
                self.history.append(f"WRONG: {intent.id} was vetoed and ran")
        wrong["cooldown"] += self._breaches(intents, by_id)
        problem = self.core.store.verify().problem
        if problem is not None:
            wrong["unverified"] += 1
            self.history.append(f"WRONG: {problem}")
        self.heals = len(self.begun)
        return +wrong

    def _breaches(self, intents: dict[str, Intent], by_id: dict[str, Intent]) -> int:
        found = 0
        for heal, began_s in self.begun.items():
            for move in self.moves:
                told = intents.get(move.key)
                if told is None or _root(told, by_id) == heal or not began_s - COOLDOWN_S < move.true_s < began_s:
                    continue
                found += 1
                self.history.append(f"WRONG: {heal} began {began_s - move.true_s:.0f} s after {told.id}")
        return found


def _root(intent: Intent, by_id: dict[str, Intent]) -> str:
    while intent.parent_id is not None:
        intent = by_id[intent.parent_id]
    return intent.id


def play(folder: Path, seed: int, days: int) -> Days:
    """Play a seed; the caller closes its core."""
    world = Days(folder, seed=seed)
    world.live(days)
    return world
