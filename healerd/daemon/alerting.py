"""What other monitoring tells of a pipeline: alerts that are heard, kept, and handed to rules as facts.

Must never open an incident, nor take silence for all is well: what nobody has repeated in time is unknown.

Alertmanager speaks only when it has something to say. What is known is therefore known for as long as anything was
heard lately: let an alert that always fires be sent here, and its silence is noticed.
"""

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from healerd.client.heard import HEARD
from healerd.model import EVERYTHING, Layer, Measurement
from healerd.sources.alertmanager import Alert, Message
from healerd.store import Reader, Store

__all__ = ["ALERT", "ALERTS", "hear", "outside"]

log = logging.getLogger("healerd")

ALERTS, ALERT = "alerts", "alert"
"""The measurements: how many fire in all, and how many of one name."""
KEPT_MAX = 2000
"""Alerts that are remembered; beyond these nothing is known for certain any more."""
SLACK = timedelta(minutes=1)
"""How far the clock of a record may be ahead, before it counts as one that was set back."""

Kept = Mapping[str, Any]
"""One alert as it is saved: `name`, `pipeline`, `firing`, `started_at`, `seen_at`."""


def hear(
    store: Store, message: Message, *, pipelines: Collection[str], expire: timedelta, now: datetime, author: str
) -> dict[str, object]:
    """Take a notification in one transaction, and say what of it was taken. Raises StoreError.

    The same notification again changes nothing but when it was heard last.
    """
    about = [alert for alert in message.alerts if alert.pipeline in {*pipelines, EVERYTHING}]
    unknown = sorted(
        {alert.pipeline for alert in message.alerts if alert.pipeline is not None} - {*pipelines, EVERYTHING}
    )
    with store.transaction() as tx:
        before = _saved(tx)
        kept = {id_: alert for id_, alert in before["alerts"].items() if _age(alert, now) <= 2 * expire}
        changed = [alert for alert in about if _is_news(kept.get(alert.id), alert)]
        kept |= {alert.id: _merged(kept.get(alert.id), alert, now) for alert in about}
        complete = message.complete and len(kept) <= KEPT_MAX
        newest = sorted(kept.items(), key=lambda pair: str(pair[1]["seen_at"]))[-KEPT_MAX:]
        cut_at = before["cut_at"] if complete else now.isoformat()
        tx.save_state(EVERYTHING, HEARD, {"heard_at": now.isoformat(), "cut_at": cut_at, "alerts": dict(newest)})
        for alert in changed:
            said = {"alert": alert.name, "firing": alert.firing, "started_at": alert.started_at, "id": alert.id}
            tx.note("alert heard", said, pipeline=alert.pipeline, actor=author)
    if unknown:
        log.warning(
            "alerts about %s were left out: no such pipeline", ", ".join(f"`{name[:63]}`" for name in unknown[:5])
        )
    return {"taken": len(about), "news": len(changed), "unknown_pipelines": unknown, "complete": complete}


def outside(
    reader: Reader, pipeline: str, *, names: Sequence[str], expire: timedelta, now: datetime
) -> tuple[Measurement, ...]:
    """Say what fires for a pipeline: all together, then by name. `names` are told even while nothing was heard of them.

    A value is None where nobody can tell: nothing at all was heard for `expire`, alerts were left out of a message, or
    an alert that fired was neither repeated nor resolved.
    """
    saved = _saved(reader)
    heard = _is_fresh(saved["heard_at"], now, expire) and not _is_fresh(saved["cut_at"], now, expire)
    own = [alert for alert in saved["alerts"].values() if alert["pipeline"] in (pipeline, EVERYTHING)]
    own = [alert for alert in own if _age(alert, now) <= 2 * expire]
    every = [_told(ALERTS, None, own, heard=heard, expire=expire, now=now)]
    for name in sorted({*names, *(alert["name"] for alert in own)}):
        named = [alert for alert in own if alert["name"] == name]
        every.append(_told(ALERT, name, named, heard=heard, expire=expire, now=now))
    return tuple(every)


def _told(
    name: str, subject: str | None, own: Sequence[Kept], *, heard: bool, expire: timedelta, now: datetime
) -> Measurement:
    firing = [alert for alert in own if alert["firing"]]
    known = heard and all(_age(alert, now) <= expire for alert in firing)
    return Measurement(
        name=name,
        layer=Layer.OPERATIONS,
        subject=subject,
        value=float(len(firing)) if known else None,
        n=len(own),
        since_at=min((_time(alert["started_at"]) for alert in firing), default=None),
        assumptions=tuple(_why_unknown(heard=heard, known=known, expire=expire)),
    )


def _why_unknown(*, heard: bool, known: bool, expire: timedelta) -> Iterator[str]:
    if not heard:
        yield f"nothing complete was heard from Alertmanager within {expire}: whether an alert fires is unknown"
    elif not known:
        yield f"an alert that fired was neither repeated nor resolved within {expire}"


def _saved(reader: Reader) -> dict[str, Any]:
    saved = reader.state(EVERYTHING, HEARD)
    return json.loads(saved) if saved else {"heard_at": None, "cut_at": None, "alerts": {}}


def _is_fresh(at: str | None, now: datetime, expire: timedelta) -> bool:
    return at is not None and -SLACK <= now - _time(at) <= expire


def _age(alert: Kept, now: datetime) -> timedelta:
    return now - _time(alert["seen_at"])


def _is_news(before: Kept | None, alert: Alert) -> bool:
    if before is None:
        return True
    return bool(before["firing"]) != alert.firing and not _is_over(before, alert)


def _is_over(before: Kept | None, alert: Alert) -> bool:
    """Tell whether an alert that is said to fire is known to have ended: a message that came late, or twice."""
    return (
        before is not None and not before["firing"] and alert.firing and alert.started_at <= _time(before["started_at"])
    )


def _merged(before: Kept | None, alert: Alert, now: datetime) -> Kept:
    return {
        "name": alert.name,
        "pipeline": alert.pipeline,
        "firing": alert.firing and not _is_over(before, alert),
        "started_at": alert.started_at.astimezone(UTC).isoformat(),
        "seen_at": now.isoformat(),
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
