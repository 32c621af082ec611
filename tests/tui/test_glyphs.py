"""States and marks have a sign, a word and a colour, in every terminal."""

from pathlib import Path

import pytest

from healerd.client.fleet import PipelineState
from healerd_tui.glyphs import MARKS, STATES, GlyphSet, detect, say_state, sign, state, urgency
from healerd_tui.inert import width
from healerd_tui.themes import ROLES, THEMES


def test_every_state_of_a_pipeline_is_known() -> None:
    """Each state that the daemon names has a sign, a word, a meaning and a role."""
    for each in PipelineState:
        found = STATES[each.value]
        assert found.meaning
        assert found.word == each.value
        assert each.value in ROLES
        assert ROLES[each.value][0] == found.variable
        assert all(found.variable in theme.variables for theme in THEMES)


def test_states_are_told_apart_without_colour() -> None:
    """No two states share a sign, an ASCII sign or a word."""
    for what in ("glyph", "ascii", "word"):
        assert len({getattr(each, what) for each in STATES.values()}) == len(STATES)
    assert len(set(MARKS.values())) == len({glyph for glyph, _ in MARKS.values()}) == len(MARKS)


def test_the_word_stands_beside_the_sign() -> None:
    """A state is said with its sign and its word, whatever the terminal."""
    assert say_state("pending", GlyphSet.BRAILLE) == say_state("pending", GlyphSet.BLOCKS) == "▲ PENDING"
    assert say_state("pending", GlyphSet.ASCII) == "[? ] PENDING"


def test_the_most_urgent_comes_first() -> None:
    """What waits for a person comes before what failed, then what drifts, and what is well comes last."""
    order = sorted(STATES, key=urgency)
    assert order[:4] == ["pending", "failed", "drift", "healing"]
    assert order[-1] == "ok"


def test_an_unknown_state_is_shown_and_not_called_well() -> None:
    """A word from a newer daemon is shown as it is, more urgent than what is well."""
    assert say_state("melting", GlyphSet.BRAILLE) == "? MELTING"
    assert urgency("melting") < urgency("ok")
    assert state("melting").meaning


def test_ascii_is_ascii_and_one_cell() -> None:
    """Every sign has a form in ASCII, and single signs take one cell in both."""
    assert all(each.ascii.isascii() for each in STATES.values())
    for name in ("check", "cross", "live", "away", "up", "down", "more", "pointer", "warn", *MARKS):
        assert sign(name, GlyphSet.ASCII).isascii()
        assert width(sign(name, GlyphSet.ASCII)) == width(sign(name, GlyphSet.BRAILLE)) == 1


@pytest.mark.parametrize(
    ("environ", "encoding", "expected"),
    [
        ({"LANG": "en_GB.UTF-8", "TERM": "xterm-256color"}, "utf-8", GlyphSet.BRAILLE),
        ({"LANG": "ja_JP.UTF-8", "TERM": "xterm"}, "utf-8", GlyphSet.ASCII),
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_GB.UTF-8"}, "utf-8", GlyphSet.ASCII),
        ({"LC_ALL": "en_GB.UTF-8", "LANG": "ko_KR.UTF-8"}, "utf-8", GlyphSet.BRAILLE),
        ({"LANG": "C"}, "ascii", GlyphSet.ASCII),
        ({"LANG": "de_DE.ISO-8859-1"}, "iso-8859-1", GlyphSet.ASCII),
        ({"TERM": "linux"}, "utf-8", GlyphSet.ASCII),
        ({"HEALERD_GLYPHS": "blocks", "LANG": "ja_JP.UTF-8"}, "utf-8", GlyphSet.BLOCKS),
        ({"HEALERD_GLYPHS": "nonsense"}, "utf-8", GlyphSet.BRAILLE),
        ({}, "UTF8", GlyphSet.BRAILLE),
    ],
)
def test_the_terminal_is_asked(environ: dict[str, str], encoding: str, expected: GlyphSet) -> None:
    """The set of signs follows the locale, the encoding and the kind of terminal, and a person may name one."""
    assert detect(environ, encoding) is expected
    assert detect(environ, encoding, ascii_only=True) is GlyphSet.ASCII


def test_the_readme_shows_every_state_and_theme() -> None:
    """What a person may see stands in the README with its meaning, and so does each theme."""
    text = (Path(__file__).parents[2] / "tui" / "README.md").read_text(encoding="utf-8")
    for each in STATES.values():
        assert f"| {each.glyph} | `{each.ascii}` | {each.word.upper()} | {each.meaning} |" in text
    assert all(f"`{theme.name}`" in text for theme in THEMES)
    assert all(f"{glyph} {kind}" in text for kind, (glyph, _) in MARKS.items())
