"""Shadow the stored versions on a matured cohort of the active one. Must never count a row that trained a version.

Where there are more versions than may be compared, those that have served come first, then the newest.
"""

import numpy as np

from healerd.actions.evidence import models_that_never_saw
from healerd.columns import Column, Mask, Predictions, is_missing, take
from healerd.daemon.pipeline import Pipeline
from healerd.detectors.regret import RIVALS_MAX
from healerd.model import Rival, Window
from healerd.profiles import losses

__all__ = ["rivals_of"]


def rivals_of(pipeline: Pipeline, window: Window, rows: Predictions) -> tuple[Rival, ...]:
    """Count, for each stored version, the rows that it gets right and the active one wrong, and the other way about.

    None while the registry is away: no version can be asked.
    """
    if pipeline.sight.away:
        return ()
    active = pipeline.active
    own = take(rows, (rows.version == active) & ~is_missing(rows.label))
    coverage = pipeline.detection.label_coverage * float((rows.version == active).sum())
    if not len(own) or len(own) < coverage:
        return ()
    world = pipeline.world(window.end_at)
    served = {move.version for move in pipeline.registry.alias().moves}
    never_saw = [name for name in models_that_never_saw(world, own) if name != active]
    names = sorted(never_saw, key=lambda name: name not in served)[:RIVALS_MAX]
    if not names:
        return ()
    wrong = _wrong(pipeline, own, own.output)
    outputs = world.outputs(names, own)
    return tuple(_rival(pipeline, own, name, outputs[name], wrong=wrong) for name in names)


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
