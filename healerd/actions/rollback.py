"""rollback: let the stored version serve that does best on the newest labelled rows, by shadow.

Must never choose by age alone: after a recurring change an older version may be the right one again.
"""

from math import ceil

from healerd.actions.alias_move import AliasMove
from healerd.actions.evidence import best_stored, models_that_never_saw, newest
from healerd.actions.world import Plan, Refusal, World
from healerd.columns import Predictions

__all__ = ["Rollback"]

LONGER_MAX = 4.0
"""How many times `choose_windows` are looked at at most, however few rows they hold: an older past is another world."""


class Rollback(AliasMove):
    """Point the alias at the best stored version."""

    name = "rollback"
    does = "lets the stored version serve that does best on the newest labelled rows"

    def plan(self, world: World) -> Plan | Refusal:
        """Shadow the stored versions on the newest labelled rows, and aim at the surest gain."""
        active = world.registry.active
        rows = _rows_to_choose_by(world)
        if len(rows) < world.settings.healing.rows_min:
            need = world.settings.healing.rows_min
            return Refusal(action=self.name, reason=f"{len(rows)} labelled rows to choose by; needs {need}")
        others = [name for name in models_that_never_saw(world, rows) if name != active]
        if not others:
            return Refusal(action=self.name, reason="no other version is stored that has not seen these rows")
        best = best_stored(world, rows, others, against=active)
        if best is None:
            return Refusal(action=self.name, reason=f"`{active}` gave no answer that others can be compared with")
        if best[1].mean <= 0:
            return Refusal(action=self.name, reason="no stored version does better on the newest labelled rows")
        target, gain = best
        args = {"gain": gain.mean, "gain_low": gain.low, "p_better": gain.p_better, "n": gain.n}
        note = f"`{target}` does better by {gain.mean:.1%} [{gain.low:.1%}, {gain.high:.1%}] on {gain.n} rows"
        return Plan(action=self.name, target=target, current=active, args=args, note=note)


def _rows_to_choose_by(world: World) -> Predictions:
    """The newest windows, and more of them where they are so small that the best of many would be chosen by luck."""
    healing = world.settings.healing
    rows = newest(world, windows=healing.choose_windows).rows
    times = min(LONGER_MAX, healing.choose_rows / max(1, len(rows)))
    return rows if times <= 1 else newest(world, windows=ceil(healing.choose_windows * times)).rows
