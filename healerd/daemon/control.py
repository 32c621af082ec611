"""The control API: HTTP and JSON on a Unix socket, for the CLI and the TUI. Must never decide: it asks the core.

Looking reads what is committed on a thread of its own, so it works while a tick runs. Stopping (a veto, a pause) has a
thread too, so that it is recorded at once, and the transaction that starts an effect sees it. All else goes to the
core's thread. Every body is bounded. `/v1/events` sends the audit log as it grows (server-sent events); a reader that
comes back names the last number it saw.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from healerd.audit import Entry
from healerd.client import views
from healerd.client.asked import DIGITS_MAX
from healerd.client.fleet import Fleet, status_view
from healerd.client.health import jobs_of
from healerd.client.looks import LOOKS, Look, find_look, view_of
from healerd.client.views import Json, Reader
from healerd.clock import Clock
from healerd.daemon.mutations import MUTATIONS, Ask, Mutation, carry_out
from healerd.daemon.people import ROLES, People, Person
from healerd.daemon.ports import Core
from healerd.daemon.presence import Presence
from healerd.daemon.threads import OneThread
from healerd.daemon.webhook import Webhook
from healerd.errors import ConfigError, Conflict, HealerdError, NotAllowed, NotFound, RulesError, StoreError
from healerd.model import EVERYTHING

__all__ = ["Bell", "Control"]

R = TypeVar("R")

BODY_MAX = 64 * 1024
"""Bytes of a request's body: a reason is a sentence."""
KEYS_MAX = 1000
"""Answers remembered by idempotency key; a retry comes within seconds."""
HEARTBEAT_S = 2.0
"""A reader that hears nothing for three beats calls the daemon away."""
LEAVES_MAX = 500
"""Leaves sent at once."""
INTENT, AUDIT, ALERTS = "/v1/intents/{id}", "/v1/audit", "/v1/alerts"

STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotAllowed, 403, "not allowed"),
    (NotFound, 404, "not found"),
    (Conflict, 409, "conflict"),
    (ConfigError, 400, "bad request"),
    (RulesError, 422, "rules"),
    (StoreError, 503, "store"),
    (HealerdError, 500, "failed"),
)


class Bell:
    """Wakes the event streams when the audit log may have grown, and ends them when the daemon stops."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.stopped = False

    def ring(self) -> None:
        """Wake everybody who waits."""
        self._rung.set()
        self._rung = asyncio.Event()

    def stop(self) -> None:
        """Wake everybody for the last time."""
        self.stopped = True
        self.ring()

    def ticket(self) -> asyncio.Event:
        """Take this before looking: it is set by any ring after now."""
        return self._rung


class Control:
    """The control API of one daemon."""

    def __init__(
        self,
        *,
        core: Core,
        core_thread: OneThread,
        pipelines: Sequence[str],
        people: People,
        clock: Clock,
        bell: Bell,
        describe: Callable[[], Json],
        log: Callable[[], list[Json]] = list,
        webhook: Webhook | None = None,
    ) -> None:
        self._core, self._core_thread, self._clock, self._bell = core, core_thread, clock, bell
        self._pipelines = tuple(pipelines)
        self._people, self._describe, self._log, self._webhook = people, describe, log, webhook
        self._reader_thread = OneThread("reader")
        self._answer_thread = OneThread("answers")
        self._fleet, self._presence = Fleet(), Presence()
        self._answers: OrderedDict[tuple[str, str], tuple[str, Any]] = OrderedDict()

    def app(self) -> Starlette:
        """Build the ASGI application."""
        own = {
            "/v1/status": self._status,
            "/v1/intents/{id}": self._intent,
            "/v1/health": self._health,
            AUDIT: self._audit,
        }
        looks = [(look.path, own.get(look.path) or self._look(look)) for look in LOOKS]
        alerts = [(ALERTS, self._webhook.with_role(self._person))] if self._webhook is not None else []
        changes = ((mutation.path, self._change(mutation)) for mutation in MUTATIONS)
        return Starlette(
            routes=[
                Route("/v1/events", self._events, methods=["GET"]),
                *(Route(path, endpoint, methods=["GET"]) for path, endpoint in looks),
                *(Route(path, endpoint, methods=["POST"]) for path, endpoint in (*changes, *alerts)),
            ],
            exception_handlers={HealerdError: _error, HTTPException: _http_error},
        )

    def waiting(self) -> dict[str, int]:
        """How many calls wait or run on each thread."""
        return {
            "core": self._core_thread.waiting,
            "reader": self._reader_thread.waiting,
            "answers": self._answer_thread.waiting,
        }

    def close(self) -> None:
        """End the threads that read and that take answers."""
        self._reader_thread.close()
        self._answer_thread.close()

    # looking

    def _look(self, look: Look) -> Callable[[Request], Awaitable[Response]]:
        """Serve one row of the table: its view, made on the thread that reads."""

        async def endpoint(request: Request) -> Response:
            if look.attended:
                await self._note_a_look(request)
            return _json(await self._view(look, request))

        return endpoint

    async def _view(self, look: Look, request: Request) -> Json:
        asked = {**request.query_params, **request.path_params}
        view = await asyncio.to_thread(view_of, look)  # the first time its modules are loaded
        return await self._read(lambda reader: view(reader, self._pipelines, self._clock.now(), asked))

    async def _status(self, request: Request) -> Response:
        person = await self._seen(request)
        view = await self._read(
            lambda reader: status_view(reader, self._pipelines, at=self._clock.now(), fleet=self._fleet)
        )
        present = self._presence.here(self._clock.read().boot_s)
        return _json({**view, "daemon": self._describe(), "you": _you(person), "present": present})

    async def _intent(self, request: Request) -> Response:
        """One intent; the header `Healerd-Reviewing` tells the others that somebody has it before their eyes."""
        await self._note_a_look(request)
        now_s = self._clock.read().boot_s
        view = await self._view(find_look(INTENT)[0], request)
        if request.headers.get("healerd-reviewing") == "yes":
            person = await self._person(request)
            self._presence.reviewing(request.path_params["id"], person.name, person.role, now_s)
        return _json({**view, "reviewing": self._presence.at(request.path_params["id"], now_s)})

    async def _health(self, request: Request) -> Response:
        view = await self._view(find_look("/v1/health")[0], request)
        described = self._describe()
        return _json({**view, "daemon": described, "jobs": jobs_of(described, self._clock.now()), "log": self._log()})

    async def _audit(self, request: Request) -> Response:
        """A page of the log, with what the daemon found when it last read the whole of it again."""
        view = await self._view(find_look(AUDIT)[0], request)
        verified = self._describe().get("verified")
        return _json({**view, "verified": verified} if verified else view)

    async def _events(self, request: Request) -> Response:
        given = request.headers.get("last-event-id") or request.query_params.get("after")
        after = await self._read(lambda reader: reader.head()[0]) if given is None else _number(given, "after")
        return StreamingResponse(
            self._stream(after, request), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _stream(self, after: int, request: Request) -> AsyncIterator[bytes]:
        """Send each leaf as it comes, and every two seconds a beat with the daemon's clock."""
        head = await self._read(lambda reader: reader.head()[0])
        yield _event("live", {"now": views.plain(self._clock.now()), "head": head})
        loop = asyncio.get_running_loop()
        beat_at = loop.time()
        while True:
            stopped, ticket = self._bell.stopped, self._bell.ticket()
            leaves = await self._read(partial(_leaves, after=after))
            if leaves:
                # In one piece: a client that has gone away is noticed between pieces, not between leaves.
                yield b"".join(_event("leaf", views.entry_view(leaf), id_=leaf.seq) for leaf in leaves)
                after = leaves[-1].seq
            elif stopped:  # whatever was written before the end has been sent
                return
            if loop.time() >= beat_at:
                yield _event("beat", await self._beat(request, after))
                beat_at = loop.time() + HEARTBEAT_S
            if not leaves:
                await _rung_within(ticket, max(0.0, beat_at - loop.time()))

    async def _beat(self, request: Request, head: int) -> Json:
        person, now = await self._person(request), self._clock.read()
        self._presence.seen(person.name, person.role, now.boot_s)
        return {"now": views.plain(now.at), "head": head, "present": self._presence.here(now.boot_s)}

    async def _read(self, view: Callable[[Reader], R]) -> R:
        return await self._reader_thread.call(view, self._core.store)

    async def _seen(self, request: Request) -> Person:
        """Identify who asks; somebody who sees what they fetch counts as present."""
        person = await self._person(request)
        if request.headers.get("healerd-attended") == "yes":
            self._presence.seen(person.name, person.role, self._clock.read().boot_s)
        return person

    async def _note_a_look(self, request: Request) -> None:
        """Tell the core when somebody who can answer has open questions on their screen (SAFETY S9)."""
        if request.headers.get("healerd-attended") != "yes":
            return
        person = await self._seen(request)
        if person.may("operator"):
            self._core_thread.later(self._core.channel_opened, person.name)

    # changing

    def _change(self, mutation: Mutation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await _body(request, known=("reason", "if_rev", *mutation.options))
            key = request.headers.get("idempotency-key", "")
            if not 8 <= len(key) <= 128:
                raise ConfigError("the header `Idempotency-Key` is needed: 8 to 128 characters, a new one each time")
            ask = Ask(
                person=await self._person(request),
                on=request.path_params.get("on", EVERYTHING),
                reason=body.get("reason", ""),
                seen=body.get("if_rev"),
                options=body,
                pipelines=self._pipelines,
            )
            thread = self._answer_thread if mutation.at_once else self._core_thread
            done = await thread.call(self._once, mutation, ask, key)
            self._bell.ring()
            return JSONResponse({"schema": 1, "done": done})

        return endpoint

    def _once(self, mutation: Mutation, ask: Ask, key: str) -> Any:
        """Carry out what `ask` wants, or give the answer that the same key got before."""
        same = json.dumps([mutation.path, ask.on, ask.reason, ask.seen, dict(ask.options)], sort_keys=True)
        remembered = self._answers.get((ask.person.name, key))
        if remembered is not None:
            if remembered[0] != same:
                raise Conflict(f"the idempotency key `{key}` was used for another request; take a new one")
            return remembered[1]
        done = carry_out(mutation, self._core, ask)
        self._answers[ask.person.name, key] = (same, done)
        if len(self._answers) > KEYS_MAX:
            self._answers.popitem(last=False)
        return done

    async def _person(self, request: Request) -> Person:
        return await asyncio.to_thread(self._people.identify, request.state.peer)


def _you(person: Person) -> Json:
    return {"name": person.name, "roles": [role for role in ROLES if person.may(role)]}


def _leaves(reader: Reader, *, after: int) -> Sequence[Entry]:
    return reader.leaves(after=after, limit=LEAVES_MAX)


def _event(kind: str, told: Json, *, id_: int | None = None) -> bytes:
    number = b"" if id_ is None else b"id: %d\n" % id_
    return number + b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(told) + b"\n\n"


def _json(view: Json) -> Response:
    """Answer with a view; the encoder of the standard library takes ten times as long over a thousand pipelines."""
    return Response(msgspec.json.encode(view), media_type="application/json")


async def _rung_within(ticket: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(ticket.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _body(request: Request, *, known: Sequence[str]) -> dict[str, str]:
    """Read a bounded JSON object of strings. Raises ConfigError for anything else."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_MAX:
            raise ConfigError(f"a request's body is at most {BODY_MAX} bytes")
    try:
        body = json.loads(read or b"{}")
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text, and cannot be kept
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the body is not JSON: {error}") from None
    if not isinstance(body, Mapping):
        raise ConfigError("the body must be a JSON object")
    for name, value in body.items():
        if name not in known:
            raise ConfigError(f"unknown key `{name}`; {views.did_you_mean(name, known)}")
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"`{name}` must be text")
    return {name: value for name, value in body.items() if value is not None}


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > DIGITS_MAX:
        raise ConfigError(f"`{name}` must be a whole number of at most {DIGITS_MAX} digits, not `{text[:40]}`")
    return int(text)


async def _error(request: Request, error: Exception) -> Response:
    status, kind = next((status, kind) for cls, status, kind in STATUS if isinstance(error, cls))
    return JSONResponse({"schema": 1, "error": {"kind": kind, "message": str(error)}}, status_code=status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail.lower()}"
    return JSONResponse({"schema": 1, "error": {"kind": "bad request", "message": message}}, error.status_code)
