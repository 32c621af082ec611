"""One model in production as the daemon holds it: its settings, and its hands. Must never decide anything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from healerd.actions import Registry, Worker, World, open_registry
from healerd.actions.shadows import Shadows
from healerd.columns import Kind, Predictions
from healerd.config import Config, PipelineSettings
from healerd.daemon.rowcache import RowCache
from healerd.decision.deeds import Told
from healerd.detectors import DetectionSettings
from healerd.detectors.segments import WHOLE_SHARE, share_of
from healerd.errors import ActionError
from healerd.model import Quality, Window
from healerd.profiles import Loss, parse_loss
from healerd.sources import SOURCES, PrometheusSource, Source
from healerd.store import Store

__all__ = ["Pipeline", "closed_windows", "make_pipeline"]

BACKLOG_MAX = 5_000
"""Closed windows that one run of the ticker works off; the rest wait for the next run."""
QUALITIES_MAX = 500
"""Verdicts on windows that a pipeline remembers; older ones are read again when they are asked for."""
ROWS_MAX = 500_000
"""Rows kept in memory, of all pipelines together: some tens of megabytes at twenty features."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipeline:
    """One pipeline: `rows_of` reads its predictions as known at a moment, `qualities` remembers windows by start.

    `kinds` remembers the kinds in which its columns are stored,
    `told` what the decision behind each heal tells, which never changes.
    """

    name: str
    settings: PipelineSettings
    detection: DetectionSettings
    loss: Loss
    registry: Registry
    source: Source
    worker: Worker
    store: Store
    cache: RowCache
    metrics: PrometheusSource | None = None
    shadows: Shadows = field(default_factory=Shadows)
    qualities: dict[datetime, Quality] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)

    @property
    def active(self) -> str | None:
        """The version that serves; None while the registry has none or cannot be read."""
        try:
            return self.registry.alias().version
        except ActionError:
            return None

    def rows(self, start_at: datetime, end_at: datetime, *, as_of: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at), with the labels known at `as_of`, which never goes back."""

        def read(start: datetime, end: datetime) -> Predictions:
            return self.store.rows(self.name, start, end, as_of=as_of)

        return self.cache.rows(start_at, end_at, as_of=as_of, read=read)

    def world(self, now: datetime) -> World:
        """Show the pipeline to an action, as of now."""
        judged_to = self.store.watermark(self.name)
        length = timedelta(seconds=self.settings.window)
        behind = max(0, (now - judged_to) // length) if judged_to else 0
        return World(
            pipeline=self.name,
            settings=self.settings,
            registry=self.registry,
            worker=self.worker,
            now=now,
            quality=self.quality(judged_to + length * (behind - 1)) if judged_to else Quality.UNKNOWN,
            current=behind == 0,
            rows=lambda start, end: self.rows(start, end, as_of=now),
            trusted=lambda start: self.quality(start) is Quality.GOOD,
            shadows=self.shadows,
        )

    def quality(self, window_start_at: datetime) -> Quality:
        """Give the verdict on a judged window's data; unknown for a window that was never judged."""
        if window_start_at not in self.qualities:
            end = window_start_at + timedelta(seconds=self.settings.window)
            told = [m for m in self.store.measurements(self.name, end) if m.name == "data_quality"]
            verdict = {None: Quality.UNKNOWN, True: Quality.BAD, False: Quality.GOOD}
            self.remember(window_start_at, verdict[told[0].alarm] if told else Quality.UNKNOWN)
        return self.qualities[window_start_at]

    def remember(self, window_start_at: datetime, quality: Quality) -> None:
        """Keep the verdict on a window's data, in the place of the oldest one when there are too many."""
        self.qualities[window_start_at] = quality
        if len(self.qualities) > QUALITIES_MAX:
            del self.qualities[next(iter(self.qualities))]


def make_pipeline(
    name: str,
    config: Config,
    *,
    store: Store,
    worker: Worker,
    source: Source | None = None,
) -> Pipeline:
    """Put one pipeline together from its settings. Raises ConfigError, SourceError."""
    settings = config.pipeline[name]
    registry = open_registry(settings, config.state, name)
    active: Callable[[], str] = lambda: registry.alias().version or "unknown"  # noqa: E731
    return Pipeline(
        name=name,
        settings=settings,
        detection=_detection(config, settings),
        loss=parse_loss(settings.loss),
        registry=registry,
        source=source or SOURCES[settings.source.kind](settings.source, config.path("."), active),
        worker=worker,
        store=store,
        cache=RowCache(settings.window, rows_max=ROWS_MAX // len(config.pipeline)),
        metrics=None if settings.operations is None else PrometheusSource(settings.operations, config.path(".")),
    )


def _detection(config: Config, settings: PipelineSettings) -> DetectionSettings:
    """The budget of the whole: all of it, or its share where segments are watched too."""
    own = settings.detection
    whole = DetectionSettings(
        window_s=settings.window,
        false_alarms_per_year=config.daemon.false_alarms_per_year,
        tolerance=own.tolerance,
        drift_tolerance=own.drift_tolerance,
        delta=own.delta,
        label_coverage=own.label_coverage,
    )
    return share_of(whole, WHOLE_SHARE) if settings.segments else whole


def closed_windows(name: str, *, window_s: float, watermark: datetime, now: datetime) -> tuple[Window, ...]:
    """List the windows that have closed since the watermark, oldest first, at most BACKLOG_MAX of them."""
    length = timedelta(seconds=window_s)
    count = min(BACKLOG_MAX, int((now - watermark) / length)) if now > watermark else 0
    starts = (watermark + length * k for k in range(count))
    return tuple(Window(pipeline=name, start_at=start, end_at=start + length) for start in starts)
