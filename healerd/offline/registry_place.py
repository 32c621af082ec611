"""Where an offline run keeps its models: in its folder, or on an MLflow server, its own or one that a person names.

Must never take over a model of a server that already has an active version, unless this very run made it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healerd.actions import open_registry
from healerd.actions.mlflow_client import MlflowShelf
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.config import Config
from healerd.errors import ConfigError
from healerd.offline.mlflow_server import mlflow_server
from healerd.offline.settings import Settings, config_of
from healerd.offline.teller import Teller
from healerd.store.library import DATABASE

__all__ = ["registry_place", "said_by_server"]

MLFLOW = "mlflow"


@contextmanager
def registry_place(wanted: str | None, folder: Path, pipeline: str, teller: Teller) -> Iterator[str | None]:
    """Give the `registry` key of a run in `folder`; None for its folder. A server that it starts ends with the block.

    Raises ConfigError for a place that makes no sense or is taken, ActionError when a server does not answer.
    """
    if wanted is None:
        yield None
        return
    if wanted == MLFLOW:
        teller.say("starting an MLflow server (its own environment is made the first time) ...")
        with mlflow_server(folder / MLFLOW) as address:
            teller.say(f"models are kept at {address}, model `{pipeline}`, alias `active`\n")
            yield f"{MLFLOW}:{address}"
        return
    if not wanted.startswith(f"{MLFLOW}:"):
        raise ConfigError(f"--registry `{wanted}`: write `mlflow` or `mlflow:http://HOST:PORT#MODEL@ALIAS`")
    _check_free(wanted, folder, pipeline)
    yield wanted


def said_by_server(config: Config, pipeline: str) -> tuple[str, ...]:
    """Ask the server anew, as one who comes along, where the alias stands and who moved it."""
    registry = open_registry(config.pipeline[pipeline], config.state, pipeline)
    alias = registry.alias()
    moves = (f"  {move.at:%d %B} {move.previous or 'nothing'} -> {move.version} ({move.by})" for move in alias.moves)
    return ("", f"the MLflow server says: `{registry.place}` is at `{alias.version}`; its moves:", *moves)


def _check_free(wanted: str, folder: Path, pipeline: str) -> None:
    if (folder / DATABASE).exists():
        return
    registry = open_registry(config_of(_settings(pipeline, wanted), folder).pipeline[pipeline], folder, pipeline)
    if isinstance(registry, MlflowRegistry) and isinstance(registry.shelf, MlflowShelf):
        MlflowShelf(registry.shelf.address, registry.shelf.model).make()  # its first version is trained here
    version = registry.alias().version
    if version is not None:
        raise ConfigError(f"`{registry.place}` is at `{version}` already: name another model, `{wanted}#NAME`")


def _settings(pipeline: str, registry: str) -> Settings:
    return Settings(
        pipeline=pipeline,
        window_s=1.0,
        label_horizon_s=0.0,
        loss="zero-one",
        rows_min=1,
        retrain_cost=None,
        rules=None,
        estimator=None,
        task="classification",
        registry=registry,
    )
