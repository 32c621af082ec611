"""Made streams whose law is known: labels that a plane decides, with a bend, and drifts of a given kind and size.

Must never hide a change from its caller: a `World` says what the law is in each window, so that an oracle can know it.
Two hundred rows a window, a window a day: 28 days train the first model, 20 are healthy, then the world changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from healerd.offline.stream import Stream

__all__ = ["CHANGE", "START_AT", "TRAIN_DAYS", "Change", "Law", "World", "draw", "law_in", "seeded", "stream_of"]

Numbers = npt.NDArray[np.float64]

START_AT = datetime(2024, 1, 1, tzinfo=UTC)
TRAIN_DAYS, CHANGE = 28, 20
"""Windows that train the first model; healthy windows that are served before anything changes."""
DAY_S = 86_400.0
FEATURES = ("load", "heat", "age", "rate")
NOISE = 0.05
"""Share of labels that no model can foretell."""
RAMP = {"abrupt": 0, "gradual": 14, "incremental": 28}
"""Windows that a change takes: at once, by more and more rows of the new law, or by a law that moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """How rows are drawn in a window: where features lie, and the plane that decides the label.

    `angle`: degrees by which the plane has turned. `shift`: by how many standard deviations `load` has moved.
    `bend`: how strongly the plane bends where `load` is above 1.5, where few healthy rows lie.
    `share`: of the rows, the part to which the turned plane applies; the others keep the first one.
    """

    angle: float = 0.0
    shift: float = 0.0
    bend: float = 0.0
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changes: from the first law to `to`, by a course of RAMP; `back` windows later the first law returns."""

    to: Law
    course: str = "abrupt"
    back: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A healthy law, and what becomes of it; None: nothing, the control."""

    first: Law = Law()
    change: Change | None = None
    rows: int = 200
    served: int = 80


def seeded(*seeds: int) -> np.random.Generator:
    """The only source of chance: the same seeds draw the same rows."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))


def law_in(world: World, window: int) -> Law:
    """The law in a served window, numbered from 0."""
    change = world.change
    if change is None or window < CHANGE or (change.back is not None and window >= CHANGE + change.back):
        return world.first
    ramp = RAMP[change.course]
    done = 1.0 if not ramp else min(1.0, (window - CHANGE + 1) / ramp)
    if change.course == "gradual":
        return replace(change.to, share=done * change.to.share)
    first, to = world.first, change.to
    return replace(
        to,
        angle=first.angle + done * (to.angle - first.angle),
        shift=first.shift + done * (to.shift - first.shift),
        bend=first.bend + done * (to.bend - first.bend),
    )


def draw(law: Law, first: Law, rows: int, rng: np.random.Generator) -> tuple[dict[str, Numbers], Numbers]:
    """Draw rows of a law, and their labels 0 or 1; rows outside `share` are of the first law."""
    turned = rng.random(rows) < law.share
    block = rng.normal(size=(rows, len(FEATURES)))
    block[:, 0] += np.where(turned, law.shift, first.shift)
    angle = np.radians(np.where(turned, law.angle, first.angle))
    level = np.cos(angle) * block[:, 1] + np.sin(angle) * block[:, 2] + 0.3 * block[:, 0]
    level -= np.where(turned, law.bend, first.bend) * np.maximum(0.0, block[:, 0] - 1.5)
    label = (level > 0) ^ (rng.random(rows) < NOISE)
    return dict(zip(FEATURES, block.T, strict=True)), label.astype(np.float64)


def stream_of(world: World, *, seed: int, name: str = "made") -> Stream:
    """Make the stream of a world: the training days, then every served window."""
    rng = seeded(seed)
    days = [draw(world.first, world.first, world.rows, rng) for _ in range(TRAIN_DAYS)]
    days += [draw(law_in(world, k), world.first, world.rows, rng) for k in range(world.served)]
    features: Mapping[str, Numbers] = {name: np.concatenate([one[name] for one, _ in days]) for name in FEATURES}
    label = np.concatenate([one for _, one in days])
    start = np.datetime64(START_AT.replace(tzinfo=None) - timedelta(days=TRAIN_DAYS), "us")
    step = np.timedelta64(round(DAY_S * 1e6) // world.rows, "us")
    within = np.tile(np.arange(world.rows), len(days)) * step
    day = np.repeat(np.arange(len(days)), world.rows) * np.timedelta64(round(DAY_S * 1e6), "us")
    at = start + day + within
    return Stream(
        name=name,
        path=Path(f"{name}.csv"),
        sha256="0" * 64,
        columns=len(FEATURES) + 2,
        at=at,
        features=features,
        label=label,
        known_at=start + day + np.timedelta64(round(DAY_S * 1e6), "us"),
        task="classification",
        window_s=DAY_S,
        first=TRAIN_DAYS * world.rows,
    )
