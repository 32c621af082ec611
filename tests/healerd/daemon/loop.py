"""A whole core over a made stream in memory: windows of an hour, truth that can turn, labels at each window's end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.columns import Column, Labels, Predictions
from healerd.config import Config, parse_config
from healerd.daemon.core import Core
from healerd.errors import SourceError
from healerd.model import AnswerKind, Decision, Intent, IntentState, Stage
from healerd.sources import MemorySource

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_S = 3600
ROWS = 240
ROLES = ("viewer", "operator", "approver", "admin", "viewers", "operators", "approvers", "admins")
NAME = "flights"

RULES = """
import "base"
metric error_rate: ratio
metric data_quality: text
signal wrong = (error_rate > 0.3) for 2 windows
  because "one answer in three is wrong"
propose learn: retrain
  when wrong and data_quality == "good"
  priority 50 severity high
  because "the relation has turned"
require announce_heavy: retrain
  veto within 10m
"""

CONFIG = """
[daemon]
state = "state"
{daemon}

[pipeline.flights]
window = {window}
label_horizon = {horizon}
rules = ["flights.heal"]
degraded_cost = 1.0
trusted = ["tests.healerd.daemon.loop.Sign"]

[pipeline.flights.source]
kind = "{kind}"
late = {late}

[pipeline.flights.healing]
train_windows = 1
judge_windows = 1
choose_windows = 2
choose_rows = 20
verify_windows = 2
rows_min = 100
refit = false

[pipeline.flights.detection]
clean_windows = 3

[pipeline.flights.actions.retrain]
entry = "tests.healerd.daemon.loop:fit"
cost = 0.1
failure = 0.1

[pipeline.flights.actions.rollback]
cost = 0.02
failure = 0.1

[pipeline.flights.actions.fallback]
cost = 0.05
failure = 0.4
"""


@dataclass
class Sign:
    """A model that says 1 where `x` has the sign it learned."""

    sign: float

    def predict(self, features: Mapping[str, Column]) -> Column:
        return (features["x"] * self.sign > 0).astype(np.float64)


def fit(features: Mapping[str, Column], label: Column) -> Sign:
    """Learn which sign goes with 1."""
    return Sign(1.0 if np.corrcoef(features["x"], label)[0, 1] > 0 else -1.0)


class Source(MemorySource):
    """A source that can be down."""

    down = False

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        if self.down:
            raise SourceError("`rows.csv` cannot be read: mend it")
        return super().fetch(start_at, end_at)


@dataclass
class Loop:
    """`play` serves a window by the active version, lets its hour pass, and lets the core do what is due."""

    folder: Path
    rules: str = RULES
    daemon: str = ""
    more: str = ""
    window_s: int = HOUR_S
    horizon_s: int = 0
    table: bool = False
    late_s: int = 0
    seed: int = 1
    clock: ManualClock = field(init=False)
    source: Source = field(init=False)
    core: Core = field(init=False)
    told: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        aligned = START - timedelta(seconds=START.timestamp() % self.window_s)
        self.clock, self.source = ManualClock(aligned), Source()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "flights.heal").write_text(self.rules, encoding="utf-8")
        self._number = 0
        self.open()
        self.add("first", 1.0)

    @property
    def config_text(self) -> str:
        kind = "table" if self.table else "memory"
        text = CONFIG.format(
            daemon=self.daemon, window=self.window_s, horizon=self.horizon_s, kind=kind, late=self.late_s
        )
        return text + self.more

    @property
    def config(self) -> Config:
        return parse_config(self.config_text, path=self.folder / "healerd.toml")

    def open(self) -> None:
        self.core = Core.open(
            self.config, self.clock, sources={NAME: self.source}, worker=InlineWorker(), start_at=self.clock.now()
        )

    def reopen(self, boot: str = "again") -> None:
        """Stop the daemon and start it anew on the same folder."""
        self.core.close()
        self.clock.reboot(boot)
        self.open()

    def open_without_pipelines(self) -> None:
        """Start the daemon anew with a configuration that has lost its pipeline."""
        self.core.close()
        config = parse_config("[daemon]\nstate = 'state'\n", path=self.folder / "healerd.toml")
        self.core = Core.open(config, self.clock, worker=InlineWorker())

    def add(self, name: str, sign: float, *, activate: bool = True) -> None:
        """Store a version that people made, with what it is held against."""
        rows = self._rows(START - timedelta(days=4), 40 * ROWS, seed=0, turned=False, version=name, sign=sign)
        self.core.add_version(
            NAME,
            Sign(sign),
            name=name,
            rows=rows,
            held_out=rows,
            trained_from_at=START - timedelta(days=9),
            trained_to_at=START - timedelta(days=4),
            activate=activate,
        )

    @property
    def window_end(self) -> datetime:
        """The end of the window that is open."""
        now = self.clock.now()
        return now + timedelta(seconds=self.window_s - now.timestamp() % self.window_s)

    @property
    def active(self) -> str:
        return self.core.pipelines[NAME].registry.active

    def load(self, version: str) -> object:
        return self.core.pipelines[NAME].registry.load(version)

    def serve(
        self,
        *,
        turned: bool = False,
        broken: bool = False,
        labelled: bool = True,
        rows: int = ROWS,
        moved: float = 0.0,
    ) -> None:
        """Serve one window by the active version; its labels are known at its end. `moved` shifts the input."""
        self._number += 1
        version = self.active
        model = self.load(version)
        served = self._rows(
            self.clock.now(),
            rows,
            seed=self._number,
            turned=turned,
            version=version,
            broken=broken,
            model=model,
            moved=moved,
        )
        end = self.window_end
        self.source.push(
            Predictions(
                ids=served.ids,
                at=served.at,
                version=served.version,
                output=served.output,
                label=np.full(rows, np.nan),
                features=served.features,
                score=served.score,
            )
        )
        if labelled:
            known = np.full(rows, np.datetime64(end.replace(tzinfo=None), "us"))
            self.source.push_labels(Labels(ids=served.ids, label=served.label, at=known))
        self.clock.advance_to(end)

    def play(self, windows: int = 1, *, look: bool = True, **serving: float) -> None:
        for _ in range(windows):
            self.serve(**serving)
            self.run(look=look)

    def run(self, *, look: bool = True) -> None:
        if look:
            self.core.channel_opened("ada")
        self.told += self.core.run_due()
        self.told += self.core.settle()

    def intents(self, **filters: object) -> tuple[Intent, ...]:
        return self.core.store.find(Intent, **filters)

    def intent(self, action: str) -> Intent:
        return self.intents(action=action)[-1]

    def decision(self) -> Decision:
        return self.core.store.find(Decision, order="-seq", limit=1)[0]

    def answer(self, kind: AnswerKind, intent: Intent, author: str = "ada") -> Intent:
        return self.core.answer(
            intent.id, kind, author=author, roles=ROLES, reason="as agreed", revision=intent.revision
        )

    def approve(self) -> int:
        """Approve what waits; tell how much it was."""
        waiting = self.intents(state=IntentState.AWAITING_APPROVAL)
        for intent in waiting:
            self.answer(AnswerKind.APPROVE, intent)
        return len(waiting)

    def wait(self, minutes: float = 11) -> None:
        """Let time pass that people have for a veto."""
        self.clock.advance(minutes * 60)
        self.run()

    def trust(self, stage: Stage = Stage.LIVE) -> None:
        self.core.set_stage(NAME, stage, author="ada", roles=ROLES, reason="it has proved itself")

    def _rows(
        self,
        start: datetime,
        count: int,
        *,
        seed: int,
        turned: bool,
        version: str,
        sign: float = 1.0,
        broken: bool = False,
        model: object | None = None,
        moved: float = 0.0,
    ) -> Predictions:
        rng = np.random.Generator(np.random.PCG64([self.seed, seed]))
        x = rng.normal(size=count) + moved
        label = ((x > 0) ^ turned ^ (rng.random(count) < 0.05)).astype(np.float64)
        seen = np.where(broken, np.nan, x)
        spread_s = (self.window_end - start).total_seconds() if model is not None else 40 * HOUR_S
        at = np.datetime64(start.replace(tzinfo=None), "us") + (
            np.arange(count) * int(spread_s * 1_000_000 / max(count, 1))
        ).astype("timedelta64[us]")
        return Predictions(
            ids=np.array([f"{seed}-{i}" for i in range(count)], dtype=object),
            at=at,
            version=np.full(count, version, dtype=object),
            output=(model or Sign(sign)).predict({"x": seen}),  # type: ignore[attr-defined]
            label=label,
            features={"x": seen, "z": rng.normal(size=count)},
        )
