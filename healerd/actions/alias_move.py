"""Moving the alias for an intent, and asking afterwards whether it moved. Shared by every action that serves.

Must never move it from where it was not seen, nor take `unknown` for `absent`.
"""

from healerd.actions.world import Observation, Seen, World
from healerd.errors import ActionError, RegistryAway, StaleEpoch
from healerd.model import Intent

__all__ = ["BY", "AliasMove", "move_alias"]

BY = "healerd"


class AliasMove:
    """An effect that points the alias at `intent.target`, once for each key; what it replaced is kept."""

    idempotent = True
    dedupe = True
    reversible = True
    observable = True
    serves = True
    needs_good_data = False
    needs_registry = True

    def makes(self, intent: Intent) -> str | None:
        """Name the version that is to serve."""
        return intent.target

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Move the alias. Raises ActionError, nothing has changed."""
        if intent.target is None:
            raise ActionError(f"intent `{intent.id}` names no version that should serve; withdraw it")
        move_alias(intent, world, target=intent.target, epoch=epoch)

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Ask the registry whether this intent's key has moved the alias.

        Raises StaleEpoch for an older daemon, RegistryAway while it does not answer: then it is asked again.

        `intent.args["generation"]` is where the alias stood before: if its file has since lost moves, nobody can tell.
        """
        try:
            alias = world.registry.raise_fence(epoch)
        except (StaleEpoch, RegistryAway):
            raise
        except ActionError as error:
            return Observation(seen=Seen.UNKNOWN, reason=str(error))
        move = alias.moved_by(intent.key)
        if move is not None:
            return Observation(seen=Seen.DONE, version=move.version, at=move.at)
        if not alias.remembers(int(intent.args.get("generation", 0))):
            return Observation(seen=Seen.UNKNOWN, reason="the alias has lost the moves made since this intent began")
        return Observation(seen=Seen.ABSENT)


def move_alias(intent: Intent, world: World, *, target: str, epoch: int) -> None:
    """Point `active` at `target` if it still stands at `intent.current`. Raises ActionError, nothing has changed."""
    world.registry.set_alias(target, if_current=intent.current, key=intent.key, epoch=epoch, by=BY, at=world.now)
