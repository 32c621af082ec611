"""The registry against a real `mlflow server` on loopback, which these tests start themselves; skipped without one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from healerd.actions.alias import BY_HAND, AliasMoved
from healerd.actions.mlflow_client import MlflowShelf
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.actions.model_files import ModelFiles
from healerd.actions.registries import open_registry
from healerd.actions.registry import Draft
from healerd.config import PipelineSettings, SourceSettings
from healerd.errors import ActionError, ConfigError, StaleEpoch
from healerd.model import VersionKind
from healerd.offline.estimator import fit
from healerd.offline.mlflow_server import mlflow_server, server_python
from tests.healerd.actions.models import START, constant, features, filled
from tests.healerd.actions.test_mlflow_pyfunc import THEIRS
from tests.healerd.serving.gate import opened, outputs, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own."""
    try:
        server_python()
    except ConfigError as error:
        pytest.skip(str(error))
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as found:
        yield found


@pytest.fixture
def registry(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> MlflowRegistry:
    """A registered model of this test's own, with versions `a` (active) and `b`."""
    shelf = MlflowShelf(address, request.node.name)
    return filled(MlflowRegistry(shelf, "flights", tmp_path / "lock"))


def test_a_real_server_keeps_versions_and_moves(registry: MlflowRegistry) -> None:
    """What is stored comes back, the alias moves once for each key, and MLflow's own client sees it there."""
    move = registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START)
    assert registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START) == move
    assert registry.load("b").predict(features(2)).tolist() == [1.0, 1.0]
    assert [each.key for each in registry.alias().moves] == ["first", "k"]
    with pytest.raises(AliasMoved):
        registry.set_alias("a", if_current="a", key="l", epoch=1, by="healerd", at=START)
    found = client_of(registry).get_model_version_by_alias(registry.shelf.model, "active")
    assert found.tags["healerd.name"] == "b"
    assert found.tags["healerd.sha256"] == registry.get("b").sha256


def test_a_real_server_tells_of_others_and_of_newer_daemons(registry: MlflowRegistry) -> None:
    """A move by MLflow's own client is a move by somebody else; an older epoch is turned away."""
    registry.raise_fence(2)
    client_of(registry).set_registered_model_alias(registry.shelf.model, "active", "2")
    assert [(each.version, each.by) for each in registry.alias().moves if each.key != "first"] == [("b", BY_HAND)]
    with pytest.raises(StaleEpoch):
        registry.set_alias("a", if_current="b", key="k", epoch=1, by="healerd", at=START)


def test_a_real_server_stores_a_scikit_learn_model_and_prunes(registry: MlflowRegistry) -> None:
    """A fitted model goes as skops and predicts the same; a version that is removed is gone with its run."""
    x = np.linspace(0.0, 1.0, 200)
    model = fit({"x": x}, 3 * x)
    version = registry.add(model, Draft(name="c", key="k", kind=VersionKind.MODEL, created_at=START))
    assert registry.add(constant(9.0), Draft(name="c", key="k", kind=VersionKind.MODEL, created_at=START)) == version
    assert registry.load("c").predict({"x": x}).tolist() == model.predict({"x": x}).tolist()
    assert registry.prune(keep=2) == ("b",)
    assert registry.made_by("k", "b") is None
    assert len(registry.shelf.drafts()) == 2
    registry.sweep()
    assert registry.names() == ("a", "c")


def test_a_real_server_with_a_spoiled_file_is_found_out(registry: MlflowRegistry, tmp_path: Path) -> None:
    """A file that was overwritten on the server is not loaded, and the alias does not move to it."""
    (tmp_path / "model.json").write_text("{}")
    stored = next(each for each in registry.shelf.versions() if each.tags["healerd.name"] == "b")
    client_of(registry).log_artifact(stored.tags["healerd.run"], str(tmp_path / "model.json"), "model")
    for act in (
        lambda: registry.load("b"),
        lambda: registry.set_alias("b", if_current="a", key="k", epoch=1, by="healerd", at=START),
    ):
        with pytest.raises(ActionError, match="SHA-256 differs"):
            act()
    assert registry.active == "a"


def test_a_real_server_gives_the_models_that_others_logged(registry: MlflowRegistry, tmp_path: Path) -> None:
    """A model that was logged as MLflow's own flavours do is found by its id, hashed at the first move, and served."""
    client, model = client_of(registry), registry.shelf.model
    folder = tmp_path / "theirs"
    folder.mkdir()
    x = np.arange(8.0)
    skops.io.dump(LinearRegression().fit(x.reshape(-1, 1), 2 * x), folder / "model.skops")
    (folder / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.skops\n")
    logged = client.create_logged_model(client.create_experiment(f"others {model}"), name="theirs")
    client.log_model_artifacts(logged.model_id, str(folder))
    number = client.create_model_version(model, f"models:/{logged.model_id}", model_id=logged.model_id).version
    name = f"mlflow-{number}"
    registry.set_alias(name, if_current="a", key="k", epoch=1, by="healerd", at=START)
    assert registry.load(name).predict(features(3)).tolist() == pytest.approx([0, 2, 4])
    assert registry.get(name).sha256


@pytest.mark.filterwarnings("ignore")
def test_a_real_server_gives_a_model_of_nothing_but_code_to_the_gateway(
    registry: MlflowRegistry, tmp_path: Path
) -> None:
    """A logged `python_function` is refused as others' code, and where that is allowed the gateway serves it."""
    mlflow = pytest.importorskip("mlflow.pyfunc", exc_type=ImportError)
    client, model = client_of(registry), registry.shelf.model
    (tmp_path / "healerd_test_logged.py").write_text(THEIRS, encoding="utf-8")
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    example = ColSpec("double", "a"), ColSpec("string", "b")
    mlflow.save_model(
        str(tmp_path / "theirs"),
        loader_module="healerd_test_logged",
        code_paths=[str(tmp_path / "healerd_test_logged.py")],
        signature=ModelSignature(inputs=Schema(list(example))),
        pip_requirements=[],
    )
    logged = client.create_logged_model(client.create_experiment(f"code {model}"), name="theirs")
    client.log_model_artifacts(logged.model_id, str(tmp_path / "theirs"))
    number = client.create_model_version(model, f"models:/{logged.model_id}", model_id=logged.model_id).version
    with pytest.raises(ActionError, match="only its own code can load"):
        registry.load(f"mlflow-{number}")
    allowed = MlflowRegistry(registry.shelf, "flights", tmp_path / "lock", files=ModelFiles(allow_pickle=True))
    allowed.set_alias(f"mlflow-{number}", if_current="a", key="k", epoch=1, by="healerd", at=START)

    async def body() -> None:
        async with opened(tmp_path / "served", allowed) as gate:
            asked = [
                {"name": "a", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]},
                {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "yy"]},
            ]
            answer = await gate.client.post("/v2/models/m/infer", json={"inputs": asked})
            assert (answer.json()["model_version"], outputs(answer)) == (f"mlflow-{number}", [3.0, 6.0])
            asked[1] = {"name": "b", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]}
            answer = await gate.client.post("/v2/models/m/infer", json={"inputs": asked})
            assert (answer.status_code, answer.json()["error"]) == (400, "feature `b` takes text (BYTES)")

    run(body)


def client_of(registry: MlflowRegistry):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=registry.shelf.address, registry_uri=registry.shelf.address)


def test_a_model_that_is_named_has_to_be_there(address: str, tmp_path: Path) -> None:
    """A name after the `#` that the server does not have is a mistake in the configuration, and makes no model."""
    place = f"mlflow:{address}#nobodys@live"
    settings = PipelineSettings(source=SourceSettings(kind="memory"), registry=place)
    with pytest.raises(ConfigError, match=r"no registered model `.*#nobodys`; register it there"):
        open_registry(settings, tmp_path, "flights").prepare()
    begins = PipelineSettings(source=SourceSettings(kind="memory"), registry=place, model="first.skops")
    open_registry(begins, tmp_path, "flights").prepare()
    open_registry(settings, tmp_path, "flights").prepare()
