"""undo: let the version serve again that a heal or step had replaced.

Must never move an alias that somebody else has moved since: then there is nothing of ours to undo.
"""

from healerd.actions.alias_move import AliasMove
from healerd.actions.world import Plan, Refusal, World
from healerd.model import Intent

__all__ = ["Undo"]


class Undo(AliasMove):
    """Point the alias back at what was replaced."""

    name = "undo"
    does = "lets the version serve again that was replaced"

    def plan(self, world: World, heal: Intent) -> Plan | Refusal:
        """Aim back at the version that `heal` (a heal or a step that moved the alias) replaced."""
        served = heal.result.get("version")
        if heal.current is None or not isinstance(served, str):
            return Refusal(action=self.name, reason="it replaced nothing that is known")
        active = world.registry.active
        if active != served:
            return Refusal(action=self.name, reason=f"`{active}` serves, not `{served}`: somebody else moved the alias")
        return Plan(action=self.name, target=heal.current, current=served)
