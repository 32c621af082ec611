"""What an MLflow version is to healerd: its tags as a record, its name, and the one file that holds its model.

Versions that others made, in MLflow's own layout, are taken as they are. Must never run code of a version: which of
its files may be loaded is for `ModelFiles` to say.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from healerd.actions.mlflow_client import Shelf, Stored
from healerd.actions.mlflow_pyfunc import pack
from healerd.actions.model_files import MLMODEL, MODEL_NAMES, PYFUNC
from healerd.actions.registry import Draft
from healerd.errors import ActionError
from healerd.model import Version, VersionKind

__all__ = ["SHA_TAG", "check_name", "in_order", "model_content", "name_of", "run_of", "tags_of", "version_of"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
BY_OTHERS = "mlflow-"
"""A version that others made has no name, only a number."""
FORMAT = "1"
SHA_TAG = "healerd.sha256"
NOTE_MAX = 1000
FILE_KEYS = {"sklearn": "pickled_model", "onnx": "data"}
"""Where a flavour of MLflow's says which file holds the model."""


def check_name(name: str) -> None:
    """Raise ActionError for what cannot name a version."""
    if not NAME.fullmatch(name) or name.startswith(BY_OTHERS):
        raise ActionError(
            f"`{name}` cannot name a version: use up to 100 letters, digits, dots, dashes, underscores, "
            f"and not `{BY_OTHERS}` first"
        )


def name_of(stored: Stored) -> str:
    """Name a version: as its tag says, or by its number when others made it."""
    return stored.tags.get("healerd.name") or f"{BY_OTHERS}{stored.number}"


def in_order(found: Collection[Stored]) -> list[Stored]:
    """Order versions by their number: the first one of a name counts."""
    return sorted(found, key=lambda stored: int(stored.number))


def run_of(stored: Stored) -> str | None:
    """Give the place of a version's file when healerd made it."""
    return stored.tags.get("healerd.run")


def tags_of(draft: Draft, *, pipeline: str, file: str, sha256: str, run: str) -> dict[str, str]:
    """Say all that is said of a version as tags, which are written together with it."""
    said = {
        "format": FORMAT,
        "pipeline": pipeline,
        "name": draft.name,
        "kind": draft.kind.value,
        "file": file,
        "sha256": sha256,
        "run": run,
        "created_at": draft.created_at.isoformat(),
        "trained_from_at": draft.trained_from_at.isoformat() if draft.trained_from_at else None,
        "trained_to_at": draft.trained_to_at.isoformat() if draft.trained_to_at else None,
        "trained_rows": str(draft.trained_rows),
        "key": draft.key,
        "note": draft.note[:NOTE_MAX],
    }
    return {f"healerd.{name}": value for name, value in said.items() if value}


def version_of(stored: Stored, *, pipeline: str, place: str) -> Version:
    """Read a version from its tags. Raises ActionError with the mend when they make no sense."""
    if not stored.ready:
        raise ActionError(f"version {stored.number} of `{place}` is not ready; wait, or remove it")
    if "healerd.name" not in stored.tags:
        return Version(
            pipeline=pipeline,
            name=name_of(stored),
            kind=VersionKind.MODEL,
            sha256=stored.tags.get(SHA_TAG, ""),
            created_at=stored.created_at,
            note=f"version {stored.number} of `{place}`, made by others",
        )
    said = {key.removeprefix("healerd."): value for key, value in stored.tags.items() if key.startswith("healerd.")}
    try:
        return _parse(said)
    except (KeyError, TypeError, ValueError) as error:
        raise ActionError(
            f"the tags of version {stored.number} of `{place}` make no sense ({error!r}); restore them, or remove it"
        ) from error


def _model_file(stored: Stored, shelf: Shelf) -> str:
    """Find the one file that holds a version's model; `MLmodel` where that is the whole folder.

    Raises ActionError when healerd cannot tell, or use it.
    """
    if "healerd.file" in stored.tags:
        return stored.tags["healerd.file"]
    files = shelf.files(stored)
    if MLMODEL in files:
        return _flavour_file(shelf.read(stored, MLMODEL), said=f"version {stored.number} of `{shelf.place}`")
    found = [file for file in files if file in MODEL_NAMES]
    if len(found) != 1:
        raise ActionError(
            f"version {stored.number} of `{shelf.place}` holds {len(found) or 'no'} model files, not one; "
            f"log one of {', '.join(f'`{name}`' for name in MODEL_NAMES)}, or a model of scikit-learn or ONNX"
        )
    return found[0]


def _flavour_file(content: bytes, *, said: str) -> str:
    import yaml  # MLflow brings it

    try:
        flavours = dict(yaml.safe_load(content)["flavors"])
        found = [str(flavours[name][key]) for name, key in FILE_KEYS.items() if name in flavours]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ActionError(f"the `MLmodel` of {said} makes no sense ({error!r}); log the model again") from error
    if not found and "python_function" not in flavours:
        named = ", ".join(f"`{name}`" for name in flavours) or "no"
        raise ActionError(
            f"{said} is of flavour {named}, which healerd cannot load; log it with `mlflow.sklearn` as skops, with "
            "`mlflow.onnx` or with `mlflow.pyfunc`"
        )
    return found[0] if found else MLMODEL


def model_content(stored: Stored, shelf: Shelf) -> tuple[str, bytes]:
    """Read the file that holds a version's model; a folder that only its own code can load comes packed as one."""
    file = _model_file(stored, shelf)
    if file != MLMODEL:
        return file, shelf.read(stored, file)
    return PYFUNC, pack({name: shelf.read(stored, name) for name in shelf.files(stored)})


def _parse(said: Mapping[str, Any]) -> Version:
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']}, not {FORMAT}")
    return Version(
        pipeline=said["pipeline"],
        name=said["name"],
        kind=VersionKind(said["kind"]),
        sha256=said["sha256"],
        created_at=datetime.fromisoformat(said["created_at"]),
        trained_from_at=_time(said.get("trained_from_at")),
        trained_to_at=_time(said.get("trained_to_at")),
        trained_rows=int(said["trained_rows"]),
        key=said.get("key"),
        note=said.get("note", ""),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
