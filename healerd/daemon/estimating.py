"""The error of a window as it is estimated: by the model's scores without labels, by the labels there are. Must never
count as harm, nor raise an alarm: an estimate by scores cannot see that the relation itself has changed.

What the scores mean is fitted on the held-out rows that a version's reference error comes from, and kept beside it.
Without a score the output itself serves, if the pipeline asks for it: how often this class, or an output of this size,
was wrong.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Predictions, kind_of, take
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.segmenting import HeldOut
from healerd.detectors import usual_error
from healerd.detectors.estimates import (
    Calibration,
    Estimate,
    calibrate,
    calibration_from_json,
    calibration_to_json,
    error_posterior,
    estimate_error,
)
from healerd.model import Cohort, Layer, Measurement, Reference

__all__ = ["Calibrated", "calibrated_from_bytes", "calibrated_to_bytes", "estimates", "fit_calibration"]

CLASSES_MAX = 20
"""Different outputs up to which each is a class with steps of its own; with more the output is a quantity."""
BY_SCORE, BY_OUTPUT = "by the model's scores", "by its outputs alone"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrated:
    """What the scores of `version` mean, or its outputs where not `scored`. `classes`: the outputs are classes."""

    version: str
    scored: bool
    classes: bool
    calibration: Calibration


def fit_calibration(pipeline: Pipeline, held_out: HeldOut, reference: Reference) -> Calibrated | None:
    """Fit on held-out rows; None where nothing is asked for, or too few rows are labelled.

    The scores of rows are those of the version that predicted them: of another version only its outputs are known.
    """
    rows, version = held_out.rows, reference.version
    own = np.asarray(rows.version == version, np.bool_)
    scored = rows.score is not None and bool(own.any())
    if not scored and not pipeline.settings.detection.estimate:
        return None
    which = own if scored else np.ones(len(rows), np.bool_)
    output, losses = held_out.output[which], held_out.losses[which]
    classes = _are_classes(output)
    score = rows.score[which] if scored and rows.score is not None else _score_of(output, classes=classes)
    found = calibrate(score, losses, output=output if classes else None, sd=reference.error_sd)
    if found is None:
        return None
    return Calibrated(version=version, scored=scored, classes=classes, calibration=found)


def estimates(
    pipeline: Pipeline,
    rows: Predictions,
    cohorts: Sequence[Cohort],
    reference: Reference,
    calibrated: Calibrated | None,
) -> Iterator[Measurement]:
    """Estimate the error of the window's rows by scores, and that of the cohort that matured by its labels."""
    limit = usual_error(reference)
    if calibrated is not None and calibrated.version == reference.version:
        found = _by_scores(rows, calibrated, limit)
        basis = BY_SCORE if calibrated.scored else BY_OUTPUT
        yield from _told(found, Layer.SCORE, "p_estimated_error_high", (basis,)) if found else ()
    labelled = sum(one.labelled for one in cohorts if one.version == reference.version)
    if labelled:
        wrong = sum(one.loss_sum for one in cohorts if one.version == reference.version)
        posterior = error_posterior(wrong, labelled, limit=limit, sd=reference.error_sd)
        yield from _told(posterior, Layer.HARM, "p_error_above_limit", ())


def _by_scores(rows: Predictions, calibrated: Calibrated, limit: float | None) -> Estimate | None:
    own = take(rows, rows.version == calibrated.version)
    score = own.score if calibrated.scored else _score_of(own.output, classes=calibrated.classes)
    if score is None or not len(own):
        return None
    output = own.output if calibrated.classes else None
    return estimate_error(calibrated.calibration, score, output=output, limit=limit)


def _told(found: Estimate, layer: Layer, p_name: str, basis: tuple[str, ...]) -> Iterator[Measurement]:
    """An estimate, its interval and its P(above the limit): numbers for display, none of which can alarm."""
    values = {
        found.name: found.value,
        f"{found.name}_low": found.low,
        f"{found.name}_high": found.high,
        p_name: found.p_high,
    }
    for name, value in values.items():
        if value is not None:
            assumed = (*basis, *found.assumptions)
            yield Measurement(name=name, layer=layer, value=value, n=found.n, assumptions=assumed, alarm=None)


def _are_classes(output: Column) -> bool:
    return kind_of(output) == "categorical" or len(np.unique(output)) <= CLASSES_MAX


def _score_of(output: Column, *, classes: bool) -> npt.NDArray[np.float64]:
    """What stands for a score where there is none: the output itself; of a class, nothing but which one it is."""
    return np.zeros(len(output)) if classes else np.asarray(output, np.float64)


def calibrated_to_bytes(found: Calibrated) -> bytes:
    """Write what `calibrated_from_bytes` reads, as JSON."""
    tree = {"version": found.version, "scored": found.scored, "classes": found.classes}
    return json.dumps({**tree, "calibration": calibration_to_json(found.calibration)}, sort_keys=True).encode()


def calibrated_from_bytes(written: bytes) -> Calibrated:
    """Read what was written. Raises ValueError when it is not that."""
    tree = json.loads(written)
    try:
        return Calibrated(
            version=tree["version"],
            scored=tree["scored"],
            classes=tree["classes"],
            calibration=calibration_from_json(tree["calibration"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"these bytes are not a calibration: {error}") from error
