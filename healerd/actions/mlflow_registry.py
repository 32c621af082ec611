"""The registry that is a registered model on an MLflow server: its versions, and one of its aliases.

A version of ours has its file in a run of its own and what is said of it in its tags, which are written with it. The
alias is moved as safely as a server allows that keeps no history of it and knows no compare-and-set (see README.md and
mlflow_alias.py). Must never remove or change a version that others made, load a file whose content is not the recorded
one, nor take silence for absence.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from healerd.actions.alias import Alias, AliasMoved, Move, check_fence
from healerd.actions.durable import exclusive
from healerd.actions.mlflow_alias import (
    EPOCH_TAG,
    Written,
    alias_of,
    move_tag,
    move_text,
    old_tags,
    written_in,
)
from healerd.actions.mlflow_client import Refused, Shelf, Stored
from healerd.actions.mlflow_flavour import flavour_text
from healerd.actions.mlflow_versions import (
    SHA_TAG,
    check_name,
    in_order,
    model_content,
    name_of,
    run_of,
    tags_of,
    version_of,
)
from healerd.actions.model_files import MLMODEL, ModelFiles
from healerd.actions.registry import Draft, Model
from healerd.errors import ActionError, StaleEpoch
from healerd.model import Version

__all__ = ["MlflowRegistry"]

MODELS_CACHED = 32
OWNER_TAG = "healerd.pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The alias as one answer of the server shows it, with the tags it was read from."""

    alias: Alias
    written: Written
    tags: dict[str, str]


class MlflowRegistry:
    """The versions of one pipeline and their alias, on an MLflow server. Implements `Registry`.

    `lock` is a file that keeps two processes of one machine from moving the alias at once.
    """

    def __init__(
        self, shelf: Shelf, pipeline: str, lock: Path, name: str = "active", files: ModelFiles | None = None
    ) -> None:
        self.shelf, self.pipeline, self.name, self.files = shelf, pipeline, name, files or ModelFiles()
        self._lock = lock
        self._known: dict[str, tuple[Stored, Version]] = {}
        self._names: dict[str, str] = {}
        self._models: OrderedDict[str, Model] = OrderedDict()

    def __reduce__(self) -> tuple[type["MlflowRegistry"], tuple[Shelf, str, Path, str, ModelFiles]]:
        return MlflowRegistry, (self.shelf, self.pipeline, self._lock, self.name, self.files)

    @property
    def place(self) -> str:
        """The address, the model and the alias."""
        return f"{self.shelf.place}@{self.name}"

    def prepare(self) -> None:
        """Make the registered model, and say in its tags whose it is. Raises ActionError when it is another's."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self.shelf.make()
        stand = self.shelf.stand()
        owner = stand.tags.get(OWNER_TAG) if stand else None
        if owner not in {None, self.pipeline}:
            raise ActionError(
                f"the model `{self.shelf.place}` belongs to the pipeline `{owner}`; name another one after the `#`"
            )
        if owner is None:
            self.shelf.tag(OWNER_TAG, self.pipeline)

    def sweep(self) -> None:
        """Remove what a crash left: runs without a version, and a version whose name an earlier one has."""
        found = self.shelf.versions()
        first = {name_of(stored): stored.number for stored in reversed(in_order(found))}
        spare = [stored for stored in found if first[name_of(stored)] != stored.number]
        aliased = self._aliased()
        for stored in spare:
            if stored.number not in aliased:
                self.shelf.remove(stored.number)
        used = {run_of(stored) for stored in found}
        for place in self.shelf.drafts():
            if place not in used:
                self.shelf.discard(place)

    # The alias.

    def alias(self) -> Alias:
        """Read where the alias stands. Raises ActionError."""
        return self._look().alias

    @property
    def active(self) -> str:
        """The version that serves. Raises ActionError when there is none."""
        version = self.alias().version
        if version is None:
            raise ActionError(f"registry `{self.place}` has no active version; store one and set the alias")
        return version

    def set_alias(self, target: str, *, if_current: str | None, key: str, epoch: int, by: str, at: datetime) -> Move:
        """Point the alias at `target` if it stands at `if_current`: as near to a compare-and-set as MLflow allows.

        The move is written down before and after. Raises StaleEpoch, AliasMoved as the protocol says; ActionError also
        when the server did not answer the very request that moves: then `raise_fence` says that nobody knows.
        """
        self.check(target)
        with exclusive(self._lock):
            seen = self._look()
            check_fence(seen.alias, epoch)
            done = seen.alias.moved_by(key)
            self._settle(seen)
            if done is not None:
                return done
            self._check_stands(seen.alias, if_current)
            move = Move(
                version=target,
                previous=seen.alias.version,
                generation=seen.alias.generation + 1,
                epoch=epoch,
                key=key,
                by=by,
                at=at,
            )
            self._mean(move, seen)
            return self._point(move)

    def raise_fence(self, epoch: int) -> Alias:
        """Read the alias and fence off older daemons. Raises ActionError while nobody knows where a move has ended."""
        with exclusive(self._lock):
            seen = self._look()
            check_fence(seen.alias, epoch)
            if seen.alias.fence < epoch:
                self.shelf.tag(f"{EPOCH_TAG}{epoch}", self.pipeline)
                seen = self._look()
                check_fence(seen.alias, epoch)
                for tag in old_tags(seen.tags, generation=0, fence=epoch):
                    self.shelf.untag(tag)
            for begun in seen.written.begun:
                if begun.epoch == epoch and seen.alias.moved_by(begun.key) is None:
                    raise ActionError(
                        f"nobody knows whether `{self.name}` moved to `{begun.version}`: the server did not say, and "
                        f"it stands at `{seen.alias.version}`; look into `{self.place}`"
                    )
            self._settle(seen)
            return seen.alias

    def _look(self) -> _Look:
        stand = self.shelf.stand()
        if stand is None:
            return _Look(alias=Alias(), written=Written(), tags={})
        number, written = stand.aliases.get(self.name), written_in(stand.tags)
        version = None if number is None else self._name(number)
        return _Look(alias=alias_of(version, written), written=written, tags=dict(stand.tags))

    def _settle(self, seen: _Look) -> None:
        """Write down as done what the alias shows to be done: a move that a crash cut off, a move by somebody else."""
        for move in seen.alias.moves:
            if move.generation > seen.written.generation:
                self.shelf.tag(move_tag(move), move_text(move, done=True))

    def _check_stands(self, alias: Alias, if_current: str | None) -> None:
        if alias.version != if_current:
            raise AliasMoved(
                f"`{self.name}` is at `{alias.version}`, not at `{if_current}`: somebody else moved it; look again"
            )

    def _mean(self, move: Move, seen: _Look) -> None:
        """Write down that the alias is about to be moved, and look once more. Raises when it must not be.

        Of two that begin at once, each sees the other here, and steps back; what was begun earlier and is not done is
        left by a process that is gone, or has been looked into.
        """
        self.shelf.tag(move_tag(move), move_text(move, done=False))
        again = self._look()
        try:
            check_fence(again.alias, move.epoch)
            self._check_stands(again.alias, move.previous)
            if set(again.written.begun) - {move, *seen.written.begun} or move not in again.written.begun:
                raise AliasMoved(f"`{self.name}` is being moved by somebody else; look again")
        except (StaleEpoch, AliasMoved):
            self.shelf.untag(move_tag(move))
            raise

    def _point(self, move: Move) -> Move:
        """Set the alias, see that it stands there, and write that down."""
        silence: ActionError | None = None
        try:
            self.shelf.point(self.name, self._stored(move.version).number)
        except Refused:
            self.shelf.untag(move_tag(move))
            raise
        except ActionError as error:
            silence = error
        seen = self._look()
        at_target, back = seen.alias.version == move.version, seen.alias.version == move.previous
        if not at_target and (silence is not None or back):
            raise silence or ActionError(
                f"the MLflow server `{self.place}` says that it moved the alias, which stands at `{move.previous}`"
            )
        # What moved the alias on in the meantime shows as a move by somebody else, after this one.
        return self._write_down(move, seen)

    def _write_down(self, move: Move, seen: _Look) -> Move:
        """Write down a move as done; after one that came in between unseen, as the one that replaced that."""
        done, last = move, seen.written.moves[-1] if seen.written.moves else None
        if last is not None and last.generation >= move.generation:
            done = replace(move, generation=last.generation + 1, previous=last.version)
        self.shelf.tag(move_tag(done), move_text(done, done=True))
        gone = {*old_tags(seen.tags, generation=done.generation, fence=max(seen.alias.fence, move.epoch))}
        gone |= {move_tag(each) for each in (move, *seen.written.begun) if move_tag(each) != move_tag(done)}
        for tag in sorted(gone & {*seen.tags}):
            self.shelf.untag(tag)
        return done

    # The versions.

    def add(self, model: Model, draft: Draft) -> Version:
        """Store a model under its name. Adding the same key again gives the version that is already there."""
        check_name(draft.name)
        there = self._find(draft.name)
        if there is None:
            file, content = self.files.dump(model)
            sha256 = hashlib.sha256(content).hexdigest()
            place = self.shelf.begin(draft.name)
            self.shelf.put(place, file, content)
            self.shelf.put(place, MLMODEL, flavour_text(file))
            self.shelf.add(place, tags_of(draft, pipeline=self.pipeline, file=file, sha256=sha256, run=place))
            return self.check(draft.name)  # where two were faster than each other, the first one counts
        if draft.key is None or there.key != draft.key:
            raise ActionError(f"version `{draft.name}` is already stored and is another one; choose another name")
        return there

    def get(self, name: str) -> Version:
        """Read what is said of a version, which never changes. Raises ActionError when it is not stored or broken."""
        self._stored(name)
        return self._known[name][1]

    def made_by(self, key: str, name: str) -> Version | None:
        """Find the version that an intent made. Raises ActionError when nobody knows, or another has the name."""
        version = self._find(name)
        if version is not None and version.key != key:
            raise ActionError(f"version `{name}` was not made by this intent; remove or rename it")
        return version

    def names(self) -> tuple[str, ...]:
        """List the names of the stored versions."""
        return tuple(sorted({name_of(stored) for stored in self.shelf.versions()}))

    def versions(self) -> tuple[Version, ...]:
        """List the stored versions that make sense, the newest first; `faults` names the others."""
        whole = (version for version in self._read_all() if isinstance(version, Version))
        return tuple(sorted(whole, key=lambda version: (version.created_at, version.name), reverse=True))

    def faults(self) -> tuple[str, ...]:
        """Say what is wrong with versions that cannot be used, with the mend."""
        return tuple(said for said in self._read_all() if isinstance(said, str))

    def check(self, name: str) -> Version:
        """Check that a version is whole; of one that others made, what it holds now is recorded. Raises ActionError."""
        self._forget(name)
        version, stored = self.get(name), self._stored(name)
        _, content = self._content(name)
        if not version.sha256:
            self.shelf.tag_version(stored.number, SHA_TAG, hashlib.sha256(content).hexdigest())
            self._forget(name)
        return self.get(name)

    def load(self, name: str) -> Model:
        """Load a model, kept in memory by its content. Raises ActionError, also when it needs what is not allowed."""
        version = self.get(name)
        model = self._models.get(version.sha256)
        if model is None:
            file, content = self._content(name)
            model = self.files.load(f"model{Path(file).suffix}", content, said=f"model `{name}`")
            if not version.sha256:
                return model
            self._models[version.sha256] = model
        self._models.move_to_end(version.sha256)
        while len(self._models) > MODELS_CACHED:
            self._models.popitem(last=False)
        return model

    def prune(self, *, keep: int, referenced: Collection[str] = ()) -> tuple[str, ...]:
        """Remove versions of ours beyond `keep`: first those that never served, each kind from the oldest on.

        One that any alias points at, that was just replaced or is referenced stays.
        """
        alias, aliased = self.alias(), self._aliased()
        held = {alias.version, *referenced}
        held.update(move.previous for move in alias.moves[-1:])
        served = {name for move in alias.moves for name in (move.version, move.previous)}
        stored = {name_of(each): each for each in reversed(in_order(self.shelf.versions())) if run_of(each)}
        ours = [version for version in self.versions() if version.name in stored]
        held.update(version.name for version in ours if stored[version.name].number in aliased)
        ranked = sorted(ours, key=lambda version: version.name not in served)
        spare = [version.name for version in ranked if version.name not in held]
        room = max(0, keep - sum(version.name in held for version in ours))
        gone = tuple(spare[room:])
        for name in gone:
            self.shelf.remove(stored[name].number)
            self._forget(name)
        return gone

    def _aliased(self) -> frozenset[str]:
        stand = self.shelf.stand()
        return frozenset(stand.aliases.values() if stand else ())

    def _find(self, name: str) -> Version | None:
        """Ask the server for a version; None only when its list does not have it."""
        found = [stored for stored in in_order(self.shelf.versions()) if name_of(stored) == name]
        if not found:
            return None
        return self._remember(found[0])

    def _stored(self, name: str) -> Stored:
        if name not in self._known and self._find(name) is None:
            known = ", ".join(f"`{each}`" for each in self.names()[:10]) or "none"
            raise ActionError(f"no version `{name}` in `{self.shelf.place}`; stored: {known}")
        return self._known[name][0]

    def _name(self, number: str) -> str:
        """Say what a version is called; that never changes."""
        if number not in self._names:
            self._names.update({stored.number: name_of(stored) for stored in self.shelf.versions()})
        if number not in self._names:
            raise ActionError(
                f"the alias `{self.place}` stands at version {number}, which is not in the model's list; "
                "look into the server"
            )
        return self._names[number]

    def _remember(self, stored: Stored) -> Version:
        version = version_of(stored, pipeline=self.pipeline, place=self.shelf.place)
        self._known[version.name] = (stored, version)
        return version

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)

    def _read_all(self) -> list[Version | str]:
        found = {name_of(stored): stored for stored in reversed(in_order(self.shelf.versions()))}
        return [self._read_or_fault(stored) for stored in found.values()]

    def _read_or_fault(self, stored: Stored) -> Version | str:
        try:
            return self._remember(stored)
        except ActionError as error:
            return str(error)

    def _content(self, name: str) -> tuple[str, bytes]:
        """Read the file of a version's model: its name, and the content, which is the recorded one."""
        stored, version = self._known[name]
        file, content = model_content(stored, self.shelf)
        if version.sha256 and hashlib.sha256(content).hexdigest() != version.sha256:
            raise ActionError(
                f"model `{name}` of `{self.shelf.place}` is not the one that was stored (SHA-256 differs); restore or "
                "remove it"
            )
        return file, content
