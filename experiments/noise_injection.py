"""Noise and faults in a healthy world: features blurred, labels flipped, values missing, glitches, a stuck sensor.

    python -m experiments.noise_injection [--quick] [--seed S] [--out DIR]

The law never changes. A fault of the feed begins at the change and lasts 20 windows (a glitch: one); right is at most a
safe model while it lasts, and never a retraining on it. Flipped labels are known to the loop as they are; accuracy is
counted by the true ones. Must never tune anything by what it finds.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.output import Figure, Finding, Line, run_as_command
from experiments.scenarios import Case, Row, curves_of, run_cases
from experiments.worlds import CHANGE, START_AT, World, seeded
from healerd.columns import Column, Times
from healerd.offline.stream import Stream

__all__ = ["cases", "find", "main"]

LASTS = 20
SHOWN = ("half of `heat` missing",)
Numbers = npt.NDArray[np.float64]
Spoil = Callable[[Numbers, np.random.Generator], Numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Changes one feature while it lasts: [CHANGE, CHANGE + lasts) of the served windows.

    Rows that are served again get the same noise: chance is keyed by their time.
    """

    feature: str
    spoil: Spoil
    lasts: int = LASTS

    def __call__(self, features: Mapping[str, Column], at: Times) -> Mapping[str, Column]:
        """Hand on the features as they arrive."""
        day = (at - np.datetime64(START_AT.replace(tzinfo=None), "us")) // np.timedelta64(1, "D")
        during = (day >= CHANGE) & (day < CHANGE + self.lasts)
        if not during.any():
            return features
        rng = seeded(7, int(at[0].astype("datetime64[s]").astype(np.int64)))
        spoilt = np.where(during, self.spoil(features[self.feature], rng), features[self.feature])
        return {**features, self.feature: spoilt}


def flipped(share: float) -> Callable[[Stream, np.random.Generator], Numbers]:
    """Flip a share of the labels of the faulty windows, as they become known."""

    def spoil(stream: Stream, rng: np.random.Generator) -> Numbers:
        label, rows = stream.label.copy(), (len(stream) - stream.first) // stream.windows
        start = stream.first + CHANGE * rows
        stop = min(len(label), start + LASTS * rows)
        turned = rng.random(stop - start) < share
        label[start:stop] = np.where(turned, 1 - label[start:stop], label[start:stop])
        return np.asarray(label)

    return spoil


def cases(*, quick: bool) -> list[Case]:
    """Every fault; in the quick form three of them, and shorter."""
    world = World(served=46, rows=100) if quick else World()
    spoilers: dict[str, Fault] = {
        "noise of 1 sd on `heat`": Fault(feature="heat", spoil=lambda x, rng: x + rng.normal(0, 1, len(x))),
        "half of `heat` missing": Fault(
            feature="heat", spoil=lambda x, rng: np.where(rng.random(len(x)) < 0.5, np.nan, x)
        ),
        "`heat` times 10": Fault(feature="heat", spoil=lambda x, rng: 10 * x),
        "`heat` stuck": Fault(feature="heat", spoil=lambda x, rng: np.zeros(len(x))),
        "glitch: `heat` missing for a window": Fault(
            feature="heat", spoil=lambda x, rng: np.full(len(x), np.nan), lasts=1
        ),
    }
    kept = ("half of `heat` missing", "glitch: `heat` missing for a window") if quick else tuple(spoilers)
    found = [Case(name=name, world=world, heals=False, feed=spoilers[name]) for name in kept]
    shares = (0.2,) if quick else (0.1, 0.2, 0.4)
    flips = [
        Case(name=f"{share:.0%} of labels flipped", world=world, heals=False, spoil=flipped(share)) for share in shares
    ]
    return [*found, *flips]


def find(*, quick: bool, seed: int) -> Finding:
    """Run it: a row a fault, and the curves of one."""
    wanted = cases(quick=quick)
    rows = run_cases(wanted, seeds=1 if quick else 2, seed=seed)
    return Finding(
        name="noise_injection",
        title="Noise and faults through the closed loop",
        seed=seed,
        tables={"faults": rows},
        figures=tuple(_figure(case, seed) for case in wanted if case.name in SHOWN),
        notes=(
            "Read as the table of `synthetic_drift`. No concept changes here, so every heal is counted as a wrong one, "
            "a fallback too, though a safe model may be right while the data is bad: see whether accuracy is above no "
            "action. An incident is a false alarm here even where the fault is real.",
        ),
        claims=_claims(rows),
    )


def _claims(rows: Sequence[Row]) -> tuple[tuple[str, bool], ...]:
    glitch = next(row for row in rows if str(row["case"]).startswith("glitch"))
    worst = min(float(row["accuracy"]) - float(row["no action"]) for row in rows)
    return (
        ("a glitch of one window changes no model", glitch["heals"] == 0),
        ("no fault makes healerd lose more than two points on no action", worst >= -0.02),
    )


def _figure(case: Case, seed: int) -> Figure:
    curves = curves_of(case, seed=seed * 1000)
    lines = tuple(Line(name=name, values=tuple(values)) for name, values in curves.items())
    return Figure(name="missing", title=case.name, x="served window", y="accuracy", lines=lines, smooth=3)


def main() -> int:
    """Run the experiment."""
    return run_as_command(__doc__, find)


if __name__ == "__main__":
    sys.exit(main())
