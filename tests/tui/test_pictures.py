"""What the terminal UI looks like, kept as SVG and compared; `--snapshot-update` takes new ones, to be looked at."""

from collections.abc import Callable

import pytest

from healerd_tui.glyphs import GlyphSet
from tests.tui.scenes import SIZES, an_app, scene

VIEWS = ("fleet", "inbox", "prompt", "pipeline")
Compare = Callable[..., bool]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", VIEWS)
def test_views_at_every_size(snap_compare: Compare, view: str, size: tuple[int, int]) -> None:
    """The views look as they were accepted, from 80x24 to 200x50."""
    assert snap_compare(an_app(), terminal_size=size, run_before=scene(view))


@pytest.mark.parametrize("view", ["rules", "audit", "health", "veto", "trace", "diff", "help", "palette"])
def test_other_views(snap_compare: Compare, view: str) -> None:
    """The other views look as they were accepted, at 120x36."""
    assert snap_compare(an_app(), terminal_size=(120, 36), run_before=scene(view))


@pytest.mark.parametrize("state", ["empty", "stale", "error"])
@pytest.mark.parametrize("view", ["fleet", "health"])
def test_other_states(snap_compare: Compare, view: str, state: str) -> None:
    """Nothing there, a daemon that is away and an error each have a clear screen."""
    assert snap_compare(an_app(), terminal_size=(120, 36), run_before=scene(view, state=state))


@pytest.mark.parametrize("view", ["fleet", "prompt"])
def test_read_only(snap_compare: Compare, view: str) -> None:
    """Read-only shows its badge and offers nothing dangerous."""
    assert snap_compare(an_app(read_only=True), terminal_size=(120, 36), run_before=scene(view))


@pytest.mark.parametrize("view", ["fleet", "prompt"])
def test_without_colour(snap_compare: Compare, view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without colour every state still has its sign and its word."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(an_app(), terminal_size=(120, 36), run_before=scene(view))


@pytest.mark.parametrize("view", ["fleet", "prompt"])
def test_without_unicode(snap_compare: Compare, view: str) -> None:
    """With --ascii no sign is beyond ASCII."""
    assert snap_compare(an_app(glyphs=GlyphSet.ASCII), terminal_size=(120, 36), run_before=scene(view))


def test_a_terminal_that_is_too_small(snap_compare: Compare) -> None:
    """Below 60x16 one line still says what is due and how to answer it."""
    assert snap_compare(an_app(), terminal_size=(58, 12), run_before=scene("fleet"))
