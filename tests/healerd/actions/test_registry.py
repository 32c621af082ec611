"""The registry: whole versions only, and an alias that moves once for each key."""

import json
import os
import time
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from healerd.actions import durable, mlflow_alias
from healerd.actions.alias import BY_HAND, MOVES_KEPT, AliasMoved
from healerd.actions.folder import FolderRegistry
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.actions.model_files import ModelFiles
from healerd.actions.registry import Draft, Registry, version_name
from healerd.errors import ActionError, RegistryAway, StaleEpoch
from healerd.model import VersionKind
from tests.healerd.actions.models import START, constant, features, filled
from tests.healerd.actions.shelf import MemoryShelf


@pytest.fixture
def folder(tmp_path: Path) -> FolderRegistry:
    """A folder with versions `a` (says 0) and `b` (says 1); `a` is active."""
    return filled(FolderRegistry(tmp_path / "registry", "flights", ModelFiles(allow_pickle=True)))


@pytest.fixture(params=["folder", "mlflow"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """The same in every kind of registry; of MLflow with a double of its server."""
    if request.param == "folder":
        return request.getfixturevalue("folder")
    return filled(MlflowRegistry(MemoryShelf(), "flights", tmp_path / "lock"))


def by_hand(registry: Registry, name: str) -> None:
    """Move the alias as somebody does who knows nothing of healerd."""
    if isinstance(registry, FolderRegistry):
        path = registry.folder / "active.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": name}))
    else:
        shelf = registry.shelf
        (number,) = (each.number for each in shelf.stored.values() if each.tags["healerd.name"] == name)
        shelf.aliases["active"] = number


def spoil(registry: Registry, name: str) -> None:
    """Change the stored file of a version's model."""
    if isinstance(registry, FolderRegistry):
        (path,) = (registry.folder / "versions" / name).glob("model.*")
        path.write_bytes(b"other")
    else:
        (stored,) = (each for each in registry.shelf.stored.values() if each.tags["healerd.name"] == name)
        registry.shelf.contents[stored.source][stored.tags["healerd.file"]] = b"other"


def test_a_stored_version_comes_back_as_it_was(registry: Registry) -> None:
    """What is loaded predicts what was stored, and its record says what it is."""
    assert np.array_equal(registry.load("b").predict(features(3)), np.ones(3))
    version = registry.get("b")
    assert (version.pipeline, version.kind, version.created_at) == ("flights", VersionKind.MODEL, START)


def test_a_name_is_given_once(registry: Registry) -> None:
    """A stored version is never replaced by another one under its name."""
    with pytest.raises(ActionError, match="already stored"):
        registry.add(constant(5.0), Draft(name="a", kind=VersionKind.MODEL, created_at=START))
    assert registry.load("a").predict(features(1))[0] == 0.0


def test_storing_a_key_again_gives_the_first_version(registry: Registry) -> None:
    """The same intent stores one version, however often it is carried out."""
    draft = Draft(name=version_name("retrain", "k" * 64), key="k" * 64, kind=VersionKind.MODEL, created_at=START)
    first = registry.add(constant(2.0), draft)
    assert registry.add(constant(3.0), draft) == first
    assert registry.made_by("k" * 64, draft.name) == first


def test_s14_a_key_moves_the_alias_once(registry: Registry) -> None:
    """A move that is asked for again under its key changes nothing, even after later moves."""
    move = registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START)
    registry.set_alias("a", if_current="b", key="l", epoch=1, by="healerd", at=START)
    assert registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START) == move
    assert registry.active == "a"


def test_s14_the_alias_moves_only_from_where_it_was_seen(registry: Registry) -> None:
    """Compare-and-set: a move from elsewhere is refused and changes nothing."""
    with pytest.raises(AliasMoved, match="at `a`, not at `b`"):
        registry.set_alias("b", if_current="b", key="k", epoch=1, by="healerd", at=START)
    assert registry.alias().generation == 1


def test_s14_an_older_daemon_is_fenced_off(registry: Registry) -> None:
    """Once a newer epoch has looked, an older one moves nothing and is told so."""
    registry.raise_fence(3)
    with pytest.raises(StaleEpoch, match="epoch 2 is over"):
        registry.set_alias("b", if_current="a", key="k", epoch=2, by="healerd", at=START)
    with pytest.raises(StaleEpoch):
        registry.raise_fence(2)
    assert registry.active == "a"


def test_who_holds_the_lock_for_good_holds_up_nobody(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a process that was stopped with the lock, asking ends: the registry is away, and nothing was changed."""
    monkeypatch.setattr(durable, "TRIES", 2)
    held = registry.folder / ".lock" if isinstance(registry, FolderRegistry) else registry._lock
    before, move = registry.alias(), {"if_current": "a", "key": "k", "epoch": 1, "by": "healerd", "at": START}
    with durable.exclusive(held):
        for ask in (lambda: registry.set_alias("b", **move), lambda: registry.raise_fence(7)):
            with pytest.raises(RegistryAway, match=r"held by another process.*fuser"):
                ask()
    assert registry.alias() == before
    registry.set_alias("b", **move)
    assert registry.active == "b"


def test_an_edit_by_hand_is_a_move_by_another_actor(registry: Registry) -> None:
    """A version written into the alias file is seen as a move that no intent made, and stays seen."""
    by_hand(registry, "b")
    move = registry.alias().moves[-1]
    assert (move.version, move.previous, move.by, move.generation) == ("b", "a", BY_HAND, 2)
    registry.set_alias("a", if_current="b", key="k", epoch=1, by="healerd", at=START)
    assert [each.by for each in registry.alias().moves] == ["healerd", BY_HAND, "healerd"]


def test_what_the_kept_moves_cannot_tell_is_not_known(registry: Registry) -> None:
    """The alias remembers a bounded number of moves, and says from where on."""
    kept = MOVES_KEPT if isinstance(registry, FolderRegistry) else mlflow_alias.MOVES_KEPT
    for number in range(kept):
        there, here = ("b", "a") if number % 2 == 0 else ("a", "b")
        registry.set_alias(there, if_current=here, key=f"k{number}", epoch=1, by="healerd", at=START)
    alias = registry.alias()
    assert alias.moved_by("first") is None
    assert not alias.remembers(0)
    assert alias.remembers(1)
    assert not alias.remembers(alias.generation + 1)


def test_a_changed_model_is_never_loaded(registry: Registry) -> None:
    """A model whose content is not the recorded one is refused, and the alias does not move to it."""
    spoil(registry, "b")
    with pytest.raises(ActionError, match="SHA-256 differs"):
        registry.load("b")
    with pytest.raises(ActionError, match="SHA-256 differs"):
        registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START)
    assert registry.active == "a"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": 9}'])
def test_a_broken_record_hides_one_version_only(folder: FolderRegistry, content: str) -> None:
    """A version whose record makes no sense is named with the mend; the others can be used."""
    (folder.folder / "versions/b/meta.json").write_text(content)
    assert [version.name for version in folder.versions()] == ["a"]
    (fault,) = folder.faults()
    assert "meta.json" in fault
    assert "restore" in fault


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 5}', '{"version": "a", "moves": [{}]}'])
def test_a_broken_alias_is_an_error_with_the_mend(folder: FolderRegistry, content: str) -> None:
    """An alias that makes no sense is never guessed."""
    (folder.folder / "active.json").write_text(content)
    with pytest.raises(ActionError, match=r"active\.json.*(restore|write)"):
        folder.alias()


@pytest.mark.parametrize("kind", ["folder", "mlflow"])
def test_a_registry_without_an_alias_says_so(tmp_path: Path, kind: str) -> None:
    """Before the first version is set active, asking for it is an error with the mend."""
    empty = {
        "folder": FolderRegistry(tmp_path, "flights"),
        "mlflow": MlflowRegistry(MemoryShelf(), "flights", tmp_path / "lock"),
    }
    assert empty[kind].alias().version is None
    with pytest.raises(ActionError, match="no active version"):
        _ = empty[kind].active


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_registry_is_an_error_with_the_mend(folder: FolderRegistry) -> None:
    """Where nothing can be written, nothing is half written."""
    folder.folder.chmod(0o500)
    with pytest.raises(ActionError, match=r"read-only|writable"):
        folder.add(constant(5.0), Draft(name="c", kind=VersionKind.MODEL, created_at=START))
    folder.folder.chmod(0o700)
    assert folder.names() == ("a", "b")


def test_a_registry_in_place_of_a_file_is_an_error_with_the_mend(tmp_path: Path) -> None:
    """A path that cannot be a folder is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ActionError, match="cannot be made"):
        FolderRegistry(tmp_path / "file" / "registry", "flights").prepare()


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "x" * 101])
def test_a_name_cannot_leave_the_folder(registry: Registry, name: str) -> None:
    """Names are plain words, so that a version lies where it belongs."""
    with pytest.raises(ActionError, match="cannot name a version"):
        registry.add(constant(5.0), Draft(name=name, kind=VersionKind.MODEL, created_at=START))


def test_pruning_keeps_what_is_needed(registry: Registry) -> None:
    """The active version, the one it replaced and the referenced ones stay, then the newest."""
    for day in range(1, 7):
        draft = Draft(name=f"v{day}", kind=VersionKind.MODEL, created_at=START + timedelta(days=day))
        registry.add(constant(float(day)), draft)
    registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START)
    assert registry.prune(keep=5, referenced={"v1"}) == ("v4", "v3", "v2")
    assert registry.names() == ("a", "b", "v1", "v5", "v6")


def test_pruning_takes_what_never_served_first(registry: Registry) -> None:
    """A version that has served outlives newer candidates that never did: it may be the right one again."""
    for here, there in (("a", "b"), ("b", "a")) * 2:
        registry.set_alias(
            there, if_current=here, key=f"{here}{registry.alias().generation}", epoch=1, by="h", at=START
        )
    for day in range(1, 4):
        draft = Draft(name=f"v{day}", kind=VersionKind.MODEL, created_at=START + timedelta(days=day))
        registry.add(constant(float(day)), draft)
    registry.set_alias("v1", if_current="a", key="k", epoch=1, by="healerd", at=START)
    registry.set_alias("v3", if_current="v1", key="l", epoch=1, by="healerd", at=START)
    assert registry.prune(keep=4) == ("v2",)
    assert registry.prune(keep=3) == ("a",)


def test_a_sweep_leaves_no_half_version(folder: FolderRegistry) -> None:
    """What a crash left in staging goes, what is stored stays."""
    (folder.folder / "staging/c.123").mkdir()
    folder.sweep()
    assert list((folder.folder / "staging").iterdir()) == []
    assert folder.names() == ("a", "b")


def test_s14_a_sweep_leaves_what_is_being_made(folder: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that starts while the training of a stopped one stores its version takes nothing away from it."""

    def swept_meanwhile(source: Path, target: Path) -> bool:
        FolderRegistry(folder.folder, "flights", folder.files).sweep()
        return durable.move_folder(source, target)

    monkeypatch.setattr("healerd.actions.folder.move_folder", swept_meanwhile)
    folder.add(constant(3.0), Draft(name="c", kind=VersionKind.MODEL, created_at=START, key="k"))
    assert folder.check("c").key == "k"
    assert np.array_equal(folder.load("c").predict(features(2)), np.full(2, 3.0))
    assert list((folder.folder / "staging").iterdir()) == []


def test_a_draft_of_a_process_that_died_is_swept_at_the_next_start(folder: FolderRegistry) -> None:
    """While its process lives a draft stays, however often is swept; killed in the middle, it leaves nothing."""
    staging = folder.folder / "staging"
    child = get_context("spawn").Process(target=store_and_hang, args=(folder,))
    child.start()
    while not list(staging.glob("*/meta.json")):
        assert child.is_alive()
        time.sleep(0.01)
    folder.sweep()
    assert len(list(staging.iterdir())) == 1
    child.kill()
    child.join()
    folder.sweep()
    assert list(staging.iterdir()) == []
    assert folder.names() == ("a", "b")


def store_and_hang(registry: FolderRegistry) -> None:
    """Begin to store a version, and never come to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("healerd.actions.folder.move_folder", lambda _source, _target: time.sleep(60))
        registry.add(constant(3.0), Draft(name="c", kind=VersionKind.MODEL, created_at=START))
