"""Harm: a Bernoulli e-detector on the losses of mature label cohorts of the active version.

Must never mix versions, step on a cohort that is not known (SAFETY S12), or judge labels as they happen to arrive.

For m labels with loss sum k and p0 at least the true error, e = ((p1/p0)^k ((1-p1)/(1-p0))^(m-k))^(1/phi) is an
e-value for every p1 > p0, also for losses between 0 and 1 (convexity). p0 is the upper confidence bound of the
reference's error (Clopper and Pearson, 1934) plus the tolerance; phi = 1 + m v / (p0 (1 - p0)) is the design effect,
v the variance of the error between the reference's windows. Five p1 are mixed.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from scipy.special import betaincinv

from healerd.detectors.budget import ASSUMPTIONS
from healerd.detectors.evidence import advance_few, ceiling, log_mean, stands
from healerd.detectors.observation import Observation, State
from healerd.detectors.settings import DetectionSettings
from healerd.model import Cohort, Layer, Measurement, Reference

__all__ = ["ODDS_RATIOS", "detect_harm", "error_limit", "is_known", "upper_error", "usual_error"]

USUAL = 0.95
ODDS_RATIOS = (1.25, 1.5, 2.0, 3.0, 6.0)
"""Alternatives, as odds of an error against those of the limit: from barely worse to mostly wrong."""
ALTERNATIVES = tuple((math.log(ratio), ratio - 1) for ratio in ODDS_RATIOS)


def is_known(cohort: Cohort, label_coverage: float) -> bool:
    """Whether enough of the cohort is labelled for its error to be known."""
    return cohort.labelled > 0 and cohort.labelled >= label_coverage * cohort.rows


def upper_error(reference: Reference, level: float) -> float | None:
    """Upper confidence bound of the reference's error; None when there were no rows to measure it on.

    The reference's rows count as n / phi where its windows differ by more than chance. Few windows make the bound wide;
    `limit_max` keeps it from growing from version to version.
    """
    if reference.error_rows == 0:
        return None
    upper = _upper(reference.error, reference.error_rows, reference.error_sd, reference.error_windows, level)
    return min(upper, reference.limit_max)


@lru_cache(maxsize=256)  # The bound takes longer than all the rest of a step, and changes with the reference alone.
def _upper(error: float, n: int, sd: float, windows: int, level: float) -> float:
    spare = max(error * (1 - error), 1 / (4 * n))
    effective = n / (1 + n * sd**2 / (spare * max(windows, 1)))
    wrong = error * effective
    return float(betaincinv(wrong + 1, effective - wrong, level)) if wrong < effective else 1.0


def usual_error(reference: Reference) -> float | None:
    """The error that a healthy window need not exceed: a 95% bound; what is above it is not clean."""
    return upper_error(reference, USUAL)


def error_limit(reference: Reference, settings: DetectionSettings) -> float | None:
    """The error that is not yet harm: upper bound of the reference's error plus the tolerance; None when unknown."""
    upper = upper_error(reference, 1 - settings.delta / settings.references_per_year)
    limit = None if upper is None else min(upper + settings.tolerance, reference.limit_max)
    return limit if limit is not None and limit < 1 else None


def detect_harm(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Measure the error of the active version in the cohorts that matured, one step a cohort."""
    key = _key(seen.reference)
    if state.get("key") != key:
        state = _fresh(key)
    own = sorted(
        (one for one in seen.cohorts if one.version == seen.reference.version), key=lambda one: one.window_start_at
    )
    limit = error_limit(seen.reference, seen.settings)
    known = [one for one in own if is_known(one, seen.settings.label_coverage) and limit is not None]
    for cohort in known:
        assert limit is not None
        state = _step(cohort, state, limit=limit, seen=seen)
    return (_tell(seen, known, state),), state


def _key(reference: Reference) -> list[Any]:
    """What evidence is kept under: the version and the error it is held against, not the inputs it is compared with.

    A person who accepts moved inputs gives the version another reference with the same error: what spoke against it
    goes on speaking.
    """
    held = (reference.error, reference.error_rows, reference.error_sd, reference.error_windows, reference.limit_max)
    return [reference.version, *held]


def _fresh(key: Sequence[Any]) -> State:
    return {"key": list(key), "alarm": False, "cells": [0.0] * len(ODDS_RATIOS), "since": None}


def _step(cohort: Cohort, state: State, *, limit: float, seen: Observation) -> State:
    log_limit = seen.log_limits[Layer.HARM]
    log_e = log_e_values(cohort.loss_sum, cohort.labelled, limit, seen.reference.error_sd)
    cells = advance_few(state["cells"], log_e, at_most=ceiling(log_limit, len(ODDS_RATIOS)))
    log_evidence = log_mean(cells)
    alarm = stands(log_evidence, log_limit, stood=state["alarm"])
    if state["alarm"] and not alarm:
        return _fresh(state["key"])
    since = (state["since"] or cohort.window_start_at.isoformat()) if log_evidence > 0 else None
    return {"key": state["key"], "alarm": alarm, "cells": cells, "since": since}


def log_e_values(loss_sum: float, m: int, limit: float, error_sd: float) -> list[float]:
    """The logarithm of each alternative's e-value for one cohort.

    With odds r times those of p0, p1/p0 = r / (1 + (r - 1) p0) and (1 - p1)/(1 - p0) = 1 / (1 + (r - 1) p0).
    """
    phi = 1 + m * error_sd**2 / (limit * (1 - limit))
    return [(loss_sum * log_ratio - m * math.log1p(more * limit)) / phi for log_ratio, more in ALTERNATIVES]


def _tell(seen: Observation, known: Sequence[Cohort], state: State) -> Measurement:
    n = sum(one.labelled for one in known)
    error = math.fsum(one.loss_sum for one in known) / n if n else None
    since: Any = state["since"]
    return Measurement(
        name="error",
        layer=Layer.HARM,
        value=error,
        n=n,
        effect=error - seen.reference.error if error is not None else None,
        log_evidence=log_mean(state["cells"]),
        log_limit=seen.log_limits[Layer.HARM],
        since_at=datetime.fromisoformat(since) if since else None,
        reference_id=seen.reference.id,
        assumptions=ASSUMPTIONS[Layer.HARM],
        alarm=True if state["alarm"] else (False if known else None),
    )
