"""What the tests of the verbs share: a call of the command line, and a daemon to call."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.group import invoke
from tests.served import Served, a_decision, an_intent, served


@dataclass(frozen=True)
class Called:
    """What a verb printed and ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves loaded rules with the person who runs it, or finds any."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    def call(*arguments: str | Path) -> Called:
        capsys.readouterr()
        code = invoke([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Called(code=code, out=printed.out, err=printed.err)

    return call


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.store.put(a_decision())
        running.store.put(an_intent())
        yield running


@pytest.fixture
def ask(daemon: Served, call: Callable[..., Called]) -> Callable[..., Called]:
    """Call a verb on the daemon's state folder."""
    return lambda *arguments: call(*arguments, "--state", daemon.state)
