"""`healerd trace`: the decisions and what they stood on. Must never leave out a reason that the record holds."""

import json
from typing import Any

import click

from healerd.cli.options import attached, json_option, pipeline_argument, read_id
from healerd.cli.show import Show, brief
from healerd.client import Client, diff_traces

__all__ = ["trace"]


@click.group(help="List decisions, show, explain or compare them, and say why something was not done.")
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


FORMATS = ("page", "prose", "json", "diagram")


@trace.command(
    "show",
    help="Show one decision, by its ID or that of its intent: what was seen, what each rule said, what came of it.",
)
@click.argument("decision_id", metavar="ID")
@click.option("--format", "form", type=click.Choice(FORMATS), default="page", show_default=True, help="In which form.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Keep the diagram to ASCII [default: in a pipe].")
@attached
def show_(client: Client, show: Show, decision_id: str, form: str, ascii_only: bool) -> None:
    """Print the whole trace in one of its forms."""
    view = client.trace(read_id(decision_id))
    if show.as_json or form == "json":
        show.json(view)
        return
    match form:
        case "prose":
            show.text("\n".join(view["said"]))
        case "diagram":
            plain = ascii_only or not show.is_terminal
            show.text(view["diagram"].rstrip() if plain else _with_lines(view["diagram"].rstrip()))
        case _:
            show.text(view["page"].rstrip())


@trace.command("schema", help="Print the JSON Schema that `trace show --json` holds to.")
@json_option
def schema(as_json: bool) -> None:
    """Print the file that is shipped; it is JSON either way."""
    from healerd.client.published import trace_schema  # loads what a decision is made of

    click.echo(json.dumps(trace_schema(), indent=1))


@trace.command("why-not", help="Say why ACTION was not done, step by step, and what would have changed it.")
@click.argument("action")
@click.argument("decision_id", metavar="[ID]", required=False)
@click.option("--pipeline", metavar="NAME", help="The newest decision about this pipeline that judged it.")
@attached
def why_not(client: Client, show: Show, action: str, decision_id: str | None, pipeline: str | None) -> None:
    """Print the answer, and the way that leads to it."""
    if decision_id and pipeline:
        raise click.UsageError("give a decision's ID or --pipeline, not both")
    view = client.why_not(action, pipeline=pipeline, decision_id=decision_id)
    if show.as_json:
        show.json(view)
        return
    show.text(f"{view['action']} on {view['pipeline']}, decision {view['decision_id']} at {brief(view['at'])}")
    show.text(view["answer"])
    for stop in view["stops"]:
        show.text("")
        show.text(f"{MARKS[stop['passed']]} {stop['step']}: {stop['said']}")
        for line in stop["lines"]:
            show.text(f"      {line}")


MARKS = {True: "[yes]", False: "[no] ", None: "[-]  "}


def _with_lines(diagram: str) -> str:
    """Draw the arrows of a diagram with the sign that a terminal has for them."""
    return "\n".join(f"{line[:-1]}\u25bc" if line.strip() == "v" else line for line in diagram.splitlines())
