"""One pipeline with real store, registry and models under a manual clock, and guards that say what a test wants."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from healerd.actions import Draft, FolderRegistry, InlineWorker, Plan, Registry, Worker, World, heals_of
from healerd.actions.job import Score
from healerd.actions.model_files import ModelFiles
from healerd.actions.safe_model import fit_safe_model
from healerd.clock import ManualClock
from healerd.columns import Predictions, take
from healerd.config import (
    ActionSettings,
    DetectionSettings,
    Duration,
    HealingSettings,
    PipelineSettings,
    SourceSettings,
)
from healerd.daemon.executor import Executor
from healerd.daemon.reach import Reach
from healerd.daemon.rulings import Go, Ruling
from healerd.model import Answer, AnswerKind, Incident, Intent, IntentState, Layer, Quality, VersionKind
from healerd.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 60

SETTINGS = PipelineSettings(
    source=SourceSettings(),
    window=Duration(3600),
    label_horizon=Duration(3600),
    actions={"retrain": ActionSettings(entry="healerd.actions.safe_model:fit_safe_model", deadline=Duration(60))},
    detection=DetectionSettings(clean_windows=3),
    healing=HealingSettings(
        level=0.9,
        gain_min=0.02,
        sure=0.8,
        train_windows=4,
        judge_windows=2,
        choose_windows=2,
        choose_rows=20,
        rows_min=40,
        verify_windows=2,
        versions_kept=8,
        refit=False,
    ),
)


def with_healing(settings: PipelineSettings, **healing) -> PipelineSettings:
    """The settings with another `healing`."""
    return msgspec.structs.replace(settings, healing=msgspec.structs.replace(settings.healing, **healing))


@dataclass
class SaidGuards:
    """Guards that say what they are told to; `asked` counts what they were asked."""

    recheck_says: Callable[[Intent], Ruling] = lambda _: Ruling(go=Go.RUN)
    step_says: Callable[[Plan, float | None], Ruling] = lambda _plan, _confidence: Ruling(go=Go.RUN)
    asked: list[str] = field(default_factory=list)

    def recheck(self, intent, _reader, _now):
        self.asked.append(intent.action)
        return self.recheck_says(intent)

    def judge_step(self, _heal, plan, confidence, _reader, _now):
        self.asked.append(plan.action)
        return self.step_says(plan, confidence)


class Mute(InlineWorker):
    """A worker whose process for one version is always late, or killed for the memory of the others; or it `raised`."""

    def __init__(self, name: str, *, raised: bool = False) -> None:
        super().__init__()
        self._name, self._raised = name, raised

    def score(self, registry, names, features):
        scored = super().score(registry, names, features)
        error = "unseen category" if self._raised else "no answer before its deadline"
        mute = {self._name: Score(name=self._name, output=None, error=error, raised=self._raised)}
        return {**scored, **mute} if self._name in scored else scored


class Bench:
    """`close_window(label)` serves a window whose truth is `label` and lets its time pass; `step` moves intents."""

    def __init__(
        self,
        folder: Path,
        *,
        worker: Worker | None = None,
        settings: PipelineSettings = SETTINGS,
        store: Store | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.clock = ManualClock(START)
        self.store = store or Store.open(folder / "state", clock=self.clock)
        self.registry = registry or FolderRegistry(folder / "registry", "flights", ModelFiles(allow_pickle=True))
        self.worker = worker or InlineWorker()
        self.guards = SaidGuards()
        self.quality = Quality.GOOD
        self.current = True
        self.bad: set[datetime] = set()
        self.served: list[Predictions] = []
        self.labels_after = timedelta()
        self.start_anew()

    def start_anew(self) -> None:
        """A new executor, as after a start of the daemon."""
        self.reach = Reach(store=self.store, guards=self.guards, worlds=self.world, stop_file=self.folder / "STOP")
        self.executor = Executor(self.reach, self.clock, gap_max_s=7200.0)

    def reopen(self) -> None:
        """Close the store and start the daemon again on the same folder."""
        self.store.close()
        self.store = Store.open(self.folder / "state", clock=self.clock)
        self.start_anew()

    def add_version(self, name: str, value: float) -> None:
        draft = Draft(name=name, kind=VersionKind.MODEL, created_at=START)
        self.registry.add(fit_safe_model({}, np.array([value])), draft)

    def with_versions(self) -> "Bench":
        """`zero` (always says 0) serves, `one` (always says 1) is stored."""
        for name, value in (("zero", 0.0), ("one", 1.0)):
            self.add_version(name, value)
        self.registry.set_alias("zero", if_current=None, key="first", epoch=0, by="test", at=START)
        return self

    def world(self, pipeline: str, now: datetime) -> World:
        return World(
            pipeline=pipeline,
            settings=self.settings,
            registry=self.registry,
            worker=self.worker,
            now=now,
            quality=self.quality,
            current=self.current,
            rows=self.rows,
            trusted=lambda start: start not in self.bad,
        )

    def rows(self, start: datetime, end: datetime) -> Predictions:
        everything = joined(self.served) if self.served else nothing()
        known = everything.at + np.timedelta64(self.labels_after) <= stamp(self.clock.now())
        late = replace(everything, label=np.where(known, everything.label, np.nan))
        return take(late, (late.at >= stamp(start)) & (late.at < stamp(end)))

    def close_window(self, label: float = 0.0, *, noise: float = 0.0) -> None:
        """Serve one window by the active model, with its truth, let an hour pass, and mark it as judged."""
        self.serve(self.registry.active, label, noise=noise)
        with self.store.transaction() as tx:
            tx.set_watermark("flights", self.clock.now())

    def serve(self, version: str, label: float, says: float | None = None, *, noise: float = 0.0) -> None:
        """Serve one window by a version, or as one that says one thing, and let an hour pass."""
        start = self.clock.now()
        number = len(self.served)
        x = np.arange(ROWS, dtype=np.float64)
        wrong = np.arange(ROWS) < noise * ROWS
        self.served.append(
            Predictions(
                ids=np.array([f"{number}-{i}" for i in range(ROWS)], dtype=object),
                at=stamp(start) + (np.arange(ROWS) * 50_000_000).astype("timedelta64[us]"),
                version=np.full(ROWS, version, dtype=object),
                output=self.registry.load(version).predict({"x": x}) if says is None else np.full(ROWS, says),
                label=np.where(wrong, 1.0 - label, label),
                features={"x": x},
            )
        )
        self.clock.advance(3600)

    def close_windows(self, count: int, label: float = 0.0, *, noise: float = 0.0) -> None:
        for _ in range(count):
            self.close_window(label, noise=noise)

    def incident(self, *, kind: Layer = Layer.HARM, severity: int = 2, name: str = "i1") -> Incident:
        incident = Incident(
            id=name,
            pipeline="flights",
            opened_at=self.clock.now(),
            kind=kind,
            severity=severity,
            reason="the error rose",
            opened_by="alarm",
        )
        with self.store.transaction() as tx:
            tx.put(incident)
        return incident

    def close_incident(self, name: str = "i1") -> None:
        incident = self.store.get(Incident, name)
        with self.store.transaction() as tx:
            tx.put(replace(incident, closed_at=self.clock.now(), closed_by="daemon"))

    def propose(self, action: str, *, name: str = "h1", incident: str = "i1", **changes) -> Intent:
        """Put an intent for a heal, planned by the action itself; ready unless said otherwise."""
        if self.store.get(Incident, incident) is None:
            self.incident(name=incident)
        plan = heals_of(self.settings)[action].plan(self.world("flights", self.clock.now()))
        assert isinstance(plan, Plan), plan
        intent = Intent(
            id=name,
            key=f"{name}-" + "0" * 60,
            pipeline="flights",
            incident_id=incident,
            decision_id="d1",
            action=action,
            target=plan.target,
            current=plan.current,
            args=plan.args,
            state=IntentState.READY,
            confidence=0.9,
            severity=2,
            created_at=self.clock.now(),
            default="runs",
        )
        intent = replace(intent, **changes)
        with self.store.transaction() as tx:
            tx.put(intent)
        return intent

    def step(self, *, channel_open: bool = True) -> None:
        self.executor.step(channel_open=channel_open)

    def intent(self, name: str = "h1") -> Intent:
        found = self.store.get(Intent, name)
        assert found is not None
        return found

    def answer(self, kind: AnswerKind, *, on: str = "h1", roles=("approver",), revision: int | None = None) -> Answer:
        number = len(self.store.find(Answer)) + 1
        return Answer(
            id=f"a{number}",
            intent_id=on,
            pipeline="flights",
            kind=kind,
            author="ann",
            roles=tuple(roles),
            reason="because",
            revision=self.intent(on).revision if revision is None else revision,
            at=self.clock.now(),
        )


def joined(parts: list[Predictions]) -> Predictions:
    return Predictions(
        ids=np.concatenate([part.ids for part in parts]),
        at=np.concatenate([part.at for part in parts]),
        version=np.concatenate([part.version for part in parts]),
        output=np.concatenate([part.output for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        features={"x": np.concatenate([part.features["x"] for part in parts])},
    )


def nothing() -> Predictions:
    none = np.empty(0, dtype=object)
    return Predictions(
        ids=none,
        at=np.empty(0, "datetime64[us]"),
        version=none,
        output=np.empty(0),
        label=np.empty(0),
        features={"x": np.empty(0)},
    )


def stamp(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
