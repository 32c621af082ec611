"""The control socket of another machine, forwarded here by `ssh` as a child process. Must never listen to a network.

The socket lies in a folder that only we can enter, and goes when we do. Who we are over there is whom ssh logs in.
"""

import contextlib
import shutil
import socket
import subprocess  # the user's own ssh, with arguments that we write and no shell
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from healerd.client.units import SOCKET
from healerd.errors import ConfigError, ControlError

__all__ = ["REMOTE_SOCKET", "forwarded"]

REMOTE_SOCKET = str(SOCKET)
"""Where a daemon that runs as a service has its socket."""
PATIENCE_S = 30.0
"""How long the first connection may take: somebody may have to type a passphrase."""
LOOK_S = 0.05
AGAIN_S = 5.0
"""Pause before a connection that broke is made anew."""
SAID_MAX = 2000


@contextlib.contextmanager
def forwarded(host: str, *, remote: str = REMOTE_SOCKET, patience_s: float = PATIENCE_S) -> Iterator[Path]:
    """Forward the socket `remote` of `host`, and give the path of its end here.

    A connection that breaks is made anew without asking anything. Raises ConfigError for a host that is none or where
    there is no ssh, ControlError with what ssh said when the connection does not come about.
    """
    if not host or host.startswith("-"):
        raise ConfigError(f"`{host}` is no host; name one as ssh does: user@host")
    if shutil.which("ssh") is None:
        raise ConfigError("there is no `ssh` here; install it, or forward the socket by other means")
    with tempfile.TemporaryDirectory(prefix="healerd-") as folder, open(f"{folder}/said", "w+b") as said:  # noqa: PTH123
        tunnel = Tunnel(host, remote, Path(folder, "control.sock"), said)
        try:
            tunnel.open(patience_s)
            yield tunnel.local
        finally:
            tunnel.close()


class Tunnel:
    """One ssh that forwards one socket, and the thread that starts it again when it ends."""

    def __init__(self, host: str, remote: str, local: Path, said: IO[bytes]) -> None:
        self.local = local
        self._host, self._remote, self._said = host, remote, said
        self._over = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._keeping: threading.Thread | None = None

    def open(self, patience_s: float) -> None:
        """Start, and wait until the socket is there. Raises ControlError when it never comes."""
        child = self._child = self._start(silently=False)
        waited_s = 0.0
        while not self.local.exists():
            if child.poll() is not None:
                raise ControlError(f"ssh to `{self._host}` ended: {self._told()}; try `ssh {self._host}` by hand")
            if waited_s >= patience_s:
                raise ControlError(f"ssh to `{self._host}` made no connection within {patience_s:g} s: {self._told()}")
            self._over.wait(LOOK_S)
            waited_s += LOOK_S
        self._check()
        self._keeping = threading.Thread(target=self._keep, name="ssh", daemon=True)
        self._keeping.start()

    def close(self) -> None:
        """End ssh, and do not start it again."""
        self._over.set()
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
        if self._keeping is not None:
            self._keeping.join()

    def _check(self) -> None:
        """Ssh makes its end before it knows of the other: only a connection tells whether anything is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.settimeout(LOOK_S * 40)
            try:
                trial.connect(str(self.local))
                trial.sendall(b"GET /v1/intents?limit=1 HTTP/1.0\r\nhost: healerd\r\n\r\n")
                if trial.recv(1):
                    return
            except TimeoutError:
                return  # a slow daemon is one
            except OSError:
                pass
        mend = "name the daemon's socket there with --remote-socket PATH, and ask its owner for a role"
        raise ControlError(f"no daemon answers at `{self._host}:{self._remote}`: {self._told()}; {mend}")

    def _keep(self) -> None:
        while not self._over.is_set():
            assert self._child is not None, "it was started before"
            self._child.wait()
            if not self._over.wait(AGAIN_S):
                self.local.unlink(missing_ok=True)
                self._child = self._start(silently=True)

    def _start(self, *, silently: bool) -> "subprocess.Popen[bytes]":
        """Start ssh; it asks for a passphrase on the terminal, unless it is to be silent."""
        options = ["ExitOnForwardFailure=yes", "StreamLocalBindUnlink=yes", "ServerAliveInterval=5"]
        options += ["BatchMode=yes"] if silently else []
        given = [part for option in options for part in ("-o", option)]
        command = ["ssh", "-N", "-T", *given, "-L", f"{self.local}:{self._remote}", "--", self._host]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said)  # noqa: S603

    def _told(self) -> str:
        self._said.seek(0)
        text = self._said.read(SAID_MAX).decode(errors="replace")
        return " ".join(text.split()) or "it said nothing"
