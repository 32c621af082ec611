"""The alias `active`: which version serves, moved by compare-and-set and fenced by the daemon's epoch.

One file holds the version, its generation, the fence and the latest moves, so that a move and its trace are replaced
together: whoever asks later whether a key has moved the alias gets a true answer. Must never guess: an answer that
the kept moves cannot give is `unknown`. A version written into the file by hand is a move by another actor.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from healerd.actions.durable import exclusive, read_json, write_json
from healerd.errors import ActionError, StaleEpoch

__all__ = ["BY_HAND", "MOVES_KEPT", "Alias", "AliasFile", "AliasMoved", "Move", "check_fence", "moved_by_hand"]

MOVES_KEPT = 200
"""Moves remembered in the file; at two heals a day with their steps, more than a month."""
BY_HAND = "by hand"


class AliasMoved(ActionError):
    """The alias is not where the caller saw it: nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of the alias: from which version to which, as which generation, under which key, by whom."""

    version: str
    previous: str | None
    generation: int
    epoch: int
    key: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Where the alias stands, the highest epoch that it has seen, and how it came there (oldest move first)."""

    version: str | None = None
    generation: int = 0
    fence: int = 0
    moves: tuple[Move, ...] = ()

    def moved_by(self, key: str) -> Move | None:
        """Find the move that `key` made."""
        return next((move for move in reversed(self.moves) if move.key == key), None)

    def remembers(self, generation: int) -> bool:
        """Tell whether every move after `generation` is still known."""
        if self.generation < generation:
            return False
        return self.generation == generation or bool(self.moves and self.moves[0].generation <= generation + 1)


class AliasFile:
    """The file `active.json` of one registry. Every change is made under a lock and is durable when it returns."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / "active.json", folder / ".lock"

    def read(self) -> Alias:
        """Read the alias. Raises ActionError with the mend when the file makes no sense."""
        content = read_json(self._path)
        if content is None:
            return Alias()
        try:
            alias = _parse(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ActionError(
                f'`{self._path}` makes no sense ({error!r}); write {{"version": "NAME"}} into it, or restore a backup'
            ) from error
        return _with_edit_by_hand(alias, at=self._written_at())

    def raise_fence(self, epoch: int) -> Alias:
        """Read, and turn away every daemon with an epoch below this one from now on (a fencing read)."""
        with exclusive(self._lock):
            alias = self.read()
            check_fence(alias, epoch)
            if alias.fence < epoch:
                alias = replace(alias, fence=epoch)
                self._write(alias)
            return alias

    def move(self, target: str, *, if_current: str | None, key: str, epoch: int, by: str, at: datetime) -> Move:
        """Point the alias at `target` if it stands at `if_current`; a key that has moved before changes nothing.

        Raises StaleEpoch when a newer daemon has been here, AliasMoved when the alias stands elsewhere.
        """
        with exclusive(self._lock):
            alias = self.read()
            check_fence(alias, epoch)
            done = alias.moved_by(key)
            if done is not None:
                return done
            if alias.version != if_current:
                raise AliasMoved(
                    f"`active` is at `{alias.version}`, not at `{if_current}`: somebody else moved it; look again"
                )
            move = Move(
                version=target,
                previous=alias.version,
                generation=alias.generation + 1,
                epoch=epoch,
                key=key,
                by=by,
                at=at,
            )
            self._write(_after(alias, move))
            return move

    def _write(self, alias: Alias) -> None:
        write_json(self._path, _content(alias))

    def _written_at(self) -> datetime:
        return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)


def check_fence(alias: Alias, epoch: int) -> None:
    """Raise StaleEpoch when a newer daemon has been here."""
    if epoch < alias.fence:
        raise StaleEpoch(
            f"epoch {epoch} is over: a newer daemon (epoch {alias.fence}) owns this registry; stop this one"
        )


def moved_by_hand(last: Move, version: str, *, fence: int, at: datetime) -> Move:
    """Tell as a move that somebody else has put the alias at `version` after the `last` move."""
    return Move(
        version=version,
        previous=last.version,
        generation=last.generation + 1,
        epoch=fence,
        key="",
        by=BY_HAND,
        at=at,
    )


def _after(alias: Alias, move: Move) -> Alias:
    moves = (*alias.moves, move)[-MOVES_KEPT:]
    return Alias(version=move.version, generation=move.generation, fence=max(alias.fence, move.epoch), moves=moves)


def _with_edit_by_hand(alias: Alias, *, at: datetime) -> Alias:
    last = alias.moves[-1] if alias.moves else None
    if last is None or alias.version is None or alias.version == last.version:
        return alias
    return _after(alias, moved_by_hand(last, alias.version, fence=alias.fence, at=at))


def _content(alias: Alias) -> dict[str, Any]:
    moves = [{**asdict(move), "at": move.at.isoformat()} for move in alias.moves]
    return {"version": alias.version, "generation": alias.generation, "fence": alias.fence, "moves": moves}


def _parse(content: Mapping[str, Any]) -> Alias:
    version = content["version"]
    if not (version is None or isinstance(version, str)):
        raise ValueError("`version` is not a name")
    moves = tuple(Move(**{**move, "at": datetime.fromisoformat(move["at"])}) for move in content.get("moves", ()))
    return Alias(
        version=version,
        generation=int(content.get("generation", 0)),
        fence=int(content.get("fence", 0)),
        moves=moves,
    )
