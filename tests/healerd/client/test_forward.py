"""The socket of another machine: an `ssh` that works, one that fails, and none."""

import os
import sys
import threading
from pathlib import Path

import pytest

from healerd.client import Client
from healerd.client.forward import forwarded
from healerd.errors import ConfigError, ControlError
from tests.served import served

SSH = """#!{python}
import os, socket, sys, threading
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(" ".join(arguments) + "\\n")
if arguments[-1] == "nowhere":
    sys.exit("ssh: Could not resolve hostname nowhere")
here, there = arguments[arguments.index("-L") + 1].split(":")
listener = socket.socket(socket.AF_UNIX)
listener.bind(here)
listener.listen()

def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)

while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(there)
    except OSError:
        sys.stderr.write("connect_to " + there + ": refused\\n")
        sys.stderr.flush()
        near.close()
        continue
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called `ssh` that forwards within this machine; the file it logs its calls to."""
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    (folder / "ssh").write_text(SSH.format(python=sys.executable, log=str(log)))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def test_a_daemon_elsewhere_is_looked_at_and_told(tmp_path: Path, ssh: Path) -> None:
    """Through the forwarded socket everything works, and nothing of it is left behind."""
    (tmp_path / "there").mkdir()
    with served(tmp_path / "there") as running, forwarded("ana@prod", remote=str(running.socket)) as socket:
        client = Client(socket.parent, socket=socket, remote=True)
        assert client.status()["daemon"]["state"] == "live"
        client.pause("churn", reason="known campaign")
        assert ("pause", "churn") in [call[:2] for call in running.core.calls]
        assert socket.parent.stat().st_mode & 0o077 == 0
    assert not socket.parent.exists()
    assert ssh.read_text().splitlines()[0].endswith("-- ana@prod")


def test_s15_stop_all_elsewhere_leaves_no_file_here(tmp_path: Path, ssh: Path) -> None:
    """A file here stops nothing there, so none is written, and none is claimed."""
    (tmp_path / "there").mkdir()
    with served(tmp_path / "there") as running, forwarded("prod", remote=str(running.socket)) as socket:
        done = Client(socket.parent, socket=socket, remote=True).stop_all(reason="something smells")
    assert done["file"] is None
    assert done["daemon"] is not None


def test_what_ssh_says_is_passed_on(ssh: Path) -> None:
    """A connection that does not come about is an error with the words of ssh and the way to try it."""
    with pytest.raises(ControlError, match=r"Could not resolve hostname nowhere.*ssh nowhere"), forwarded("nowhere"):
        pass


def test_a_host_without_a_daemon_is_said(tmp_path: Path, ssh: Path) -> None:
    """When nothing answers at the other end, the error names the place and the option that changes it."""
    none = str(tmp_path / "none.sock")
    said = r"no daemon answers at `prod:.*refused.*--remote-socket"
    with pytest.raises(ControlError, match=said), forwarded("prod", remote=none):
        pass


@pytest.mark.parametrize("host", ["", "-oProxyCommand=evil"])
def test_a_host_is_never_an_option(host: str, ssh: Path) -> None:
    """What begins with a dash would tell ssh to do something else; it is refused before ssh is started."""
    with pytest.raises(ConfigError, match="is no host"), forwarded(host):
        pass
    assert not ssh.exists()


def test_no_ssh_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the program the mend is to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no `ssh` here"), forwarded("prod"):
        pass
    assert threading.active_count() < 50
