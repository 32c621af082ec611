"""Data quality: does this window hold the data it should. A verdict on the window alone, without memory.

Must never depend on labels or on the model. Bad data forbids retraining and promotion; unknown counts as bad (S13).

Each check gives P(at least this much | the healthy limit) exactly, from the binomial or Poisson law. The layer's
budget is split evenly over the checks, so that with healthy data E[windows with an alarm] <= n / A. The healthy limit
is the largest share that any window of the reference showed, plus a tolerance; for a stuck feature, whose commonest
value may become commoner without a fault, halfway from there to all rows.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.special import betainc, pdtr, pdtrc

from healerd.detectors.budget import ASSUMPTIONS
from healerd.detectors.observation import Observation, State
from healerd.detectors.yardstick import Bounds, FeatureYardstick
from healerd.model import Layer, Measurement, Quality
from healerd.profiles.counts import Counts
from healerd.profiles.maps import OUTER, NumberMap
from healerd.profiles.ranks import quantiles
from healerd.profiles.reference import QUARTILES, stretch

__all__ = ["detect_quality", "quality"]

CHECKS_PER_FEATURE = 6
CHECKS_PER_WINDOW = 2
LEAST_P = 1e-300
WANDERS = 0.5
"""A feature of which some healthy window had this share outside the range so far is used to leaving it."""

SAID = {
    "missing": "{subject}: {value:.0%} of the values are missing",
    "wrong_type": "{subject}: {value:.0%} of the values are of the wrong type",
    "unseen": "{subject}: {value:.0%} of the values are unlike any in the reference",
    "out_of_range": "{subject}: {value:.0%} of the values lie far outside the reference's range",
    "stuck": "{subject}: {value:.0%} of the values are one and the same, or lie together just beyond the range",
    "scaled": "{subject}: all quartiles are scaled by about {value:.2f}",
    "rows": "{value:.0f} rows, far from the usual number",
    "duplicates": "{value:.0%} of the rows came more than once",
}
"""Each check by its measurement's name, and how a failed one is told."""


def detect_quality(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Check each input, then the rows as a whole; there is nothing to keep."""
    return (
        *_check_window(seen),
        *(told for one in seen.yardstick.features for told in _check_feature(seen, one)),
    ), state


def quality(measurements: Iterable[Measurement], *, rows_min: int = 20) -> tuple[Quality, tuple[str, ...]]:
    """Give the verdict on a window's data, and why: bad if any check alarms, unknown with too few rows to tell."""
    checks = [one for one in measurements if one.layer == Layer.QUALITY]
    rows = next((one.n for one in checks if one.name == "rows"), 0)
    failed = tuple(SAID[one.name].format(subject=f"`{one.subject}`", value=one.value) for one in checks if one.alarm)
    if failed:
        return Quality.BAD, failed
    if rows == 0:
        return Quality.UNKNOWN, ("no rows",)
    if rows < rows_min:
        return Quality.UNKNOWN, (f"{rows} rows cannot show whether data is bad, {rows_min} can",)
    return Quality.GOOD, ()


def _check_feature(seen: Observation, one: FeatureYardstick) -> Iterator[Measurement]:
    counts, habit, spare = seen.profile.features[one.name], one.habit, seen.settings.rate_tolerance
    n, rows = counts.n, seen.profile.rows
    yield _rate(seen, "missing", one.name, count=counts.missing, n=rows, limit=habit.missing + spare)
    yield _rate(seen, "wrong_type", one.name, count=counts.wrong_type, n=rows, limit=spare)
    if n == 0 or one.n == 0:
        return
    varied = int((one.cells > 0).sum()) > 1  # of a constant nobody knows which other values are healthy: drift warns
    if varied:
        unseen = int(counts.cells[one.unseen].sum())
        yield _rate(seen, "unseen", one.name, count=unseen, n=n, limit=habit.unseen + spare)
    stuck = (1 + habit.stuck) / 2
    yield _rate(seen, "stuck", one.name, count=_commonest(one, counts), n=n, limit=stuck, tries=1 / stuck)
    if varied and isinstance(one.cell_map, NumberMap):
        outside = int(counts.cells[0] + counts.cells[-1])
        yield _rate(seen, "out_of_range", one.name, count=outside, n=n, limit=habit.out_of_range + spare)
        yield _scaled(seen, one, one.cell_map, counts)


def _commonest(one: FeatureYardstick, counts: Counts) -> int:
    """Rows of the commonest known value. Just beyond the range nobody can tell values apart: there they count as one,
    unless the feature is used to leaving its range, as a clock is.
    """
    if not isinstance(one.cell_map, NumberMap):
        return int(counts.cells[~one.unseen].max())
    beyond = 0 if one.habit.out_of_range >= WANDERS else 1
    return int(counts.cells[OUTER - beyond : len(counts.cells) - OUTER + beyond].max())


def _rate(
    seen: Observation, name: str, subject: str | None, *, count: int, n: int, limit: float, tries: float = 1.0
) -> Measurement:
    """P(X >= count), X ~ binomial(n, limit); times `tries` where the worst of several counts was picked."""
    p = min(1.0, tries * binomial_tail(count, n, limit))
    return _tell(seen, name, subject, value=count / n if n else None, n=n, usual=limit, p=p)


def binomial_tail(count: int, n: int, p: float) -> float:
    """P(X >= count) for X ~ binomial(n, p)."""
    return 1.0 if count <= 0 or p >= 1 else float(betainc(count, n - count + 1, p))


def _scaled(seen: Observation, one: FeatureYardstick, cell_map: NumberMap, counts: Counts) -> Measurement:
    """Every quartile lies beyond its bound, and so does the range between them."""
    log_factor = stretch(one.quartiles, quantiles(counts.cells, cell_map, QUARTILES))
    bounds = one.grown if log_factor > 0 else one.shrunk
    least = one.habit.scaled + math.log(seen.settings.scale_tolerance)
    p = _beyond(bounds, counts) if bounds is not None and abs(log_factor) >= least else 1.0
    return _tell(seen, "scaled", one.name, value=math.exp(min(log_factor, 700.0)), n=counts.n, usual=1.0, p=p)


def _beyond(bounds: Bounds, counts: Counts) -> float:
    """The largest of the quartiles' p-values: all must be beyond."""
    upto = np.cumsum(counts.cells)
    n = int(upto[-1])
    count = np.where(bounds.above, n - upto[bounds.cell], upto[bounds.cell] - counts.cells[bounds.cell])
    pairs: Sequence[tuple[int, float]] = list(zip(count.tolist(), bounds.share.tolist(), strict=True))
    return max(binomial_tail(found, n, share) for found, share in pairs)


def _check_window(seen: Observation) -> Iterator[Measurement]:
    reference, rows = seen.yardstick.reference, seen.profile.rows
    spare, p = seen.settings.rows_tolerance, 1.0
    if reference.windows > 1 and rows:
        too_few = float(pdtr(rows, reference.rows_fewest / spare)) if reference.rows_fewest else 1.0
        p = min(too_few, float(pdtrc(rows - 1, reference.rows_most * spare)))
    yield _tell(seen, "rows", None, value=float(rows), n=rows, usual=float(reference.rows_most), p=p)
    if seen.duplicates is not None:
        came = rows + seen.duplicates
        yield _rate(seen, "duplicates", None, count=seen.duplicates, n=came, limit=seen.settings.rate_tolerance)


def _tell(
    seen: Observation, name: str, subject: str | None, *, value: float | None, n: int, usual: float, p: float
) -> Measurement:
    checks = CHECKS_PER_FEATURE * len(seen.yardstick.features) + CHECKS_PER_WINDOW
    log_limit = seen.log_limits[Layer.QUALITY] + math.log(checks)
    log_evidence = -math.log(max(p, LEAST_P))
    return Measurement(
        name=name,
        layer=Layer.QUALITY,
        subject=subject,
        value=value,
        n=n,
        effect=value - usual if value is not None else None,
        log_evidence=log_evidence,
        log_limit=log_limit,
        p_value=p,
        reference_id=seen.yardstick.id,
        assumptions=ASSUMPTIONS[Layer.QUALITY],
        alarm=log_evidence >= log_limit if n else None,
    )
