"""The alias of an MLflow model, as its tags tell it: pure reading, and the tags that a move writes. Must never guess.

MLflow keeps no history of an alias and cannot compare and set it. So every move is a tag of its own,
`healerd.move.GENERATION.KEY`, written before the alias is set and again, as done, when the alias was seen to stand
there. A move whose tag does not say so took place if the alias stands at its target. Epochs are tags as well,
`healerd.epoch.N`: the fence is the highest. No two daemons ever write the same tag, so none takes another's away.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from healerd.actions.alias import Alias, Move, moved_by_hand
from healerd.errors import ActionError

__all__ = [
    "EPOCH_TAG",
    "MOVES_KEPT",
    "MOVE_TAG",
    "Written",
    "alias_of",
    "move_tag",
    "move_text",
    "old_tags",
    "written_in",
]

MOVE_TAG, EPOCH_TAG = "healerd.move.", "healerd.epoch."
KEY_CHARS = 100
"""Characters of a key in the name of a tag, which may have 250; the value has the whole key."""
MOVES_KEPT = 100
"""Moves remembered in the tags; at two heals a day with their steps, some weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the tags of a model say: the moves that are done (oldest first), those begun since, and the fence."""

    moves: tuple[Move, ...] = ()
    begun: tuple[Move, ...] = ()
    fence: int = 0

    @property
    def generation(self) -> int:
        """The generation of the latest move that is done."""
        return self.moves[-1].generation if self.moves else 0


def written_in(tags: Mapping[str, str]) -> Written:
    """Read the moves and the fence from a model's tags. Raises ActionError with the mend when they make no sense."""
    read = sorted(_moves_in(tags), key=lambda each: (each[0].generation, each[0].epoch))
    moves = tuple(move for move, done in read if done)
    last = moves[-1].generation if moves else 0
    begun = tuple(move for move, done in read if not done and move.generation > last)
    epochs = [int(key.removeprefix(EPOCH_TAG)) for key in tags if key.removeprefix(EPOCH_TAG).isdecimal()]
    return Written(moves=moves, begun=begun, fence=max([0, *epochs, *(move.epoch for move, _ in read)]))


def alias_of(version: str | None, written: Written) -> Alias:
    """Put together where the alias stands and how it came there.

    A begun move counts once the alias stands at its target. Wherever else the alias stands than the moves say, somebody
    else moved it, and nobody knows when.
    """
    moves = written.moves
    moves = (*moves, *[begun for begun in written.begun if begun.version == version][-1:])
    if version is not None and moves and moves[-1].version != version:
        moves = (*moves, moved_by_hand(moves[-1], version, fence=written.fence, at=moves[-1].at))
    generation = moves[-1].generation if moves else 0
    return Alias(version=version, generation=generation, fence=written.fence, moves=moves[-MOVES_KEPT:])


def move_tag(move: Move) -> str:
    """Name the tag of a move."""
    return f"{MOVE_TAG}{move.generation:09d}.{move.key[:KEY_CHARS]}"


def move_text(move: Move, *, done: bool) -> str:
    """Write a move as the value of its tag."""
    return json.dumps({**asdict(move), "at": move.at.isoformat(), "done": done}, sort_keys=True)


def old_tags(tags: Mapping[str, str], *, generation: int, fence: int) -> tuple[str, ...]:
    """Name the tags that nobody needs once the alias is at `generation` and the fence at `fence`."""
    oldest = f"{MOVE_TAG}{max(0, generation - MOVES_KEPT + 1):09d}"
    moves = [key for key in tags if key.startswith(MOVE_TAG) and key < oldest]
    epochs = [key for key in tags if key.removeprefix(EPOCH_TAG).isdecimal() and int(key[len(EPOCH_TAG) :]) < fence]
    return tuple(sorted([*moves, *epochs]))


def _moves_in(tags: Mapping[str, str]) -> Iterator[tuple[Move, bool]]:
    for key, text in tags.items():
        if not key.startswith(MOVE_TAG):
            continue
        try:
            yield _parse(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise ActionError(f"the tag `{key}` makes no sense ({error!r}); restore it, or remove it") from error


def _parse(content: Mapping[str, Any]) -> tuple[Move, bool]:
    done = content["done"] is True
    given = {name: value for name, value in content.items() if name != "done"}
    move = replace(Move(**given), at=datetime.fromisoformat(content["at"]))
    return replace(move, generation=int(move.generation), epoch=int(move.epoch)), done
