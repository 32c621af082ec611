"""The trace screen tells a trace in the words and the diagram of `healerd trace show`."""

from pathlib import Path

import pytest
from textual.widgets import Tree

from healerd_tui.places import Place
from healerd_tui.screens.lines import Painted
from healerd_tui.screens.trace import TraceScreen
from tests.served import a_decision, an_intent, served
from tests.tui.playing import Played
from tests.tui.test_first_sight import live


@pytest.mark.parametrize("shape", ["tree", "diagram"])
def test_c_shows_the_causes_and_the_tree_again(tmp_path: Path, shape: str) -> None:
    """c draws the diagram of the view, link by link, and c again gives the tree back with the same prose beside it."""

    async def story(played: Played) -> None:
        played.app.visit(Place("trace", "dec-1"))
        screen = played.app.screen
        assert isinstance(screen, TraceScreen)
        await played.until(lambda: screen.ready and screen.view is not None)
        await played.press("c")
        if shape == "tree":
            await played.press("c")
        await played.until(lambda: screen.shape == shape)
        assert screen.view is not None
        if shape == "tree":
            told = text_of(screen, "#words")
            assert "act-1" in told
            assert " ".join(told.split()) == " ".join(" ".join(screen.view["said"]).split())
            return
        drawn = text_of(screen, "#page")
        assert [line.rstrip() for line in drawn.splitlines() if line[:1].isupper()] == [
            line.rstrip() for line in screen.view["diagram"].splitlines() if line[:1].isupper()
        ]

    with served(tmp_path) as daemon:
        daemon.store.put(a_decision())
        daemon.store.put(an_intent())
        live(tmp_path, story)


def test_a_text_is_found_in_a_trace(tmp_path: Path) -> None:
    """/ keeps the rows of the tree that hold a text; dropping it brings all of them back."""

    async def story(played: Played) -> None:
        played.app.visit(Place("trace", "dec-1"))
        screen = played.app.screen
        assert isinstance(screen, TraceScreen)
        await played.until(lambda: screen.ready and screen.view is not None)
        everything = leaves(screen)
        screen.filter_text = "CANDID"
        screen.apply_filter()
        assert leaves(screen)
        assert all("candidate" in leaf for leaf in leaves(screen))
        assert len(leaves(screen)) < len(everything)
        screen.filter_text = ""
        screen.apply_filter()
        assert leaves(screen) == everything

    with served(tmp_path) as daemon:
        daemon.store.put(a_decision())
        live(tmp_path, story)


def leaves(screen: TraceScreen) -> list[str]:
    return [str(leaf.label) for step in screen.query_one(Tree).root.children for leaf in step.children]


def text_of(screen: TraceScreen, name: str) -> str:
    return screen.query_one(name, Painted).plain
