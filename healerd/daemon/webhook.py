"""The two doors through which Alertmanager's messages come in: a loopback address with a token, the control socket.

Must never take a message whose sender showed neither the token nor a role, nor read more of one than a bounded part.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from healerd.daemon.people import Person
from healerd.daemon.ports import Core
from healerd.daemon.threads import OneThread
from healerd.errors import ConfigError, NotAllowed, SourceError, StoreError
from healerd.listen_settings import AlertsSettings
from healerd.sources.alertmanager import Message, read_message

__all__ = ["BODY_MAX", "Webhook", "read_token"]

log = logging.getLogger("healerd")

BODY_MAX = 1024 * 1024
"""Bytes of one message: a thousand alerts of a thousand characters."""
TOKEN_MIN, TOKEN_MAX = 16, 4096
SENDER = "alertmanager"
"""Who is recorded as the author of what came with the token."""
Identify = Callable[[Request], Awaitable[Person]]


class Webhook:
    """Takes messages and hands them to the core, each on a thread of its own kind: no tick is waited for."""

    def __init__(self, core: Core, settings: AlertsSettings, *, folder: Path) -> None:
        """Remember; a token file is taken from `folder`. Raises ConfigError when its token cannot be used."""
        self._core, self._settings = core, settings
        self._token_file = folder / settings.token_file if settings.token_file is not None else None
        if self._token_file is not None:
            read_token(self._token_file)
        self._thread = OneThread("alerts")

    @property
    def has_token(self) -> bool:
        """Tell whether there is a token to show: without one the address takes nothing."""
        return self._token_file is not None

    def close(self) -> None:
        """End the thread that writes."""
        self._thread.close()

    async def with_token(self, request: Request) -> Response:
        """Take a message from whoever shows the token."""
        try:
            allowed = await asyncio.to_thread(self._is_shown, request.headers.get("authorization", ""))
        except ConfigError as error:
            log.error("an alert was turned away: %s", error)
            return _said(503, "the token cannot be read; see the log of healerd")
        if not allowed:
            return _said(401, "show the token of `listen.alerts.token_file`", {"www-authenticate": "Bearer"})
        return await self._take(request, SENDER)

    def with_role(self, identify: Identify) -> Callable[[Request], Awaitable[Response]]:
        """Give the page that takes a message from an operator at the control socket. It raises NotAllowed."""

        async def page(request: Request) -> Response:
            person = await identify(request)
            if not person.may("operator"):
                raise NotAllowed(f"telling of alerts needs the role operator, which `{person.name}` does not have")
            return await self._take(request, person.name)

        return page

    async def _take(self, request: Request, author: str) -> Response:
        body = await _bounded(request)
        if body is None:
            return _said(413, f"a message has at most {BODY_MAX} bytes: set `max_alerts` in the receiver")
        try:
            message = await asyncio.to_thread(read_message, body, label=self._settings.label)
            taken = await self._thread.call(self._hear, message, author)
        except SourceError as error:
            log.warning("an alert was turned away: %s", error)
            return _said(400, str(error))
        except StoreError as error:
            log.error("an alert could not be kept: %s", error)
            return _said(503, str(error))
        return JSONResponse({"schema": 1, **taken})

    def _hear(self, message: Message, author: str) -> dict[str, object]:
        return dict(self._core.hear_alerts(message, author=author))

    def _is_shown(self, header: str) -> bool:
        assert self._token_file is not None, "without a token there is no such door"
        scheme, _, shown = header.partition(" ")
        wanted = read_token(self._token_file)
        return hmac.compare_digest(shown.strip().encode(), wanted.encode()) and scheme.lower() == "bearer"


def read_token(path: Path) -> str:
    """Read a token from its file, anew each time, so that it can be changed without a restart.

    Raises:
        ConfigError: it cannot be read, is readable by everybody, or is too short to be a secret.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(f"`listen.alerts.token_file` `{path}` is open to everybody: `chmod o-rwx {path}`")
        token = path.read_text(encoding="utf-8")[: TOKEN_MAX + 1].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"`listen.alerts.token_file` `{path}` cannot be read: {error}") from error
    if not TOKEN_MIN <= len(token) <= TOKEN_MAX:
        mend = "make one with `openssl rand -hex 32`"
        raise ConfigError(f"`listen.alerts.token_file` `{path}` needs {TOKEN_MIN} characters or more: {mend}")
    return token


async def _bounded(request: Request) -> bytes | None:
    """Read the body; None when it is too long, of which no more is read than that."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_MAX:
            return None
    return bytes(read)


def _said(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"schema": 1, "error": {"message": message}}, status_code=status, headers=headers)
