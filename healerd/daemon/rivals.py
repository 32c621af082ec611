"""Shadow the stored versions on a matured cohort of the active one. Must never count a row that trained a version."""

import numpy as np

from healerd.actions.evidence import models_that_never_saw
from healerd.columns import Column, Mask, Predictions, is_missing, take
from healerd.daemon.pipeline import Pipeline
from healerd.model import Rival, Window
from healerd.profiles import losses

__all__ = ["RIVALS_MAX", "rivals_of"]

RIVALS_MAX = 24
"""Stored versions that are shadowed at each tick, the newest first."""


def rivals_of(pipeline: Pipeline, window: Window, rows: Predictions) -> tuple[Rival, ...]:
    """Count, for each stored version, the rows that it gets right and the active one wrong, and the other way about."""
    active = pipeline.active
    own = take(rows, (rows.version == active) & ~is_missing(rows.label))
    coverage = pipeline.detection.label_coverage * float((rows.version == active).sum())
    if not len(own) or len(own) < coverage:
        return ()
    world = pipeline.world(window.end_at)
    names = [name for name in models_that_never_saw(world, own) if name != active][:RIVALS_MAX]
    if not names:
        return ()
    wrong = _wrong(pipeline, own, own.output)
    scored = pipeline.worker.score(pipeline.registry, names, own.features)
    return tuple(_rival(pipeline, own, name, scored[name].output, wrong=wrong) for name in names)


def _rival(pipeline: Pipeline, own: Predictions, name: str, output: Column | None, *, wrong: Mask) -> Rival:
    """A version that raises or takes too long is wrong on every row (SAFETY S11)."""
    other = _wrong(pipeline, own, output) if output is not None else ~is_missing(own.ids)
    return Rival(
        version=name,
        against=str(own.version[0]),
        rows=len(own),
        better=int((wrong & ~other).sum()),
        worse=int((other & ~wrong).sum()),
    )


def _wrong(pipeline: Pipeline, rows: Predictions, output: Column) -> Mask:
    return np.equal(losses(pipeline.loss, output, rows.label), 1.0)
