"""Reads what Alertmanager's webhook sends (version 4): which alerts fire, which are over. Must never ask it anything.

Labels other than the name and the one that maps to a pipeline are read for telling alerts apart, and kept nowhere.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec

from healerd.errors import SourceError

__all__ = ["ALERTS_MAX", "Alert", "Message", "read_message"]

ALERTS_MAX = 1000
"""Alerts of one message; a receiver's `max_alerts` bounds them there."""
NAME_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as it was told: `id` is the same as long as its labels are. `pipeline` None: it is about none."""

    id: str
    name: str
    pipeline: str | None
    firing: bool
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification; `complete` is False where the sender left alerts out of it."""

    alerts: tuple[Alert, ...]
    complete: bool


def read_message(body: bytes, *, label: str) -> Message:
    """Read a notification; `label` is the label whose value names the pipeline, or `*` for all of them.

    Raises:
        SourceError: it is not JSON, not in the form of version 4, or longer than anybody reads; the message says where.
    """
    try:
        told = msgspec.json.decode(body, type=_Message)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        said = f"{str(error)[:1].lower()}{str(error)[1:]}"
        raise SourceError(f"not a notification of Alertmanager's webhook, version 4: {said}") from error
    if len(told.alerts) > ALERTS_MAX:
        raise SourceError(f"{len(told.alerts)} alerts in one notification: set `max_alerts` to {ALERTS_MAX} at most")
    return Message(
        alerts=tuple(_alert(number, alert, label) for number, alert in enumerate(told.alerts)),
        complete=told.truncated_alerts == 0,
    )


class _Alert(msgspec.Struct, rename="camel"):
    """What is read of one alert; whatever else the sender adds is not."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: datetime


class _Message(msgspec.Struct, rename="camel"):
    """What is read of a notification."""

    version: Literal["4"]
    alerts: list[_Alert]
    truncated_alerts: int = 0


def _alert(number: int, told: _Alert, label: str) -> Alert:
    name = told.labels.get("alertname", "")
    if not 0 < len(name) <= NAME_MAX:
        raise SourceError(f"alert {number} has no label `alertname` of at most {NAME_MAX} characters")
    if told.starts_at.tzinfo is None:
        raise SourceError(f"alert {number}, `{name}`: `startsAt` has no time zone")
    key = msgspec.json.encode(told.labels, order="deterministic")
    return Alert(
        id=sha256(key).hexdigest()[:16],
        name=name,
        pipeline=told.labels.get(label),
        firing=told.status == "firing",
        started_at=told.starts_at,
    )
