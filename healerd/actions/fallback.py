"""fallback: let a safe model serve that is fitted on the newest trusted rows at that moment; or, where the
configuration says so, a constant or a stored version.

It mitigates and never heals: the way back is a step of its own. Must never serve an old safe model: what is usual
changes with the season.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from healerd.action_settings import ActionSettings
from healerd.actions.alias_move import AliasMove, move_alias
from healerd.actions.evidence import newest
from healerd.actions.registry import Draft, version_name
from healerd.actions.safe_model import fit_safe_model
from healerd.actions.world import Plan, Refusal, World
from healerd.errors import ActionError
from healerd.model import Intent, VersionKind

__all__ = ["Fallback"]


class Fallback(AliasMove):
    """Store a fresh safe model, and point the alias at it; one that is stored and does not serve is no effect."""

    name = "fallback"
    does = "lets a fresh safe model serve: the usual answer of rows like this one"

    def plan(self, world: World) -> Plan | Refusal:
        """Check that there is something to fit on and something to replace."""
        active = world.registry.active
        if world.registry.get(active).kind is VersionKind.FALLBACK:
            return Refusal(action=self.name, reason=f"`{active}`, a safe model, serves already")
        settings = world.settings.actions.get(self.name) or ActionSettings()
        if settings.version is not None:
            return _to_stored(world, settings.version, active)
        if settings.constant is not None:
            return Plan(action=self.name, target=None, current=active, note=f"always answer `{settings.constant}`")
        found = newest(world, windows=fresh_windows(world))
        if len(found) < world.settings.healing.rows_min:
            need = world.settings.healing.rows_min
            return Refusal(action=self.name, reason=f"{len(found)} labelled rows to fit on; needs {need}")
        note = f"fit on {len(found)} rows of {len(found.windows)} windows from {found.windows[0]:%Y-%m-%d %H:%M}"
        return Plan(action=self.name, target=None, current=active, note=note)

    def makes(self, intent: Intent) -> str:
        """Name the safe model, or the stored version that serves in its place."""
        return intent.target or version_name(self.name, intent.key)

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Store the safe model under the intent's key, then move the alias to it. Raises ActionError."""
        if intent.target is None:
            self._store(intent, world)
        move_alias(intent, world, target=self.makes(intent), epoch=epoch)

    def _store(self, intent: Intent, world: World) -> None:
        constant = (world.settings.actions.get(self.name) or ActionSettings()).constant
        draft = Draft(name=self.makes(intent), key=intent.key, kind=VersionKind.FALLBACK, created_at=world.now)
        if constant is not None:
            model = fit_safe_model(
                {}, np.array([constant], dtype=np.object_ if isinstance(constant, str) else np.float64)
            )
            world.registry.add(model, replace(draft, note=f"always `{constant}`"))
            return
        found = newest(world, windows=fresh_windows(world))
        if not len(found):
            raise ActionError("no labelled rows are left to fit a safe model on")
        fitted = replace(
            draft,
            trained_from_at=found.windows[0],
            trained_to_at=found.windows[-1] + timedelta(seconds=world.settings.window),
            trained_rows=len(found),
            note="safe model",
        )
        world.registry.add(fit_safe_model(found.rows.features, found.rows.label), fitted)


def fresh_windows(world: World) -> int:
    """Count the windows a safe model is fitted on: a quarter of a training, so that it is fresh."""
    return max(1, world.settings.healing.train_windows // 4)


def _to_stored(world: World, name: str, active: str) -> Plan | Refusal:
    """Plan to let the version serve that the configuration names."""
    if name == active:
        return Refusal(action=Fallback.name, reason=f"`{name}` serves already")
    try:
        world.registry.check(name)
    except ActionError as error:
        return Refusal(action=Fallback.name, reason=str(error))
    return Plan(action=Fallback.name, target=name, current=active, note=f"`{name}`, which the configuration names")
