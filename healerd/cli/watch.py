"""`healerd watch`: the audit log as it grows, one line an event. Must never miss an event between two lines."""

import json

import click

from healerd.cli.options import attached
from healerd.cli.show import Show, brief
from healerd.client import Client
from healerd.client.words import is_news, say_event

__all__ = ["watch"]


@click.command(help="Follow what healerd sees, decides and does, as it happens.")
@click.option("--after", type=int, help="Start after this number of the audit log; 0 is the beginning [default: now].")
@click.option("--all", "everything", is_flag=True, help="Also every window that was fine, and the bookkeeping.")
@attached
def watch(client: Client, show: Show, after: int | None, everything: bool) -> None:
    """Print events until the daemon stops or the reader has had enough; with --json one object a line."""
    for event in client.events(after=after):
        if not everything and not is_news(event):
            continue
        if show.as_json:
            click.echo(json.dumps({"schema": 1, **event}, ensure_ascii=False))
        else:
            show.text(f"{brief(event['at'])}  {say_event(event)}")
    show.note("the daemon has stopped")
