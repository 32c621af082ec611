"""Installing the service where something is wrong: a clear error with the mend, and nothing half done."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

installed = pytest.mark.skipif(
    not Path(sys.executable).with_name("healerd").exists(), reason="healerd is not installed"
)
CONFIG = '[daemon]\nstate = "state"\n[audit]\nkey = "credential:audit"\n[pipeline.p]\nsource = { path = "rows.csv" }\n'
VERB = (sys.executable, "-c", "from healerd.cli import main; main()", "service")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "healerd.toml").write_text(CONFIG)
    return tmp_path


def call(here: Path, *words: str, room: int | None = None) -> subprocess.CompletedProcess[str]:
    """Call a verb in a folder, in a process that may write files of at most `room` bytes."""

    def narrow() -> None:
        if room is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*VERB, *words], cwd=here, env=environment, preexec_fn=narrow, capture_output=True, text=True, check=False
    )


@installed
@pytest.mark.parametrize("room", [0, 100, 1000])
def test_a_full_disk_leaves_what_was_there(here: Path, room: int) -> None:
    """Without room for the whole unit nothing is left of it, an older one stays, and the mend is to make room."""
    for before in ([], ["healerd.service"]):
        if before:
            assert call(here, "install", "--root", "image").returncode == 0
            old = (here / "image/etc/systemd/system/healerd.service").read_bytes()
        told = call(here, "install", "--root", "image", "--strict", "--replace", room=room)
        assert told.returncode == 2
        assert "free some disk space" in told.stderr
        left = [path for path in (here / "image").rglob("*") if path.is_file()]
        assert [path.name for path in left] == before
        assert not before or left[0].read_bytes() == old


@installed
def test_relative_paths_are_written_out(here: Path) -> None:
    """Wherever it is called, the unit names whole paths: systemd has no folder to take others from."""
    told = call(here, "print", "--config", "healerd.toml", "--key", "own.pem")
    assert told.returncode == 0, told.stderr
    assert f"--config {here}/healerd.toml" in told.stdout
    assert f"LoadCredential=audit:{here}/own.pem" in told.stdout
    assert f"ReadWritePaths={here}/state" in told.stdout
    paths = [
        word for line in told.stdout.splitlines() if line.startswith("Exec") for word in line.split("=", 1)[1].split()
    ]
    assert paths[0].startswith("/")


@installed
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--group", "no-such-group"), "groupadd --system no-such-group"),
        (("--config", "elsewhere.toml"), "no configuration at `"),
        (("--confg", "healerd.toml"), "--config"),
    ],
    ids=["group", "configuration", "option"],
)
def test_what_is_missing_is_named_with_its_mend(here: Path, words: tuple[str, ...], said: str) -> None:
    """A group, a configuration or an option that is not there ends the verb before anything is written."""
    told = call(here, "install", "--dry-run", *words)
    assert told.returncode == 2
    assert said in told.stderr
    assert "Traceback" not in told.stderr


@installed
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[daemon\n", "is not TOML"),
        ("[daemon]\ntick = true\n", "boolean"),
        ("[daemon]\nstat = 'x'\n", "did you mean `state`"),
    ],
    ids=["toml", "type", "key"],
)
def test_a_configuration_with_a_slip_installs_nothing(here: Path, text: str, said: str) -> None:
    """Wrong TOML, a wrong type or an unknown key is named, and no file is made."""
    (here / "healerd.toml").write_text(text)
    told = call(here, "install", "--root", "image")
    assert (told.returncode, said in told.stderr) == (2, True), told.stderr
    assert not (here / "image").exists()
