"""What a pipeline begins with: its first version, what that is held against, and from when windows are judged.

Must never begin twice: whatever is there already stays as it is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from healerd.actions import Draft, heals_of, model_files
from healerd.client.access import ACTIONS
from healerd.clock import Clock
from healerd.columns import Predictions, is_missing, take
from healerd.config import Config, SourceSettings, utc
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.references import References
from healerd.errors import ActionError, ConfigError
from healerd.model import DAEMON, Reference, Version, VersionKind
from healerd.sources import TableSource
from healerd.store import Store

__all__ = ["FIRST", "UNKNOWN_VERSION", "Beginning", "begin_pipeline", "begin_without_registry"]

FIRST = "first"
"""The name of the version that the configuration's `model` becomes."""
UNKNOWN_VERSION = "unknown"
"""What serves where the registry has no active version."""
EVER = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What is needed to begin; `recover` fences off older daemons, `start_at` is where windows begin to be judged."""

    store: Store
    references: References
    config: Config
    clock: Clock
    recover: Callable[[Sequence[str]], None]
    start_at: datetime | None = None

    @property
    def now(self) -> datetime:
        """This moment."""
        return self.clock.now()


def begin_pipeline(beginning: Beginning, pipeline: Pipeline) -> None:
    """Fence off older daemons; store the first version and its reference, and set the first watermark, if need be.

    Raises ConfigError when the model or the reference cannot be used, SourceError when a table cannot be read,
    RegistryAway when the registry does not answer.
    """
    _keep_actions(beginning, pipeline)
    beginning.recover([pipeline.name])
    if pipeline.settings.model and pipeline.active is None:
        _add_first(beginning, pipeline, beginning.config.path(pipeline.settings.model))
    if pipeline.settings.reference and not beginning.store.find(Reference, pipeline=pipeline.name, limit=1):
        _add_reference(beginning, pipeline)
    _set_watermark(beginning, pipeline)


def begin_without_registry(beginning: Beginning, pipeline: Pipeline) -> None:
    """Begin while the registry is away: windows count from now on, and what is configured is tried, not stored.

    So no window is lost, and a mistake in the configuration is told now. Raises what `begin_pipeline` raises.
    """
    _keep_actions(beginning, pipeline)
    begun = beginning.store.find(Reference, pipeline=pipeline.name, limit=1)
    if pipeline.settings.model and pipeline.sight.alias is None:
        _load(beginning.config.path(pipeline.settings.model), pipeline)
    if pipeline.settings.reference and not begun:
        _reference_rows(beginning, pipeline)
    _set_watermark(beginning, pipeline)


def _keep_actions(beginning: Beginning, pipeline: Pipeline) -> None:
    """Write down which actions are configured, and how long a window is, when that has changed, for who looks."""
    told = {"actions": list(heals_of(pipeline.settings)), "window_s": float(pipeline.settings.window)}
    saved = beginning.store.state(pipeline.name, ACTIONS)
    if saved is None or json.loads(saved) != told:
        with beginning.store.transaction() as tx:
            tx.save_state(pipeline.name, ACTIONS, told)


def _set_watermark(beginning: Beginning, pipeline: Pipeline) -> None:
    """Say from when on windows are judged. Where their length has changed, from the next one that is counted so on."""
    mark, length = beginning.store.watermark(pipeline.name), pipeline.settings.window
    if mark is not None and (start := floor(mark, length)) != mark:
        next_at = start + timedelta(seconds=length)
        with beginning.store.transaction() as tx:
            tx.note("windows moved", {"from": mark, "to": next_at, "window_s": float(length)}, pipeline=pipeline.name)
            tx.set_watermark(pipeline.name, next_at)
    if mark is None:
        start = beginning.start_at or (utc(pipeline.settings.start) if pipeline.settings.start else beginning.now)
        with beginning.store.transaction() as tx:
            tx.set_watermark(pipeline.name, floor(start, pipeline.settings.window))


def floor(at: datetime, window_s: float) -> datetime:
    """Give the start of the window that `at` lies in; windows are counted from 1970, in whole microseconds."""
    return at - (at - datetime.fromtimestamp(0, UTC)) % timedelta(seconds=window_s)


def _add_first(beginning: Beginning, pipeline: Pipeline, path: Path) -> None:
    model = _load(path, pipeline)
    draft = Draft(name=FIRST, kind=VersionKind.MODEL, created_at=beginning.now, key=FIRST, note=f"from `{path.name}`")
    version = pipeline.registry.add(model, draft)
    with beginning.store.transaction() as tx:
        tx.put(version)
    pipeline.registry.set_alias(
        FIRST, if_current=None, key=FIRST, epoch=beginning.store.epoch, by=DAEMON, at=beginning.now
    )


def _load(path: Path, pipeline: Pipeline) -> Any:
    key = f"`pipeline.{pipeline.name}.model`"
    try:
        return model_files(pipeline.settings).load_file(path)
    except FileNotFoundError:
        raise ConfigError(f"{key}: no file `{path}`; write it with skops.io.dump, or leave it out") from None
    except ActionError as error:
        raise ConfigError(f"{key}: {error}") from error


def _add_reference(beginning: Beginning, pipeline: Pipeline) -> None:
    """Hold the version that serves against the configured reference rows."""
    rows, labelled = _reference_rows(beginning, pipeline)
    active = pipeline.active or UNKNOWN_VERSION
    stand_in = Version(pipeline=pipeline.name, name=active, kind=VersionKind.MODEL, sha256="", created_at=beginning.now)
    held = beginning.references.first(pipeline, stand_in, rows=rows, held_out=labelled)
    with beginning.store.transaction() as tx:
        held.write(tx)


def _reference_rows(beginning: Beginning, pipeline: Pipeline) -> tuple[Predictions, Predictions]:
    """Read the reference's rows, and those of them that have a label. Raises ConfigError when none has."""
    rows = _fetched(beginning, pipeline)
    labelled = take(rows, ~is_missing(rows.label))
    if not len(labelled):
        raise ConfigError(
            f"`pipeline.{pipeline.name}.reference`: {len(rows)} rows, none labelled; give rows with labels"
        )
    return rows, labelled


def _fetched(beginning: Beginning, pipeline: Pipeline) -> Predictions:
    settings = pipeline.settings.reference
    assert settings is not None, "the caller looked"
    if settings.path is None:
        assert settings.start is not None, "the configuration checked"
        assert settings.end is not None, "the configuration checked"
        return pipeline.source.fetch(utc(settings.start), utc(settings.end))
    table = _as_a_file(pipeline.settings.source, settings.path)
    active = pipeline.active or UNKNOWN_VERSION
    return TableSource(table, beginning.config.path("."), lambda: active, growing=False).fetch(*EVER)


def _as_a_file(source: SourceSettings, path: str) -> SourceSettings:
    """Settings that read the file with the columns of the source, whatever the source reads.

    Labels that come in a table of their own stand in the file, in their column: that table tells of served rows.
    """
    label = source.labels.label if source.labels else source.label
    return msgspec.structs.replace(source, kind="table", path=path, query=None, labels=None, label=label)
