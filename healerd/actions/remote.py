"""A job somewhere else: begun by POST, asked for by GET, both with the intent's key. Retries what may be repeated.

    POST url          {"key", "pipeline", ...}, header `Idempotency-Key`      2xx: accepted, or known already
    GET status_url    {"state": "running" | "done" | "failed", "progress", "note", "reason", ...}    404: no such job

Must never take a silent server for one that has no such job: only a 404 says that.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx

from healerd.errors import ActionError

__all__ = ["JobState", "Remote", "RemoteAbsent", "RemoteJob", "RemoteUnknown"]

TIMEOUT_S = 10.0
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pauses between tries, the last one again and again."""


class RemoteUnknown(ActionError):
    """Nobody can tell what became of the job."""


class RemoteAbsent(ActionError):
    """The server says that it has no such job."""


class JobState(StrEnum):
    """What a server says of a job."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where a job is begun and asked for. Without `status_url` its acceptance is all that can be known of it."""

    url: str
    status_url: str | None
    poll_s: float
    deadline_s: float


class RemoteJob:
    """One job by its key; waits by the process's own clock."""

    def __init__(self, remote: Remote, key: str, tell: Callable[[float, str], None]) -> None:
        self._remote, self._key, self._tell = remote, key, tell
        self._until = time.monotonic() + remote.deadline_s

    def begin(self, body: Mapping[str, Any]) -> None:
        """Begin the job, unless the server has it already. Raises ActionError when it refuses, RemoteUnknown."""
        if self._remote.status_url is not None and self.look()[0] is not JobState.ABSENT:
            return
        answer = self._ask("POST", self._remote.url, body)
        if answer.status_code >= 400:
            raise ActionError(f"`{self._remote.url}` refused the job: {answer.status_code} {answer.text[:200]}")

    def look(self) -> tuple[JobState, Mapping[str, Any]]:
        """Ask once for the job, trying until somebody answers or the deadline passes. Raises RemoteUnknown."""
        assert self._remote.status_url is not None, "the caller knows that it can be asked for"
        address = self._remote.status_url.replace("{key}", quote(self._key, safe=""))
        answer = self._ask("GET", address, None)
        if answer.status_code == 404:
            return JobState.ABSENT, {}
        if answer.status_code >= 400:
            raise RemoteUnknown(f"`{address}` answers {answer.status_code}: nobody can tell how the job stands")
        try:
            told = answer.json()
            return JobState(told["state"]), told
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteUnknown(
                f'`{address}` answers what makes no sense ({error!r}); it must be {{"state": "running"}}'
            ) from error

    def follow(self) -> Mapping[str, Any]:
        """Ask until the job is done; gives what it says. Raises ActionError when it failed, RemoteUnknown."""
        seen = False
        while True:
            state, told = self.look()
            match state:
                case JobState.DONE:
                    return told
                case JobState.FAILED:
                    raise ActionError(f"the job failed: {str(told.get('reason') or 'it does not say why')[:300]}")
                case JobState.ABSENT if seen:
                    raise RemoteUnknown("the server had the job and has lost it: nobody can tell what it did")
                case JobState.RUNNING:
                    seen = True
                    self._say(told)
                case _:
                    pass  # accepted a moment ago, and not listed yet
            self._pause(self._remote.poll_s, f"the job is {state} at its deadline")

    def _say(self, told: Mapping[str, Any]) -> None:
        share = told.get("progress")
        if isinstance(share, int | float) and 0 <= share <= 1:
            self._tell(float(share), str(told.get("note", ""))[:200])

    def _ask(self, method: str, address: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Ask until somebody answers: what cannot be reached, is busy or broken is asked again."""
        tries = 0
        while True:
            try:
                answer = httpx.request(
                    method,
                    address,
                    json=None if body is None else dict(body),
                    headers={"Idempotency-Key": self._key},
                    timeout=min(TIMEOUT_S, max(0.5, self._until - time.monotonic())),
                )
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                why = f"`{address}` answers {answer.status_code}"
            except httpx.InvalidURL as error:
                raise ActionError(f"`{address}` is no address: {error}") from error
            except (httpx.HTTPError, OSError) as error:
                why = f"`{address}` cannot be reached ({type(error).__name__}: {error})"
            self._pause(WAITS_S[min(tries, len(WAITS_S) - 1)], why)
            tries += 1

    def _pause(self, wait_s: float, why: str) -> None:
        if time.monotonic() + wait_s >= self._until:
            raise RemoteUnknown(f"{why}: nobody can tell what became of the job; look there")
        time.sleep(wait_s)
