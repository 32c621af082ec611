"""The registry that is a folder on a local disk: stored versions, and the alias that says which one serves.

    versions/NAME/model.EXT       the model; its format is in its name (see model_files.py)
    versions/NAME/meta.json       what it is, and the SHA-256 of the model
    staging/                      versions that are being made, each held by who makes it; a name appears in `versions`
                                  whole or not at all
    active.json                   the alias (see alias.py)

Must never change a stored version, never load a model whose content is not the recorded one, and never remove a
version that serves, has just been replaced or is spoken of by an open intent. Loading a model runs its code.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from healerd.actions.alias import Alias, AliasFile, Move
from healerd.actions.durable import fsync_folder, move_folder, read_json, write_json
from healerd.actions.model_files import MODEL_NAMES, ModelFiles
from healerd.actions.registry import Draft, Model
from healerd.errors import ActionError
from healerd.model import Version, VersionKind

__all__ = ["FolderRegistry"]

MODELS_CACHED = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
META = "meta.json"
FORMAT = 1


class FolderRegistry:
    """The versions of one pipeline and their alias, in one folder. Implements `Registry`."""

    def __init__(self, folder: Path, pipeline: str, files: ModelFiles | None = None) -> None:
        self.folder, self.pipeline, self.files = folder, pipeline, files or ModelFiles()
        self._versions, self._staging = folder / "versions", folder / "staging"
        self._alias = AliasFile(folder)
        self._metas: dict[str, tuple[int, Version]] = {}
        self._models: OrderedDict[str, Model] = OrderedDict()

    def __reduce__(self) -> tuple[type["FolderRegistry"], tuple[Path, str, ModelFiles]]:
        return FolderRegistry, (self.folder, self.pipeline, self.files)

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.folder)

    def prepare(self) -> None:
        """Make the folders. Raises ActionError with the mend when that is not possible."""
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            self._staging.mkdir(exist_ok=True)
        except OSError as error:
            raise ActionError(f"registry `{self.folder}` cannot be made: {error.strerror}; mend its rights") from error
        if not os.access(self.folder, os.W_OK):
            raise ActionError(f"registry `{self.folder}` is read-only; make it writable for the user that runs healerd")

    def sweep(self) -> None:
        """Remove what a crash left in `staging`. Only for the daemon that holds the lock, before any job runs.

        What somebody still makes stays: the training of a daemon that was stopped goes on, and its version counts.
        """
        for left in self._staging.iterdir() if self._staging.exists() else ():
            _sweep(left)

    # The alias.

    def alias(self) -> Alias:
        """Read where `active` stands. Raises ActionError."""
        return self._alias.read()

    @property
    def active(self) -> str:
        """The version that serves. Raises ActionError when there is none."""
        version = self.alias().version
        if version is None:
            raise ActionError(f"registry `{self.folder}` has no active version; store one and set the alias")
        return version

    def set_alias(self, target: str, *, if_current: str | None, key: str, epoch: int, by: str, at: datetime) -> Move:
        """Point `active` at `target` if it stands at `if_current`; see AliasFile.move."""
        self.check(target)
        return self._alias.move(target, if_current=if_current, key=key, epoch=epoch, by=by, at=at)

    def raise_fence(self, epoch: int) -> Alias:
        """Read the alias and fence off older daemons."""
        return self._alias.raise_fence(epoch)

    # The versions.

    def add(self, model: Model, draft: Draft) -> Version:
        """Store a model under its name. Adding the same key again gives the version that is already there."""
        _check_name(draft.name)
        self.prepare()
        file, content = self.files.dump(model)
        version = self._version(draft, sha256=hashlib.sha256(content).hexdigest())
        with self._draft_folder(draft.name) as folder:
            (folder / file).write_bytes(content)
            write_json(folder / META, _meta(version))
            if move_folder(folder, self._versions / draft.name):
                return version
        there = self.get(draft.name)
        if draft.key is None or there.key != draft.key:
            raise ActionError(f"version `{draft.name}` is already stored and is another one; choose another name")
        return there

    def get(self, name: str) -> Version:
        """Read what is said of a version. Raises ActionError when it is not stored or makes no sense."""
        path = self._versions / name / META
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            raise ActionError(f"no version `{name}` in `{self._versions}`; stored: {self._names_text()}") from None
        known = self._metas.get(name)
        if known is None or known[0] != written:
            known = self._metas[name] = (written, self._read_meta(path))
        return known[1]

    def made_by(self, key: str, name: str) -> Version | None:
        """Find the version that an intent made. Raises ActionError when the name is taken by another one."""
        if not (self._versions / name).exists():
            return None
        version = self.get(name)
        if version.key != key:
            raise ActionError(f"version `{name}` was not made by this intent; remove or rename it")
        return version

    def names(self) -> tuple[str, ...]:
        """List the names of the stored versions."""
        try:
            return tuple(sorted(path.name for path in self._versions.iterdir() if path.is_dir()))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ActionError(f"`{self._versions}` cannot be read: {error.strerror}; mend its rights") from error

    def versions(self) -> tuple[Version, ...]:
        """List the stored versions that make sense, the newest first; `faults` names the others."""
        read = (self._read_or_fault(name) for name in self.names())
        whole = (version for version in read if isinstance(version, Version))
        return tuple(sorted(whole, key=lambda version: (version.created_at, version.name), reverse=True))

    def faults(self) -> tuple[str, ...]:
        """Say what is wrong with versions that cannot be used, with the mend."""
        return tuple(said for said in map(self._read_or_fault, self.names()) if isinstance(said, str))

    def check(self, name: str) -> Version:
        """Check that a version is whole. Raises ActionError when it is missing or its content is another."""
        version = self.get(name)
        self._content(version)
        return version

    def load(self, name: str) -> Model:
        """Load a model, kept in memory by its content. Runs the model's code. Raises ActionError."""
        version = self.get(name)
        model = self._models.get(version.sha256)
        if model is None:
            content = self._content(version)
            model = self.files.load(self._file(name).name, content, said=f"model `{name}`")
            self._models[version.sha256] = model
        self._models.move_to_end(version.sha256)
        while len(self._models) > MODELS_CACHED:
            self._models.popitem(last=False)
        return model

    def prune(self, *, keep: int, referenced: Collection[str] = ()) -> tuple[str, ...]:
        """Remove versions beyond `keep`: first those that never served, each kind from the oldest on.

        One that is active, was just replaced or is referenced stays.
        """
        alias = self.alias()
        held = {alias.version, *referenced}
        held.update(move.previous for move in alias.moves[-1:])
        served = {name for move in alias.moves for name in (move.version, move.previous)}
        ranked = sorted(self.versions(), key=lambda version: version.name not in served)
        spare = [version.name for version in ranked if version.name not in held]
        room = max(0, keep - sum(name in held for name in self.names()))
        gone = tuple(spare[room:])
        for name in gone:
            self._remove(name)
        return gone

    def _remove(self, name: str) -> None:
        trash = self._staging / f"{name}.gone"
        try:
            (self._versions / name).rename(trash)
            fsync_folder(self._versions)
        except OSError as error:
            raise ActionError(f"version `{name}` cannot be removed: {error.strerror}; mend its rights") from error
        shutil.rmtree(trash, ignore_errors=True)
        self._metas.pop(name, None)

    @contextmanager
    def _draft_folder(self, name: str) -> Iterator[Path]:
        folder = self._staging / f"{name}.{os.getpid()}"
        try:
            _sweep(folder)
            with _held(folder):
                yield folder
        except OSError as error:
            raise ActionError(f"version `{name}` cannot be stored: {error.strerror}; check room and rights") from error

    def _content(self, version: Version) -> bytes:
        path = self._file(version.name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ActionError(f"model `{path}` cannot be read: {error.strerror}; restore or remove it") from error
        if hashlib.sha256(content).hexdigest() != version.sha256:
            raise ActionError(f"model `{path}` is not the one that was stored (SHA-256 differs); restore or remove it")
        return content

    def _file(self, name: str) -> Path:
        """Find the one file that holds a version's model. Raises ActionError when there is none, or more."""
        folder = self._versions / name
        found = [folder / each for each in MODEL_NAMES if (folder / each).exists()]
        if len(found) != 1:
            raise ActionError(f"`{folder}` holds {len(found) or 'no'} model files, not one; restore or remove it")
        return found[0]

    def _read_meta(self, path: Path) -> Version:
        content = read_json(path)
        try:
            version = _parse_meta(content or {})
        except (KeyError, TypeError, ValueError) as error:
            raise ActionError(f"`{path}` makes no sense ({error!r}); restore or remove its folder") from error
        if version.name != path.parent.name:
            raise ActionError(f"`{path}` speaks of `{version.name}`; restore or remove its folder")
        return version

    def _read_or_fault(self, name: str) -> Version | str:
        try:
            return self.get(name)
        except ActionError as error:
            return str(error)

    def _version(self, draft: Draft, *, sha256: str) -> Version:
        return Version(
            pipeline=self.pipeline,
            name=draft.name,
            kind=draft.kind,
            sha256=sha256,
            created_at=draft.created_at,
            trained_from_at=draft.trained_from_at,
            trained_to_at=draft.trained_to_at,
            trained_rows=draft.trained_rows,
            key=draft.key,
            note=draft.note,
        )

    def _names_text(self) -> str:
        names = self.names()
        return ", ".join(f"`{name}`" for name in names[:10]) or "none"


# A draft is held by a lock on its folder, which the kernel lets go of when its process dies. The number of a process
# would not do: it is used again, and it says nothing to a daemon in another container.


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make a folder and hold it until it is done with; then it is gone, or has another name."""
    handle = _hold(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _hold(folder: Path) -> int:
    while True:
        folder.mkdir()
        with suppress(FileNotFoundError):  # a sweep was faster
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists() and folder.stat().st_ino == os.fstat(handle).st_ino:
                return handle
            os.close(handle)


def _sweep(left: Path) -> None:
    """Remove a folder that nobody holds; what cannot be removed now is swept at a later start."""
    try:
        handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(handle)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ActionError(f"`{name}` cannot name a version: use up to 100 letters, digits, dots, dashes, underscores")


def _meta(version: Version) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "pipeline": version.pipeline,
        "name": version.name,
        "kind": version.kind.value,
        "sha256": version.sha256,
        "created_at": version.created_at.isoformat(),
        "trained_from_at": version.trained_from_at and version.trained_from_at.isoformat(),
        "trained_to_at": version.trained_to_at and version.trained_to_at.isoformat(),
        "trained_rows": version.trained_rows,
        "key": version.key,
        "note": version.note,
    }


def _parse_meta(content: Mapping[str, Any]) -> Version:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, not {FORMAT}")
    return Version(
        pipeline=content["pipeline"],
        name=content["name"],
        kind=VersionKind(content["kind"]),
        sha256=content["sha256"],
        created_at=datetime.fromisoformat(content["created_at"]),
        trained_from_at=_time(content["trained_from_at"]),
        trained_to_at=_time(content["trained_to_at"]),
        trained_rows=int(content["trained_rows"]),
        key=content["key"],
        note=content["note"],
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
