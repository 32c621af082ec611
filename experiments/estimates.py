"""How far estimates without labels are off where a concept really drifts: Elec2, a model that never learns again.

    python -m experiments.estimates

A boosted classifier learns from the first 4,000 half hours. The next 4,000 are the labelled reference; every week (336
rows) after it is estimated from the scores alone, and compared with its real error. Must never tune anything.
"""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from healerd.detectors.estimates import calibrate, estimate_error
from healerd.profiles import sd_max, summarise

TRAIN, REFERENCE, WEEK = 4000, 4000, 336
DATA = Path(os.environ.get("HEALERD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def main() -> int:
    """Print how often the interval held the week's error, and how far off the estimate was beside the reference's."""
    path = DATA / "elec2.csv.gz"
    if not path.exists():
        print(f"no `{path}`: set HEALERD_DATA to the folder that holds it")
        return 1
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    x, y = np.array([row[:-1] for row in rows], np.float64), np.array([float(row[-1]) for row in rows])
    model = HistGradientBoostingClassifier(random_state=0).fit(x[:TRAIN], y[:TRAIN])
    score = model.predict_proba(x)[:, 1]
    said = (score >= 0.5).astype(np.float64)
    wrong = (said != y).astype(np.float64)
    known = slice(TRAIN, TRAIN + REFERENCE)
    usual = summarise(wrong[known], np.arange(REFERENCE) // WEEK)
    calibration = calibrate(score[known], wrong[known], output=said[known], sd=min(usual.sd, sd_max(usual.error)))
    assert calibration is not None
    told = []
    for start in range(TRAIN + REFERENCE, len(y) - WEEK + 1, WEEK):
        week = slice(start, start + WEEK)
        found = estimate_error(calibration, score[week], output=said[week])
        assert found is not None
        real = float(wrong[week].mean())
        told.append((found.low <= real <= found.high, abs(found.value - real), abs(usual.error - real), real))
    held, off, plain, real = (np.array(each, np.float64) for each in zip(*told, strict=True))
    print(f"reference error {usual.error:.3f}, mean error of the {len(told)} weeks {real.mean():.3f}")
    print(f"weeks whose error lay in the 95% interval: {held.mean():.0%} (first ten: {held[:10].mean():.0%})")
    print(f"mean distance from the week's error: estimate {off.mean():.3f}, the reference's error {plain.mean():.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
