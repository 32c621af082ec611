"""Does it help to correct a model's answers before fitting anew? The loop with and without such a rule, on streams.

    python -m experiments.recalibrating [--quick] [--seed S] [--only NAME] [--days N]

Both ways play the same stream through the product's own loop. `default` is the shipped pack; `correct first` adds a
rule (`rules/correct_first.heal`) that proposes `recalibrate` at each alarm of harm on good data, above `retrain` in
priority; a correction that is judged no better is refused, and the retraining is proposed at the next window. Streams:
the demo's flights of 2013 without its injected faults (air time within its tolerance), Elec2 (Harries, 1999) from
$HEALERD_DATA, and a made stream whose scores are shifted while their order holds, for which a correction is made.
`--quick` plays the made stream alone, and shorter; `--days` ends the flights after so many. Must never tune the rule by
what it finds.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from experiments.detection.__main__ import markdown
from experiments.loop import Played, play
from experiments.real_streams import elec2
from healerd.columns import Column
from healerd.model import IntentState
from healerd.offline.demo import FLIGHTS, TRAIN_UNTIL, flights
from healerd.offline.options import TryOptions
from healerd.offline.stream import Stream, load_stream
from healerd.offline.windows import DAY_S

__all__ = ["main", "row", "shifted", "streams"]

YEAR = datetime(2013, 1, 1)  # noqa: DTZ001 - as the file has it
RULES = Path(__file__).parent / "rules" / "correct_first.heal"
ACTION = """
[pipeline.{name}.actions.recalibrate]
method = "auto"
cost = 0.02
failure = 0.3
"""
SHIFT_AT, PER_DAY, SHIFT = 0.4, 400, 1.0
"""The made stream: from this share of its days on, so much is added to every label; rows a day."""


def shifted(seed: int, days: int) -> Stream:
    """A quantity that two features explain, to which a constant is added from a day on: order holds, level does not."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n = days * PER_DAY
    x, z = rng.normal(size=n), rng.normal(size=n)
    label = x + 0.5 * z + rng.normal(scale=0.3, size=n) + SHIFT * (np.arange(n) >= SHIFT_AT * n)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shifted.csv"
        day = np.datetime64(datetime(2026, 1, 1), "us")  # noqa: DTZ001 - as a file has it
        at = day + (np.arange(n) * (86_400_000_000 // PER_DAY)).astype("timedelta64[us]")
        rows = zip(at.astype(str), x, z, label, strict=True)
        path.write_text("time,x,z,y\n" + "\n".join(f"{t},{a:.6f},{b:.6f},{y:.6f}" for t, a, b, y in rows))
        asked = TryOptions(file=path, target="y", time="time", train_rows=20 * PER_DAY, window_s=DAY_S)
        return replace(load_stream(asked), name="shifted")


def flights_until(days: int | None) -> Stream:
    """The demo's flights, as the demo has them, of the first so many days of the year."""
    if days is None:
        return flights()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(":memory:") as duck:
        path, end = Path(folder) / "flights.parquet", YEAR + timedelta(days=days)
        duck.execute(f"COPY (SELECT * FROM '{FLIGHTS}' WHERE time < TIMESTAMP '{end}') TO '{path}'")
        asked = TryOptions(file=path, target="air_time", time="time", train_until=TRAIN_UNTIL, window_s=DAY_S)
        stream = load_stream(asked)
    known = stream.at + stream.label.astype(np.int64) * np.timedelta64(60_000_000, "us")
    return replace(stream, name="flights", known_at=known)


def streams(*, seed: int, quick: bool, only: str | None, days: int | None) -> Iterator[Stream]:
    """Give the streams that were asked for, one after another; Elec2 only where its file is."""
    if only in {None, "shifted"}:
        yield shifted(seed, 80 if quick else 160)
    if quick:
        return
    if only in {None, "flights"}:
        yield flights_until(days)
    with tempfile.TemporaryDirectory() as folder:
        file = elec2(Path(folder)) if only in {None, "elec2"} else None
        if file is not None:
            yield load_stream(TryOptions(file=file, target="class", time="time", train_rows=1440, window_s=DAY_S))


def row(stream: Stream, way: str, played: Played) -> dict[str, object]:
    """What one way came to: right answers, what took effect, and what it cost in windows served with the harm."""
    kept = IntentState.VERIFIED
    tried = played.corrections
    return {
        "stream": stream.name,
        "way": way,
        "right": round(played.accuracy, 4),
        "mean loss of the last half": round(float(np.nanmean(_half(played.losses))), 4),
        "retrainings": played.done.fits,
        "corrections tried": len(tried),
        "of these verified": sum(each.state is kept for each in tried),
        "promotions": len(played.done.of("promote")),
        "rollbacks": len(played.done.of("rollback")),
        "judged worse": played.worse,
        "audit": "verified" if played.verified else "BROKEN",
    }


def _horizon(stream: Stream) -> float | None:
    """A day for the flights, as in the demo; else the longest that a label takes."""
    return DAY_S if stream.name == "flights" else None


def _half(losses: Column) -> Column:
    return losses[len(losses) // 2 :]


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the made stream alone, and shorter")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("shifted", "flights", "elec2"), default=None)
    parser.add_argument("--days", type=int, default=None, help="end the flights after so many days of the year")
    asked = parser.parse_args()
    rows = []
    for stream in streams(seed=asked.seed, quick=asked.quick, only=asked.only, days=asked.days):
        for way, rules, more in (("default", None, ""), ("correct first", RULES, ACTION.format(name=stream.name))):
            rows.append(row(stream, way, play(stream, rules=rules, more=more, horizon_s=_horizon(stream))))
            print(f"{stream.name}, {way}: {rows[-1]}", file=sys.stderr, flush=True)
    print(markdown(rows))
    return 0 if all(one["audit"] == "verified" for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
