"""`healerd reference`: fit what files are compared with, and show it. Must never
change what a daemon compares with, but by asking it."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from healerd.cli.options import (
    Moment,
    attached,
    columns_of,
    columns_options,
    dry_run_option,
    json_option,
    pipeline_argument,
    reason_option,
    reason_or_ask,
)
from healerd.cli.show import Show
from healerd.client import Client

__all__ = ["reference"]

REHEARSED = "a rehearsal, nothing is done"
file_path = click.Path(path_type=Path)


@click.group(help="Fit what files are compared with, and show it.")
def reference() -> None:
    """Hold the verbs of references together."""


@reference.command("fit", help="Fit a reference to a table of healthy rows, or to a stretch of its time.")
@click.argument("file", type=file_path)
@click.option("--out", metavar="REF", type=file_path, help="Where to write it [default: FILE.reference].")
@columns_options
@click.option("--from", "from_at", type=Moment(), help="Only rows from this time on.")
@click.option("--to", "to_at", type=Moment(), help="Only rows before this time.")
@json_option
def fit(
    *, file: Path, out: Path | None, from_at: datetime | None, to_at: datetime | None, as_json: bool, **given: Any
) -> None:
    """Fit it, write it, and say what it is."""
    from healerd.clock import SystemClock
    from healerd.offline.inspection import FitOptions, fit_reference  # readers make it slow to start
    from healerd.offline.inspection.contract import reference_json
    from healerd.offline.inspection.reference import fitted_to_bytes

    made = fit_reference(
        FitOptions(
            file=file,
            columns=columns_of(given),
            window_s=given["window_s"],
            window_rows=given["window_rows"],
            loss=given["loss"],
            from_at=from_at,
            to_at=to_at,
            now=SystemClock().now(),
        )
    )
    place = out or file.with_name(f"{file.name}.reference")
    place.write_bytes(fitted_to_bytes(made))
    _print(Show(as_json=as_json), {"path": str(place), **reference_json(made)})


@reference.command("show", help="Show a fitted reference: features, kinds, rows, quantiles, habits.")
@click.argument("ref", type=file_path)
@json_option
def show_(*, ref: Path, as_json: bool) -> None:
    """Read it and print it."""
    from healerd.offline.inspection.contract import reference_json
    from healerd.offline.inspection.reference import read_fitted

    _print(Show(as_json=as_json), {"path": str(ref), **reference_json(read_fitted(ref))})


@reference.command(help="Take a change of the inputs as expected: the newest good windows become the reference.")
@pipeline_argument()
@click.option("--since", type=Moment(), help="Windows from this time on [default: since the alarm's evidence began].")
@click.option("--if-rev", help="Only if it is still at this revision [default: as it stands now].")
@dry_run_option
@reason_option
@attached
def accept(
    *,
    client: Client,
    show: Show,
    pipeline: str,
    since: datetime | None,
    if_rev: str | None,
    dry_run: bool,
    reason: str | None,
) -> None:
    """Ask the daemon, and print what it compares with from now on."""
    why = REHEARSED if dry_run else reason_or_ask(reason)
    done = client.accept(
        pipeline,
        reason=why,
        if_rev=if_rev or str(client.pipeline(pipeline)["revision"]),
        since=None if since is None else since.isoformat(),
        dry_run=dry_run,
    )
    if show.as_json:
        show.json({"reference": done, **({"dry_run": True} if dry_run else {})})
        return
    told = {name: done[name] for name in ("id", "version", "rows", "start_at", "end_at", "error")}
    show.pairs({**told, "changed": "nothing: a dry run"} if dry_run else told)


def _print(show: Show, view: dict[str, Any]) -> None:
    if show.as_json:
        show.json(view)
        return
    error = view["error"]
    said = None if error is None else f"{error['error']:.1%} of {error['rows']:,} rows in {error['windows']} windows"
    kept = {name: view[name] for name in ("path", "id", "source", "rows", "windows", "window", "from", "to")}
    show.pairs({**kept, "error": said})
    show.text("")
    show.table(
        ("feature", "kind", "n", "missing", "quantiles", "habit: missing", "unseen", "out of range", "stuck"),
        [_row(one) for one in view["features"]],
    )


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    law = (
        f"{one['names']:,} names"
        if one["quantiles"] is None
        else ", ".join(f"{q:.4g}" for q in one["quantiles"] if q is not None)
    )
    kind, habit = f"{one['kind']}{' score' if one['score'] else ''}", one["habit"]
    shares = (f"{habit[name]:.1%}" for name in ("missing", "unseen", "out_of_range", "stuck"))
    kind += f", by {one['season']}" if one["season"] else ""
    return one["name"], kind, one["n"], one["missing"], law, *shares
