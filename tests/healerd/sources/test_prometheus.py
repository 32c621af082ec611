import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healerd.config import OperationsSettings, parse_config
from healerd.errors import ConfigError, SourceError
from healerd.sources import PrometheusSource
from tests.prometheus import Prometheus, prometheus

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def served() -> Iterator[Prometheus]:
    with prometheus() as found:
        yield found


def a_source(served: Prometheus, folder: Path = Path(), **changes: Any) -> PrometheusSource:
    return PrometheusSource(OperationsSettings(url=served.url, queries={"p": "q"}, **changes), folder)


def test_a_range_brings_its_points_and_not_its_end(served: Prometheus) -> None:
    """The points of [start, end) come a step apart; the end belongs to the next window."""
    served.metrics["q"] = [lambda at: at]
    found = a_source(served).points("q", START, START + HOUR)
    assert len(found) == 60
    assert (found[0][0], found[-1][0]) == (START.timestamp(), (START + HOUR).timestamp() - 60)


def test_a_point_that_is_no_number_is_missing(served: Prometheus) -> None:
    """NaN and infinities are missing values, and a step without a point stays one."""
    values = {0: math.nan, 60: math.inf, 120: None, 180: 1.5}
    served.metrics["q"] = [lambda at: values.get(int(at - START.timestamp()))]
    found = a_source(served).points("q", START, START + timedelta(minutes=4))
    assert [value for _, value in found] == [None, None, 1.5]


def test_a_query_without_a_series_is_empty(served: Prometheus) -> None:
    """Nothing is an answer, and no error."""
    assert list(a_source(served).points("unknown", START, START + HOUR)) == []


def test_several_series_are_not_taken_for_one(served: Prometheus) -> None:
    """A query that gives two series is an error that says how to make one of them."""
    served.metrics["q"] = [lambda at: 1.0, lambda at: 2.0]
    with pytest.raises(SourceError, match=r"2 series.*sum"):
        a_source(served).points("q", START, START + HOUR)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"down": True}, "503 and no JSON"), ({"broken": "query timed out"}, "refuses `q`.*query timed out")],
)
def test_what_goes_wrong_there_is_said(served: Prometheus, change: dict[str, Any], said: str) -> None:
    """A server that is down and a query that is refused are errors with the server's own words."""
    for name, value in change.items():
        setattr(served, name, value)
    with pytest.raises(SourceError, match=said):
        a_source(served).points("q", START, START + HOUR)


def test_nobody_there_is_said() -> None:
    """An address where nobody answers is an error that names it."""
    source = PrometheusSource(OperationsSettings(url="http://127.0.0.1:9", queries={"p": "q"}), Path())
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9.*does not answer"):
        source.points("q", START, START + HOUR)


def test_a_token_is_read_from_its_file(served: Prometheus, tmp_path: Path) -> None:
    """The token is sent as a bearer, and one that is changed counts at the next query."""
    source = a_source(served, tmp_path, token_file="token", headers={"X-Scope-OrgID": "shop"})
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token + "\n")
        source.points("q", START, START + HOUR)
        assert served.headers[-1]["Authorization"] == f"Bearer {token}"
        assert served.headers[-1]["X-Scope-OrgID"] == "shop"
    (tmp_path / "token").unlink()
    with pytest.raises(SourceError, match="token_file"):
        source.points("q", START, START + HOUR)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url = 'localhost:9090'\nqueries = { a = 'b' }", "begins with http"),
        ("url = 'http://p'\nqueries = {}", "from 1 to 20"),
        ("url = 'http://p'\nqueries = { 'A b' = 'c' }", "small letters"),
        ("url = 'http://p'\nqueries = { a = 'b' }\nhistory = 5", "history"),
    ],
)
def test_settings_that_cannot_be_meant_are_turned_away(tmp_path: Path, text: str, said: str) -> None:
    """Addresses, names and lengths that are none are errors of the configuration."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[pipeline.p]\nsource = {{}}\n[pipeline.p.operations]\n{text}\n", path=tmp_path / "healerd.toml")
    assert said in str(caught.value)
