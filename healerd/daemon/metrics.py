"""What a monitoring system may know of the daemon, as Prometheus metrics; `METRICS` names every one of them.

Must never tell anything about a row, a person or a secret: numbers, and the names of pipelines, actions and states.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from healerd import __version__
from healerd.client.fleet import Fleet, Known, PipelineState, status_view
from healerd.client.heard import heard_at
from healerd.client.views import Json, Reader
from healerd.model import ACTIONS_THAT_HEAL, AWAITED, OPEN_STATES, Incident, Intent, IntentState
from healerd.store.filters import Range
from healerd.store.library import DATABASE

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["METRICS", "Kind", "Metrics", "Sample"]

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One metric: its labels beside `pipeline` or whatever it has, and what it means."""

    labels: tuple[str, ...] = ()
    meaning: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


METRICS: Mapping[str, Kind] = {
    "healerd_up": Kind(meaning="1 while the daemon answers"),
    "healerd_build_info": Kind(labels=("version",), meaning="1, by version"),
    "healerd_start_time_seconds": Kind(meaning="when it started, as seconds since 1970"),
    "healerd_tick_age_seconds": Kind(meaning="since the last tick that ended well"),
    "healerd_tick_interval_seconds": Kind(meaning="how often a tick is due"),
    "healerd_tick_duration_seconds": Kind(meaning="how long the last tick took"),
    "healerd_tick_lag_seconds": Kind(meaning="how long the last tick waited for the core's thread"),
    "healerd_tick_failed": Kind(meaning="1 when the last tick ended with a failure of the world"),
    "healerd_queue_waiting": Kind(labels=("queue",), meaning="calls that wait or run on a thread"),
    "healerd_stopped": Kind(meaning="1 while everything is stopped"),
    "healerd_unattended": Kind(meaning="1 when silence counts although nobody may have looked"),
    "healerd_store_bytes": Kind(labels=("file",), meaning="size of the database and of its write-ahead log"),
    "healerd_store_free_bytes": Kind(meaning="free room where the state lies"),
    "healerd_audit_leaves": Kind(meaning="entries of the audit log"),
    "healerd_audit_sound": Kind(meaning="1 when the newest whole reading of the log found it sound"),
    "healerd_alerts_heard_age_seconds": Kind(
        meaning="since Alertmanager was last heard, or since the start; absent where none is to be"
    ),
    "healerd_alerts_expire_seconds": Kind(meaning="how long what Alertmanager said counts"),
    "healerd_pipelines": Kind(meaning="pipelines that are watched"),
    "healerd_pipeline_state": Kind(labels=("pipeline", "state"), meaning="1 for the state that it is in, 0 for others"),
    "healerd_paused": Kind(labels=("pipeline",), meaning="1 while a person has paused it"),
    "healerd_registry_away": Kind(labels=("pipeline",), meaning="1 while its model registry does not answer"),
    "healerd_window_lag_seconds": Kind(
        labels=("pipeline",), meaning="since the end of the newest judged window, or since windows are to be judged"
    ),
    "healerd_window_length_seconds": Kind(labels=("pipeline",), meaning="length of a window"),
    "healerd_error_rate": Kind(labels=("pipeline",), meaning="error of the newest mature labels"),
    "healerd_reference_error_rate": Kind(labels=("pipeline",), meaning="error that it is held against"),
    "healerd_incident_severity": Kind(labels=("pipeline",), meaning="severity of the open incident, 0 without one"),
    "healerd_incident_age_seconds": Kind(labels=("pipeline",), meaning="age of the open incident, 0 without one"),
    "healerd_intents_open": Kind(labels=("pipeline", "state"), meaning="intents that stand open, by state"),
    "healerd_pending_age_seconds": Kind(labels=("pipeline",), meaning="age of the oldest question, 0 without one"),
    "healerd_pending_deadline_seconds": Kind(
        labels=("pipeline",), meaning="until silence decides something; absent where nothing waits for that"
    ),
    "healerd_actions": Kind(
        labels=("pipeline", "action", "state"), meaning="heals and steps of the last 365 days, by where they stand"
    ),
    "healerd_evidence_ratio": Kind(
        labels=("pipeline", "layer"), meaning="evidence in the newest window over the line of alarm, both as logarithms"
    ),
    "healerd_false_alarms_per_year": Kind(meaning="the configured budget of false alarms for each pipeline"),
    "healerd_false_alarm_budget_used_ratio": Kind(
        labels=("pipeline",),
        meaning="incidents of the last 365 days that closed without a verified heal, over the budget: at most so much",
    ),
}
"""Every metric by its name."""


@dataclass(slots=True, kw_only=True)
class Metrics:
    """The metrics of one daemon. What only a new leaf can change is read again only after one. One thread at a time.

    `describe` says how the process does, `queues` how many calls wait on each thread, `budget` is that of false alarms;
    `alerts_expire_s` is how long an alert counts where Alertmanager's are taken.
    """

    pipelines: Sequence[str]
    describe: Callable[[], Json]
    queues: Callable[[], Mapping[str, int]]
    budget: float
    stop_file: Callable[[], bool] = bool
    alerts_expire_s: float | None = None
    _fleet: Fleet = field(default_factory=Fleet)
    _head: int = -1
    _kept: tuple[Sample, ...] = ()

    def samples(self, reader: Reader, at: datetime) -> Iterator[Sample]:
        """Take every metric as it stands now."""
        head = reader.head()[0]
        if head != self._head:
            self._kept = tuple(self._recorded(reader, at))
            self._head = head
        view = status_view(reader, self.pipelines, at=at, fleet=self._fleet)
        yield from self._of_process(self.describe(), at)
        yield Sample("healerd_stopped", float(bool(view["stopped"]) or self.stop_file()))
        yield Sample("healerd_audit_leaves", head)
        yield from _of_store(reader)
        yield from self._of_alerts(reader, at)
        for row in view["pipelines"]:
            yield from _of_pipeline(row, self._fleet.known[row["name"]], at)
        yield from self._kept

    def text(self, reader: Reader, at: datetime) -> bytes:
        """Write them in the text format that Prometheus reads."""
        from prometheus_client import CollectorRegistry, generate_latest  # only who is scraped pays for it

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(list(_families(self.samples(reader, at)))))
        return generate_latest(registry)

    def _of_process(self, told: Json, at: datetime) -> Iterator[Sample]:
        yield Sample("healerd_up", 1)
        yield Sample("healerd_build_info", 1, (__version__,))
        yield Sample("healerd_pipelines", len(self.pipelines))
        yield Sample("healerd_false_alarms_per_year", self.budget)
        for queue, waiting in self.queues().items():
            yield Sample("healerd_queue_waiting", waiting, (queue,))
        if told.get("since"):
            yield Sample("healerd_start_time_seconds", datetime.fromisoformat(told["since"]).timestamp())
        if told.get("ticked_at"):
            yield Sample("healerd_tick_age_seconds", _since(told["ticked_at"], at))
        for name, key in _TOLD.items():
            if told.get(key) is not None:
                yield Sample(name, float(told[key]))
        yield Sample("healerd_tick_failed", float(bool(told.get("failed"))))
        yield Sample("healerd_unattended", float(bool(told.get("unattended"))))
        if told.get("verified"):
            yield Sample("healerd_audit_sound", float(told["verified"]["sound"]))

    def _of_alerts(self, reader: Reader, at: datetime) -> Iterator[Sample]:
        if self.alerts_expire_s is None:
            return
        yield Sample("healerd_alerts_expire_seconds", self.alerts_expire_s)
        heard, since = heard_at(reader), self.describe().get("since")
        if heard is not None:
            yield Sample("healerd_alerts_heard_age_seconds", (at - heard).total_seconds())
        elif since:
            yield Sample("healerd_alerts_heard_age_seconds", _since(since, at))

    def _recorded(self, reader: Reader, at: datetime) -> Iterator[Sample]:
        """Count what only the record can change."""
        for name in self.pipelines:
            yield from _actions(reader, name, at)
            yield from _evidence(reader, name)
            yield Sample(
                "healerd_false_alarm_budget_used_ratio", _closed_unhealed(reader, name, at) / self.budget, (name,)
            )


_TOLD = {
    "healerd_tick_interval_seconds": "tick_every_s",
    "healerd_tick_duration_seconds": "tick_s",
    "healerd_tick_lag_seconds": "lag_s",
}


class _Collector:
    """Hands the prepared families to the client library."""

    def __init__(self, families: "list[Metric]") -> None:
        self._families = families

    def collect(self) -> "list[Metric]":
        """Give them."""
        return self._families


def _families(samples: Iterator[Sample]) -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    for name, kind in METRICS.items():
        family = GaugeMetricFamily(name, kind.meaning, labels=kind.labels)
        for sample in found.pop(name, ()):
            family.add_metric(sample.labels, sample.value)
        yield family
    assert not found, f"not in METRICS: {sorted(found)}"


def _of_store(reader: Reader) -> Iterator[Sample]:
    path = reader.folder / DATABASE
    for file, name in ((path, "database"), (path.with_name(f"{DATABASE}-wal"), "wal")):
        if file.exists():
            yield Sample("healerd_store_bytes", file.stat().st_size, (name,))
    yield Sample("healerd_store_free_bytes", shutil.disk_usage(reader.folder).free)


def _of_pipeline(row: Mapping[str, Any], known: Known, at: datetime) -> Iterator[Sample]:
    name, incident = row["name"], row["incident"]
    for state in PipelineState:
        yield Sample("healerd_pipeline_state", float(row["state"] == state.value), (name, state.value))
    yield Sample("healerd_paused", float(bool(row["paused"])), (name,))
    yield Sample("healerd_registry_away", float(bool(row["registry"])), (name,))
    if known.judged_to is not None:
        yield Sample("healerd_window_lag_seconds", (at - known.judged_to).total_seconds(), (name,))
    if known.window_s is not None:
        yield Sample("healerd_window_length_seconds", known.window_s, (name,))
    for metric, key in _NUMBERS.items():
        if row[key] is not None:
            yield Sample(metric, float(row[key]), (name,))
    yield Sample("healerd_incident_severity", float(incident["severity"]) if incident else 0.0, (name,))
    yield Sample("healerd_incident_age_seconds", _since(incident["opened_at"], at) if incident else 0.0, (name,))
    states = Counter(intent["state"] for intent in row["open"])
    for each in sorted(OPEN_STATES):
        yield Sample("healerd_intents_open", states[each.value], (name, each.value))
    asked = [_since(intent["created_at"], at) for intent in row["open"] if intent["state"] in AWAITED]
    yield Sample("healerd_pending_age_seconds", max(asked, default=0.0), (name,))
    if row["deadline_at"]:
        yield Sample("healerd_pending_deadline_seconds", -_since(row["deadline_at"], at), (name,))


_NUMBERS = {
    "healerd_error_rate": "error",
    "healerd_reference_error_rate": "reference_error",
}


def _actions(reader: Reader, name: str, at: datetime) -> Iterator[Sample]:
    found = reader.find(Intent, pipeline=name, created_at=Range(at - YEAR))
    counted = Counter((intent.action, intent.state.value) for intent in found)
    for (action, state), count in sorted(counted.items()):
        yield Sample("healerd_actions", count, (name, action, state))


def _evidence(reader: Reader, name: str) -> Iterator[Sample]:
    mark = reader.watermark(name)
    ratios: dict[str, float] = {}
    for one in reader.measurements(name, mark) if mark else ():
        if one.log_evidence is not None and one.log_limit:
            ratios[one.layer.value] = max(ratios.get(one.layer.value, 0.0), one.log_evidence / one.log_limit)
    for layer, ratio in sorted(ratios.items()):
        yield Sample("healerd_evidence_ratio", ratio, (name, layer))


def _closed_unhealed(reader: Reader, name: str, at: datetime) -> int:
    """Count the incidents of a year that ended by themselves: the most that can have been false alarms."""
    closed = [each for each in reader.find(Incident, pipeline=name, opened_at=Range(at - YEAR)) if each.closed_at]
    healed = reader.find(Intent, pipeline=name, created_at=Range(at - YEAR), state=(IntentState.VERIFIED,))
    by_heal = {intent.incident_id for intent in healed if intent.action in ACTIONS_THAT_HEAL}
    return sum(each.id not in by_heal for each in closed)


def _since(text: str, at: datetime) -> float:
    return (at - datetime.fromisoformat(text)).total_seconds()
