"""`healerd trace`: the decisions and what they stood on. Must never leave out a reason that the record holds."""

from collections.abc import Iterator
from typing import Any

import click

from healerd.cli.options import attached, pipeline_argument
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.words import say_outcome

__all__ = ["trace"]


@click.group(help="List decisions, or show one with everything it stood on.")
def trace() -> None:
    """Hold the two verbs together."""


@trace.command("list", help="List the newest decisions, one line each.")
@pipeline_argument(required=False)
@click.option("--limit", default=50, show_default=True, help="How many.")
@attached
def list_(client: Client, show: Show, pipeline: str | None, limit: int) -> None:
    """Print the table of decisions."""
    view = client.traces(pipeline=pipeline, limit=limit)
    if show.as_json:
        show.json(view)
        return
    columns = ["id", "at", "pipeline", "chosen", "target", "level", "confidence", "reason"]
    show.table(columns, [[row[column] for column in columns] for row in view["traces"]], clip=True)


@trace.command("show", help="Show one decision: what was seen, what each rule said, what was chosen, what came of it.")
@click.argument("decision_id", metavar="ID")
@attached
def show_(client: Client, show: Show, decision_id: str) -> None:
    """Print the whole trace."""
    view = client.trace(decision_id)
    if show.as_json:
        show.json(view)
        return
    show.text(view["page"])
    for line in _consequences(view):
        show.text(line)


def _consequences(view: dict[str, Any]) -> Iterator[str]:
    if not view["intents"]:
        yield "nothing came of it"
    for intent in view["intents"]:
        yield f"intent {intent['id']}: {intent['action']} is {intent['state']}"
    for outcome in view["outcomes"]:
        yield f"outcome of {outcome['intent_id']}: {say_outcome(outcome)}"
