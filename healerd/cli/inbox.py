"""`healerd inbox` and `healerd review`: what waits for a person. Must never ask where nobody sits."""

from typing import Any

import click

from healerd.cli.options import attached, is_interactive, read_id, reason_or_ask
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.plainly import say_plainly
from healerd.client.words import say_intent

__all__ = ["inbox", "review"]

ANSWERS = {"veto": "to stop it", "approve": "to allow it"}
"""What `review` offers, with what it is for."""


@click.command(help="List what waits for a person, the most pressing first.")
@click.option("--all", "all_states", is_flag=True, help="Also what is decided or done, newest first.")
@click.option("--pipeline", help="Only of this pipeline.")
@attached
def inbox(client: Client, show: Show, all_states: bool, pipeline: str | None) -> None:
    """Print the open intents."""
    if pipeline is not None:
        client.pipeline(pipeline)  # a name that is none has no empty inbox
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
@click.option("--plain", is_flag=True, help="Say everything line by line in whole words, for screen readers.")
@attached
def review(client: Client, show: Show, intent_id: str, plain: bool) -> None:
    """Print all that is needed to answer, then the commands that do; at a terminal, take the answer."""
    view = client.intent(read_id(intent_id))
    if show.as_json:
        show.json(view)
        return
    for line in say_plainly(view) if plain else say_intent(view):
        show.text(line)
    has_agreed = bool(view["intent"]["approved_by"]) and _me(client) in view["intent"]["approved_by"]
    answers = [answer for answer in view["answers"] if answer in ANSWERS and not (has_agreed and answer == "approve")]
    if has_agreed and "approve" in view["answers"]:
        show.note(f"you have approved it; {_waits_for(view['review'])}")
    if answers and is_interactive():
        _ask(client, show, view["intent"], answers)
    else:
        for answer in answers:
            show.text(_command(view["intent"], answer))


def _me(client: Client) -> str | None:
    """Ask the daemon by which name it knows whoever runs this; None where none answers."""
    you = client.status().get("you")
    return you["name"] if you else None


def _waits_for(question: dict[str, Any] | None) -> str:
    """Say what is still open of an intent that one has approved oneself."""
    agreed = question is not None and all(need["given_by"] is not None for need in question["approvals"])
    return "it runs unless somebody vetoes it" if agreed else "it waits for somebody else's word"


def _command(intent: dict[str, Any], answer: str) -> str:
    words = f'healerd {answer} {intent["id"]} --if-rev {intent["revision"]} --reason "..."'
    return f"  {ANSWERS[answer]:<11} {words}"


def _ask(client: Client, show: Show, intent: dict[str, Any], answers: list[str]) -> None:
    choice = click.prompt("answer", type=click.Choice([*answers, "leave"]), default="leave", err=True)
    if choice == "leave":
        return
    done = client.answer(intent["id"], choice, reason=reason_or_ask(None), if_rev=str(intent["revision"]))
    show.note(f"{intent['action']} is now {done['state']}")
