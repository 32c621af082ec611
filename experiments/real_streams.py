"""Retraining on natural drift: healerd beside plain triggers, on Elec2 and on any table; and what it leaves alone.

    python -m experiments.real_streams [--quick] [--seed S] [--out DIR] [--demo] [FILE --target T --time C --window 1d]

Protocol: predict a window, then its labels are known, then decide. All learn as healerd learns: the same estimator on
the newest 28 windows. `never`; `every n`, the mean over all n phases; ADWIN's test on the errors (Bifet and Gavalda,
2007), with cuts between windows; Kolmogorov-Smirnov at p < .05 on half the features of a window against the rows that
trained (the usual rule); healerd; and the previous label. Elec2 (Harries, 1999) is $HEALERD_DATA/elec2.csv.gz, its rows
half-hourly from 7 May 1996, as in the file's documentation. `--demo` adds the demo's year of flights. `--quick` plays a
short made stream. Must never tune anything by what it finds.
"""

import argparse
import csv
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from experiments.loop import by_window, play
from experiments.output import Figure, Finding, Line, keep, page
from experiments.worlds import Change, Law, World, stream_of
from healerd.actions import Model
from healerd.columns import is_missing, kind_of
from healerd.config import HealingSettings, parse_duration
from healerd.offline.baselines import previous_label
from healerd.offline.options import TryOptions
from healerd.offline.session import fit_for
from healerd.offline.stream import Stream, load_stream
from healerd.profiles import Loss, losses
from healerd.segments.times import naive

__all__ = ["Past", "adwin_cuts", "elec2", "find", "main", "play_trigger"]

Errors = npt.NDArray[np.float64]
Trigger = Callable[["Past", int, int], bool]
"""Asked after window t, while the model that was fitted before window `since` serves: fit anew?"""
TRAIN_WINDOWS = HealingSettings().train_windows
FIRST_ROWS, HALF_HOUR, FIRST_AT = 1440, timedelta(minutes=30), datetime(1996, 5, 7)  # noqa: DTZ001 - as a file has it
BLOCK = 32
PERIODS = (1, 7, 14, 30)
ADWIN_DELTA = 0.002
KS_P, KS_SHARE = 0.05, 0.5
PUBLISHED = (
    ("previous label", 0.8528, None),
    ("never", 0.6218, 0),
    ("every batch", 0.7880, 913),
    ("every 7", 0.7772, 130),
    ("every 30", 0.7607, 30),
    ("ADWIN (river)", 0.7659, 51),
    ("KS on half the features", 0.6935, 116),
)
"""Measured before on Elec2 with batches of 48 and a smaller model (40 iterations, 15 leaves, 1,440 rows)."""


@dataclass(slots=True, kw_only=True, eq=False)
class Past:
    """What a model fitted before window k would have erred in window j >= k: each fitted once, whoever asks."""

    stream: Stream
    loss: Loss
    models: dict[int, Model] = field(default_factory=dict)
    errors: dict[tuple[int, int], Errors] = field(default_factory=dict)

    def rows(self, window: int) -> slice:
        """The rows of a served window."""
        return self.stream.served(self._at(window), self._at(window + 1))

    def learned(self, k: int) -> slice:
        """The rows that a fit before window k learns from; the first model learned all rows before."""
        return slice(0, self.stream.first) if k == 0 else self.stream.between(self._at(k - TRAIN_WINDOWS), self._at(k))

    def model(self, k: int) -> Model:
        """The model that was fitted before window k."""
        if k not in self.models:
            rows = self.learned(k)
            known = ~is_missing(self.stream.label[rows]) & (self.stream.known_at[rows] <= naive(self._at(k)))
            known = known if k else ~is_missing(self.stream.label[rows])
            inputs = {name: column[known] for name, column in self.stream.inputs(rows).items()}
            self.models[k] = fit_for(self.stream, None)(inputs, self.stream.label[rows][known])
        return self.models[k]

    def error(self, k: int, j: int) -> Errors:
        """The losses of window j by the model that was fitted before window k."""
        if (k, j) not in self.errors:
            self._foretell(k, j - (j - k) % BLOCK)
        return self.errors[k, j]

    def _foretell(self, k: int, start: int) -> None:
        """Predict a block of windows at once: a call costs more than its rows."""
        windows = range(start, min(start + BLOCK, self.stream.windows))
        each = [self.rows(j) for j in windows]
        rows = slice(each[0].start, each[-1].stop)
        said = self.model(k).predict(self.stream.inputs(rows)) if rows.start < rows.stop else self.stream.label[rows]
        found = losses(self.loss, said, self.stream.label[rows])
        for j, own in zip(windows, each, strict=True):
            self.errors[k, j] = found[own.start - rows.start : own.stop - rows.start]

    def _at(self, window: int) -> datetime:
        return self.stream.start_at + window * timedelta(seconds=self.stream.window_s)


def play_trigger(past: Past, fires: Trigger) -> tuple[Errors, int]:
    """Serve every window, fitting anew where the trigger fires; give all losses, and how often it fired."""
    since, fits, found = 0, 0, []
    for t in range(past.stream.windows):
        found.append(past.error(since, t))
        if t + 1 < past.stream.windows and fires(past, t, since):
            since, fits = t + 1, fits + 1
    return np.concatenate(found), fits


def every(n: int, phase: int) -> Trigger:
    """Fire every n windows, first after n - phase."""
    return lambda past, t, since: (t + 1 + phase) % n == 0


def adwin_cuts(errors: list[Errors], delta: float = ADWIN_DELTA) -> bool:
    """Tell whether ADWIN's test cuts: the mean error differs by more than epsilon between two parts of the windows.

    With n = n0 + n1 rows, m = 1 / (1/n0 + 1/n1), d = delta / ln n and v the variance of all: epsilon =
    sqrt(2 v ln(2 / d) / m) + 2 ln(2 / d) / (3 m).
    """
    counts = np.array([np.count_nonzero(~np.isnan(each)) for each in errors], np.float64)
    sums = np.array([np.nansum(each) for each in errors])
    n, total = counts.sum(), sums.sum()
    if len(errors) < 2 or n < 2:
        return False
    n0, s0 = np.cumsum(counts)[:-1], np.cumsum(sums)[:-1]
    n1, s1 = n - n0, total - s0
    ok = (n0 > 0) & (n1 > 0)
    m = 1 / (1 / n0[ok] + 1 / n1[ok])
    log = math.log(2 * math.log(n) / delta)
    mean = total / n
    epsilon = np.sqrt(2 * mean * (1 - mean) * log / m) + 2 * log / (3 * m)
    return bool((np.abs(s0[ok] / n0[ok] - s1[ok] / n1[ok]) > epsilon).any())


def by_adwin(past: Past, t: int, since: int) -> bool:
    """Fire when the errors since the last fit are not of one mean."""
    return adwin_cuts([past.error(since, j) for j in range(since, t + 1)])


def by_ks(past: Past, t: int, since: int) -> bool:
    """Fire when half the numeric features of the newest window differ from the rows that trained, each at p < .05."""
    trained, seen = past.stream.inputs(past.learned(since)), past.stream.inputs(past.rows(t))
    names = [name for name, column in seen.items() if kind_of(column) == "numeric" and len(column)]
    moved = sum(ks_2samp(trained[name], seen[name]).pvalue < KS_P for name in names)
    return bool(names) and moved >= KS_SHARE * len(names)


def find(stream: Stream, *, seed: int, title: str) -> Finding:
    """Play everything on one stream: a row a way of doing, and their accuracy over time."""
    run = play(stream)
    past = Past(stream=stream, loss=run.setup.loss)
    past.models[0] = run.setup.first.model
    promotions, fits = len(run.done.of("promote")), run.done.fits
    rows, lines = [], dict[str, Errors]()
    for name, found, count in _ways(past, fits):
        rows.append({"way": name, "accuracy": float(1 - np.nanmean(found)), "retrainings": count})
        lines[name] = found
        print(f"  {rows[-1]}", file=sys.stderr, flush=True)
    rows.append(
        {
            "way": "healerd",
            "accuracy": run.accuracy,
            "retrainings": fits,
            "promotions": promotions,
            "rollbacks": len(run.done.of("rollback")),
            "fallbacks": len(run.done.of("fallback")),
            "heals found worse": run.worse,
        }
    )
    if stream.task == "classification":
        said = previous_label(stream, run.setup.loss)
        rows.append({"way": "previous label", "accuracy": said.quality(np.ones(len(said.losses), np.bool_))})
    heads = list(dict.fromkeys(head for row in rows for head in row))
    shown = {"never": lines["never"], "every 7": lines["every 7"], "healerd": run.losses}
    return Finding(
        name="real_streams",
        title=title,
        seed=seed,
        tables={"ways": [{head: row.get(head) for head in heads} for row in rows]},
        figures=(_figure(stream, shown),),
        notes=(
            "`retrainings` counts every fit, rejected candidates included; of a period it is the mean over phases.",
        ),
        claims=tuple(_claims({row["way"]: row for row in rows}, fits, stream.windows)),
    )


def _ways(past: Past, fits: int) -> Iterator[tuple[str, Errors, float]]:
    yield "never", *play_trigger(past, lambda *_: False)
    equal = max(1, round(past.stream.windows / (fits + 1))) if fits else None
    for n in sorted({*PERIODS, *([equal] if equal else [])}):
        played = [play_trigger(past, every(n, phase)) for phase in range(n)]
        name = "every window" if n == 1 else f"every {n}"
        yield name, np.mean([found for found, _ in played], axis=0), float(np.mean([count for _, count in played]))
    yield "ADWIN", *play_trigger(past, by_adwin)
    yield "KS on half the features", *play_trigger(past, by_ks)


def _claims(rows: dict[str, dict[str, Any]], fits: int, windows: int) -> Iterator[tuple[str, bool]]:
    ours, never, always = (rows[name]["accuracy"] for name in ("healerd", "never", "every window"))
    equal = max(1, round(windows / (fits + 1)))
    name = "every window" if equal == 1 else f"every {equal}"
    share = (ours - never) / (always - never) if always > never else math.nan
    few = fits <= 0.2 * rows["every window"]["retrainings"]
    yield f"at least 93% of the gain of `every window` over `never` (it is {share:.1%})", share >= 0.93
    yield f"with at most 20% of its retrainings ({fits} of {rows['every window']['retrainings']:.0f})", few
    if fits and name in rows:
        gap = ours - rows[name]["accuracy"]
        yield f"never more than a point below a period of equal count (`{name}`: {100 * gap:+.1f} points)", gap >= -0.01
    yield "better than never", ours > never


def _figure(stream: Stream, shown: dict[str, Errors]) -> Figure:
    lines = tuple(Line(name=name, values=tuple(1 - by_window(stream, one))) for name, one in shown.items())
    return Figure(name="accuracy", title=stream.name, x="served window", y="accuracy", lines=lines, smooth=28)


def elec2(folder: Path) -> Path | None:
    """Write Elec2 as a CSV with its times into a folder; None where the data is absent."""
    data = Path(os.environ.get("HEALERD_DATA", Path(__file__).parents[2] / "shared" / "data")) / "elec2.csv.gz"
    if not data.is_file():
        return None
    path = folder / "elec2.csv"
    with gzip.open(data, "rt", encoding="utf-8") as source, path.open("w", encoding="utf-8", newline="") as target:
        rows, write = csv.reader(source), csv.writer(target)
        write.writerow(["time", *next(rows)])
        write.writerows([(FIRST_AT + k * HALF_HOUR).isoformat(), *row] for k, row in enumerate(rows))
    return path


def flights_demo() -> list[dict[str, Any]] | None:
    """The demo's figures, by the demo's own command; None when it could not be played."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.json"
        command = [sys.executable, "-m", "healerd", "demo", "--headless", "--json", str(path)]
        subprocess.run(command, stdout=sys.stderr, check=False)
        if not path.exists():
            return None
        report = json.loads(path.read_text(encoding="utf-8"))
    ours = report["healerd"]
    rows = [
        {"way": one["name"], "quality": one["quality"], "promotions": one["retrains"]} for one in report["baselines"]
    ]
    rows.append({"way": "healerd", "quality": ours["quality"], "promotions": ours["retrains"]})
    rows[-1] |= {key: ours[key] for key in ("trainings", "rollbacks", "fallbacks")}
    heads = list(rows[-1])
    return [{head: row.get(head) for head in heads} for row in rows]


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", help="a CSV or Parquet file; Elec2 without one")
    parser.add_argument("--target", default="class")
    parser.add_argument("--time", default=None)
    parser.add_argument("--window", default=None)
    parser.add_argument("--train-rows", type=int, default=None)
    parser.add_argument("--quick", action="store_true", help="a short made stream instead")
    parser.add_argument("--demo", action="store_true", help="play the demo's flights as well")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stream = _wanted(asked, Path(folder))
        if stream is None:
            print("no `elec2.csv.gz`: set HEALERD_DATA to the folder that holds it", file=sys.stderr)
            return 1
        finding = find(stream, seed=asked.seed, title=f"Retraining on `{stream.name}`")
    if stream.name == "elec2":
        heads = ("way", "accuracy", "retrainings")
        published = [dict(zip(heads, one, strict=True)) for one in PUBLISHED]
        finding = replace(finding, tables={**finding.tables, "measured before, with another model": published})
    if asked.demo and (flights := flights_demo()):
        finding = replace(finding, tables={**finding.tables, "the demo's flights": flights})
    print(page(finding))
    if asked.out:
        keep(finding, asked.out, quick=asked.quick)
    return 0


def _wanted(asked: argparse.Namespace, folder: Path) -> Stream | None:
    if asked.quick:
        return made(asked.seed)
    file = asked.file or elec2(folder)
    if file is None:
        return None
    own = asked.file is not None
    return load_stream(
        TryOptions(
            file=file,
            target=asked.target,
            time=asked.time if own else "time",
            window_s=parse_duration(asked.window) if asked.window else (None if own else 86_400.0),
            train_rows=asked.train_rows if own else FIRST_ROWS,
        )
    )


def made(seed: int) -> Stream:
    """A short stream whose concept turns: what `--quick` plays."""
    return stream_of(World(change=Change(to=Law(angle=60.0)), served=50, rows=60), seed=seed)


if __name__ == "__main__":
    sys.exit(main())
