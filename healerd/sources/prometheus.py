"""Metrics of operation from Prometheus: one series a query over a stretch of time, by its HTTP API.

Must never take several series for one, nor a point that is missing for a number.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from healerd.errors import SourceError
from healerd.operations_settings import POINTS_MAX, OperationsSettings

__all__ = ["Point", "PrometheusSource"]

Point = tuple[float, float | None]
"""Seconds since 1970, and the value there; None where it is no number."""


class PrometheusSource:
    """Asks `/api/v1/query_range` of a Prometheus, or of what speaks its API."""

    def __init__(self, settings: OperationsSettings, folder: Path) -> None:
        """Remember the settings; nothing is asked. The token's file is taken from `folder`."""
        self._settings, self._folder = settings, folder

    def points(self, query: str, start_at: datetime, end_at: datetime) -> Sequence[Point]:
        """Read the points of one query in [start_at, end_at), a step apart, in order of time; empty where it has none.

        Raises:
            SourceError: nobody answers, the query is refused, or it gives several series; the message says what to do.
        """
        step = float(self._settings.step)
        begin, last = start_at.timestamp(), end_at.timestamp() - step
        if last < begin:
            raise SourceError(f"`operations.step` ({step:g} s) is longer than the window: there is no point in it")
        if (last - begin) / step >= POINTS_MAX:
            raise SourceError(f"more than {POINTS_MAX:,} points: raise `operations.step`, or shorten `window`")
        asked = {"query": query, "start": f"{begin:.3f}", "end": f"{last:.3f}", "step": f"{step:g}"}
        return _series(self._ask(asked), query)

    def _ask(self, asked: dict[str, str]) -> Any:
        import httpx  # only pipelines with metrics wait for it

        settings = self._settings
        address = f"{settings.url.rstrip('/')}/api/v1/query_range"
        asked = {**asked, "timeout": f"{settings.timeout:g}s"}
        try:
            answer = httpx.post(address, data=asked, headers=self._headers(), timeout=settings.timeout)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            raise SourceError(f"`{address}` does not answer ({said}): see whether Prometheus runs") from error
        except ValueError as error:
            raise SourceError(f"`{address}` answers {answer.status_code} and no JSON: is it Prometheus?") from error
        if not isinstance(told, dict) or told.get("status") != "success":
            said = told.get("error", "without a reason") if isinstance(told, dict) else "in another form"
            raise SourceError(f"`{address}` refuses `{asked['query']}` ({answer.status_code}): {str(said)[:500]}")
        return told.get("data")

    def _headers(self) -> dict[str, str]:
        if self._settings.token_file is None:
            return dict(self._settings.headers)
        path = self._folder / self._settings.token_file
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"`operations.token_file` `{path}` cannot be read: {error}") from error
        return {**self._settings.headers, "Authorization": f"Bearer {token}"}


def _series(data: Any, query: str) -> Sequence[Point]:
    try:
        kind, found = data["resultType"], data["result"]
        if kind != "matrix":
            raise SourceError(f"`{query}` gives a {kind}, not a series over time")
        if len(found) > 1:
            raise SourceError(f"`{query}` gives {len(found)} series: make it one, as `sum(...)` or `max(...)` do")
        points = [(float(at), _number(value)) for at, value in found[0]["values"]] if found else []
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"the answer to `{query}` is not in the form of Prometheus: {error!r}") from error
    return sorted(points)


def _number(text: Any) -> float | None:
    value = float(text)  # `NaN`, `+Inf` and `-Inf` are written so
    return value if math.isfinite(value) else None
