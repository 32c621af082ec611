"""`healerd detect`: what is odd in a file, without a daemon. Must never judge a point by one that comes after it."""

import csv
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from healerd.cli.crew import crew_options, crew_wanted
from healerd.cli.exits import Exit
from healerd.cli.options import columns_of, columns_options, json_option
from healerd.cli.show import Show

if TYPE_CHECKING:
    from healerd.offline.inspection.findings import Inspection

__all__ = ["detect"]

OF_SERIES = frozenset({"series", "value", "as_csv"})
SHARED = frozenset({"time", "as_json"})
COLUMNS = ("timestamp", "value", "score", "alarm")
file_path = click.Path(path_type=Path)


@click.command(help="Report what changed in a table, or score the points of a series.")
@click.argument("file", type=file_path, required=False)
@click.option("--reference", metavar="REF", type=file_path, help="A table like FILE, or a fitted reference.")
@columns_options
@click.option(
    "--rival", metavar="COLUMN", multiple=True, help="What a stored version would have said; may be repeated."
)
@click.option(
    "--earlier", metavar="REF", multiple=True, type=file_path, help="A fitted reference that may have come back."
)
@click.option("--segment", metavar="COLUMN", help="Also look at each value of this column alone.")
@click.option(
    "--false-alarms",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Mean number a year, for the whole report.",
)
@crew_options
@click.option("--html", metavar="OUT", type=file_path, help="Also write the report as a page.")
@click.option("--exit-status", is_flag=True, help="End with 8 when an alarm stands at the end of the file.")
@click.option(
    "--series",
    metavar="FILE",
    type=file_path,
    help="Score the points of a series instead; --time and --value may be left out where one column can be meant.",
)
@click.option("--value", metavar="COLUMN", help="With --series: what was measured [default: the only one of numbers].")
@click.option("--csv", "as_csv", is_flag=True, help="With --series: print comma-separated values.")
@json_option
def detect(*, file: Path | None, series: Path | None, as_json: bool, **given: Any) -> Exit:
    """Choose between the two."""
    if (file is None) == (series is None):
        raise click.UsageError("give a FILE with --reference REF, or --series FILE")
    _check_options(of_series=series is not None)
    show = Show(as_json=as_json)
    if series is not None:
        _detect_in_series(show, series, time=given["time"], value=given["value"], as_csv=given["as_csv"])
        return Exit.OK
    if given["reference"] is None:
        raise click.UsageError("name what FILE is compared with: --reference REF, a table or a fitted reference")
    assert file is not None
    return _detect_in_table(show, file, given)


def _check_options(*, of_series: bool) -> None:
    """End with the name of an option that means nothing here, in place of ignoring it."""
    context = click.get_current_context()
    for option in context.command.params:
        named = option.name or ""
        given = context.get_parameter_source(named) is ParameterSource.COMMANDLINE
        if given and named not in SHARED and (named in OF_SERIES) is not of_series:
            raise click.UsageError(f"{option.opts[0]} goes {'without' if of_series else 'with'} --series")


def _detect_in_table(show: Show, file: Path, given: dict[str, Any]) -> Exit:
    from healerd.clock import SystemClock
    from healerd.offline.inspection import InspectOptions, inspect_file  # readers and detectors make it slow to start

    found = inspect_file(
        InspectOptions(
            file=file,
            reference=given["reference"],
            columns=columns_of(given),
            window_s=given["window_s"],
            window_rows=given["window_rows"],
            loss=given["loss"],
            false_alarms_per_year=given["false_alarms"],
            rivals=given["rival"],
            earlier=given["earlier"],
            segment=given["segment"],
            now=SystemClock().now(),
        ),
        crew_wanted(given),
    )
    if given["html"] is not None:
        from healerd.offline.inspection.page import inspection_page

        given["html"].write_text(inspection_page(found), encoding="utf-8")
        show.note(f"wrote {given['html']}")
    if show.as_json:
        from healerd.offline.inspection.contract import inspection_json

        show.json(inspection_json(found))
    else:
        _print(show, found)
    return Exit.CONDITION_TRUE if given["exit_status"] and found.stands else Exit.OK


def _print(show: Show, found: "Inspection") -> None:
    from healerd.offline.inspection.words import law_said, number, segment_said, story

    for text in story(found):
        show.text(f"{text}\n")
    rows = [
        (
            one.name,
            law_said(one),
            *map(number, (one.ks, one.q_value, one.psi, one.wasserstein, one.effect)),
            one.n,
            found.named(one.since_at),
        )
        for one in found.features
    ]
    show.table(("feature", "values", "ks", "p (bh)", "psi", "wasserstein", "rank shift", "n", "evidence since"), rows)
    if found.segments:
        show.text("")
        parts = [(one.value, one.rows, segment_said(one)) for one in found.segments]
        show.table((found.options.segment or "", "rows", "what"), parts)
    for said in (*map(str, found.flaws), *found.notes):
        show.note(said)
    for name in found.lost:
        show.note(f"column `{name}` of the reference is not in the file: all its values count as missing")
    for name in found.new:
        show.note(f"column `{name}` is not in the reference, and was not looked at")


def _detect_in_series(show: Show, series: Path, *, time: str | None, value: str | None, as_csv: bool) -> None:
    """Print time, value, score and alarm of each point, and how many alarms there were."""
    from healerd.detectors.series import look_through  # with the reader, what makes this verb slow to start
    from healerd.sources.series import read_series

    read = read_series(series, time=time, value=value)
    seconds = (read.at.astype("datetime64[us]").astype("int64") / 1e6).tolist()
    scored = list(look_through(zip(seconds, read.values.tolist(), strict=True)))
    rows = [
        (
            str(at.astype("datetime64[s]")).replace("T", " "),
            number if isfinite(number) else None,
            point.score,
            point.alarm,
        )
        for at, number, point in zip(read.at, read.values.tolist(), scored, strict=True)
    ]
    if show.as_json:
        show.json({"value": read.value, "points": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([COLUMNS, *((at, number, f"{score:.6f}", int(alarm)) for at, number, score, alarm in rows)])
    else:
        show.table(COLUMNS, [(at, number, f"{score:.3f}", alarm) for at, number, score, alarm in rows])
    show.note(f"`{read.value}`: {len(rows):,} points, {sum(point.alarm for point in scored):,} alarms")
