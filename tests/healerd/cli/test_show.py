"""What is printed is shown and never obeyed, whoever wrote it."""

from collections.abc import Callable
from typing import Any

import pytest

from healerd.cli.show import Show, inert
from tests.served import Served, an_intent

NASTY = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"


def test_text_that_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, control characters and turned text come out as what they are; lines, tabs and any script stay."""
    show = Show(as_json=False)
    show.text(NASTY)
    show.note(NASTY)
    show.pairs({"name": NASTY})
    show.table(["name"], [[NASTY]])
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
        assert r"\x1b]0;owned\x07" in text
    assert inert("größe\t日本\n") == "größe\t日本\n"


def test_what_people_and_tables_say_reaches_no_terminal_raw(ask: Callable[..., Any], daemon: Served) -> None:
    """A reason, a target or an error with escapes in it is printed without them, by verbs and by errors alike."""
    daemon.store.put(an_intent(id="act-9", reason=NASTY, default=NASTY, target=NASTY))
    for words in (
        ["inbox"],
        ["review", "act-9"],
        ["status", "churn"],
        ["review", "act-9", "--plain"],
        ["review", NASTY],
    ):
        told = ask(*words)
        assert "\x1b" not in told.out + told.err, words
