"""promote: let the candidate of a retraining serve, after it was judged.

Must never promote what was not judged on rows it had not seen, nor while the data is not known to be good (S13).
"""

from healerd.actions.alias_move import AliasMove
from healerd.actions.world import Plan, Refusal, World
from healerd.model import Intent

__all__ = ["Promote"]


class Promote(AliasMove):
    """Point the alias at the accepted candidate."""

    name = "promote"
    does = "lets the judged candidate of a retraining serve"
    needs_good_data = True

    def plan(self, world: World, heal: Intent) -> Plan | Refusal:
        """Aim at the version that the judgement accepted."""
        accepted = heal.result.get("accepted")
        if not isinstance(accepted, str):
            return Refusal(action=self.name, reason="no candidate was accepted")
        if world.data_flaw:
            return Refusal(action=self.name, reason=world.data_flaw)
        return Plan(action=self.name, target=accepted, current=world.registry.active)
