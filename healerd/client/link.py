"""Speaks to the daemon over its control socket: HTTP and JSON, on a plain socket.

Must never guess: what the daemon did not answer is a ControlError. One connection a call, so that no call hangs on
another. HTTP/1.0 needs no library: the answer ends where the connection does, and `http.client` with all that it
imports would be a fifth of the start-up time of `healerd status`.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from healerd.errors import (
    ConfigError,
    Conflict,
    ControlError,
    HealerdError,
    NotAllowed,
    NotFound,
    RulesError,
    StoreError,
    TimedOut,
)

__all__ = ["ELSEWHERE", "Link", "holder", "segment"]

TIMEOUT_S = 10.0
SILENCE_S = 6.0
"""Three heartbeats: an event stream that is silent for longer is dead."""
LOOK = "see `healerd doctor`"
ELSEWHERE = "if its socket lies elsewhere, name its configuration with --config FILE"

ERRORS: Mapping[str, type[HealerdError]] = {
    "not allowed": NotAllowed,
    "not found": NotFound,
    "conflict": Conflict,
    "bad request": ConfigError,
    "rules": RulesError,
    "store": StoreError,
}


class Link:
    """The control socket at `path`. `attended` says that a person sees what is fetched (SAFETY S9).

    `watched` narrows that to the calls at which it says so: it is asked at each, on whatever thread that is made.
    """

    def __init__(self, path: Path, *, attended: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self.path, self._attended, self._timeout_s = path, attended, timeout_s
        self.watched: Callable[[], bool] = lambda: True

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Fetch one view. Raises ControlError when the daemon is away, NotFound and so on as it answers."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path, b"", {})

    def get_saying(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Fetch one view, and say something about the call in its headers."""
        return self._call("GET", path, b"", headers)

    def post(self, path: str, *, reason: str, key: str | None = None, **options: str | None) -> dict[str, Any]:
        """Ask for a change; `key` makes a repeated call harmless, and is made up when there is none.

        Bytes of the reason that are no text, as a terminal of another encoding gives them, are sent as question marks.
        """
        body = json.dumps({"reason": reason.encode("utf-8", "replace").decode("utf-8"), **options}).encode()
        return self._call("POST", path, body, {"idempotency-key": key or os.urandom(16).hex()})

    def events(self, *, after: int | None = None) -> Iterator[dict[str, Any]]:
        """Follow the audit log from the leaf after `after` (by default from now).

        Ends when the daemon stops. Raises ControlError when it falls silent.
        """
        for kind, told in self.stream(after=after):
            if kind == "leaf":
                yield told

    def stream(self, *, after: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Follow what the daemon says: ("live", its clock), then ("leaf", an entry of the audit log) as they come, and
        every two seconds ("beat", its clock, the newest number and who is present).

        Ends and raises as `events` does.
        """
        path = "/v1/events" if after is None else f"/v1/events?after={after}"
        kind = ""
        with self._asked("GET", path, timeout_s=SILENCE_S) as answer:
            for line in answer:
                if line.startswith(b"event: "):
                    kind = line.removeprefix(b"event: ").strip().decode()
                elif line.startswith(b"data: "):
                    yield kind, json.loads(line.removeprefix(b"data: "))

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        with self._asked(method, path, body, headers, timeout_s=self._timeout_s) as answer:
            view: dict[str, Any] = json.load(answer)
        return view

    @contextmanager
    def _asked(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, timeout_s: float
    ) -> Iterator[BufferedReader]:
        """Ask, and hold the body of the answer; whatever goes wrong is a ControlError that names the mend."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(str(self.path))
            except OSError as error:
                raise ControlError(_away(self.path, error)) from error
            attended = {"healerd-attended": "yes"} if self._attended and self.watched() else {}
            try:
                connection.sendall(_request(method, path, body, {**attended, **(headers or {})}))
                with connection.makefile("rb") as answer:
                    _read_head(answer)
                    yield answer
            except TimeoutError:
                raise TimedOut(f"the daemon at `{self.path}` did not answer within {timeout_s:g} s; {LOOK}") from None
            except (OSError, ValueError) as error:
                raise ControlError(f"the daemon at `{self.path}` gave no answer: {error}; {LOOK}") from error


def holder(state: Path) -> str | None:
    """Give the process that holds a state folder, as a daemon does; None when nobody does, or it cannot be told.

    The kernel is asked, not the lock: to try that could keep a daemon from starting.
    """
    try:
        process, inode = (state / "lock").read_text().strip(), str((state / "lock").stat().st_ino)
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        return None
    locks = [(each[4], each[5].rpartition(":")[2]) for each in held if each[1] == "FLOCK"]
    return process if (process, inode) in locks else None


def segment(text: str) -> str:
    """Write a name or id as one segment of a path."""
    return quote(text, safe="")


def _request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.0", "host: healerd", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_head(stream: BufferedReader) -> None:
    """Read up to the body. Raises the error that the daemon answered, if it did."""
    status = stream.readline().split(maxsplit=2)
    if len(status) < 2:
        raise ValueError("the connection ended")
    while stream.readline().strip():
        pass
    if int(status[1]) >= 400:
        _raise(stream.read(), int(status[1]))


def _raise(body: bytes, status: int) -> None:
    try:
        told = json.loads(body)["error"]
        kind, message = told["kind"], told["message"]
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"the daemon answered with status {status}; {LOOK}"
    raise ERRORS.get(kind, HealerdError)(message)


def _away(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"the control socket `{path}` is not open to you; ask its owner for a role in `daemon.roles`"
    process = holder(path.parent)
    if process is not None:
        return f"process {process} holds `{path.parent}` and does not answer at `{path}`; {ELSEWHERE}"
    return f"no daemon answers at `{path}`; start it with `healerd run`, or {LOOK}"
