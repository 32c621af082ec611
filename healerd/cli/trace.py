"""`healerd trace`: the decisions and what they stood on. Must never leave out a reason that the record holds."""

from collections.abc import Iterator
from typing import Any

import click

from healerd.cli.options import attached, pipeline_argument
from healerd.cli.show import Show, brief
from healerd.client import Client, diff_traces
from healerd.client.words import say_outcome

__all__ = ["trace"]


@click.group(help="List decisions, show one with everything it stood on, or compare two.")
def trace() -> None:
    """Hold the verbs together."""


@trace.command("list", help="List the newest decisions, one line each.")
@pipeline_argument(required=False)
@click.option("--action", metavar="NAME,...", help="Only those that chose one of these actions.")
@click.option("--level", metavar="NAME,...", help="Only those whose verdict had one of these levels.")
@click.option("--text", help="Only those whose record holds this text.")
@click.option("--before", type=int, metavar="NUMBER", help="Only older ones: the number under the last page.")
@click.option("--limit", default=50, show_default=True, help="How many.")
@attached
def list_(client: Client, show: Show, **asked: Any) -> None:
    """Print the table of decisions."""
    view = client.traces(**asked)
    if show.as_json:
        show.json(view)
        return
    columns = ["id", "at", "pipeline", "chosen", "target", "level", "confidence", "reason"]
    show.table(columns, [[row[column] for column in columns] for row in view["traces"]], clip=True)
    if view["before"] is not None:
        show.note(f"older ones: --before {view['before']}")


@trace.command("diff", help="Lay two decisions side by side, and name the first step that parts them.")
@click.argument("a", metavar="ID")
@click.argument("b", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="Also what is the same.")
@attached
def diff(client: Client, show: Show, a: str, b: str, everything: bool) -> None:
    """Print what differs, step by step."""
    view = diff_traces(client.trace(a), client.trace(b))
    if show.as_json:
        show.json(view)
        return
    rows = [
        [step["step"], row["name"], row["a"], row["b"], row["ratio"]]
        for step in view["steps"]
        for row in step["rows"]
        if everything or not row["same"]
    ]
    show.table(["step", "what", a, b, "times"], rows)
    first = view["first"]
    show.note(f"first difference that changed the result: {_first(first)}" if first else "their results are the same")


def _first(first: dict[str, Any]) -> str:
    return f"{first['step']}, {first['name']}: {brief(first['a'])} against {brief(first['b'])}"


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
