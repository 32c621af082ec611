"""One model in production as the daemon holds it: its settings, and its hands. Must never decide anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from healerd.actions import Registry, Worker, World, open_registry
from healerd.actions.alias import Alias
from healerd.actions.away import AwayRegistry
from healerd.actions.shadows import Shadows
from healerd.columns import Kind, Predictions
from healerd.config import Config, PipelineSettings
from healerd.daemon.recent import RecentIds
from healerd.daemon.rowcache import RowCache
from healerd.decision.deeds import Told
from healerd.detectors import DetectionSettings
from healerd.detectors.segments import VERDICT, WHOLE_SHARE, share_of
from healerd.errors import ActionError, RegistryAway
from healerd.model import Quality, Version, Window
from healerd.profiles import Loss, parse_loss
from healerd.sources import SOURCES, PrometheusSource, Source
from healerd.store import SavedProfile, Store

__all__ = ["Pipeline", "Sight", "closed_windows", "make_pipelines"]

BACKLOG_MAX = 5_000
"""Closed windows that one run of the ticker works off; the rest wait for the next run."""
QUALITIES_MAX = 500
"""Verdicts on windows that a pipeline remembers; older ones are read again when they are asked for."""
ROWS_MAX = 500_000
"""Rows kept in memory, of all pipelines together: some tens of megabytes at twenty features."""


@dataclass(slots=True, kw_only=True, eq=False)
class Sight:
    """What is known of a registry: where the alias stood when it last answered, None before that, and what it held.

    `away` says why it does not answer now, empty while it does; `begun` tells whether it has since the daemon started.
    """

    alias: Alias | None = None
    names: tuple[str, ...] = ()
    away: str = ""
    begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipeline:
    """One pipeline: `rows_of` reads its predictions as known at a moment, `qualities` remembers windows by start.

    `listed` is its registry, `sight` what is known of that. `kinds` remembers the kinds in which its columns are
    stored, `told` what the decision behind each heal tells, which never changes. A window closes `settle` after its
    end.
    """

    name: str
    settings: PipelineSettings
    detection: DetectionSettings
    loss: Loss
    listed: Registry
    source: Source
    worker: Worker
    store: Store
    cache: RowCache
    recent: RecentIds
    settle: timedelta = timedelta()
    metrics: PrometheusSource | None = None
    alerts_expire: timedelta | None = None
    shadows: Shadows = field(default_factory=Shadows)
    qualities: dict[datetime, Quality] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    sight: Sight = field(default_factory=Sight)

    @property
    def registry(self) -> Registry:
        """The registry; while it is away, one that says so at once."""
        return AwayRegistry(self.name, self.listed.place, self.sight.away) if self.sight.away else self.listed

    @property
    def active(self) -> str | None:
        """The version that serves; None while the registry has none or cannot be read.

        While it is away, the one that it named last: what serves goes on with what it has loaded.
        """
        try:
            return self.registry.alias().version
        except RegistryAway:
            return self.sight.alias.version if self.sight.alias else None
        except ActionError:
            return None

    def stored(self) -> tuple[str, ...]:
        """Name the stored versions; while the registry is away, those that are known of."""
        if not self.sight.away:
            self.sight.names = self.registry.names()
            return self.sight.names
        recorded = (version.name for version in self.store.find(Version, pipeline=self.name))
        return tuple(dict.fromkeys((*self.sight.names, *recorded)))

    def version(self, name: str) -> Version | None:
        """Read what is said of a version, from the record where the registry is away; None where it cannot be read."""
        try:
            return self.registry.get(name)
        except RegistryAway:
            return self.store.get(Version, (self.name, name))
        except ActionError:
            return None

    def rows(self, start_at: datetime, end_at: datetime, *, as_of: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at), with the labels known at `as_of`."""

        def read(start: datetime, end: datetime) -> Predictions:
            return self.store.rows(self.name, start, end, as_of=as_of)

        return self.cache.rows(start_at, end_at, as_of=as_of, read=read)

    def world(self, now: datetime) -> World:
        """Show the pipeline to an action, as of now."""
        judged_to = self.store.watermark(self.name)
        length = timedelta(seconds=self.settings.window)
        behind = (now - judged_to) // length if judged_to else 0
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
            bad = next((m.alarm for m in self.store.measurements(self.name, end) if m.name == VERDICT), None)
            good = bad is False and self._profiled(window_start_at, end)
            self.remember(window_start_at, Quality.BAD if bad else Quality.GOOD if good else Quality.UNKNOWN)
        return self.qualities[window_start_at]

    def _profiled(self, start_at: datetime, end_at: datetime) -> bool:
        """Tell whether this very window was judged, not one of another length with its end (SAFETY S13)."""
        kept = self.store.find(SavedProfile, pipeline=self.name, window_end_at=end_at)
        return any(each.window_start_at == start_at for each in kept)

    def remember(self, window_start_at: datetime, quality: Quality) -> None:
        """Keep the verdict on a window's data, in the place of the oldest one when there are too many."""
        self.qualities[window_start_at] = quality
        if len(self.qualities) > QUALITIES_MAX:
            del self.qualities[next(iter(self.qualities))]


def make_pipelines(
    config: Config,
    *,
    store: Store,
    worker: Worker,
    sources: Mapping[str, Source],
    registries: Mapping[str, Registry],
) -> Mapping[str, Pipeline]:
    """Put the pipelines together from their settings; `sources` and `registries` take the place of configured ones.

    Raises ConfigError, SourceError.
    """
    return {
        name: _make(name, config, store=store, worker=worker, source=sources.get(name), listed=registries.get(name))
        for name in config.pipeline
    }


def _make(
    name: str,
    config: Config,
    *,
    store: Store,
    worker: Worker,
    source: Source | None,
    listed: Registry | None,
) -> Pipeline:
    settings = config.pipeline[name]
    listed, sight = listed or open_registry(settings, config.state, name), Sight()
    active = partial(_serving, listed, sight)
    return Pipeline(
        name=name,
        settings=settings,
        detection=_detection(config, settings),
        loss=parse_loss(settings.loss),
        listed=listed,
        sight=sight,
        source=source or SOURCES[settings.source.kind](settings.source, config.path("."), active),
        worker=worker,
        store=store,
        cache=RowCache(settings.window, rows_max=ROWS_MAX // len(config.pipeline)),
        recent=RecentIds(pipeline=name, patience=_patience(settings)),
        settle=timedelta(seconds=settings.source.settle_s(config.serving.flush)),
        metrics=None if settings.operations is None else PrometheusSource(settings.operations, config.path(".")),
        alerts_expire=None if config.listen.alerts is None else timedelta(seconds=config.listen.alerts.expire),
    )


def _patience(settings: PipelineSettings) -> timedelta:
    """How long rows and labels are waited for: a row that comes again within it is known."""
    source = settings.source
    return timedelta(seconds=max(source.late_s, source.catch_up, settings.label_horizon, settings.window))


def _serving(registry: Registry, sight: Sight) -> str:
    """Name the version behind rows that do not say; while the registry is away, the last one that it named."""
    alias = sight.alias if sight.away else registry.alias()
    return (alias.version if alias else None) or "unknown"


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
