"""`healerd source`: looks at where data comes from, as the daemon would. Must never change anything."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import Moment, default_config, json_option, pipeline_argument
from healerd.cli.show import Show
from healerd.client.words import duration

if TYPE_CHECKING:
    from healerd.sources import Probe

__all__ = ["source"]

CONFIG_HELP = "Configuration file [default: ./healerd.toml, else $HEALERD_CONFIG]."


@click.group(help="Look at where predictions, labels and metrics come from.")
def source() -> None:
    """Hold the verbs of sources together."""


@source.command(
    "probe", help="Check a source: is it readable, what are its columns, how new and how late are its rows."
)
@pipeline_argument(required=False)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=CONFIG_HELP,
)
@json_option
def probe_(pipeline: str | None, config: Path | None, as_json: bool) -> int:
    """Print what a look at each source finds; ends with 7 when one cannot be read."""
    found = _probed(pipeline, config or default_config())
    show = Show(as_json=as_json)
    if as_json:
        show.json({"sources": [{"pipeline": name, **_json(one)} for name, one in found.items()]})
    for name, one in () if as_json else found.items():
        _print(show, name, one)
    return Exit.OK if all(one.readable for one in found.values()) else Exit.CHECK_FAILED


def _probed(pipeline: str | None, config: Path) -> Mapping[str, "Probe"]:
    from healerd.clock import SystemClock
    from healerd.config import load_config  # readers make it slow to start
    from healerd.errors import NotFound, SourceError
    from healerd.sources import SOURCES, Probe, probe
    from healerd.sources.probe import Trouble, probe_metrics

    settings, now = load_config(config), SystemClock().now()
    if pipeline is not None and pipeline not in settings.pipeline:
        raise NotFound(f"no pipeline `{pipeline}`; configured: {', '.join(settings.pipeline) or 'none'}")
    found = {}
    for name, own in settings.pipeline.items():
        if pipeline in {None, name}:
            try:
                made = SOURCES[own.source.kind](own.source, Path(settings.folder), lambda: "unknown")
                metrics = probe_metrics(own, Path(settings.folder), now=now)
                found[name] = replace(probe(made, own, now=now), metrics=metrics)
            except SourceError as error:
                trouble = Trouble(level="fail", said=str(error), mend="mend `source`")
                found[name] = Probe(kind=own.source.kind, place=own.source.path, troubles=(trouble,))
    return found


@source.command("profile", help="Count a stretch of a source's rows in parts, by processes here or a Dask cluster.")
@pipeline_argument()
@click.option("--from", "from_at", type=Moment(), required=True, help="Rows from this time on.")
@click.option("--to", "to_at", type=Moment(), required=True, help="Rows before this time.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write the profile, as bytes.")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help=CONFIG_HELP)
@json_option
def profile_(
    *, pipeline: str, from_at: datetime, to_at: datetime, out: Path | None, config: Path | None, as_json: bool
) -> int:
    """Print each feature's counts in short, and how fast they were counted."""
    import time

    from healerd.config import load_config  # readers make it slow to start
    from healerd.errors import NotFound
    from healerd.profiles import to_bytes
    from healerd.sources import fit_maps, parts_of, profile_parts
    from healerd.workers import ALONE, crew_of

    settings = load_config(config or default_config())
    if pipeline not in settings.pipeline:
        raise NotFound(f"no pipeline `{pipeline}`; configured: {', '.join(settings.pipeline) or 'none'}")
    began = time.monotonic()
    parts = parts_of(settings.pipeline[pipeline].source, Path(settings.folder), from_at, to_at)
    found = profile_parts(parts, fit_maps(parts), ALONE if len(parts) == 1 else crew_of(settings.workers))
    spent_s = time.monotonic() - began
    if out is not None:
        out.write_bytes(to_bytes(found))
    rows = [{"feature": name, "rows": found.rows, "missing": one.missing} for name, one in found.features.items()]
    show = Show(as_json=as_json)
    if as_json:
        show.json({"pipeline": pipeline, "parts": len(parts), "seconds": spent_s, "features": rows})
    else:
        show.table(["feature", "rows", "missing"], [[one["feature"], one["rows"], one["missing"]] for one in rows])
        show.note(f"{len(parts)} parts in {spent_s:.1f} s")
    return Exit.OK


def _json(found: "Probe") -> dict[str, Any]:
    return {"readable": found.readable, **{name: _plain(value) for name, value in asdict(found).items()}}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _print(show: Show, name: str, found: "Probe") -> None:
    pairs: dict[str, Any] = {
        "pipeline": name,
        "source": f"{found.kind} `{found.place}`",
        "readable": "yes" if found.readable else "no",
    }
    if found.rows:
        pairs |= {
            "rows looked at": f"{found.rows:,}",
            "from": found.oldest_at,
            "newest": found.newest_at,
            "repeated ids": found.repeated,
            "late": f"{found.late_rows:,} rows by more than a window, at most {duration(found.late_max_s or 0.0)}",
        }
    if found.labels is not None:
        one = found.labels
        delay = "" if one.delay_max_s is None else f", known after {_delays(one.delay_median_s, one.delay_max_s)}"
        pairs["labels"] = f"{one.labelled:,} of {found.rows:,} rows{delay}"
        pairs["labels again"] = f"{one.repeated:,} for ids that have one, {one.contradicting:,} of another value"
    show.pairs(pairs)
    if found.columns:
        rows = [[one.name, one.role, one.type, one.kind, one.present, one.distinct] for one in found.columns]
        show.table(["column", "role", "type", "kind", "values", "distinct"], rows)
    if found.metrics:
        show.table(
            ["metric", "points", "newest", ""],
            [[one.name, one.points, one.newest, one.trouble] for one in found.metrics],
        )
    for trouble in found.troubles:
        mend = f"; {trouble.mend}" if trouble.mend else ""
        show.note(f"{trouble.level}: {trouble.said}{mend}")


def _delays(median_s: float | None, max_s: float) -> str:
    return f"{duration(max(0.0, median_s or 0.0))} (median), at most {duration(max(0.0, max_s))}"
