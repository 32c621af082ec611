"""Speaks to the daemon over its control socket: HTTP and JSON, on the standard library alone.

Must never guess: what the daemon did not answer is a ControlError. One connection a call, so that no call hangs on
another; `events` keeps its own.
"""

import http.client
import json
import socket
import uuid
from collections.abc import Iterator, Mapping
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
)

__all__ = ["Link"]

TIMEOUT_S = 10.0
SILENCE_S = 6.0
"""Three heartbeats: an event stream that is silent for longer is dead."""

ERRORS: Mapping[str, type[HealerdError]] = {
    "not allowed": NotAllowed,
    "not found": NotFound,
    "conflict": Conflict,
    "bad request": ConfigError,
    "rules": RulesError,
    "store": StoreError,
}


class Link:
    """The control socket at `path`. `attended` says that a person sees what is fetched (SAFETY S9)."""

    def __init__(self, path: Path, *, attended: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self.path, self._timeout_s = path, timeout_s
        self._headers = {"healerd-attended": "yes"} if attended else {}

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Fetch one view. Raises ControlError when the daemon is away, NotFound and so on as it answers."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, *, reason: str, key: str | None = None, **options: str | None) -> dict[str, Any]:
        """Ask for a change; `key` makes a repeated call harmless, and is made up when there is none."""
        body = json.dumps({"reason": reason, **options})
        return self._call("POST", path, body, {"idempotency-key": key or uuid.uuid4().hex})

    def events(self, *, after: int | None = None) -> Iterator[dict[str, Any]]:
        """Follow the audit log from the leaf after `after` (by default from now), until the daemon goes away.

        Ends when the daemon stops. Raises ControlError when it falls silent.
        """
        path = "/v1/events" if after is None else f"/v1/events?after={after}"
        connection = _Connection(self.path, SILENCE_S)
        try:
            response = self._ask(connection, "GET", path, None, {})
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))
        except OSError as error:
            raise ControlError(f"the daemon at `{self.path}` fell silent: {error}") from error
        finally:
            connection.close()

    def _call(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        connection = _Connection(self.path, self._timeout_s)
        try:
            answer: dict[str, Any] = json.load(self._ask(connection, method, path, body, headers or {}))
        except (OSError, ValueError) as error:
            raise ControlError(f"the daemon at `{self.path}` gave no answer: {error}; {LOOK}") from error
        finally:
            connection.close()
        return answer

    def _ask(
        self, connection: "_Connection", method: str, path: str, body: str | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        try:
            connection.connect()
        except OSError as error:
            raise ControlError(_away(self.path, error)) from error
        try:
            connection.request(method, path, body, {**self._headers, **headers})
            response = connection.getresponse()
        except http.client.HTTPException as error:
            raise ControlError(f"the daemon at `{self.path}` gave no answer: {error!r}; {LOOK}") from error
        if response.status >= 400:
            _raise(response)
        return response


def segment(text: str) -> str:
    """Write a name or id as one segment of a path."""
    return quote(text, safe="")


LOOK = "see `healerd doctor`"


def _away(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"the control socket `{path}` is not open to you; ask its owner for a role in `daemon.roles`"
    return f"no daemon answers at `{path}`; start it with `healerd run`, or {LOOK}"


def _raise(response: http.client.HTTPResponse) -> None:
    text = response.read()
    try:
        told = json.loads(text)["error"]
        kind, message = told["kind"], told["message"]
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"the daemon answered {response.status} {response.reason}; {LOOK}"
    raise ERRORS.get(kind, HealerdError)(message)


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("healerd", timeout=timeout_s)
        self._path, self._timeout_s = path, timeout_s

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(str(self._path))
