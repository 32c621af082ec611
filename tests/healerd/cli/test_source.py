import json
from pathlib import Path

import pytest

from healerd.cli.group import invoke
from healerd.profiles import from_bytes
from tests.prometheus import prometheus

CONFIG = """
[pipeline.good.source]
path = "rows.csv"
id = "id"
[pipeline.bad.source]
path = "gone.csv"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("id,time,x,prediction\na,2026-01-01T00:10:00Z,1,1\n")
    (tmp_path / "healerd.toml").write_text(CONFIG)
    return tmp_path / "healerd.toml"


def test_a_probe_of_a_readable_source_ends_well(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One pipeline is probed by its name, as JSON with its schema."""
    assert invoke(["source", "probe", "good", "--config", str(config), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    (one,) = found["sources"]
    assert (one["pipeline"], one["readable"], one["rows"]) == ("good", True, 1)
    assert [each["role"] for each in one["columns"]] == ["id", "time", "feature", "prediction"]


def test_a_probe_of_a_source_with_labels_is_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How labels come is told as numbers that any program reads."""
    (config.parent / "truth.csv").write_text("id,label,at\na,1,2026-01-01T00:40:00Z\n")
    config.write_text(CONFIG.replace('id = "id"', 'id = "id"\nlabels = { path = "truth.csv", at = "at" }'))
    assert invoke(["source", "probe", "good", "--config", str(config), "--json"]) in {0, 7}
    labels = json.loads(capsys.readouterr().out)["sources"][0]["labels"]
    assert (labels["labelled"], labels["past_horizon"]) == (1, 0)


def test_a_probe_of_a_source_that_is_gone_fails(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All pipelines are probed; one that cannot be read is told on stderr and ends with 7."""
    assert invoke(["source", "probe", "--config", str(config)]) == 7
    told = capsys.readouterr()
    assert "prediction" in told.out
    assert "gone.csv" in told.err


def test_a_probe_of_no_pipeline_names_those_there_are(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not configured is an error with the names that are."""
    assert invoke(["source", "probe", "other", "--config", str(config)]) != 0
    assert "good, bad" in capsys.readouterr().err


def test_a_probe_asks_for_the_metrics_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A metric that answers is told with its points, one that does not fails the probe with the reason."""
    with prometheus() as served:
        served.metrics["up"] = [lambda at: 1.5]
        more = f"[pipeline.good.operations]\nurl = '{served.url}'\nqueries = {{ a = 'up', b = 'gone' }}\n"
        config.write_text(CONFIG + more)
        assert invoke(["source", "probe", "good", "--config", str(config), "--json"]) == 7
    (one,) = json.loads(capsys.readouterr().out)["sources"]
    assert [(each["name"], each["newest"], bool(each["trouble"])) for each in one["metrics"]] == [
        ("a", 1.5, False),
        ("b", None, True),
    ]


def test_a_stretch_is_counted(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The features of a stretch are counted, and their counts are written where they are wanted."""
    out = config.parent / "counts"
    bounds = ("--from", "2026-01-01", "--to", "2026-01-02")
    assert invoke(["source", "profile", "good", *bounds, "--config", str(config), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["features"] == [{"feature": "x", "rows": 1, "missing": 0}]
    assert from_bytes(out.read_bytes()).rows == 1
