"""A control API over the recording core on a real Unix socket, in a thread: what client and CLI tests talk to."""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from healerd.clock import ManualClock
from healerd.daemon.control import Bell, Control
from healerd.daemon.listen import Listener, bind
from healerd.daemon.people import People
from healerd.daemon.recording import MemoryStore, RecordingCore
from healerd.daemon.threads import OneThread
from healerd.daemon.webhook import Webhook
from healerd.listen_settings import AlertsSettings
from healerd.model import Decision, Intent, IntentState, Stage

NOW = datetime(2026, 5, 7, 14, 17, tzinfo=UTC)


@dataclass
class Served:
    """A running control API: talk to it at `state/control.sock`, look at what reached the core."""

    state: Path
    core: RecordingCore
    store: Any
    bell: Bell
    loop: asyncio.AbstractEventLoop

    @property
    def socket(self) -> Path:
        return self.state / "control.sock"

    def ring(self) -> None:
        self.loop.call_soon_threadsafe(self.bell.ring)


@contextmanager
def served(
    state: Path,
    *,
    pipelines: Sequence[str] = ("churn", "fraud"),
    roles: Mapping[str, Sequence[str]] | None = None,
    owner_uid: int | None = None,
    store: Any = None,
    clock: ManualClock | None = None,
    alerts: AlertsSettings | None = None,
) -> Iterator[Served]:
    """Serve until the block ends. With another `owner_uid` than ours, `roles` alone say what we may do.

    `store` is served in the place of an empty one in memory, at the time of `clock`.
    """
    clock = clock or ManualClock(NOW)
    store = store or MemoryStore(clock)
    core, thread, started = RecordingCore(store, clock, stop_file=state / "STOP"), OneThread("core"), threading.Event()
    running: list[Any] = []

    async def serve() -> None:
        bell, webhook = Bell(), Webhook(core, alerts, folder=state) if alerts else None
        people = People(roles=roles or {}, owner_uid=os.getuid() if owner_uid is None else owner_uid)
        control = Control(
            core=core,
            core_thread=thread,
            pipelines=pipelines,
            people=people,
            clock=clock,
            bell=bell,
            describe=lambda: {"state": "live"},
            webhook=webhook,
        )
        listener = Listener(control.app())
        running.extend((bell, listener, asyncio.get_running_loop()))
        serving = asyncio.create_task(listener.serve(sockets=[bind(state / "control.sock")]))
        while not listener.started:
            await asyncio.sleep(0.001)
        started.set()
        await serving
        control.close()
        if webhook is not None:
            webhook.close()

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    assert started.wait(10), "the control API did not start"
    bell, listener, loop = running
    try:
        yield Served(state=state, core=core, store=store, bell=bell, loop=loop)
    finally:
        loop.call_soon_threadsafe(bell.stop)
        listener.should_exit = True
        server.join(10)
        thread.close()


def an_intent(**changed: Any) -> Intent:
    """A retraining of `churn` that is announced."""
    valid: dict[str, Any] = {
        "id": "act-1",
        "key": "k",
        "pipeline": "churn",
        "incident_id": "inc-1",
        "decision_id": "dec-1",
        "action": "retrain",
        "target": None,
        "current": "v14",
        "state": IntentState.ANNOUNCED,
        "revision": 3,
        "confidence": 0.86,
        "severity": 2,
        "created_at": NOW,
        "veto_within_s": 600.0,
        "default": "it runs",
    }
    return Intent(**{**valid, **changed})


def a_decision(**changed: Any) -> Decision:
    """A decision to retrain `churn`."""
    valid: dict[str, Any] = {
        "id": "dec-1",
        "pipeline": "churn",
        "at": NOW,
        "window_start_at": NOW.replace(minute=0),
        "window_end_at": NOW.replace(minute=15),
        "stage": Stage.LIVE,
        "incident_id": "inc-1",
        "severity": 2,
        "chosen": "retrain",
        "target": None,
        "rule_action": "retrain",
        "rule": "default.retrain_on_harm",
        "candidate": "retrain",
        "p_cheaper_than_rule": None,
        "confidence": 0.86,
        "propensity": 1.0,
        "level": "announced",
        "reason": "the error rose",
        "options": (),
        "rules_id": "r1",
        "trace": {"facts": {"error_rate": 0.31}},
    }
    return Decision(**{**valid, **changed})
