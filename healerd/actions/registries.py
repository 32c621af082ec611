"""The kinds of registries, by the scheme of the `registry` key. Must never guess a kind from what lies there.

`registry = "folder"` is a folder, relative to the state folder unless absolute; `SCHEME:REST` names another kind:
`mlflow:http://HOST:PORT`, with `#MODEL@ALIAS` where they are not the pipeline's name and `active`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from healerd.actions.folder import FolderRegistry
from healerd.actions.mlflow_client import MlflowShelf
from healerd.actions.mlflow_registry import MlflowRegistry
from healerd.actions.model_files import ModelFiles
from healerd.actions.registry import Registry
from healerd.config import PipelineSettings
from healerd.errors import ConfigError

__all__ = ["FOLDER", "MLFLOW", "REGISTRIES", "model_files", "open_registry"]

FOLDER, MLFLOW = "folder", "mlflow"
"""The kinds; the first is that of a `registry` key without a scheme."""
PLACE = re.compile(r"mlflow:(?P<address>https?://[^#]+?)/*(#(?P<model>[^@/:]*)(@(?P<alias>[\w-]+))?)?")


def model_files(settings: PipelineSettings) -> ModelFiles:
    """Say which model files a pipeline may load."""
    return ModelFiles(allow_pickle=settings.allow_pickle, trusted=tuple(settings.trusted))


Opener = Callable[[PipelineSettings, Path, str], Registry]
"""Opens the registry of a pipeline from its settings, the state folder and its name. Touches nothing yet."""


def open_registry(settings: PipelineSettings, state: Path, pipeline: str) -> Registry:
    """Open the registry that a pipeline's settings name. Raises ConfigError for a scheme that nobody knows."""
    scheme, colon, _ = settings.registry.partition(":")
    kind = scheme if colon else FOLDER
    if kind not in REGISTRIES:
        known = ", ".join(f"`{each}:...`" for each in REGISTRIES if each != FOLDER) or "no scheme"
        raise ConfigError(
            f"`pipeline.{pipeline}.registry`: no kind of registry `{kind}`; write a folder without a colon, or {known}"
        )
    return REGISTRIES[kind](settings, state, pipeline)


def _folder(settings: PipelineSettings, state: Path, pipeline: str) -> Registry:
    return FolderRegistry(state / settings.registry / pipeline, pipeline, model_files(settings))


def _mlflow(settings: PipelineSettings, state: Path, pipeline: str) -> Registry:
    found = PLACE.fullmatch(settings.registry)
    if found is None:
        raise ConfigError(
            f"`pipeline.{pipeline}.registry`: `{settings.registry}` is no place; write `mlflow:http://HOST:PORT`, with "
            "`#MODEL@ALIAS` where they are not the pipeline's name and `active`"
        )
    # A model that is named, and for which nothing is at hand to begin with, is one that others have registered.
    must_exist = bool(found["model"]) and settings.model is None
    shelf = MlflowShelf(found["address"], found["model"] or pipeline, must_exist=must_exist)
    lock = state / f".{pipeline}.mlflow.lock"
    return MlflowRegistry(shelf, pipeline, lock, found["alias"] or "active", model_files(settings))


REGISTRIES: Mapping[str, Opener] = {
    FOLDER: _folder,
    MLFLOW: _mlflow,
}
