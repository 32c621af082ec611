"""A life of one pipeline, played once: healthy windows, a relation that turns, a heal, and it turns once more."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Client
from healerd.clock import ManualClock
from healerd.store import ReadStore
from tests.healerd.daemon.loop import NAME, Loop


@dataclass
class Past:
    """What was lived: the state folder, the moment at its end, and what the status was after each window."""

    state: Path
    now: datetime
    seen: list[tuple[int, Any]] = field(default_factory=list)

    @property
    def clock(self) -> ManualClock:
        return ManualClock(self.now)

    @property
    def client(self) -> Client:
        return Client(self.state, clock=self.clock)

    def store(self) -> ReadStore:
        return ReadStore.open(self.state)


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """The folder that a daemon left after its pipeline was healed once and needs it again."""
    folder = tmp_path_factory.mktemp("past")
    loop = Loop(folder)
    lived = Past(state=folder / "state", now=loop.clock.now())

    def play(windows: int, **serving: bool) -> None:
        for _ in range(windows):
            loop.play(**serving)
            _remember(lived, loop)

    play(3)
    for _ in range(6):
        play(1, turned=True)
        while loop.approve():
            loop.wait()
            _remember(lived, loop)
    play(4)
    lived.now = loop.clock.now()
    loop.core.close()
    return lived


def _remember(lived: Past, loop: Loop) -> None:
    client = Client(lived.state, clock=ManualClock(loop.clock.now()))
    view = client.status()
    lived.seen.append((view["head"], {"status": view, "intents": client.intents(all_states=True)}))


@pytest.fixture
def name() -> str:
    return NAME
