"""`healerd trace` in its forms: one object printed in each, and the question why something was not done."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from healerd.cli.exits import Exit

Call = Callable[..., Any]


def test_each_form_is_the_same_object(ask: Call) -> None:
    """Prose, page, JSON and diagram are those of the one view."""
    view = ask("trace", "show", "dec-1", "--format", "json").json
    assert view == ask("trace", "show", "dec-1", "--json").json
    assert ask("trace", "show", "dec-1", "--format", "prose").out.splitlines() == view["said"]
    assert ask("trace", "show", "dec-1", "--format", "page").out.strip() == view["page"].strip()
    assert ask("trace", "show", "dec-1", "--format", "diagram").out.strip() == view["diagram"].strip()


def test_an_intent_names_the_decision_it_came_of(ask: Call) -> None:
    """What `inbox` lists can be given to `trace show` and `trace why-not` as it stands there."""
    shown = ask("trace", "show", "act-1", "--json").json
    assert "act-1" in [intent["id"] for intent in shown["intents"]]
    assert shown == ask("trace", "show", shown["decision"]["id"], "--json").json
    assert ask("trace", "why-not", "rollback", "act-1", "--json").json["decision_id"] == shown["decision"]["id"]


def test_the_schema_is_printed_without_a_state_folder(call: Call) -> None:
    """`trace schema` needs no daemon and no configuration: it prints what is shipped."""
    printed = call("trace", "schema")
    assert printed.code == Exit.OK
    assert json.loads(printed.out)["$schema"].startswith("https://json-schema.org/")


def test_why_not_answers_in_one_line_and_shows_the_way(ask: Call) -> None:
    """The answer stands first, then each question with its mark."""
    printed = ask("trace", "why-not", "rollback", "dec-1")
    assert printed.code == Exit.OK, printed.err
    assert printed.out.startswith("rollback on churn, decision dec-1")
    assert "[no]  proposed: no rule proposed rollback" in printed.out
    assert "is unknown" in printed.out
    assert ask("trace", "why-not", "rollback", "dec-1", "--json").json["action"] == "rollback"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rolback", "dec-1"], Exit.NOT_FOUND, "did you mean `rollback`?"),
        (["retrain", "none"], Exit.NOT_FOUND, "healerd trace list"),
        (["retrain"], Exit.USAGE, "which pipeline?"),
        (["retrain", "--pipeline", "chrun"], Exit.NOT_FOUND, "did you mean `churn`?"),
        (["retrain", "--pipeline", "fraud"], Exit.NOT_FOUND, "no decision about `fraud`"),
        (["retrain", "dec-1", "--pipeline", "churn"], Exit.USAGE, "not both"),
    ],
)
def test_why_not_says_what_it_cannot_answer(ask: Call, words: list[str], code: Exit, said: str) -> None:
    """What is not known, or not clear, ends with its code and the way on."""
    called = ask("trace", "why-not", *words)
    assert called.code == code
    assert said in called.err
