"""Heals over an MLflow registry, against the double of its server: each once, whatever the process or server does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healerd.actions.alias import BY_HAND
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.errors import ActionError
from healerd.model import IntentState
from tests.healerd.actions.shelf import Crash, MemoryShelf
from tests.healerd.daemon.bench import Bench

S = IntentState


class Daemon(Bench):
    """A bench whose registry is an MLflow model; `restart` is what follows a kill."""

    def __init__(self, folder: Path) -> None:
        self.shelf = MemoryShelf()
        super().__init__(folder, registry=self.opened(folder))
        self.registry.prepare()
        self.with_versions()
        self.close_windows(3, label=1.0)

    def opened(self, folder: Path) -> MlflowRegistry:
        return MlflowRegistry(self.shelf, "flights", folder / "lock")

    def restart(self) -> None:
        self.shelf.before = self.shelf.after = lambda call: None
        self.registry = self.opened(self.folder)
        self.reopen()
        self.executor.recover(["flights"])
        self.step()

    def moves_by(self, key: str) -> int:
        return [move.key for move in self.registry.alias().moves].count(key)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.store.close()


def raising(error: BaseException, *, call: str | None = None, nth: int = 1) -> Callable[[str], None]:
    """Raise at the nth call, or at the nth call of one name, and at each one after it."""
    left = [nth]

    def told(name: str) -> None:
        left[0] -= call in {None, name}
        if left[0] <= 0 and call in {None, name}:
            raise error

    return told


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["rollback", "fallback"])
def test_s14_a_heal_killed_at_any_call_of_the_server_is_done_once(tmp_path: Path, action: str, when: str) -> None:
    """Killed before or after any request, the daemon that starts next ends the heal: one move, one version."""
    for nth in range(1, 100):
        daemon = Daemon(tmp_path / str(nth))
        intent = daemon.propose(action)
        setattr(daemon.shelf, when, raising(Crash(), nth=nth))
        try:
            daemon.step()
        except Crash:
            daemon.restart()
        else:
            break
        assert daemon.intent().state not in {S.FAILED, S.NEEDS_PERSON}, f"{when} {nth}: {daemon.intent().reason}"
        assert daemon.moves_by(intent.key) == 1, f"{when} {nth}"
        assert daemon.registry.active == daemon.intent().result["version"]
        assert len(daemon.registry.names()) == len(daemon.shelf.stored) == (2 if action == "rollback" else 3)
        daemon.store.close()
    daemon.store.close()
    assert nth > 10, "there was nothing left to cut only after many calls"


def test_an_undo_moves_the_alias_back(daemon: Daemon) -> None:
    """A heal that made it worse is undone on the server, by a move of its own."""
    daemon.propose("rollback")
    daemon.step()
    assert daemon.registry.active == "one"
    daemon.close_windows(3, label=0.0)
    daemon.step()
    daemon.step()
    assert daemon.registry.active == "zero"
    assert daemon.intent().state is S.UNDONE
    assert [move.version for move in daemon.registry.alias().moves] == ["zero", "one", "zero"]


def test_a_server_out_of_reach_holds_what_has_not_begun(daemon: Daemon) -> None:
    """A ready heal waits and says why; when the server is back it runs, once."""
    intent = daemon.propose("rollback")
    daemon.shelf.before = raising(ActionError("no answer"))
    daemon.step()
    assert (daemon.intent().state, "no answer" in daemon.intent().reason) == (S.READY, True)
    daemon.shelf.before = lambda call: None
    daemon.step()
    assert (daemon.registry.active, daemon.moves_by(intent.key)) == ("one", 1)


def test_silence_to_the_move_itself_asks_a_person(daemon: Daemon) -> None:
    """When the request that moves is not answered, nothing is repeated, and the late effect counts as the heal's."""
    intent = daemon.propose("rollback")
    daemon.shelf.before = raising(ActionError("timed out"), call="point")
    daemon.step()
    assert (daemon.intent().state, daemon.registry.active) == (S.NEEDS_PERSON, "zero")
    daemon.shelf.before = lambda call: None
    daemon.shelf.aliases["active"] = "2"
    daemon.step()
    assert daemon.moves_by(intent.key) == 1
    assert {move.key for move in daemon.registry.alias().moves} == {"first", intent.key}


def test_a_move_by_others_ends_the_heal(daemon: Daemon) -> None:
    """Somebody who moves the alias meanwhile is not overruled: the heal has failed and says so."""
    daemon.add_version("two", 2.0)
    daemon.propose("rollback")
    daemon.shelf.before = lambda call: call == "tag" and daemon.shelf.aliases.__setitem__("active", "3")
    daemon.step()
    daemon.shelf.before = lambda call: None
    assert (daemon.intent().state, daemon.registry.active) == (S.FAILED, "two")
    assert "somebody else moved it" in daemon.intent().reason
    assert [move.by for move in daemon.registry.alias().moves if move.key != "first"] == [BY_HAND]
