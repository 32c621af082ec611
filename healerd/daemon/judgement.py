"""Judge the candidate of a retraining on rows it never saw, before anything serves it.

Must never let a fit be its own judge: a candidate is compared on the rows kept back, and a refit that has seen those
waits for a window of rows that are new to it. A candidate must be better than the active version, surely enough and by
enough to be worth a swap (`healing.sure`, `healing.gain_min`), and no worse than the best stored one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from healerd.actions import World
from healerd.actions.evidence import error_of, gains_against, models_that_never_saw, newest
from healerd.actions.retrain import judgement_rows
from healerd.detectors.paired import Gain
from healerd.model import Intent

__all__ = ["Candidate", "gain_note", "judge_candidate", "judge_refit", "patience_until"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the judgement says of a candidate: accepted or not, the gain on the active version, and why.

    `error` is the candidate's own on the rows that judged it; None when nothing is known of it.
    """

    accepted: str | None
    gain: Gain
    reason: str
    error: float | None = None

    def note(self) -> Mapping[str, Any]:
        """Give the numbers as plain values, for the intent's record."""
        return {"accepted": self.accepted, "reason": self.reason, "error": self.error, **gain_note(self.gain)}


def judge_candidate(heal: Intent, world: World, *, name: str) -> Candidate | None:
    """Compare the candidate `name` with the active and the stored versions; None while too few rows have answers."""
    rows = judgement_rows(heal, world)
    if len(rows) < world.settings.healing.rows_min:
        return None
    active = world.registry.active
    gains = gains_against(world, rows, [name, *models_that_never_saw(world, rows)], against=active)
    if name not in gains:
        return None
    gain, error = gains.pop(name), error_of(world, rows, name)
    best = max(gains.items(), key=lambda item: item[1].mean, default=None)
    if gain.mean < world.settings.healing.gain_min or gain.p_better < world.settings.healing.sure:
        reason = f"no sure gain on `{active}`: {_said(gain)}"
        return Candidate(accepted=None, gain=gain, error=error, reason=reason)
    if best is not None and best[1].mean > gain.mean:
        reason = f"`{best[0]}`, which is stored, does better: {_said(best[1])}, the candidate {_said(gain)}"
        return Candidate(accepted=None, gain=gain, error=error, reason=reason)
    return Candidate(accepted=name, gain=gain, error=error, reason=f"better than `{active}`: {_said(gain)}")


def judge_refit(world: World, *, refit: str, candidate: str, since: datetime) -> Candidate | None:
    """Compare the refit and its candidate with the active version on rows after `since`, new to both.

    None until a whole window of them is labelled and answered. The better of the two is accepted if it is likely
    enough better.
    """
    found = newest(world, windows=world.settings.healing.judge_windows, since=since)
    if not found.windows or len(found) < world.settings.healing.rows_min:
        return None
    active = world.registry.active
    gains = gains_against(world, found.rows, [refit, candidate], against=active)
    if not gains:
        return None
    name, gain = max(gains.items(), key=lambda item: item[1].mean)
    if gain.p_better < world.settings.healing.sure:
        return Candidate(accepted=None, gain=gain, reason=f"no likely gain on `{active}` in shadow: {_said(gain)}")
    return Candidate(accepted=name, gain=gain, reason=f"better than `{active}` in shadow: {_said(gain)}")


def patience_until(heal: Intent, world: World) -> datetime:
    """Until when a candidate is judged on the windows that come, before it is given up."""
    settings = world.settings
    time_s = 2 * settings.label_horizon + (settings.healing.choose_windows + 1) * settings.window
    return (heal.effect_at or heal.created_at) + timedelta(seconds=time_s)


def gain_note(gain: Gain) -> dict[str, Any]:
    """Give a gain as plain values."""
    return {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high, "p_better": gain.p_better, "n": gain.n}


def _said(gain: Gain) -> str:
    return f"{gain.mean:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}] on {gain.n} rows"
