"""What a run reached and did, counted from its store alone. Must never count what the store does not hold."""

from dataclasses import dataclass

import numpy as np

from healerd.model import Intent
from healerd.offline.baselines import Line
from healerd.offline.contract import Audit, Counts, Data, Metric
from healerd.offline.stream import Stream
from healerd.profiles import Loss, losses
from healerd.store import Reader

__all__ = ["HEALERD", "Done", "audit_of", "counts_of", "data_of", "done_in", "line_of", "metric_of"]

HEALERD = "healerd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The effects that took place in a run, by action; `fits` counts every training, refits included."""

    intents: tuple[Intent, ...]

    def of(self, *actions: str) -> tuple[Intent, ...]:
        """Give the ones of some actions, in the order in which they took effect."""
        return tuple(intent for intent in self.intents if intent.action in actions)

    @property
    def fits(self) -> int:
        """Count the trainings; a refit of an accepted candidate is one more."""
        return sum(1 + ("refit" in intent.result) for intent in self.of("retrain"))


def done_in(store: Reader, pipeline: str) -> Done:
    """Find what took effect."""
    effects = [(i.effect_at, i.id, i) for i in store.find(Intent, pipeline=pipeline) if i.effect_at is not None]
    return Done(intents=tuple(intent for *_, intent in sorted(effects, key=lambda each: each[:2])))


def counts_of(done: Done, quality: float) -> Counts:
    """Count for the contract."""
    return Counts(
        quality=quality,
        retrains=len(done.of("promote")),
        trainings=done.fits,
        rollbacks=len(done.of("rollback")),
        fallbacks=len(done.of("fallback")),
        other=len(done.of("undo", "return")),
    )


def line_of(store: Reader, stream: Stream, loss: Loss, *, retrains: int) -> Line:
    """Give the loss of each served row as it was really served; NaN where no label is known, or nothing was served."""
    served = store.rows(stream.name, stream.start_at, stream.end_at)
    places = np.fromiter((int(name.removeprefix("row-")) for name in served.ids), np.intp, len(served)) - stream.first
    found = np.full(len(stream) - stream.first, np.nan)
    found[places] = losses(loss, served.output, stream.label[stream.first :][places])
    return Line(name=HEALERD, losses=found, retrains=retrains)


def metric_of(loss: Loss) -> Metric:
    """Name what `quality` is."""
    names = {
        "zero-one": "accuracy",
        "relative": f"share within {100 * loss.amount:g}%",
        "absolute": f"share within {loss.amount:g}",
    }
    return Metric(name=names[loss.kind], higher_is_better=True)


def data_of(stream: Stream) -> Data:
    """Describe the table."""
    first, last = (f"{at.astype('datetime64[s]')}Z" for at in (stream.at[0], stream.at[-1]))
    return Data(rows=len(stream), columns=stream.columns, from_=first, to=last, sha256=stream.sha256)


def audit_of(store: Reader) -> Audit:
    """Verify the audit log."""
    report = store.verify()
    return Audit(leaves=report.leaves, verified=report.first_bad is None)
