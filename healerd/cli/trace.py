"""`healerd trace`: the decisions and what they stood on. Must never leave out a reason that the record holds."""

from collections.abc import Iterator
from typing import Any

import click

from healerd.cli.options import attached, pipeline_argument
from healerd.cli.show import Show, brief
from healerd.client import Client
from healerd.client.words import say_event

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
    show.table(columns, [[row[column] for column in columns] for row in view["traces"]])


@trace.command("show", help="Show one decision: what was seen, what each rule said, what was chosen, what came of it.")
@click.argument("decision_id", metavar="ID")
@attached
def show_(client: Client, show: Show, decision_id: str) -> None:
    """Print the whole trace."""
    view = client.trace(decision_id)
    if show.as_json:
        show.json(view)
        return
    for line in _lines(view):
        show.text(line)


def _lines(view: dict[str, Any]) -> Iterator[str]:
    decision = view["decision"]
    yield f"{decision['pipeline']}  {brief(decision['at'])}  {decision['id']}"
    yield f"  chosen      {decision['chosen']}  {decision['level']}"
    yield f"  because     {decision['reason']}"
    yield f"  stage       {decision['stage']}  incident {brief(decision['incident_id'])}"
    yield f"  rule        {decision['rule_action']} by {brief(decision['rule'])}"
    yield f"  policy      {decision['candidate']}  P(cheaper than the rule) {brief(decision['p_cheaper_than_rule'])}"
    yield f"  confidence  {brief(decision['confidence'])}  propensity {brief(decision['propensity'])}"
    for option in decision["options"]:
        by = f"by {', '.join(option['by'])}" if option["by"] else ""
        yield f"  option      {option['action']:<9} {option['level']} {by} {option['why_not']}".rstrip()
    for name, part in decision["trace"].items():
        yield from _tree(name, part, "  ")
    for intent in view["intents"]:
        yield f"  intent      {intent['action']} {intent['state']} [{intent['id']}]"
    for outcome in view["outcomes"]:
        yield f"  outcome     {say_event(_as_event(outcome))}"


def _as_event(outcome: dict[str, Any]) -> dict[str, Any]:
    return {"table": "outcome", "pipeline": None, "record": outcome, "actor": "daemon", "kind": "outcome"}


def _tree(name: str, part: Any, indent: str) -> Iterator[str]:
    """Write nested values as an indented list."""
    if isinstance(part, dict) and part:
        yield f"{indent}{name}"
        for key, value in part.items():
            yield from _tree(key, value, indent + "  ")
    elif isinstance(part, list) and any(isinstance(item, dict | list) for item in part):
        yield f"{indent}{name}"
        for number, item in enumerate(part, 1):
            yield from _tree(str(number), item, indent + "  ")
    else:
        text = ", ".join(map(brief, part)) if isinstance(part, list) else brief(part) if part != {} else "-"
        yield f"{indent}{name}  {text}"
