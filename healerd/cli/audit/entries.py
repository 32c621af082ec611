"""`healerd audit list` and `log`: the entries themselves, for people and for programs. Must never leave one out."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from healerd.cli.options import Moment, attached
from healerd.cli.show import Show
from healerd.client import Client

if TYPE_CHECKING:
    from healerd.store import ReadStore

__all__ = ["list_", "log"]

PAGE = 1000
FOLLOW_S = 0.5


@click.command("list", help="List the newest entries, or those that fit, one line each.")
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


@click.command(help="Print the entries as JSON lines, oldest first.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only entries from then on.")
@click.option("--kind", metavar="NAME", help="Only of this kind.")
@click.option("--pipeline", metavar="NAME", help="Only of this pipeline.")
@click.option("--follow", is_flag=True, help="Go on with what is written from now on, until interrupted.")
@attached
def log(client: Client, show: Show, *, follow: bool, since: datetime | None, **wanted: str | None) -> None:
    """Print one entry a line, each with its number; `--json` changes nothing, they are JSON anyway."""
    with client.open_store() as store:
        after = _print(store, store.leaf_before(since) if since else 0, **wanted)
        while follow:
            time.sleep(FOLLOW_S)
            after = _print(store, after, **wanted)


def _print(store: "ReadStore", after: int, **wanted: str | None) -> int:
    """Print what was written after a leaf; give the number to go on from."""
    newest = store.head()[0]
    while page := store.leaves(after=after, before=newest + 1, limit=PAGE, **wanted):  # type: ignore[arg-type]
        for entry in page:
            click.echo(b'{"schema":1,' + msgspec.json.encode(entry)[1:])
        after = page[-1].seq
    return newest
