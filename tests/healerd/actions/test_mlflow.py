"""The registry on an MLflow server, against a double of the server: crashes at every call, races, silence and lies."""

import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import yaml
from sklearn.linear_model import LinearRegression

from healerd.actions.alias import BY_HAND, AliasMoved
from healerd.actions.mlflow_alias import EPOCH_TAG, MOVE_TAG, move_tag, move_text
from healerd.actions.mlflow_client import MlflowShelf, Refused
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.actions.model_files import MatrixModel, ModelFiles
from healerd.actions.registries import open_registry
from healerd.actions.registry import Draft
from healerd.config import PipelineSettings, SourceSettings
from healerd.errors import ActionError, ConfigError, StaleEpoch
from healerd.model import VersionKind
from tests.healerd.actions.models import START, constant, features, filled
from tests.healerd.actions.shelf import Crash, MemoryShelf

KEY = "k" * 64
DRAFT = Draft(name="c", key=KEY, kind=VersionKind.MODEL, created_at=START, note="it")
Registry = Callable[..., MlflowRegistry]


@pytest.fixture
def shelf() -> MemoryShelf:
    return MemoryShelf()


@pytest.fixture
def on(shelf: MemoryShelf, tmp_path: Path) -> Registry:
    """Open the registry as a process does that has just started; the first one fills it with `a` (active) and `b`."""

    def opened(**given: ModelFiles) -> MlflowRegistry:
        return MlflowRegistry(shelf, "flights", tmp_path / "lock", **given)

    filled(opened())
    return opened


def move(registry: MlflowRegistry, target: str = "b", *, key: str = KEY, epoch: int = 1, current: str = "a"):
    return registry.set_alias(target, if_current=current, key=key, epoch=epoch, by="healerd", at=START)


def at_call(number: int, error: BaseException) -> Callable[[str], None]:
    """Raise at the call with this number, counted from now."""
    left = [number]

    def told(call: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise error

    return told


def at(call: str, then: Callable[[], None], *, nth: int = 1) -> Callable[[str], None]:
    """Do something at the nth call of this name, once."""
    left = [nth]

    def told(name: str) -> None:
        if name == call:
            left[0] -= 1
            if left[0] == 0:
                then()

    return told


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def calls_of(shelf: MemoryShelf, act: Callable[[], object]) -> int:
    before = len(shelf.calls)
    act()
    return len(shelf.calls) - before


@pytest.mark.parametrize("when", ["before", "after"])
def test_s14_a_move_survives_a_crash_at_every_call(shelf: MemoryShelf, on: Registry, when: str) -> None:
    """Wherever the process dies, a newer daemon learns whether the key moved the alias, and one more try ends it."""
    steps = calls_of(shelf, lambda: move(on()))
    assert steps >= 7
    for step in range(1, steps + 1):
        shelf.tags, shelf.aliases, shelf.stored = None, {}, {}
        filled(on())
        setattr(shelf, when, at_call(step, Crash()))
        with pytest.raises(Crash):
            move(on())
        setattr(shelf, when, lambda call: None)
        stood = on().active
        seen = on().raise_fence(2).moved_by(KEY)
        assert (seen is not None) == (stood == "b"), f"crash {when} call {step}"
        assert move(on(), epoch=2).version == "b"
        assert on().active == "b"
        made = on().alias()
        assert [each.key for each in made.moves] == ["first", KEY], f"crash {when} call {step}: moved once"
        assert made.generation == 2
        with pytest.raises(StaleEpoch):
            move(on(), "a", key="late", current="b", epoch=1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_s14_a_version_is_made_once_whatever_crash(shelf: MemoryShelf, on: Registry, when: str) -> None:
    """Wherever the process dies that stores a version, it is there whole or not at all, and trying again makes one."""
    first = on()
    steps = calls_of(shelf, lambda: first.add(constant(2.0), DRAFT))
    assert steps >= 5
    for step in range(1, steps + 1):
        shelf.tags, shelf.aliases, shelf.stored, shelf.places = None, {}, {}, {}
        filled(on())
        setattr(shelf, when, at_call(step, Crash()))
        with pytest.raises(Crash):
            on().add(constant(2.0), DRAFT)
        setattr(shelf, when, lambda call: None)
        there = on().made_by(KEY, "c")
        assert there is None or on().check("c") == there
        on().sweep()
        assert on().add(constant(2.0), DRAFT) == on().made_by(KEY, "c")
        assert sorted(each.tags["healerd.name"] for each in shelf.stored.values()) == ["a", "b", "c"]
        on().sweep()
        assert len(shelf.places) == 3, f"crash {when} call {step}: no run without a version is left"


def test_two_that_store_the_same_key_at_once_store_one_version(shelf: MemoryShelf, on: Registry) -> None:
    """Of two versions with one name the first counts, everywhere, and a sweep removes the other."""
    shelf.before = at("add", lambda: on().add(constant(3.0), DRAFT))
    version = on().add(constant(2.0), DRAFT)
    assert on().load("c").predict(features(1))[0] == 3.0
    assert on().made_by(KEY, "c") == on().get("c") == version
    assert len(shelf.stored) == 4
    on().sweep()
    assert [each.tags["healerd.name"] for each in shelf.stored.values()] == ["a", "b", "c"]
    assert on().load("c").predict(features(1))[0] == 3.0


def test_s14_silence_to_a_move_is_not_absence(shelf: MemoryShelf, on: Registry) -> None:
    """When the request that moves gets no answer, nobody says that it did not move: until a newer daemon looks."""
    registry = on()
    shelf.before = at("point", fails(ActionError("timed out")))
    with pytest.raises(ActionError, match="timed out"):
        move(registry)
    with pytest.raises(ActionError, match="nobody knows whether `active` moved to `b`"):
        registry.raise_fence(1)
    assert registry.active == "a"
    assert on().raise_fence(2).moved_by(KEY) is None, "the request of a process that is gone will not come"


def test_a_move_that_took_effect_in_silence_is_a_move(shelf: MemoryShelf, on: Registry) -> None:
    """When the answer is lost but the alias stands at the target, the move is done."""
    shelf.after = at("point", fails(ActionError("timed out")))
    assert move(on()).version == "b"
    assert on().raise_fence(1).moved_by(KEY) is not None


def test_a_late_move_is_told_as_what_it_is(shelf: MemoryShelf, on: Registry) -> None:
    """A request that an old process sent, and that lands after newer moves, shows as a move by somebody else."""
    shelf.before = at("point", fails(Crash()))
    with pytest.raises(Crash):
        move(on())
    on().raise_fence(2)
    on().add(constant(2.0), DRAFT)
    move(on(), "c", key="other", epoch=2)
    (number,) = (each.number for each in shelf.stored.values() if each.tags["healerd.name"] == "b")
    shelf.aliases["active"] = number
    assert [each.by for each in on().alias().moves if each.key not in {"first", "other"}] == [BY_HAND]


def test_a_server_that_only_says_that_it_moved_is_found_out(shelf: MemoryShelf, on: Registry) -> None:
    """The alias is looked at after the move; when it has not moved, that is an error and nobody knows."""
    shelf.after = at("point", lambda: shelf.aliases.__setitem__("active", "1"))
    with pytest.raises(ActionError, match="says that it moved the alias"):
        move(on())
    with pytest.raises(ActionError, match="nobody knows"):
        on().raise_fence(1)


def test_a_server_that_refuses_has_moved_nothing(shelf: MemoryShelf, on: Registry) -> None:
    """A no of the server itself leaves no open move behind."""
    shelf.before = at("point", fails(Refused("no rights")))
    with pytest.raises(Refused):
        move(on())
    assert on().raise_fence(1).moved_by(KEY) is None
    assert on().alias().generation == 1


def test_s14_a_move_by_others_before_ours_stops_it(shelf: MemoryShelf, on: Registry) -> None:
    """Somebody who moves the alias after the first look and before the last one is not overruled."""
    on().add(constant(2.0), DRAFT)
    shelf.before = at("tag", lambda: shelf.aliases.__setitem__("active", "3"))
    with pytest.raises(AliasMoved, match="at `c`, not at `a`"):
        move(on())
    assert on().active == "c"
    assert on().raise_fence(1).moved_by(KEY) is None
    assert [each.version for each in on().alias().moves if each.key != "first"] == ["c"]


def test_a_move_by_others_right_after_ours_is_told(shelf: MemoryShelf, on: Registry) -> None:
    """Somebody who moves the alias right after us has the last word, and shows as another actor after our move."""
    on().add(constant(2.0), DRAFT)
    shelf.after = at("point", lambda: shelf.aliases.__setitem__("active", "3"))
    assert move(on()).version == "b"
    assert [(each.version, each.by) for each in on().alias().moves] == [
        ("a", "healerd"),
        ("b", "healerd"),
        ("c", BY_HAND),
    ]


def test_s14_of_two_daemons_on_two_machines_one_moves(shelf: MemoryShelf, on: Registry, tmp_path: Path) -> None:
    """Without a common lock file, a daemon that sees another one's begun move of the same generation steps back."""
    on().add(constant(2.0), DRAFT)
    elsewhere = MlflowRegistry(shelf, "flights", tmp_path / "another lock")
    steps = calls_of(shelf, lambda: move(on(), key="probe"))
    move(on(), "a", key="back", current="b")
    for step in range(1, steps + 1):
        start = on().active
        there = "b" if start == "a" else "a"

        def meanwhile(start: str = start, step: int = step) -> None:
            shelf.before = lambda call: None
            try:
                move(elsewhere, "c", key=f"there {step}", current=start)
            except AliasMoved:
                assert elsewhere.active != "c"

        shelf.before = at_step(step, meanwhile)
        with suppress(AliasMoved):
            move(on(), there, key=f"here {step}", current=start)
        shelf.before = lambda call: None
        alias = on().alias()
        known = [each for each in alias.moves if each.key in {f"here {step}", f"there {step}"}]
        assert alias.version in {each.version for each in known}, f"step {step}: where it stands is told by a move"
        assert len(alias.moves) == len({each.generation for each in alias.moves}), f"step {step}"
        assert not any(each.by == BY_HAND for each in alias.moves), f"step {step}: no move is lost"
        if alias.version == "c":
            move(on(), "a", key=f"reset {step}", current="c")


def at_step(step: int, then: Callable[[], None]) -> Callable[[str], None]:
    left = [step]

    def told(call: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            then()

    return told


def test_s14_two_daemons_that_raise_the_fence_at_once_leave_the_higher(shelf: MemoryShelf, on: Registry) -> None:
    """An older daemon cannot take away the fence of a newer one, whoever writes last."""
    shelf.before = at("tag", lambda: on_two(shelf, on))
    with pytest.raises(StaleEpoch, match="epoch 3"):
        on().raise_fence(2)
    assert on().alias().fence == 3


def on_two(shelf: MemoryShelf, on: Registry) -> None:
    shelf.before = lambda call: None
    shelf.tags[f"{EPOCH_TAG}3"] = "flights"


def test_the_tags_of_old_moves_and_epochs_go(shelf: MemoryShelf, on: Registry) -> None:
    """The model does not fill up with tags: the latest moves and the highest epoch stay."""
    for number in range(120):
        there, here = ("b", "a") if number % 2 == 0 else ("a", "b")
        registry = on()
        registry.raise_fence(number + 1)
        move(registry, there, key=f"k{number}", current=here, epoch=number + 1)
    assert sum(key.startswith(MOVE_TAG) for key in shelf.tags) == 100
    assert [key for key in shelf.tags if key.startswith(EPOCH_TAG)] == [f"{EPOCH_TAG}120"]
    assert all(len(value) < 5000 for value in shelf.tags.values())


@pytest.mark.parametrize("call", ["stand", "versions"])
def test_what_cannot_be_reached_is_not_absent(shelf: MemoryShelf, on: Registry, call: str) -> None:
    """While the server does not answer, asking raises: no version is missing and no alias is unset."""
    registry = on()
    shelf.before = at(call, fails(ActionError("no answer")), nth=1)
    ask = {"stand": registry.alias, "versions": lambda: registry.made_by(KEY, "c")}[call]
    with pytest.raises(ActionError, match="no answer"):
        ask()


def test_a_model_belongs_to_one_pipeline(shelf: MemoryShelf, on: Registry, tmp_path: Path) -> None:
    """S10: a second pipeline cannot take the alias of the first one for its own."""
    on().prepare()
    with pytest.raises(ActionError, match="belongs to the pipeline `flights`"):
        MlflowRegistry(shelf, "trains", tmp_path / "lock").prepare()


def test_pruning_touches_no_version_of_others_nor_one_with_an_alias(shelf: MemoryShelf, on: Registry) -> None:
    """What others made, and what any alias points at, stays."""
    registry = on()
    theirs = shelf.by_others({"model.skops": b""})
    for day in range(1, 6):
        registry.add(constant(day), replace(DRAFT, name=f"v{day}", key=None, created_at=START + timedelta(days=day)))
    (number,) = (each.number for each in shelf.stored.values() if each.tags.get("healerd.name") == "v1")
    shelf.aliases["champion"] = number
    assert registry.prune(keep=3) == ("v4", "v3", "v2", "b")
    assert sorted(registry.names()) == ["a", f"mlflow-{theirs}", "v1", "v5"]
    with pytest.raises(ActionError, match="no version `v2`"):
        registry.get("v2")


def test_a_version_with_broken_tags_hides_itself_only(shelf: MemoryShelf, on: Registry) -> None:
    """A version whose tags make no sense is named with the mend; the others can be used."""
    shelf.tag_version("2", "healerd.kind", "nonsense")
    shelf.stored["1"] = replace(shelf.stored["1"], ready=False)
    faults = on().faults()
    assert on().versions() == ()
    assert sum("tags of version 2" in said for said in faults) == 1
    assert sum("version 1 " in said and "not ready" in said for said in faults) == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"done": true, "at": "x"}'])
def test_a_broken_move_is_an_error_with_the_mend(shelf: MemoryShelf, on: Registry, text: str) -> None:
    """Moves that make no sense are never guessed."""
    shelf.tags[f"{MOVE_TAG}000000001.first"] = text
    with pytest.raises(ActionError, match="restore it, or remove it"):
        on().alias()


def sklearn_files(name: str, content: bytes) -> dict[str, bytes]:
    flavour = (
        f"flavors:\n  sklearn:\n    pickled_model: {name}\n  python_function:\n    loader_module: mlflow.sklearn\n"
    )
    return {"MLmodel": flavour.encode(), name: content}


LINE = LinearRegression().fit(np.arange(8.0).reshape(-1, 1), 2 * np.arange(8.0))


def test_a_model_that_others_logged_serves_when_its_content_is_recorded(shelf: MemoryShelf, on: Registry) -> None:
    """A scikit-learn model in skops is taken as MLflow lays it out; moving to it records its hash."""
    number = shelf.by_others(sklearn_files("model.skops", skops.io.dumps(LINE)))
    name = f"mlflow-{number}"
    move(on(), name)
    assert on().load(name).predict(features(3)).tolist() == pytest.approx([0, 2, 4])
    assert on().get(name).sha256
    assert on().get(name).key is None
    place = shelf.stored[number].source
    shelf.contents[place]["model.skops"] = skops.io.dumps(LinearRegression().fit([[0.0], [1.0]], [5.0, 5.0]))
    with pytest.raises(ActionError, match="SHA-256 differs"):
        on().load(name)


def test_a_pickle_that_others_logged_needs_allow_pickle(shelf: MemoryShelf, on: Registry, tmp_path: Path) -> None:
    """MLflow's pickles are loaded only where the configuration allows pickles, with the error that says so."""
    joblib.dump(LINE, tmp_path / "m.pkl")
    name = f"mlflow-{shelf.by_others(sklearn_files('model.pkl', (tmp_path / 'm.pkl').read_bytes()))}"
    with pytest.raises(ActionError, match="allow_pickle"):
        on().load(name)
    allowed = on(files=ModelFiles(allow_pickle=True))
    assert allowed.load(name).predict(features(2)).tolist() == pytest.approx([0, 2])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"MLmodel": b"flavors:\n  python_function:\n    loader_module: theirs\n"}, "only its own code can load"),
        ({"MLmodel": b"flavors: 5\n"}, "makes no sense"),
        ({"MLmodel": b"\x00"}, "makes no sense"),
        ({"weights.bin": b""}, "no model files"),
        ({"model.skops": b"", "model.onnx": b""}, "2 model files"),
        (sklearn_files("model.skops", b"PK\x03\x04"), "cannot be loaded"),
    ],
)
def test_what_others_logged_and_healerd_cannot_use_is_said(
    shelf: MemoryShelf, on: Registry, files: dict[str, bytes], said: str
) -> None:
    """A version in no format that is known names what it is, and what to log instead."""
    name = f"mlflow-{shelf.by_others(files)}"
    with pytest.raises(ActionError, match=said):
        on().load(name)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("mlflow:http://localhost:5000", "http://localhost:5000#flights@active"),
        ("mlflow:https://ml.example/base/", "https://ml.example/base#flights@active"),
        ("mlflow:http://localhost:5000#air_time@champion", "http://localhost:5000#air_time@champion"),
        ("mlflow:http://localhost:5000#@champion", "http://localhost:5000#flights@champion"),
    ],
)
def test_a_place_is_an_address_a_model_and_an_alias(tmp_path: Path, text: str, place: str) -> None:
    """What the configuration leaves out is the pipeline's name and `active`."""
    registry = open_registry(settings(text), tmp_path, "flights")
    assert registry.place == place
    assert pickle.loads(pickle.dumps(registry)).place == place


@pytest.mark.parametrize("text", ["mlflow:", "mlflow:sqlite:///x", "mlflow:http://", "mlflow:http://a#b@c d"])
def test_a_place_that_makes_no_sense_is_an_error_with_the_mend(tmp_path: Path, text: str) -> None:
    """A registry key is never guessed."""
    with pytest.raises(ConfigError, match=r"pipeline\.flights\.registry.*mlflow:http://HOST:PORT"):
        open_registry(settings(text), tmp_path, "flights")


def settings(registry: str) -> PipelineSettings:
    return PipelineSettings(source=SourceSettings(kind="memory"), registry=registry)


def test_an_unreachable_server_is_an_error_with_the_mend() -> None:
    """Where nothing listens, the first call says so within seconds."""
    with pytest.raises(ActionError, match=r"did not answer as it should.*see whether it runs"):
        MlflowShelf("http://127.0.0.1:1", "flights").stand()


def test_opening_a_registry_imports_no_mlflow(tmp_path: Path) -> None:
    """mlflow is imported at the first call to a server, not where a registry is configured."""
    code = (
        "import sys; from pathlib import Path; from healerd.config import PipelineSettings, SourceSettings\n"
        "from healerd.actions.registries import open_registry\n"
        "made = PipelineSettings(source=SourceSettings(kind='memory'), registry='mlflow:http://localhost:5000')\n"
        "open_registry(made, Path('.'), 'flights'); import healerd.daemon.app; assert 'mlflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


def test_a_version_lies_there_as_mlflow_lays_it_out(shelf: MemoryShelf, on: Registry, tmp_path: Path) -> None:
    """Beside the model is an `MLmodel` whose loader gives the same answers: a server can load it by alias."""
    line = MatrixModel(LINE, ("x",))
    on(files=ModelFiles()).add(line, DRAFT)
    (stored,) = (each for each in shelf.stored.values() if each.tags["healerd.name"] == "c")
    for name, content in shelf.contents[stored.source].items():
        (tmp_path / name).write_bytes(content)
    flavour = yaml.safe_load((tmp_path / "MLmodel").read_text())["flavors"]["python_function"]
    load = importlib.import_module(flavour["loader_module"])._load_pyfunc
    for place in (tmp_path, tmp_path / flavour["data"]):
        assert load(str(place)).predict({"x": [1, 2]}).tolist() == line.predict(features(3)).tolist()[1:]


def test_s14_an_older_daemon_writes_nothing_at_all(shelf: MemoryShelf, on: Registry) -> None:
    """A daemon that is fenced off before it looks leaves no tag behind."""
    on().raise_fence(3)
    tags = dict(shelf.tags)
    with pytest.raises(StaleEpoch):
        move(on(), epoch=2)
    assert "tag" not in shelf.calls[-3:]
    assert shelf.tags == tags


def test_s14_a_fence_that_rises_before_the_last_look_stops_a_move(shelf: MemoryShelf, on: Registry) -> None:
    """A daemon that is fenced off while it begins a move does not make it, and takes back what it has begun."""
    shelf.after = at("tag", lambda: shelf.tags.__setitem__(f"{EPOCH_TAG}2", "flights"))
    with pytest.raises(StaleEpoch):
        move(on())
    assert on().active == "a"
    assert on().raise_fence(2).generation == 1
    assert sum(key.startswith(MOVE_TAG) for key in shelf.tags) == 1


def test_s14_of_two_that_begin_at_once_neither_overrules_the_other(shelf: MemoryShelf, on: Registry) -> None:
    """A move that somebody else has begun since the first look stops this one."""
    theirs = replace(on().alias().moves[0], version="b", previous="a", generation=2, key="theirs")
    shelf.after = at("tag", lambda: shelf.tags.__setitem__(move_tag(theirs), move_text(theirs, done=False)))
    with pytest.raises(AliasMoved, match="being moved by somebody else"):
        move(on())
    assert shelf.aliases["active"] == "1"


def test_a_sweep_leaves_a_second_version_that_an_alias_points_at(shelf: MemoryShelf, on: Registry) -> None:
    """Whatever serves somewhere is not removed, even where its name is taken by an earlier one."""
    number = shelf.by_others({"model.json": b"{}"}, **{"healerd.name": "b", "healerd.run": "run9"})
    shelf.aliases["champion"] = number
    on().sweep()
    assert number in shelf.stored
    del shelf.aliases["champion"]
    on().sweep()
    assert number not in shelf.stored
