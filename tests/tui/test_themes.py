"""The themes can be read, by eyes of every kind, and without colour."""

import asyncio
from itertools import combinations

import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import Theme

from healerd_tui.glyphs import GlyphSet, say_state
from healerd_tui.themes import DEFAULT, ROLES, THEMES, register, styles, variable_defaults
from healerd_tui.widgets import Badge
from tests.tui.colours import MACHADO, contrast, distance

BY_NAME = pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
FAINT = {"plot-band"}
"""Carries no text: a ground on which lines are drawn."""
GREYS = {"cooldown", "paused", "stale"}
APART, APART_CVD = 7.0, 10.0


def grounds(theme: Theme) -> tuple[str, ...]:
    return tuple(str(each) for each in (theme.background, theme.surface, theme.panel))


@BY_NAME
def test_every_text_can_be_read(theme: Theme) -> None:
    """Text of every role has 4.5:1 of contrast on every ground of its theme, 7:1 in the high-contrast one (WCAG 2)."""
    least = 7.0 if theme.name == "healerd-contrast" else 4.5
    colours = {"foreground": str(theme.foreground), **theme.variables}
    texts = {name: colours[name] for name, _ in ROLES.values() if name not in FAINT}
    low = {
        (name, ground): contrast(colour, ground)
        for name, colour in texts.items()
        for ground in grounds(theme)
        if contrast(colour, ground) < least
    }
    assert low == {}
    assert contrast(colours["block-cursor-foreground"], colours["block-cursor-background"]) >= 4.5
    assert contrast(colours["state-pending-on"], colours["state-pending"]) >= 4.5


@BY_NAME
def test_states_differ_in_colour(theme: Theme) -> None:
    """No two states of different standing have the same colour."""
    for one, other in combinations(_states(theme).values(), 2):
        assert distance(one, other) >= APART


@pytest.mark.parametrize("vision", sorted(MACHADO))
@pytest.mark.parametrize("name", ["healerd-cvd-dark", "healerd-cvd-light"])
def test_states_differ_for_colour_blind_eyes(name: str, vision: str) -> None:
    """In the themes for colour-blind eyes, states keep apart for eyes without red, green or blue cones."""
    theme = next(theme for theme in THEMES if theme.name == name)
    least = APART_CVD if vision != "tritanopia" else 3.0
    for (one, a), (other, b) in combinations(_states(theme).items(), 2):
        assert distance(a, b, vision) >= least, (one, other)


def test_the_colour_arithmetic_is_that_of_the_standards() -> None:
    """Black on white is 21:1, and a grey looks the same with every kind of eye."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.478, abs=0.001)
    for vision in MACHADO:
        assert distance("#888888", "#888888", vision) == 0
        assert distance("#000000", "#FFFFFF", vision) == pytest.approx(100, abs=0.5)
    assert distance("#D55E00", "#009E73", "deuteranopia") < distance("#D55E00", "#009E73") / 2


@BY_NAME
def test_every_role_has_a_style(theme: Theme) -> None:
    """Each role has a style in each theme, and the colours it names are colours."""
    made = styles({"foreground": str(theme.foreground), **theme.variables})
    assert set(made) == set(ROLES)
    assert all(style.color is not None for style in made.values())
    for value in theme.variables.values():
        Color.parse(value)


def test_what_waits_and_what_failed_stand_out_without_colour() -> None:
    """What waits for a person is reversed and what failed is bold, whatever the colours."""
    made = styles({})
    assert made["pending"].reverse
    assert made["urgent"].reverse
    assert made["failed"].bold


class Shown(App[None]):
    """One line of states, in a theme of ours."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        register(self)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults(self.current_theme)

    def compose(self) -> ComposeResult:
        yield Badge([(f"{say_state(word, GlyphSet.BRAILLE)} ", word) for word in ("ok", "pending", "failed")])


def shown(theme: str) -> list[tuple[str, str | None, bool]]:
    async def run() -> list[tuple[str, str | None, bool]]:
        app = Shown(theme)
        async with app.run_test(size=(60, 2)) as pilot:
            await pilot.pause()
            strip = app.screen._compositor.render_strips()[0]
            filtered = strip if not app.no_color else strip.apply_filter(app._filters[-1], Color(0, 0, 0))
            return [
                (text, style.color.name if style and style.color else None, bool(style and style.reverse))
                for text, style, _ in filtered
                if text.strip()
            ]

    return asyncio.run(run())


def test_a_foreign_theme_has_our_colours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a theme of Textual's own, states have the colours of ours that is as dark."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    colours = {text.split()[-1]: colour for text, colour, _ in shown("nord")}
    assert colours["OK"] == THEMES[0].variables["state-ok"].lower()
    assert {text.split()[-1]: colour for text, colour, _ in shown(DEFAULT)}["OK"] == colours["OK"]


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set nothing but greys is drawn, and words, bold and reverse still tell states apart."""
    monkeypatch.setenv("NO_COLOR", "1")
    parts = shown(DEFAULT)
    assert [text.strip() for text, _, _ in parts] == ["● OK", "▲ PENDING", "■ FAILED"]
    for _, colour, _ in parts:
        assert colour is not None
        assert len({colour[1:3], colour[3:5], colour[5:7]}) == 1
    assert [reverse for _, _, reverse in parts] == [False, True, False]


def _states(theme: Theme) -> dict[str, str]:
    """The colours of states; grey ones are one, and what waits has that of what heals, reversed."""
    return {
        name: colour
        for name, colour in theme.variables.items()
        if name.startswith("state-")
        and name not in {"state-pending", "state-pending-on", "state-paused", "state-stale"}
    }
