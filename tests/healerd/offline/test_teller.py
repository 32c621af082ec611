"""The teller keeps the story and the progress apart, and never lets a bar stand in a line of the story."""

import io

import pytest

from healerd.offline.teller import Teller


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_elsewhere_progress_is_a_line_for_each_tenth() -> None:
    """In a pipe ten lines say how far it is, and the story has none of them."""
    teller = Teller(out=io.StringIO(), err=io.StringIO())
    for done in range(1, 201):
        teller.reach(done, 200, "day")
    assert [line.split("%")[0] for line in teller.err.getvalue().splitlines()] == [str(n) for n in range(10, 101, 10)]
    assert teller.out.getvalue() == ""


def test_in_a_terminal_a_line_takes_the_place_of_the_bar() -> None:
    """The bar is wiped before a line is written."""
    screen = Screen()
    teller = Teller(out=screen, err=screen)
    teller.reach(1, 2, "day")
    teller.say("story")
    assert screen.getvalue().endswith("day\r\x1b[Kstory\n")


def test_without_a_bar_nothing_is_wiped() -> None:
    """A pipe gets no control characters."""
    teller = Teller(out=io.StringIO(), err=io.StringIO())
    teller.say("story")
    assert (teller.out.getvalue(), teller.err.getvalue()) == ("story\n", "")


def test_a_terminal_gets_lines_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word is cut at the edge of a terminal, and what goes on below is indented; a pipe gets the line whole."""
    monkeypatch.setenv("COLUMNS", "24")
    screen, pipe = Screen(), io.StringIO()
    for out in (screen, pipe):
        Teller(out=out, err=io.StringIO()).say("  why  the jet stream has weakened\n")
    assert screen.getvalue() == "  why  the jet stream\n    has weakened\n\n"
    assert pipe.getvalue() == "  why  the jet stream has weakened\n\n"
