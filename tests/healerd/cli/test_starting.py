"""How quickly verbs start when no daemon is there to answer, and what they read of the configuration."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.config import load_config, load_place
from healerd.errors import ConfigError
from healerd.store import Store
from tests.healerd.store.records import an_intent
from tests.served import NOW

HEAVY = {
    "apscheduler", "cryptography", "duckdb", "healerd.daemon", "healerd_rules", "httpx", "lark", "numpy", "rich",
    "prometheus_client", "apprise", "scipy", "sklearn", "sqlite_utils", "starlette", "textual", "uvicorn", "tempfile",
}  # fmt: skip
MANY = "\n".join(f'[pipeline.p{number}]\nsource = {{ path = "p.csv" }}' for number in range(20))
ROUNDS = 5


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A configuration, and a state folder that a daemon has left."""
    with Store.open(tmp_path / "state", clock=ManualClock(NOW)) as store, store.transaction() as tx:
        tx.put(an_intent())
    file = tmp_path / "healerd.toml"
    file.write_text(f'[daemon]\nstate = "state"\n{MANY}\n')
    return file


@pytest.mark.parametrize(
    ("words", "code"),
    [(["status"], 0), (["inbox"], 0), (["veto", "nobody", "--reason", "known campaign"], 3)],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_without_a_daemon_nothing_heavy_is_imported(place: Path, words: list[str], code: int) -> None:
    """Looking into the database, and learning that nobody answers, loads no big library either."""
    told = started("-X", "importtime", "-m", "healerd", *words, "--config", str(place))
    imported = {line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.startswith("import time:")}
    assert told.returncode == code, told.stderr
    assert "healerd.cli.options" in imported
    assert not imported & HEAVY


def test_status_without_a_daemon_starts_within_its_budget(place: Path) -> None:
    """With a configuration and no daemon, `healerd status` costs less than four bare starts of Python with click."""
    bare = min(cpu_s("-c", "import click") for _ in range(ROUNDS))
    status = min(cpu_s("-m", "healerd", "status", "--config", str(place)) for _ in range(ROUNDS))
    assert status < 4 * bare


@pytest.mark.parametrize(
    "text",
    ["", '[daemon]\nstate = "x"', '[daemon]\nstate = "/x"\nsocket = "y.sock"\ntick = "2s"', MANY],
    ids=["empty", "relative", "absolute", "many"],
)
def test_the_place_is_that_of_the_whole_configuration(tmp_path: Path, text: str) -> None:
    """Reading only the place gives what reading everything gives."""
    file = tmp_path / "healerd.toml"
    file.write_text(text)
    whole = load_config(file)
    assert load_place(file) == (whole.state, whole.socket)


@pytest.mark.parametrize(
    "text",
    ["[daemon", '[deamon]\nstate = "x"', '[daemon]\nstat = "x"', "[daemon]\nstate = 1", 'folder = "/x"'],
    ids=["no toml", "table", "key", "type", "folder"],
)
def test_a_slip_about_the_place_is_the_same_error(tmp_path: Path, text: str) -> None:
    """Where a slip may hide another place, reading only the place fails as reading everything does."""
    file = tmp_path / "healerd.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as whole:
        load_config(file)
    with pytest.raises(ConfigError) as place:
        load_place(file)
    assert str(place.value) == str(whole.value)


def test_a_slip_elsewhere_stops_nobody_from_looking(tmp_path: Path) -> None:
    """While somebody edits a pipeline's table, the status of the running daemon is still found."""
    file = tmp_path / "healerd.toml"
    file.write_text('[pipeline.p]\nwindw = "1h"\n')
    assert load_place(file)[0] == tmp_path / "healerd-state"


def cpu_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = started(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode == 0, told.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start Python as an installation does: with the bytecode of the time before."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)
