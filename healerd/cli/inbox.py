"""`healerd inbox` and `healerd review`: what waits for a person. Must never ask where nobody sits."""

from typing import Any

import click

from healerd.cli.options import attached, is_interactive, reason_or_ask
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.words import say_intent

__all__ = ["inbox", "review"]


@click.command(help="List what waits for a person, the most pressing first.")
@click.option("--all", "all_states", is_flag=True, help="Also what is decided or done, newest first.")
@click.option("--pipeline", help="Only of this pipeline.")
@attached
def inbox(client: Client, show: Show, all_states: bool, pipeline: str | None) -> None:
    """Print the open intents."""
    view = client.intents(pipeline=pipeline, all_states=all_states)
    if show.as_json:
        show.json(view)
        return
    columns = ["id", "pipeline", "action", "target", "state", "revision", "confidence", "deadline_at", "default"]
    show.table(
        ["id", "pipeline", "action", "to", "state", "rev", "confidence", "until", "if nobody answers"],
        [[intent[column] for column in columns] for intent in view["intents"]],
    )
    if not view["intents"]:
        show.note("nothing waits")


@click.command(help="Show one intent with its evidence, and answer it in a terminal.")
@click.argument("intent_id", metavar="ID")
@attached
def review(client: Client, show: Show, intent_id: str) -> None:
    """Print all that is needed to answer, then the commands that do; at a terminal, take the answer."""
    view = client.intent(intent_id)
    if show.as_json:
        show.json(view)
        return
    for line in say_intent(view):
        show.text(line)
    if not view["waits_for_a_person"]:
        return
    if is_interactive():
        _ask(client, show, view["intent"])
    else:
        for line in _commands(view["intent"]):
            show.text(line)


def _commands(intent: dict[str, Any]) -> list[str]:
    rest = f'{intent["id"]} --if-rev {intent["revision"]} --reason "..."'
    return [f"  to stop it:   healerd veto {rest}", f"  to allow it:  healerd approve {rest}"]


def _ask(client: Client, show: Show, intent: dict[str, Any]) -> None:
    choice = click.prompt("[v]eto, [a]pprove, or [l]eave it open", type=click.Choice(["v", "a", "l"]), err=True)
    if choice == "l":
        return
    kind = "veto" if choice == "v" else "approve"
    done = client.answer(intent["id"], kind, reason=reason_or_ask(None), if_rev=str(intent["revision"]))
    show.note(f"{intent['action']} is now {done['state']}")
