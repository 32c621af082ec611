"""`healerd report`: what it was worth, from the log alone. Must never print a figure that no log holds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from healerd.cli.options import Moment, attached
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.report.words import say_interval, say_pruned, say_value
from healerd.errors import HealerdError

__all__ = ["report"]

Json = Mapping[str, Any]
SHOWN = 3
"""Trace ids in a cell of the table; --json and --html have more."""


@click.command(help="Report what was found, done and mended, and how fast, from the log alone.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only what began at this time or later.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only what began before this time.")
@click.option("--pipeline", metavar="NAME", help="Only this pipeline.")
@click.option("--html", type=click.Path(path_type=Path), metavar="OUT", help="Write a page with plots here.")
@attached
def report(client: Client, show: Show, *, html: Path | None, **asked_for: Any) -> None:
    """Print the table of figures, or the whole as JSON; the page goes into a file."""
    from healerd.client.report import Asked, report_view  # loads what only a report needs
    from healerd.clock import SystemClock

    asked = Asked(**asked_for)
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise click.UsageError("--since must be before --until")
    with client.open_store() as reader:
        view = report_view(reader, asked, at=SystemClock().now(), progress=_tenths(show))
    if html is not None:
        from healerd.offline.figures_page import figures_page  # numpy and the plots, for the page alone

        _write(html, figures_page(view))
        show.note(f"page written to {html}")
    if show.as_json:
        show.json(view)
        return
    _print(show, view)


def _write(out: Path, page: str) -> None:
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as problem:
        raise HealerdError(f"`{out}` cannot be written: {problem.strerror}; name another file") from problem


def _print(show: Show, view: Json) -> None:
    show.note(f"from {_day(view['since'])} to {_day(view['until'])}, {', '.join(view['pipelines']) or 'no pipeline'}")
    if said := say_pruned(view):
        show.note(said)
    columns = ["figure", "value", "95% interval", "n", "note", "traces"]
    show.table(columns, [_row(figure) for figure in view["figures"]])
    simulated = next(each for each in view["figures"] if each["key"] == "interventions_simulated")
    if simulated["value"]:
        show.note("a simulated operator answered in this log: these figures are of a simulation")


def _row(figure: Json) -> list[str]:
    traces = ", ".join(figure["traces"][:SHOWN])
    more = f" and {figure['of'] - SHOWN} more" if figure["of"] > SHOWN else ""
    value, interval = say_value(figure["value"], figure["unit"]), say_interval(figure)
    return [figure["title"], value, interval, str(figure["n"]), figure["note"], f"{traces}{more}"]


def _day(at: str | None) -> str:
    return "-" if at is None else str(at)[:10]


def _tenths(show: Show) -> Callable[[int, int], None]:
    """Say on stderr how far it is, a line for each tenth of a long log."""
    told = 0

    def tell(done: int, last: int) -> None:
        nonlocal told
        tenth = 10 * done // last if last else 10
        if last >= LONG and tenth > told:
            told = tenth
            show.note(f"{10 * tenth}% of {last:,} leaves")

    return tell


LONG = 50_000
"""A log of fewer leaves is read in no time."""
