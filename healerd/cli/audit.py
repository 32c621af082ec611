"""`healerd audit`: the record of everything that happened. Must never call a log sound that was not checked whole."""

import click

from healerd.cli.exits import Exit
from healerd.cli.options import attached
from healerd.cli.show import Show
from healerd.client import Client

__all__ = ["audit"]


@click.group(help="Verify the record of everything that happened.")
def audit() -> None:
    """Hold the verbs together."""


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
