"""recalibrate: keep the model and mend its answers on fresh labels. A candidate like one of a retraining, but cheaper.

Must never fit on the rows that will judge it, nor on data that is not known to be good (SAFETY S13).
"""

from healerd.actions.calibration import REFUSED_TASK, can_recalibrate
from healerd.actions.evidence import newest
from healerd.actions.retrain import Retrain, bounds, judge_from, observe_fit, plan_of_rows, start_fit
from healerd.actions.world import Observation, Plan, Refusal, World
from healerd.model import Intent, VersionKind

__all__ = ["Recalibrate"]

ENTRY = "healerd.actions.calibration:fit"


class Recalibrate(Retrain):
    """Fit a correction of the active version's answers on the newest labelled rows; it serves nothing."""

    name = "recalibrate"
    does = "fits a correction of the active version's answers on the newest labelled rows; serves nothing"

    def plan(self, world: World) -> Plan | Refusal:
        """Choose the rows: the newest windows judge, as many as stored versions are compared on before them fit."""
        if world.data_flaw:
            return Refusal(action=self.name, reason=world.data_flaw)
        active = world.registry.get(world.registry.active)
        if active.kind is VersionKind.FALLBACK:
            return Refusal(action=self.name, reason=f"`{active.name}`, a safe model, serves: there is nothing to mend")
        healing = world.settings.healing
        found = newest(world, windows=healing.choose_windows + healing.judge_windows)
        cut = judge_from(found, windows=healing.judge_windows, rows_min=healing.rows_min)
        if len(found) and not can_recalibrate(found.rows.label):
            return Refusal(action=self.name, reason=REFUSED_TASK)
        return plan_of_rows(self.name, world, found, cut, what=f"mend `{active.name}`")

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Look for the candidate in the registry, then for its job: it runs here, wherever retrainings do."""
        return observe_fit(world, key=intent.key, name=self.makes(intent))

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Begin to fit on the rows that the plan chose, around the version that the plan saw."""
        start, end = bounds(intent)
        args = {
            "registry": world.registry,
            "base": intent.current,
            "method": world.settings.actions[self.name].method if self.name in world.settings.actions else "auto",
            "loss": world.settings.loss,
        }
        note = f"recalibrated `{intent.current}`"
        start_fit(
            world,
            self.name,
            entry=ENTRY,
            args=args,
            key=intent.key,
            name=self.makes(intent),
            start=start,
            end=end,
            note=note,
        )
