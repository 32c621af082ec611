"""What the gateway counts, in the Prometheus format. Must never count one request twice."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from healerd.serving.models import Slot
from healerd.serving.recorder import Recorder

__all__ = ["Metrics"]

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._found: dict[tuple[str, int], tuple[Counter, Histogram, Counter]] = {}
        self._requests = Counter(
            "healerd_gateway_requests",
            "Inference requests by HTTP status.",
            ["model", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "healerd_gateway_request_seconds",
            "Time from the whole request to its response.",
            ["model"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._rows = Counter("healerd_gateway_rows", "Rows answered.", ["model"], registry=self._registry)
        self._substituted = Counter(
            "healerd_gateway_substitutes",
            "Requests whose model raised or took too long, and whether something was answered instead.",
            ["model", "cause", "answered"],
            registry=self._registry,
        )
        self._labels = Counter("healerd_gateway_labels", "Labels sent.", ["model", "what"], registry=self._registry)
        self._gauges = {
            name: Gauge(f"healerd_gateway_{name}", said, ["model"], registry=self._registry)
            for name, said in _GAUGES.items()
        }

    def answered(self, model: str, *, status: int, rows: int, seconds: float) -> None:
        """Count one request."""
        found = self._found.get((model, status))
        if found is None:
            # Looking them up by name each time would take as long as all the counting.
            counted = self._requests.labels(model, str(status))
            found = self._found[model, status] = counted, self._seconds.labels(model), self._rows.labels(model)
        requests, times, answered = found
        requests.inc()
        times.observe(seconds)
        answered.inc(rows)

    def substituted(self, model: str, cause: str, *, answered: bool) -> None:
        """Count one request that its model did not answer."""
        self._substituted.labels(model, cause, "yes" if answered else "no").inc()

    def labels(self, model: str, **counts: int) -> None:
        """Count labels by what became of them."""
        for what, count in counts.items():
            self._labels.labels(model, what).inc(count)

    def text(self, models: Mapping[str, tuple[Slot, Recorder]]) -> bytes:
        """Write everything as text."""
        for name, (slot, recorder) in models.items():
            now = {
                "ready": float(slot.current is not None),
                "swaps": slot.swaps,
                "versions_refused": slot.refusals,
                "rows_recorded": recorder.recorded,
                "rows_lost": recorder.lost,
                "rows_waiting": recorder.waiting,
            }
            for gauge, value in now.items():
                self._gauges[gauge].labels(name).set(value)
        return generate_latest(self._registry)


_GAUGES = {
    "ready": "1 while a version serves.",
    "swaps": "Versions that began to serve since the start.",
    "versions_refused": "Versions that failed their self-test since the start.",
    "rows_recorded": "Rows that are durable in the record since the start.",
    "rows_lost": "Rows that were answered and could not be recorded since the start.",
    "rows_waiting": "Rows that wait to be recorded.",
}
