"""`healerd doctor` calls nothing healthy that does not start, and no daemon away that hangs."""

import socket
from pathlib import Path

import pytest

from healerd.client import Client
from healerd.client.checks import CHECKS, examine
from healerd.clock import SystemClock
from healerd.config import load_config
from healerd.store import Store

CONFIG = '[daemon]\nstate = "state"\n[pipeline.p]\nsource = { path = "rows.csv", id = "id", label = "label" }\n'


def failures(place: Path, check: str, text: str) -> list[str]:
    """What one check says that fails, with these lines added to the configuration."""
    (place / "healerd.toml").write_text(CONFIG + text)
    config = load_config(place / "healerd.toml")
    client = Client(config.state, timeout_s=0.2)
    return [f.said for f in examine(client, config, skip=set(CHECKS) - {check}) if f.level == "fail"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Store.open(tmp_path / "state", clock=SystemClock()).close()
    return tmp_path


@pytest.mark.parametrize("registry", [True, False])
def test_a_first_model_that_is_missing_fails(place: Path, registry: bool) -> None:
    """Where no version is active, the file of the first one must be there."""
    if registry:
        (place / "state" / "registry" / "p").mkdir(parents=True)
    assert "m.skops" in failures(place, "registries", 'model = "m.skops"\n')[0]
    (place / "m.skops").touch()
    assert failures(place, "registries", 'model = "m.skops"\n') == []


def test_a_reference_table_that_is_missing_fails(place: Path) -> None:
    """Until a reference is recorded, the table that it is read from must be there."""
    text = 'reference = { path = "healthy.csv" }\n'
    assert "healthy.csv" in failures(place, "references", text)[0]
    (place / "healthy.csv").touch()
    assert failures(place, "references", text) == []


def test_a_token_that_is_missing_fails(place: Path) -> None:
    """The file of Alertmanager's token must be there, since the daemon does not start without."""
    text = '[listen.alerts]\ntoken_file = "token"\n'
    assert "token" in failures(place, "alerts", text)[0]
    (place / "token").touch()
    assert failures(place, "alerts", text) == []


def test_a_key_is_looked_at_where_the_configuration_says(place: Path) -> None:
    """A key of another name that others can read fails like the one in the usual place."""
    (place / "own.key").touch(mode=0o644)
    assert "own.key" in failures(place, "keys", '[audit]\nkey = "own.key"\n')[0]


def test_a_daemon_that_hangs_fails(place: Path) -> None:
    """A socket that takes the question and gives no answer is a daemon that hangs, not one that is away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(str(place / "state" / "control.sock"))
        hung.listen()
        assert "hangs" in failures(place, "daemon", "")[0]
    (place / "state" / "control.sock").unlink()
    assert failures(place, "daemon", "") == []
