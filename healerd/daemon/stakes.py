"""Gather what is known of a retraining's price and of what it would spare, out of the store. Must never weigh it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from healerd.config import PipelineSettings
from healerd.decision import Stake, cost_model
from healerd.detectors.harm import is_known
from healerd.model import Cohort, Intent, Reference
from healerd.store import Checked, Range, Reader

__all__ = ["stake_of"]

RECENT_WINDOWS = 7
"""Newest known windows of the active version whose errors count: one weekly cycle."""
LOOKS_BACK = 2
"""How many times as far back they are looked for: what a version did before it came back is another world."""


def stake_of(
    reader: Reader,
    pipeline: str,
    settings: PipelineSettings,
    *,
    active: str | None,
    now: datetime,
    matured: Sequence[Cohort] = (),
) -> Stake | None:
    """Gather it for one pipeline at one moment; `matured` are cohorts that the store does not hold yet.

    None where there is no active version, or no retraining configured.
    """
    retrain = settings.actions.get("retrain")
    price = cost_model(settings).prior("retrain")
    if retrain is None or active is None or price is None:
        return None
    judged = [intent for intent in _fits(reader, pipeline) if "judged" in intent.result]
    return Stake(
        window_cost=settings.window_cost,
        retrain_cost=price.cost,
        failure=retrain.failure,
        horizon=settings.healing.payback_windows,
        recent=_recent(
            _cohorts(reader, pipeline, settings, active=active, now=now)
            + [one for one in matured if one.version == active],
            coverage=settings.detection.label_coverage,
        ),
        fresh=(*_first_error(reader, pipeline), *_errors(judged)),
        judged=len(judged),
        accepted=sum(intent.result["judged"].get("accepted") is not None for intent in judged),
    )


def _fits(reader: Reader, pipeline: str) -> tuple[Intent, ...]:
    """List the retrainings, oldest first."""
    return reader.find(Intent, pipeline=pipeline, action=Checked("retrain"), order="created_at")


def _errors(judged: Sequence[Intent]) -> tuple[float, ...]:
    found = (intent.result["judged"].get("error") for intent in judged)
    return tuple(float(error) for error in found if error is not None)


def _first_error(reader: Reader, pipeline: str) -> tuple[float, ...]:
    """The held-out error of the first model: what a fit on healthy data had."""
    first = reader.find(Reference, pipeline=pipeline, order="seq", limit=1)
    return tuple(one.error for one in first)


def _cohorts(reader: Reader, pipeline: str, settings: PipelineSettings, *, active: str, now: datetime) -> list[Cohort]:
    reach_s = settings.label_horizon + (LOOKS_BACK * RECENT_WINDOWS + 1) * settings.window
    return list(
        reader.find(Cohort, pipeline=pipeline, version=active, window_end_at=Range(now - timedelta(seconds=reach_s)))
    )


def _recent(cohorts: Sequence[Cohort], *, coverage: float) -> tuple[tuple[int, float], ...]:
    """The newest windows of which enough rows are labelled; below that their error is unknown (SAFETY S12)."""
    by_window = {one.window_end_at: one for one in cohorts if is_known(one, coverage)}
    return tuple((one.labelled, one.loss_sum) for _, one in sorted(by_window.items()))[-RECENT_WINDOWS:]
