"""`healerd audit`: the record of everything that happened. Must never call a log sound that was not checked whole."""

from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import attached
from healerd.cli.show import Show
from healerd.client import Client

__all__ = ["audit"]


@click.group(help="Verify the record of everything that happened, or search it.")
def audit() -> None:
    """Hold the verbs together."""


@audit.command("list", help="List the newest entries, or those that fit, one line each.")
@click.option("--kind", metavar="NAME,...", help="Only of these kinds.")
@click.option("--actor", metavar="NAME,...", help="Only what these people, or the daemon, did.")
@click.option("--pipeline", metavar="NAME,...", help="Only of these pipelines.")
@click.option("--text", help="Only entries that hold this text.")
@click.option("--before", type=int, metavar="NUMBER", help="Only entries below this number.")
@click.option("--limit", default=50, show_default=True, help="How many.")
@attached
def list_(client: Client, show: Show, **asked: Any) -> None:
    """Print the table of entries, newest first."""
    view = client.audit(**asked)
    if show.as_json:
        show.json(view)
        return
    columns = ["seq", "at", "actor", "kind", "pipeline", "said"]
    show.table(columns, [[str(entry[column]) for column in columns] for entry in view["entries"]], clip=True)
    if view["before"] is not None:
        show.note(f"older ones: --before {view['before']}")


@audit.command(help="Check every leaf of the log, the chain they hang on, and every row against its leaf.")
@attached
def verify(client: Client, show: Show) -> int:
    """Print what was found; ends with 7 when something was changed, and names the first bad leaf."""
    store = client.open_store()
    try:
        report = store.verify()
    finally:
        store.close()
    sound = report.first_bad is None and report.problem is None
    if show.as_json:
        show.json(
            {
                "verified": sound,
                "leaves": report.leaves,
                "head": report.head,
                "rows": dict(report.rows),
                "first_bad": report.first_bad,
                "problem": report.problem,
            }
        )
    else:
        show.pairs(
            {
                "verified": sound,
                "leaves": report.leaves,
                "rows": sum(report.rows.values()),
                "head": report.head,
                "problem": report.problem,
            }
        )
    if sound:
        show.note(
            "no entry was changed, removed or put in between since it was written; whoever owns this machine could "
            "write the whole log anew: to find that out, keep the head elsewhere and compare"
        )
    return Exit.OK if sound else Exit.CHECK_FAILED
