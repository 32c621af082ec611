"""`[pipeline.NAME.operations]`: metrics of the service around a model, and where they are read.

Every key stands here once, with its default and its reason. Must never ask anything: `healerd.sources` does.
"""

import re
from typing import Literal

import msgspec

from healerd.settings import Duration, Points, Settings, Share, require

__all__ = ["POINTS_MAX", "OperationsSettings"]

POINTS_MAX = 11_000
"""Points that Prometheus gives for one query."""
QUERIES_MAX = 20
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What rule files can call a metric."""


class OperationsSettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.operations]`: latency, throughput, errors, any query; odd points are warnings, never a heal."""

    url: str
    """Where Prometheus answers, or what speaks its HTTP API: `http://127.0.0.1:9090`."""
    queries: dict[str, str]
    """Name -> PromQL that gives exactly one series, such as `histogram_quantile(0.99, ...)`."""
    kind: Literal["prometheus"] = "prometheus"
    """What answers there."""
    step: Duration = Duration(60)
    """Time from one point to the next; Prometheus scrapes once a minute by default."""
    timeout: Duration = Duration(10)
    """Longest that a query may take; after it the metric is unknown in this window."""
    token_file: str | None = None
    """File with a bearer token, read before each query; never the token itself."""
    history: Points = 1000
    """Points that a new one is ranked among: the memory kept of each metric, about 100 kB."""
    refractory: Points = 400
    """Points whose oddness a new alarm must exceed: what was told is not told again."""
    threshold: Share = 0.5
    """Score in (0, 1] from which a point is an alarm."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Headers to send, such as a tenant's name."""

    def __post_init__(self) -> None:
        require(re.match(r"https?://[^\s/]", self.url) is not None, "url", "an address that begins with http")
        require(1 <= len(self.queries) <= QUERIES_MAX, "queries", f"from 1 to {QUERIES_MAX} queries")
        for name in self.queries:
            require(NAME.fullmatch(name) is not None, f"queries.{name}", "named in small letters, digits and _")
        require(self.step >= 1, "step", "1s or more")
        require(self.timeout > 0, "timeout", "above 0")
        require(100 <= self.history <= 20_000, "history", "from 100 to 20000")
        require(1 <= self.refractory <= self.history, "refractory", "from 1 to `history`")
        require(0 < self.threshold <= 1, "threshold", "in (0, 1]")
