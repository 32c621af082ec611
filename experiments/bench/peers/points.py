"""Asked from another process, in river's environment: CPU seconds a label of ADWIN, and a point of two z-scores.

`python points.py` takes {"labels", "points", "repetitions"} and prints {name: seconds, "loop_s": seconds}, medians.
Must never import healerd.
"""

import json
import sys
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from covariates import loop, seconds
from river import anomaly, drift

HOUR = 12
"""Points of five minutes in the window of the rolling z."""


def adwin(losses: list[int]) -> None:
    """One update a label."""
    detector = drift.ADWIN()
    for loss in losses:
        detector.update(loss)


def river_z(values: list[float]) -> None:
    """River's z-score of a stream: the distance from the running mean in running standard deviations."""
    detector = anomaly.StandardAbsoluteDeviation()
    for value in values:
        detector.score_one(None, value)
        detector.learn_one(None, value)


def pandas_z(values: Any) -> None:
    """A rolling z over the whole series at once, as in a notebook."""
    series = pd.Series(values)
    before = series.shift(1).rolling(HOUR)
    (series - before.mean()) / before.std()


def pandas_z_streamed(values: Any) -> None:
    """The same, a point at a time over the points it needs, as a monitor would."""
    for at in range(HOUR, len(values)):
        series = pd.Series(values[at - HOUR : at])
        (values[at] - series.mean()) / series.std()


asked = json.load(sys.stdin)
rng = np.random.Generator(np.random.Philox(1))
losses = (rng.random(asked["labels"]) < 0.1).astype(int).tolist()
values = rng.normal(size=asked["points"])
few = values[: asked["points"] // 10]
work = {
    "adwin": (lambda: adwin(losses), len(losses)),
    "river_z": (lambda: river_z(values.tolist()), len(values)),
    "pandas_z": (lambda: pandas_z(values), len(values)),
    "pandas_z_streamed": (lambda: pandas_z_streamed(few), len(few) - HOUR),
}
found = {"loop_s": median(seconds(loop) for _ in range(2 * asked["repetitions"] + 1))}
for name, (thing, count) in work.items():
    found[name] = median(seconds(thing) for _ in range(asked["repetitions"])) / count
print(json.dumps(found))
