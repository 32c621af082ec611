"""Regret: does a stored version do better than the one that serves, on the same rows.

Must never compare rows that a version trained on, nor cohorts that are not known (SAFETY S12).

What both find hard cancels (weather, holidays), so this sees a concept come back where the error alone stays silent.
For n rows of a cohort of which the stored version gets `better` right that the active one gets wrong, and `worse` the
other way about, with m the harmless gain,

    e = ((1 + L (1 - m))^better (1 - L (1 + m))^worse (1 - L m)^equal)^(1/phi)

is an e-value for "the gain is at most m" and every L in (0, 1 / (1 + m)): the mean of 1 + L (d - m), d in {1, -1, 0},
is at most 1 for each row (Waudby-Smith and Ramdas, 2024, betting). phi >= 1 is the design effect of the rows that
differ: those of a window are alike. The evidence is the mean over L and as many versions as there may be, so many
cost no more false alarms than one, and one that is dropped leaves the mean no larger.

Which versions have a place among these is told from who is compared and by name, never from how they did: the best
twelve of thirteen after a cohort would have a mean above that of an e-value. One without a place is forgotten, so that
its luck cannot bring it back: when it is compared again it starts from nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from healerd.detectors.budget import ASSUMPTIONS
from healerd.detectors.evidence import Logs, advance, ceiling, log_mean, stands
from healerd.detectors.observation import Observation, State
from healerd.model import Layer, Measurement, Rival

__all__ = ["BETS", "RIVALS_MAX", "detect_regret"]

BETS = np.array([0.1, 0.2, 0.4, 0.8])
"""Stakes: small ones for small gains over many windows, large ones for a version that is clearly right again."""

RIVALS_MAX = 12
"""Stored versions that are compared at a time."""
CELLS = RIVALS_MAX * len(BETS)


def detect_regret(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Measure, for each stored version, how much better it did than the active one: one step a cohort."""
    active = seen.reference.version
    if state.get("key") != active:
        state = {"key": active, "alarm": False, "cells": {}, "since": {}}
    rivals = [one for one in seen.rivals if one.against == active and one.rows > 0]
    cells = {one.version: _step(one, state, seen) for one in rivals[:RIVALS_MAX]}
    stored = {name: old for name, old in state["cells"].items() if name in seen.stored}
    kept = _in_place({**stored, **cells}, first=cells)
    evidence = _evidence(kept.values())
    alarm = stands(evidence, seen.log_limits[Layer.REGRET], stood=state["alarm"])
    if state["alarm"] and not alarm:
        kept = {}
    since = {name: _since(name, state, seen) for name, each in kept.items() if log_mean(each) > 0}
    told = _tell(seen, rivals, evidence=evidence, alarm=alarm, kept=kept, since=since)
    return told, {"key": active, "alarm": alarm, "cells": kept, "since": since}


def _step(rival: Rival, state: State, seen: Observation) -> list[float]:
    before = np.array(state["cells"].get(rival.version, [0.0] * len(BETS)))
    at_most = ceiling(seen.log_limits[Layer.REGRET], CELLS)
    log_e = log_e_values(rival, harmless=seen.settings.tolerance, phi=_design_effect(seen, rival.better + rival.worse))
    after: list[float] = advance(before, log_e, at_most=at_most).tolist()
    return after


def _in_place(cells: Mapping[str, list[float]], *, first: Iterable[str]) -> dict[str, list[float]]:
    """The versions that have a place: those compared `first`, then others by name while there is room."""
    places = list(dict.fromkeys((*first, *sorted(cells))))[:RIVALS_MAX]
    return {name: each for name, each in cells.items() if name in places}


def _evidence(cells: Iterable[Sequence[float]]) -> float:
    """The logarithm of the mean of R over all cells there may be: the ones that hold nothing count too."""
    held = [value for each in cells for value in each]
    return log_mean(held + [0.0] * (CELLS - len(held)))


def log_e_values(rival: Rival, *, harmless: float, phi: float) -> Logs:
    """The logarithm of each stake's e-value for one cohort."""
    equal = rival.rows - rival.better - rival.worse
    stakes = BETS / (1 + harmless)
    gain = rival.better * np.log1p(stakes * (1 - harmless)) + equal * np.log1p(-stakes * harmless)
    return np.asarray((gain + rival.worse * np.log1p(-stakes * (1 + harmless))) / phi)


def _design_effect(seen: Observation, differing: int) -> float:
    """1 + k v / (p (1 - p)) for the k rows that differ, v the reference's variance between windows, p its error.

    Rows that both find easy, or both hard, bet nothing: only those that differ are trials, and alike.
    """
    error, sd = seen.reference.error, seen.reference.error_sd
    spare = max(error * (1 - error), 1 / (4 * max(seen.reference.error_rows, 1)))
    return 1 + differing * sd**2 / spare


def _since(name: str, state: State, seen: Observation) -> Any:
    return state["since"].get(name) or seen.window.start_at.isoformat()


def _tell(
    seen: Observation,
    rivals: Sequence[Rival],
    *,
    evidence: float,
    alarm: bool,
    kept: Mapping[str, Sequence[float]],
    since: Mapping[str, str],
) -> tuple[Measurement, ...]:
    limit = seen.log_limits[Layer.REGRET]
    layer = Measurement(
        name="regret",
        layer=Layer.REGRET,
        value=max((_gain(one) for one in rivals), default=None),
        n=max((one.rows for one in rivals), default=0),
        log_evidence=evidence,
        log_limit=limit,
        since_at=min(map(datetime.fromisoformat, since.values()), default=None),
        reference_id=seen.reference.id,
        assumptions=ASSUMPTIONS[Layer.REGRET],
        alarm=alarm if kept or rivals else None,
    )
    return layer, *(
        Measurement(
            name="gain_of",
            layer=Layer.REGRET,
            subject=one.version,
            value=_gain(one),
            n=one.rows,
            effect=_gain(one),
            log_evidence=log_mean(kept.get(one.version, [0.0])),
            reference_id=seen.reference.id,
            alarm=None,
        )
        for one in rivals
    )


def _gain(rival: Rival) -> float:
    return math.fsum([rival.better, -rival.worse]) / rival.rows
