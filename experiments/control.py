"""Count what healerd's detectors raise where nothing has to be healed: US employment, Massachusetts, 2015-2018.

    python -m experiments.control [--seed S]

The data comes with the package nannyml (a sample of the American Community Survey, with a model's predictions), which
is installed in an environment of its own. The right number of heals is none: the accuracy stays at .82-.83. The year
2015, cut into 52 windows, is the reference; the three years after it are looked at window by window, by the shipped
detectors at their defaults. A year's rows have no time, so they are put in random order; as the file has them, the
people in institutions of 2017 and 2018 stand together, eight windows of nobody else, and that is told apart. Prints one
JSON object; must never choose a setting by what it finds.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from experiments.detection.looking import seeded
from experiments.environments import NANNYML, environment
from healerd.columns import Column
from healerd.detectors import DetectionSettings, Measured, State, make_yardstick, measure
from healerd.model import Cohort, Reference, Window
from healerd.profiles import fit, make_reference, profile, summarise

WEEK = timedelta(days=7)
WINDOWS_A_YEAR = 52
START = datetime(2015, 1, 1, tzinfo=UTC)
SETTINGS = DetectionSettings(window_s=WEEK.total_seconds())
SCORE, LABEL, OUTPUT = "predicted_probability", "employed", "prediction"
NOT_FEATURES = {"id", "year", LABEL, OUTPUT}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Year:
    """The rows of one year: features with the model's score among them, and whether each prediction was wrong."""

    features: dict[str, Column]
    wrong: npt.NDArray[np.float64]

    def windows(self) -> Iterator[tuple[dict[str, Column], npt.NDArray[np.float64]]]:
        """The rows of each week, in the order of the survey."""
        for rows in np.array_split(np.arange(len(self.wrong)), WINDOWS_A_YEAR):
            yield {name: column[rows] for name, column in self.features.items()}, self.wrong[rows]

    def shuffled(self, seed: int) -> "Year":
        """The same rows in random order."""
        order = seeded(seed).permutation(len(self.wrong))
        return Year(features={name: column[order] for name, column in self.features.items()}, wrong=self.wrong[order])


def main() -> int:
    """Run the control."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    python, reason = environment("nannyml", NANNYML)
    if python is None:
        print(f"the data comes with nannyml, and that cannot be had: {reason}", file=sys.stderr)
        return 1
    folder = next(python.parents[1].glob("lib/python*/site-packages/nannyml/datasets/data"))
    years = read(folder)
    mixed = [one.shuffled(seed + year) for year, one in years.items()]
    answer = {
        "accuracy": {year: round(1 - float(one.wrong.mean()), 4) for year, one in years.items()},
        "rows_of_a_year_in_random_order": told(look_through(mixed)),
        "rows_as_the_file_has_them": told(look_through(list(years.values()))),
    }
    print(json.dumps(answer, indent=2))
    return 0


def read(folder: Path) -> dict[int, Year]:
    """The years as the package has them, labels joined by id."""
    files = {name: str(folder / f"employment_MA_{name}.pq") for name in ("reference", "analysis", "analysis_target")}
    query = f"""
        select * from read_parquet('{files["reference"]}')
        union all by name
        select * from read_parquet('{files["analysis"]}') seen
        join read_parquet('{files["analysis_target"]}') labelled using (id)
        order by id
    """
    table = duckdb.connect().execute(query).fetchnumpy()
    wrong = (table[LABEL] != table[OUTPUT]).astype(float)
    features = {name: np.asarray(column) for name, column in table.items() if name not in NOT_FEATURES}
    return {
        int(year): Year(
            features={name: column[table["year"] == year] for name, column in features.items()},
            wrong=wrong[table["year"] == year],
        )
        for year in np.unique(table["year"])
    }


def look_through(years: Sequence[Year]) -> Iterator[Measured]:
    """Measure each window of the later years against the first."""
    first, *later = years
    maps = fit(first.features, scores=(SCORE,))
    yardstick = make_yardstick(make_reference(maps, [profile(rows, maps) for rows, _ in first.windows()]), SETTINGS)
    sizes = [len(wrong) for _, wrong in first.windows()]
    summary = summarise(first.wrong, np.repeat(np.arange(WINDOWS_A_YEAR), sizes))
    reference = Reference(
        id="2015",
        pipeline="employment",
        version="v1",
        at=START,
        error=summary.error,
        error_rows=summary.rows,
        error_sd=summary.sd,
        error_windows=summary.windows,
        rows=len(first.wrong),
        start_at=START,
        end_at=START + WINDOWS_A_YEAR * WEEK,
    )
    state: State = {}
    for k, (rows, wrong) in enumerate(one for year in later for one in year.windows()):
        window = Window(
            pipeline="employment",
            start_at=reference.end_at + k * WEEK,
            end_at=reference.end_at + (k + 1) * WEEK,
        )
        cohort = Cohort(
            pipeline="employment",
            version="v1",
            window_start_at=window.start_at,
            window_end_at=window.end_at,
            mature_at=window.end_at,
            rows=len(wrong),
            labelled=len(wrong),
            loss_sum=float(wrong.sum()),
        )
        found = measure(
            window=window,
            profile=profile(rows, maps),
            yardstick=yardstick,
            reference=reference,
            cohorts=(cohort,),
            settings=SETTINGS,
            state=state,
        )
        state = found.state
        yield found


def told(measured: Iterator[Measured]) -> dict[str, Any]:
    """How many windows each layer was in alarm, the verdicts on the data, and the features that drifted."""
    found = list(measured)
    layers: Counter[str] = Counter()
    drifted: Counter[str] = Counter()
    for one in found:
        layers.update({each.layer.value for each in one.measurements if each.alarm and each.subject is None})
        drifted.update(each.subject for each in one.measurements if each.alarm and each.subject)
    verdicts = Counter(one.quality.value for one in found)
    return {
        "windows": len(found),
        "heals_called_for": layers["harm"] + layers["regret"] + verdicts["bad"],
        "windows_in_alarm": {layer: layers[layer] for layer in ("harm", "regret", "drift", "score")},
        "quality": dict(verdicts),
        "reasons": sorted({reason for one in found for reason in one.reasons}),
        "features_in_alarm": dict(drifted.most_common()),
    }


if __name__ == "__main__":
    sys.exit(main())
