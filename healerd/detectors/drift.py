"""Covariate and score drift: e-detectors on the mid-ranks of each feature in the reference.

Must never name an action: a change of the inputs alone is no harm.

For m rows with places g in [0, 1], whose mean in the reference is mu,

    e = exp((L (+-(sum g - m mu) - m t eps) - m L^2 s / 2) / phi)

is an e-value: s is the variance proxy, eps the margin for the reference's own sampling error, t how far that can move
the mean (1 for the location, which is monotone, 2 for the spread and the names), and phi = 1 + m v / s >= 1 the design
effect, v the reference's variance between windows: a power of at most 1 of an e-value is one again (Jensen). Proof:
README.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from typing import Any

import numpy as np

from healerd.detectors.budget import ASSUMPTIONS
from healerd.detectors.evidence import Logs, advance, ceiling, log_mean, stands
from healerd.detectors.observation import Observation, State
from healerd.detectors.yardstick import FeatureYardstick
from healerd.model import Layer, Measurement

__all__ = ["LAMBDAS", "detect_drift", "detect_score_drift"]

LAMBDAS = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
"""Best for shifts of the mean rank of L/12 beyond the margin: from .02 to .33, that is from 0.1 to over 1 sd."""
SIGNS = np.array([1.0, -1.0])
PER_PLACE = len(SIGNS) * len(LAMBDAS)
"""Cells a place has: two signs, five L."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One feature in one window: its rows, and how far the mean of each place moved."""

    rows: int
    shift: tuple[float, ...]
    log_e: Logs


def detect_drift(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Measure the inputs' drift: one measurement for the layer, then one for each feature."""
    return _detect(seen, state, seen.yardstick.at(Layer.DRIFT, seen.window.start_at), Layer.DRIFT)


def detect_score_drift(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Measure the drift of the model's outputs and uncertainties, as `detect_drift` does for its inputs."""
    return _detect(seen, state, seen.yardstick.at(Layer.SCORE, seen.window.start_at), Layer.SCORE)


def _detect(
    seen: Observation, state: State, features: Sequence[FeatureYardstick], layer: Layer
) -> tuple[tuple[Measurement, ...], State]:
    if not features:
        return (), {}
    log_limit = seen.log_limits[layer]
    if state.get("reference") != seen.yardstick.id:
        state = _fresh(seen.yardstick.id, features)
    cells = sum(_cells(one) for one in features)
    looks = {one.name: _look(one, seen) for one in features}
    kept = {
        name: _step(state["features"][name], look, at_most=ceiling(log_limit, cells), at=seen.window.start_at)
        for name, look in looks.items()
    }
    log_evidence = log_mean(np.concatenate([one["cells"] for one in kept.values()]))
    alarm = stands(log_evidence, log_limit, stood=state["alarm"])
    after = {"reference": seen.yardstick.id, "alarm": alarm, "features": kept}
    told = _tell(seen, layer, looks, after, log_evidence)
    return told, (_fresh(seen.yardstick.id, features) if state["alarm"] and not alarm else after)


def _fresh(reference_id: str, features: Sequence[FeatureYardstick]) -> State:
    empty = {one.name: {"cells": [0.0] * _cells(one), "since": None} for one in features}
    return {"reference": reference_id, "alarm": False, "features": empty}


def _cells(one: FeatureYardstick) -> int:
    return PER_PLACE * len(one.places.mean)


def _look(one: FeatureYardstick, seen: Observation) -> Look:
    cells, places = seen.profile.features[one.name].cells, one.places
    m = int(cells.sum()) if one.n else 0
    if m == 0:
        return Look(rows=0, shift=(0.0,), log_e=np.zeros(_cells(one)))
    shift = places.of @ cells / m - places.mean
    phi = 1 + m * np.array(one.habit.place_vars) / places.proxy
    toward = SIGNS * shift[:, None] - (places.variation * one.margin)[:, None]
    log_e = m * (LAMBDAS * toward[:, :, None] - (places.proxy[:, None] * LAMBDAS**2 / 2)[:, None, :])
    return Look(rows=m, shift=tuple(shift.tolist()), log_e=(log_e / phi[:, None, None]).ravel())


def _step(kept: Mapping[str, Any], look: Look, *, at_most: float, at: datetime) -> dict[str, Any]:
    """Advance one feature's cells; evidence began where the mean of R last rose above 1."""
    if look.rows == 0:
        return dict(kept)
    cells = advance(np.array(kept["cells"]), look.log_e, at_most=at_most)
    since = (kept["since"] or at.isoformat()) if log_mean(cells) > 0 else None
    return {"cells": cells.tolist(), "since": since}


def _tell(
    seen: Observation, layer: Layer, looks: Mapping[str, Look], state: State, log_evidence: float
) -> tuple[Measurement, ...]:
    cells = sum(len(kept["cells"]) for kept in state["features"].values())
    each = tuple(
        _tell_feature(seen, layer, name, look, state["features"][name], of=cells) for name, look in looks.items()
    )
    foremost = max(each, key=lambda one: one.log_evidence or 0.0)
    rows = max(look.rows for look in looks.values())
    whole = Measurement(
        name=layer.value,
        layer=layer,
        value=max(abs(one.effect or 0.0) for one in each) if rows else None,
        n=rows,
        effect=foremost.effect,
        log_evidence=log_evidence,
        log_limit=seen.log_limits[layer],
        since_at=foremost.since_at,
        reference_id=seen.yardstick.id,
        assumptions=ASSUMPTIONS[layer],
        alarm=True if state["alarm"] else (False if rows else None),
    )
    return (whole, *each)


def _tell_feature(
    seen: Observation, layer: Layer, name: str, look: Look, kept: Mapping[str, Any], *, of: int
) -> Measurement:
    """One feature's part. Its own line is the layer's by its share of the cells: beyond it, it alarms alone."""
    log_evidence = log_mean(kept["cells"])
    log_limit = seen.log_limits[layer] + log(of / len(kept["cells"]))
    return Measurement(
        name=layer.value,
        layer=layer,
        subject=name,
        value=0.5 + look.shift[0] if look.rows else None,
        n=look.rows,
        effect=max(look.shift, key=abs),
        log_evidence=log_evidence,
        log_limit=log_limit,
        since_at=datetime.fromisoformat(kept["since"]) if kept["since"] else None,
        reference_id=seen.yardstick.id,
        assumptions=ASSUMPTIONS[layer],
        alarm=log_evidence >= log_limit if look.rows else None,
    )
