"""return: let the model serve again that a fallback had replaced.

Must never return to the model while the data is not known to be good.
"""

from healerd.actions.alias_move import AliasMove
from healerd.actions.world import Plan, Refusal, World
from healerd.model import Intent

__all__ = ["Return"]


class Return(AliasMove):
    """Point the alias from the safe model back at the model."""

    name = "return"
    does = "lets the model serve again that a fallback replaced"
    needs_good_data = True

    def plan(self, world: World, heal: Intent) -> Plan | Refusal:
        """Aim back at the version that the fallback replaced, while its safe model still serves."""
        served = heal.result.get("version")
        if heal.current is None or not isinstance(served, str):
            return Refusal(action=self.name, reason="the fallback replaced nothing that is known")
        if world.data_flaw:
            return Refusal(action=self.name, reason=world.data_flaw)
        active = world.registry.active
        if active != served:
            return Refusal(action=self.name, reason=f"`{active}` serves, not the safe model `{served}`")
        return Plan(action=self.name, target=heal.current, current=served)
