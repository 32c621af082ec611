"""`healerd detect`: what is odd in a file, without a daemon. Must never judge a point by one that comes after it."""

import csv
import sys
from math import isnan
from pathlib import Path

import click

from healerd.cli.options import json_option
from healerd.cli.show import Show

__all__ = ["detect"]

COLUMNS = ("timestamp", "value", "score", "alarm")


@click.command(help="Score each point of a numeric series by those before it: latency, throughput, an error rate.")
@click.option("--series", metavar="FILE", type=click.Path(path_type=Path), required=True, help="CSV or Parquet file.")
@click.option("--time", metavar="COLUMN", help="When a point was measured [default: the only column of times].")
@click.option("--value", metavar="COLUMN", help="What was measured [default: the only column of numbers].")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@json_option
def detect(*, series: Path, time: str | None, value: str | None, as_csv: bool, as_json: bool) -> None:
    """Print time, value, score and alarm of each point, and how many alarms there were."""
    from healerd.detectors.series import look_through  # with the reader, what makes this verb slow to start
    from healerd.sources.series import read_series

    show, read = Show(as_json=as_json), read_series(series, time=time, value=value)
    seconds = (read.at.astype("datetime64[us]").astype("int64") / 1e6).tolist()
    scored = list(look_through(zip(seconds, read.values.tolist(), strict=True)))
    rows = [
        (str(at.astype("datetime64[s]")).replace("T", " "), None if isnan(number) else number, point.score, point.alarm)
        for at, number, point in zip(read.at, read.values.tolist(), scored, strict=True)
    ]
    if as_json:
        show.json({"value": read.value, "points": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([COLUMNS, *((at, number, f"{score:.6f}", int(alarm)) for at, number, score, alarm in rows)])
    else:
        show.table(COLUMNS, [(at, number, f"{score:.3f}", alarm) for at, number, score, alarm in rows])
    show.note(f"`{read.value}`: {len(rows):,} points, {sum(point.alarm for point in scored):,} alarms")
