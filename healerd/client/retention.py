"""How far back rows are still needed, by what a pipeline is set to do with them. Must never call needed rows old."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from healerd.config import PipelineSettings
from healerd.model import Incident, Intent, Version
from healerd.store import Reader

if TYPE_CHECKING:
    from healerd.config import Config

__all__ = ["needed_from", "needed_s"]

LOOKS_BACK, CHOICES = 3, 4
"""Evidence is looked for in up to three times its windows, and stored versions in up to four times theirs."""
SPARE = 2


def needed_s(settings: PipelineSettings) -> float:
    """Seconds of rows that training, judging, choosing and verifying may still read."""
    healing = settings.healing
    evidence = max(healing.train_windows + healing.judge_windows, CHOICES * healing.choose_windows)
    windows = LOOKS_BACK * evidence + healing.verify_windows + SPARE
    return windows * settings.window + settings.label_horizon + settings.source.late_s


def needed_from(reader: Reader, config: "Config", *, at: datetime) -> dict[str, datetime]:
    """Say for each pipeline from when on its rows stay: what may be read, and what an open matter began with."""
    return {name: _needed_from(reader, name, settings, at) for name, settings in config.pipeline.items()}


def _needed_from(reader: Reader, name: str, settings: PipelineSettings, at: datetime) -> datetime:
    begun = [at, *([mark] if (mark := reader.watermark(name)) else [])]
    begun += [intent.created_at for intent in reader.find(Intent, pipeline=name, ended_at=None)]
    begun += [incident.opened_at for incident in reader.find(Incident, pipeline=name, closed_at=None)]
    newest = reader.find(Version, pipeline=name, order="-created_at", limit=1)
    trained = [version.trained_from_at for version in newest if version.trained_from_at]
    return min([min(begun) - timedelta(seconds=needed_s(settings)), *trained])
