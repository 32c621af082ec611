"""The JSON that `try` and `demo` write for other tools. Must never change a meaning without a new `schema`."""

from enum import StrEnum
from pathlib import Path

import msgspec

from healerd.errors import ConfigError

__all__ = [
    "Audit",
    "Baseline",
    "Counts",
    "Data",
    "EventKind",
    "EventRecord",
    "Metric",
    "Report",
    "write_report",
    "write_whole",
]

SCHEMA = 1


class EventKind(StrEnum):
    """What happened: a closed list."""

    INCIDENT_OPENED = "incident opened"
    """An alarm or a rule found something wrong; `reason` says what."""
    ANNOUNCED = "announced"
    """An action will run unless a person objects before its deadline."""
    ASKED = "asked"
    """An action waits for a person's consent."""
    ANSWERED = "answered"
    """A person approved, denied, vetoed or lifted a veto: `outcome` says which, `reason` why and who."""
    ACTED = "acted"
    """An action took effect."""
    ENDED = "ended"
    """An action is over; `outcome` is how it was judged, or the state it ended in."""
    INCIDENT_CLOSED = "incident closed"
    """The pipeline is healed or clean again."""
    STAGE_CHANGED = "stage changed"
    """A pipeline is trusted more, or less; `outcome` is the new stage."""
    INJECTED = "injected"
    """The demo did this to the stream or the registry on purpose."""


class Data(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The table: its size, the times of its first and last row, and the hash of the file."""

    rows: int
    columns: int
    from_: str
    to: str
    sha256: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A plain way of doing without healerd, on the same rows, with as many retrainings as it needed."""

    name: str
    quality: float
    retrains: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What healerd reached and did.

    `retrains` counts promotions of a retrained model, `trainings` every fit; `other` counts the undos, and the
    returns from a fallback.
    """

    quality: float
    retrains: int
    trainings: int
    rollbacks: int
    fallbacks: int
    other: int


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What `quality` is."""

    name: str
    higher_is_better: bool


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, in event time; `trace_id` leads to its decision (`healerd trace show`)."""

    at: str
    kind: EventKind
    pipeline: str
    action: str | None = None
    reason: str = ""
    trace_id: str | None = None
    outcome: str | None = None


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The audit log: how many leaves it holds, and whether all of them verify."""

    leaves: int
    verified: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. `seconds` is wall time; "never" is always among the baselines."""

    schema: int = SCHEMA
    data: Data
    baselines: tuple[Baseline, ...]
    healerd: Counts
    metric: Metric
    events: tuple[EventRecord, ...]
    audit: Audit
    seconds: float


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON, whole or not at all. Raises ConfigError when the place cannot be written."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(report), indent=2).decode())


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name first, then rename it. Raises ConfigError."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(f"`{path}` cannot be written: {error.strerror}; name a file in a writable folder") from error
