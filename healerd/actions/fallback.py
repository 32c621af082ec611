"""fallback: let a safe model serve that is fitted on the newest trusted rows at that moment.

It mitigates and never heals: the way back is a step of its own. Must never serve an old safe model: what is usual
changes with the season.
"""

from datetime import timedelta

from healerd.actions.alias_move import move_alias, observe_alias
from healerd.actions.evidence import newest
from healerd.actions.registry import Draft, version_name
from healerd.actions.safe_model import fit_safe_model
from healerd.actions.world import Observation, Plan, Refusal, World
from healerd.errors import ActionError
from healerd.model import Intent, VersionKind

__all__ = ["Fallback"]


class Fallback:
    """Store a fresh safe model, and point the alias at it."""

    name = "fallback"
    does = "lets a fresh safe model serve: the usual answer of rows like this one"
    idempotent = True
    dedupe = True
    reversible = True
    observable = True
    serves = True
    needs_good_data = False

    def plan(self, world: World) -> Plan | Refusal:
        """Check that there is something to fit on and something to replace."""
        active = world.registry.active
        if world.registry.get(active).kind is VersionKind.FALLBACK:
            return Refusal(action=self.name, reason=f"`{active}`, a safe model, serves already")
        found = newest(world, windows=fresh_windows(world))
        if len(found) < world.settings.healing.rows_min:
            need = world.settings.healing.rows_min
            return Refusal(action=self.name, reason=f"{len(found)} labelled rows to fit on; needs {need}")
        note = f"fit on {len(found)} rows of {len(found.windows)} windows from {found.windows[0]:%Y-%m-%d %H:%M}"
        return Plan(action=self.name, target=None, current=active, note=note)

    def makes(self, intent: Intent) -> str:
        """Name the safe model."""
        return version_name(self.name, intent.key)

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Store the safe model under the intent's key, then move the alias to it."""
        found = newest(world, windows=fresh_windows(world))
        if not len(found):
            raise ActionError("no labelled rows are left to fit a safe model on")
        draft = Draft(
            name=self.makes(intent),
            key=intent.key,
            kind=VersionKind.FALLBACK,
            created_at=world.now,
            trained_from_at=found.windows[0],
            trained_to_at=found.windows[-1] + timedelta(seconds=world.settings.window),
            trained_rows=len(found),
            note="safe model",
        )
        world.registry.add(fit_safe_model(found.rows.features, found.rows.label), draft)
        move_alias(intent, world, target=draft.name, epoch=epoch)

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Ask the registry for the move; a stored safe model that does not serve is no effect."""
        return observe_alias(intent, world, epoch=epoch)


def fresh_windows(world: World) -> int:
    """Count the windows a safe model is fitted on: a quarter of a training, so that it is fresh."""
    return max(1, world.settings.healing.train_windows // 4)
