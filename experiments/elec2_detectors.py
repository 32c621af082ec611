"""Let detectors reset a learning model on Elec2 (Harries, 1999), and say where they alarm.

    python -m experiments.elec2_detectors [--seed S]

The protocol is that of Lukats and others (2024): a model of river is tested on each row, then trained on it; an alarm
resets it; lift-per-drift is (accuracy - that of the frozen model) / alarms. The models see the file's six features and,
restored from the row number, date and weekday, as in the published runs; detectors see the six. Windows are days of 48
rows. healerd's detectors are the shipped ones at their defaults: after each reset 28 days are the reference, then each
day is looked at. The frozen model learned the first 30 days; all are scored on the rows after. Rows in random order are
the control: what is then detected is false. Prints Markdown; must never tune on this stream. The data is
$HEALERD_DATA/elec2.csv.gz (default: ../shared/data beside the checkout).
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.detection.__main__ import markdown
from experiments.detection.looking import Table, a_cohort, a_reference, at_labels, look, seeded, yardstick
from experiments.environments import RIVER, environment
from healerd.detectors import State, limits
from healerd.detectors.harm import detect_harm
from healerd.detectors.settings import WEIGHTS
from healerd.model import Reference
from healerd.profiles import summarise

DAY, REFERENCE_DAYS, FIRST = 48, 28, 1440
"""Rows of a day, days of a reference after each reset, and rows that the frozen model learned."""
LINKED = 17_424
"""The row from which the market of Victoria is known: the one change of Elec2 that everybody agrees on."""
SHUFFLES = 3
SCRIPT = Path(__file__).parent / "bench" / "peers" / "river_models.py"
PUBLISHED = (
    ("D3", 0.8534, 681),
    ("SPLL", 0.8475, 443),
    ("IBDD", 0.8455, 1008),
    ("CSDDM", 0.8417, 447),
    ("UDetect", 0.8367, 134),
    ("OCDD", 0.8201, 85),
    ("never reset", 0.7970, 0),
)
"""Accuracy and resets on Elec2 with a HoeffdingTree, from the raw results that Lukats and others published (2024)."""
Wrong = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elec2:
    """n rows in order of time: six features, and whether the price rose."""

    features: dict[str, npt.NDArray[np.float64]]
    label: npt.NDArray[np.int64]

    def days(self) -> Iterator[slice]:
        """The rows of each day."""
        return (slice(at, min(at + DAY, len(self.label))) for at in range(0, len(self.label), DAY))

    def block(self, rows: slice) -> npt.NDArray[np.float64]:
        """Rows x features."""
        return np.column_stack([column[rows] for column in self.features.values()])

    def shuffled(self, seed: int) -> "Elec2":
        """The same rows in random order: nothing changes any more."""
        order = seeded(seed).permutation(len(self.label))
        return Elec2(features={name: column[order] for name, column in self.features.items()}, label=self.label[order])


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    path = Path(os.environ.get("HEALERD_DATA", Path(__file__).parents[2] / "shared" / "data")) / "elec2.csv.gz"
    if not path.is_file():
        print(f"no `{path}`: name the folder that holds `elec2.csv.gz` with HEALERD_DATA", file=sys.stderr)
        return 1
    python, reason = environment("river", RIVER)
    if python is None:
        print(f"the models are river's, and it cannot be had: {reason}", file=sys.stderr)
        return 1
    stream = read(path)
    for model in ("HoeffdingTree", "GaussianNB"):
        table, detected = compare(stream, python, model)
        print(f"## Elec2, {model}\n\n{markdown(table)}\n\n{detected}\n", flush=True)
    print(f"## Elec2 in random order, HoeffdingTree\n\n{markdown(control(stream, python, seed))}")
    return 0


def read(path: Path) -> Elec2:
    """The stream as the file has it."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "class"]
    return Elec2(
        features={name: np.array([float(row[name]) for row in rows]) for name in names},
        label=np.array([int(row["class"]) for row in rows]),
    )


# ways to go on -------------------------------------------------------------------


class Learner:
    """A model of river in its own process, tested and trained as it is told."""

    def __init__(self, python: Path, stream: Elec2, model: str, alarm: str = "") -> None:
        n = len(stream.label)
        dated = {**stream.features, "date": np.arange(n) / n, "day": (np.arange(n) // DAY + 1) % 7 + 1.0}
        rows = [dict(zip(dated, row, strict=True)) for row in np.column_stack(list(dated.values())).tolist()]
        self._process = subprocess.Popen(
            [str(python), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say({"model": model, "rows": rows, "labels": stream.label.tolist(), "alarm": alarm})

    def __enter__(self) -> "Learner":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def step(self, rows: slice, *, reset: bool = False, learn: bool = True) -> tuple[Wrong, list[int]]:
        """Whether each row was predicted wrong, and where the model reset itself."""
        self._say({"begin": rows.start, "end": rows.stop, "reset": reset, "learn": learn})
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return np.array(answer["wrong"], float), answer["resets"]

    def _say(self, said: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """One way to go on: what was wrong of all rows, and the rows after which the model was reset."""

    wrong: Wrong
    resets: list[int]

    @property
    def accuracy(self) -> float:
        """Share of the rows after the first that were right."""
        return float(1 - self.wrong[FIRST:].mean())


class ByHarm:
    """healerd's label detector: 28 days of errors are the reference, then each day is a cohort."""

    def __init__(self, a_year: float) -> None:
        self._log_limits = limits(a_year, 86_400.0, WEIGHTS)
        self.reset()

    def reset(self) -> None:
        """Begin a new reference."""
        self._learnt: list[Wrong] = []
        self._reference: Reference | None = None
        self._state: State = {}

    def look(self, block: npt.NDArray[np.float64], wrong: Wrong, k: int) -> bool:
        """Whether the alarm stands after this day."""
        if self._reference is None:
            self._learnt.append(wrong)
            if len(self._learnt) == REFERENCE_DAYS:
                which = np.repeat(np.arange(REFERENCE_DAYS), [len(one) for one in self._learnt])
                told = summarise(np.concatenate(self._learnt), which)
                self._reference = a_reference(told.error, told.rows, sd=told.sd, windows=told.windows)
            return False
        cohort = a_cohort(k, wrong=int(wrong.sum()), labels=len(wrong))
        seen = at_labels(self._reference, self._log_limits, cohort)
        found, self._state = detect_harm(seen, self._state)
        return bool(found[0].alarm)


class ByDrift:
    """healerd's drift detector: 28 days of rows are the reference; it sees no label."""

    def __init__(self, a_year: float) -> None:
        self._log_limits = limits(a_year, 86_400.0, WEIGHTS)
        self.reset()

    def reset(self) -> None:
        """Begin a new reference."""
        self._learnt: list[npt.NDArray[np.float64]] = []
        self._state: State = {}

    def look(self, block: npt.NDArray[np.float64], wrong: Wrong, k: int) -> bool:
        """Whether the alarm stands after this day."""
        if len(self._learnt) < REFERENCE_DAYS:
            self._learnt.append(block)
            if len(self._learnt) == REFERENCE_DAYS:
                self._yardstick = yardstick(self._learnt)
            return False
        alarm, self._state = look(self._yardstick, block, self._state, k, self._log_limits)
        return alarm


class EverySoOften:
    """A plain period, in days."""

    def __init__(self, days: int) -> None:
        self._days, self._age = days, 0

    def reset(self) -> None:
        """Begin to count anew."""
        self._age = 0

    def look(self, block: npt.NDArray[np.float64], wrong: Wrong, k: int) -> bool:
        """Whether the period is over."""
        self._age += 1
        return self._age == self._days


Resetter = ByHarm | ByDrift | EverySoOften


def reset_by(stream: Elec2, python: Path, model: str, resetter: Resetter) -> Way:
    """Go on with a model that starts afresh the day after an alarm."""
    wrong, resets, alarm = [], [], False
    with Learner(python, stream, model) as learner:
        for k, rows in enumerate(stream.days()):
            found, _ = learner.step(rows, reset=alarm)
            wrong.append(found)
            if alarm := resetter.look(stream.block(rows), found, k):
                resets.append(rows.stop)
                resetter.reset()
    return Way(wrong=np.concatenate(wrong), resets=resets)


def reset_by_river(stream: Elec2, python: Path, model: str, alarm: str = "") -> Way:
    """Go on with a model that an alarm of river resets at once, or, without one, that is never reset."""
    with Learner(python, stream, model, alarm) as learner:
        wrong, resets = learner.step(slice(0, len(stream.label)))
    return Way(wrong=wrong, resets=resets)


def frozen(stream: Elec2, python: Path, model: str) -> Way:
    """Learn the first rows, and no other."""
    with Learner(python, stream, model) as learner:
        first, _ = learner.step(slice(0, FIRST))
        rest, _ = learner.step(slice(FIRST, len(stream.label)), learn=False)
    return Way(wrong=np.concatenate([first, rest]), resets=[])


def previous_label(stream: Elec2) -> Way:
    """Say of each row what the one before it was."""
    return Way(wrong=np.append(1.0, stream.label[1:] != stream.label[:-1]), resets=[])


# tables --------------------------------------------------------------------------


def compare(stream: Elec2, python: Path, model: str) -> tuple[Table, str]:
    """Every way beside the plain ones, then the published; and the days on which healerd alarmed."""
    ours = {
        "healerd harm, 1 false alarm a year": reset_by(stream, python, model, ByHarm(1.0)),
        "healerd harm, 12 a year": reset_by(stream, python, model, ByHarm(12.0)),
        "healerd drift (no labels), 1 a year": reset_by(stream, python, model, ByDrift(1.0)),
    }
    days = len(stream.label) // DAY
    period = max(1, round(days / (1 + len(ours["healerd harm, 12 a year"].resets))))
    ways = {
        "previous label": previous_label(stream),
        "frozen after 30 days": frozen(stream, python, model),
        "never reset": reset_by_river(stream, python, model),
        f"reset every {period} days": reset_by(stream, python, model, EverySoOften(period)),
        **ours,
        **{f"river {name}": reset_by_river(stream, python, model, name) for name in ("ADWIN", "DDM", "Page-Hinkley")},
    }
    still = ways["frozen after 30 days"].accuracy
    table = [_row(name, way.accuracy, len(way.resets), still) for name, way in ways.items()]
    if model == "HoeffdingTree":
        table += [
            {"way": f"published: {name}", "accuracy": f"{found:.4f}", "resets": n} for name, found, n in PUBLISHED
        ]
    return table, "\n".join(f"- {name}: {_places(way.resets)}" for name, way in ours.items())


def _row(name: str, accuracy: float, resets: int, still: float) -> dict[str, Any]:
    lift = f"{(accuracy - still) / resets:.5f}" if resets else None
    return {"way": name, "accuracy": f"{accuracy:.4f}", "resets": resets, "lift-per-drift": lift}


def _places(resets: Sequence[int]) -> str:
    after = next((at for at in resets if at > LINKED), None)
    days = "" if after is None else f"; {(after - LINKED) / DAY:.0f} days after row {LINKED}, where Victoria joins"
    return f"rows {', '.join(map(str, resets)) or 'none'}{days}"


def control(stream: Elec2, python: Path, seed: int) -> Table:
    """Alarms where nothing changes: the rows in random order."""
    alarms: dict[str, list[int]] = {}
    for shuffle in range(SHUFFLES):
        still = stream.shuffled(seed + shuffle)
        for name, way in {
            "healerd harm, 1 false alarm a year": reset_by(still, python, "HoeffdingTree", ByHarm(1.0)),
            "healerd harm, 12 a year": reset_by(still, python, "HoeffdingTree", ByHarm(12.0)),
            "healerd drift (no labels), 1 a year": reset_by(still, python, "HoeffdingTree", ByDrift(1.0)),
            **{f"river {one}": reset_by_river(still, python, "HoeffdingTree", one) for one in ("ADWIN", "DDM", "EDDM")},
        }.items():
            alarms.setdefault(name, []).append(len(way.resets))
    days = len(stream.label) // DAY
    return [{"way": name, f"false alarms in {days} days, each order": str(found)} for name, found in alarms.items()]


if __name__ == "__main__":
    sys.exit(main())
