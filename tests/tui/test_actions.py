"""The table of actions: one source for bindings, keys, palette, commands, help and the page in the README."""

import re
import shlex
from pathlib import Path

import click
import pytest

from healerd.cli.group import VERBS, cli
from healerd_tui.actions import (
    ACTIONS,
    DANGEROUS,
    PLACES,
    Action,
    Situation,
    by_id,
    command,
    keys_page,
    of_place,
    why_not,
)

README = Path(__file__).parents[2] / "tui" / "README.md"
NAMES = {"pipeline": "churn", "intent": "act-1", "revision": "3", "decision": "dec-1", "reason": "known campaign"}
ABLE = Situation(live=True, roles=("viewer", "operator", "approver", "admin"), has=frozenset({"veto", "approve"}))


def test_ids_are_unique_and_every_place_has_a_title() -> None:
    """No two actions share an id, and each place of an action is a place."""
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {place for action in ACTIONS for place in action.where} <= set(PLACES)


@pytest.mark.parametrize("place", PLACES)
def test_no_key_means_two_things_in_one_view(place: str) -> None:
    """Within a place each key does one thing; a view's own keys may shadow only what is the same everywhere."""
    keys = [key for action in of_place(place) for key in action.keys]
    assert len(keys) == len(set(keys))


def test_only_the_prompt_answers() -> None:
    """Veto and approve stand in the prompt alone, so no single key elsewhere has an effect on a model."""
    assert {action.id for action in ACTIONS if action.dangerous and "prompt" in action.where} == {"veto", "approve"}
    assert by_id("veto").where == by_id("approve").where == ("prompt",)


@pytest.mark.parametrize("action", [action for action in ACTIONS if action.cli], ids=lambda action: action.id)
def test_every_command_exists(action: Action) -> None:
    """What `Y` copies names a verb, its arguments and its options as the command line has them."""
    words = shlex.split(command(action, NAMES))
    assert words[0] == "healerd"
    context, found = click.Context(cli, info_name="healerd"), cli.get_command(click.Context(cli), words[1])
    assert words[1] in VERBS
    rest = words[2:]
    while isinstance(found, click.Group):
        found = found.get_command(context, rest.pop(0))
    assert found is not None
    known = {name for each in found.params for name in (*each.opts, *each.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize("id_", sorted(DANGEROUS))
def test_everything_dangerous_has_a_command_and_a_role(id_: str) -> None:
    """What changes the world can be done from the command line as well, and the daemon wants a role for it."""
    action = by_id(id_)
    assert action.cli
    assert action.needs


@pytest.mark.parametrize("id_", sorted(DANGEROUS))
@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (Situation(live=True, read_only=True, roles=ABLE.roles), "read-only"),
        (Situation(live=False, roles=()), "daemon away"),
        (Situation(live=True, replay=True, roles=ABLE.roles), "replay"),
        (
            Situation(
                live=True, roles=("viewer",), has=frozenset({"veto", "approve", "pipeline", "paused", "stopped"})
            ),
            "role",
        ),
    ],
    ids=["read-only", "away", "replay", "viewer"],
)
def test_what_cannot_be_done_says_why(id_: str, situation: Situation, said: str) -> None:
    """Read-only, away, replay and a missing role each take every dangerous action away, with the reason."""
    if id_ == "stop_all" and said == "daemon away":
        assert why_not(by_id(id_), situation) == ""  # the stop file works when the daemon hangs (SAFETY S15)
    else:
        assert said in why_not(by_id(id_), situation)


def test_a_read_only_ui_does_not_have_them_at_all() -> None:
    """Read-only is structural: no place offers a dangerous action."""
    assert not [action for place in PLACES for action in of_place(place, read_only=True) if action.dangerous]


def test_a_command_is_quoted() -> None:
    """Outside text cannot become part of a shell command that is not meant."""
    said = command(by_id("pause"), {"pipeline": "x; rm -rf ~", "reason": "known campaign"})
    assert shlex.split(said)[2] == "x; rm -rf ~"


def test_the_page_of_keys_is_that_of_the_table() -> None:
    """The README of the terminal UI lists exactly the keys of the table."""
    text = README.read_text(encoding="utf-8")
    found = re.search(r"<!-- keys -->\n(.*)<!-- end of keys -->", text, re.DOTALL)
    assert found is not None
    assert found.group(1).strip() == keys_page().strip(), "run `python -m tests.tui.keys`"
