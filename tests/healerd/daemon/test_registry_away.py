"""A registry that is away: the core starts, judges on, holds what needs the registry, and goes on when it is back."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from healerd.actions import InlineWorker, durable
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.actions.model_files import ModelFiles
from healerd.client.fleet import status_view
from healerd.client.views import plain
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.daemon.lookout import Outage
from healerd.errors import ConfigError, RegistryAway
from healerd.model import Decision, Incident, IntentState, Stage
from tests.healerd.actions.shelf import Crash, MemoryShelf
from tests.healerd.daemon.loop import NAME, ROLES, RULES, START, Loop

S = IntentState
T = TypeVar("T")
SILENT = "the MLflow server `memory#flights` did not answer as it should: connection refused; see whether it runs there"
TELLS = (
    RULES
    + """
action page risk 0
permit tell: page
propose tell_people: page
  when wrong
  priority 60 severity high
  because "somebody should look"
"""
)
PAGE = '[pipeline.flights.actions.page]\nkind = "notify"\nmessage = "look"\n'


class Away(Loop):
    """A loop whose models lie on a server that can be silent: the double of an MLflow server."""

    def __init__(self, folder: Path, **changes) -> None:
        self.shelf = MemoryShelf()
        super().__init__(folder, **changes)

    def registry(self) -> MlflowRegistry:
        trusted = ModelFiles(trusted=("tests.healerd.daemon.loop.Sign",))
        return MlflowRegistry(self.shelf, NAME, self.folder / "lock", files=trusted)

    def open(self) -> None:
        self.core = Core.open(
            self.config,
            self.clock,
            sources={NAME: self.source},
            registries={NAME: self.registry()},
            worker=InlineWorker(),
            start_at=self.clock.now(),
        )

    def go(self, *, only: str | None = None) -> None:
        """Let the server be silent, to everything or to one kind of request."""

        def silent(call: str) -> None:
            if only in {None, call}:
                raise RegistryAway(SILENT)

        self.shelf.before = silent

    def come_back(self) -> None:
        self.shelf.before = lambda call: None

    @property
    def active(self) -> str:
        return self._asked(lambda registry: registry.active)

    def load(self, version: str) -> object:
        """What serves has been loaded, and goes on while the registry is silent."""
        return self._asked(lambda registry: registry.load(version))

    def _asked(self, ask: Callable[[MlflowRegistry], T]) -> T:
        held = self.shelf.before
        self.come_back()
        try:
            return ask(self.registry())
        finally:
            self.shelf.before = held

    def status(self) -> dict:
        return status_view(self.core.store, [NAME], at=self.clock.now())["pipelines"][0]

    def leaves(self, kind: str) -> int:
        return len(self.core.store.leaves(kind=kind))


class Served(Loop):
    """A loop over a folder; what serves goes on with what it has loaded, whatever the daemon sees."""

    @property
    def active(self) -> str:
        return self.core.pipelines[NAME].listed.active

    def load(self, version: str) -> object:
        return self.core.pipelines[NAME].listed.load(version)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Away]]:
    made: list[Away] = []

    def build(**changes) -> Away:
        made.append(Away(tmp_path / str(len(made)), **changes))
        return made[-1]

    yield build
    for loop in made:
        loop.core.close()


def test_a_registry_that_goes_away_is_judged_without(make: Callable[..., Away]) -> None:
    """Every window is judged, by the version that served last; each decision says that the registry was away."""
    loop = make()
    loop.play(3)
    loop.go()
    loop.play(2)
    judged = loop.core.store.find(Decision)
    assert [bool(each.trace["situation"].get("registry_away")) for each in judged] == [False] * 3 + [True] * 2
    assert {each.trace["situation"]["active"]["name"] for each in judged} == {"first"}
    assert judged[-1].trace["facts"]["alias_moved"] is None, "while nobody can tell, it is unknown"
    assert loop.core.store.find(Incident) == ()


def test_an_outage_is_told_once_and_its_end_too(make: Callable[..., Away], caplog: pytest.LogCaptureFixture) -> None:
    """Log, record and status say which registry is away, since when and why; and that it is back."""
    caplog.set_level(logging.INFO, logger="healerd")
    loop = make()
    loop.play(2)
    loop.go()
    loop.play(3)
    told = loop.status()["registry"]
    assert (told["place"], told["reason"]) == ("memory#flights@active", SILENT)
    assert told["since"] == plain(START + timedelta(hours=3))
    assert (loop.leaves("registry failed"), loop.leaves("registry back")) == (1, 0)
    loop.come_back()
    loop.play(1)
    assert loop.status()["registry"] is None
    assert (loop.leaves("registry failed"), loop.leaves("registry back")) == (1, 1)
    said = [record.getMessage() for record in caplog.records if "registry" in record.getMessage()]
    assert [("is away" in line, "is back" in line) for line in said] == [(True, False), (False, True)]
    assert [each.over for each in loop.told if isinstance(each, Outage)] == [False, True]


def test_while_it_is_away_what_needs_it_is_refused_with_the_reason_and_a_message_goes_out(
    make: Callable[..., Away],
) -> None:
    """An incident opens and is judged; every heal is refused by the registry's own words, a notification is not."""
    loop = make(rules=TELLS, more=PAGE)
    loop.trust(Stage.LIVE)
    loop.play(2)
    loop.go()
    loop.play(5, turned=True)
    assert loop.core.store.find(Incident, closed_at=None)
    refused = {each["action"]: each.get("refusal") for each in loop.decision().trace["situation"]["targets"]}
    assert {name for name, why in refused.items() if why == SILENT} == {"retrain", "rollback", "fallback"}
    assert loop.intents(action="retrain") == ()
    assert [each.chosen for each in loop.core.store.find(Decision) if each.chosen != "hold"]
    assert loop.intent("page").effect_at is not None, "a message needs no registry"
    held = loop.core.propose(NAME, "rollback", to="first", author="ada", roles=ROLES, reason="now please")
    assert (held.chosen, SILENT in held.reason) == ("hold", True)


def test_a_heal_that_was_ready_waits_and_goes_on(make: Callable[..., Away]) -> None:
    """What was approved before the outage neither runs nor fails while it lasts, and runs once afterwards."""
    loop = make()
    loop.play(3)
    while not loop.intents(action="retrain"):
        loop.play(turned=True)
    loop.go()
    loop.approve()
    loop.wait()
    waiting = loop.intent("retrain")
    assert (waiting.state, SILENT in waiting.reason, waiting.executed_at) == (S.READY, True, None)
    loop.come_back()
    for _ in range(6):
        loop.play(turned=True)
        while loop.approve():
            loop.wait()
    healed = loop.intent("retrain")
    assert healed.state is S.VERIFIED, healed.reason
    assert [move.version for move in loop.registry().alias().moves].count(loop.active) == 1


def test_a_candidate_is_not_judged_by_a_silent_registry(make: Callable[..., Away]) -> None:
    """When the models cannot be had, no version is taken for wrong: nothing is refused, undone or promoted by that."""
    loop = make()
    loop.play(3)
    while not loop.intents(action="promote"):
        loop.play(turned=True)
        while loop.approve():
            loop.wait()
    assert loop.intent("promote").state is S.VERIFYING
    loop.go(only="read")
    for _ in range(2):
        loop.play(turned=True)
    assert loop.intent("promote").state is S.VERIFYING, loop.intent("promote").reason
    loop.come_back()
    loop.play(2, turned=True)
    assert loop.intent("promote").state is S.VERIFIED


def test_s14_a_move_that_was_cut_off_is_asked_for_when_the_registry_is_back(make: Callable[..., Away]) -> None:
    """Killed in the middle of a move and started without the registry, the daemon neither repeats nor guesses."""
    loop = make()
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    loop.approve()

    def die(call: str) -> None:
        if call == "point":
            raise Crash

    loop.shelf.after = die
    with pytest.raises(Crash):
        loop.run()
    loop.shelf.after = lambda call: None
    loop.go()
    loop.reopen()
    loop.run()
    cut = loop.intent("rollback")
    assert (cut.state, SILENT in cut.reason) == (S.EXECUTING, True)
    loop.come_back()
    loop.run()
    assert loop.intent("rollback").state is S.VERIFYING
    assert [move.version for move in loop.registry().alias().moves] == ["first", "second"]


def test_a_daemon_starts_without_its_registry_and_judges_on(make: Callable[..., Away]) -> None:
    """After a restart it knows from its record what serves; older daemons are fenced off once the registry is back."""
    loop = make()
    loop.play(3)
    loop.go()
    loop.reopen()
    loop.play(2)
    assert len(loop.core.store.find(Decision)) == 5
    assert loop.decision().trace["situation"]["active"]["name"] == "first"
    assert loop.status()["registry"]["reason"] == SILENT
    loop.come_back()
    assert loop.registry().alias().fence < loop.core.store.epoch
    loop.run()
    assert loop.registry().alias().fence == loop.core.store.epoch
    assert loop.status()["registry"] is None


def test_a_heal_done_just_before_the_outage_is_known_after_a_restart(make: Callable[..., Away]) -> None:
    """The version that a heal made active counts as serving, although no window has been judged since."""
    loop = make()
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    loop.approve()
    loop.run()
    loop.go()
    loop.reopen()
    loop.play(1)
    assert loop.decision().trace["situation"]["active"]["name"] == "second"


def test_the_very_first_start_without_a_registry_loses_no_window(tmp_path: Path) -> None:
    """Nobody has ever known which version serves: windows wait, and are judged when the registry is there."""
    loop = Away.__new__(Away)
    loop.shelf = MemoryShelf()
    loop.go()
    with pytest.raises(RegistryAway):
        Loop.__init__(loop, tmp_path / "late")  # the core opens; the version that people add cannot be stored
    loop.clock.advance(2 * 3600)
    loop.run()
    assert loop.core.store.find(Decision) == ()
    assert loop.leaves("registry failed") == 1
    loop.come_back()
    loop.run()
    assert len(loop.core.store.find(Decision)) == 2
    assert loop.leaves("registry back") == 1
    loop.core.close()


def test_what_is_wrong_with_the_configuration_is_told_at_the_start_all_the_same(tmp_path: Path) -> None:
    """A model file that is not there, or a registry of an unknown kind, ends the start although the server is away."""
    base = "[daemon]\nstate = 'state'\n[pipeline.flights]\n[pipeline.flights.source]\nkind = 'memory'\n"
    for key, said in (
        ("registry = 'mlflow:http://127.0.0.1:9'\nmodel = 'none.skops'", "no file"),
        ("registry = 'mlfow:http://127.0.0.1:9'", "no kind of registry `mlfow`"),
        ("registry = 'mlflow:ftp://127.0.0.1'", "is no place"),
    ):
        text = base.replace("[pipeline.flights]\n", f"[pipeline.flights]\n{key}\n", 1)
        config = parse_config(text, path=tmp_path / "healerd.toml")
        with pytest.raises(ConfigError, match=said):
            Core.open(config, ManualClock(START), worker=InlineWorker())


def test_a_leader_that_was_stopped_inside_the_registry_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes over starts and judges beside a process that keeps the registry's lock, and heals when it is gone."""
    monkeypatch.setattr(durable, "TRIES", 1)
    loop = Served(tmp_path)
    loop.play(2)
    lock = loop.core.pipelines[NAME].registry.folder / ".lock"
    with durable.exclusive(lock):
        loop.reopen()
        loop.play(2)
        assert "held by another process" in loop.core.pipelines[NAME].sight.away
        assert len(loop.core.store.find(Decision)) == 4
    loop.play(2)
    assert loop.core.pipelines[NAME].sight.away == ""
    loop.core.close()


def test_a_silent_server_is_waited_for_a_tenth_of_the_time_at_most(make: Callable[..., Away]) -> None:
    """An answer that takes 20 s not to come is asked for again after 200 s, so that others are not held up."""
    loop = make()
    loop.play(1)
    asked: list[float] = []

    def slow(call: str) -> None:
        asked.append(loop.clock.read().boot_s)
        loop.clock.advance(20)
        raise RegistryAway(SILENT)

    loop.shelf.before = slow
    loop.play(1)
    asked.clear()
    loop.core.run_due()
    for _ in range(60):
        loop.clock.advance(10)
        loop.core.run_due()
    assert 3 <= len(asked) <= 4, asked
