"""What comes from outside is shown inert and fits the cells it is given."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, split_graphemes
from rich.console import Console

from healerd_tui.inert import clip, inert, pad, show, width, wrap

PIECES = (
    "\x1b[31m|\x07|\u202e|\u2066|\u200b|\u200d|\ufe0f|\u0301|e\u0301|日|👩|\ufeff|\u3164|"
    "\n|\t|\r|\x9b|[bold]|[/]|\ud800|\U000e0041|\u2028|\u00ad|a| |\u115f|한"
)
NASTY = st.sampled_from(PIECES.split("|"))
TEXTS = st.one_of(st.text(max_size=30), st.lists(NASTY, max_size=12).map("".join))
quick = settings(max_examples=150, deadline=None)


@quick
@given(TEXTS)
def test_nothing_that_acts_or_hides_is_left(text: str) -> None:
    """No control, no bidirectional or zero-width sign, no line end and no lone surrogate is left in what is shown."""
    shown = show(text)
    assert not {unicodedata.category(sign) for sign in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not any(sign in shown for sign in "\u3164\u115f\u034f\ufe0f")


@quick
@given(TEXTS)
def test_shown_text_stays_as_it_is(text: str) -> None:
    """Showing what was shown changes nothing."""
    assert show(show(text)) == show(text)


@quick
@given(TEXTS)
def test_width_is_what_the_terminal_is_told(text: str) -> None:
    """The width is that by which rich and Textual lay cells out."""
    assert width(text) == cell_len(show(text))


@quick
@given(TEXTS, st.integers(-2, 20))
def test_clipped_text_fits(text: str, cells: int) -> None:
    """Clipped text has at most the cells it was given, and is whole where it fits."""
    clipped = clip(text, cells)
    assert cell_len(clipped) <= max(cells, 0)
    if width(text) <= cells:
        assert clipped == show(text)


@quick
@given(TEXTS, st.integers(1, 20))
def test_no_glyph_is_halved(text: str, cells: int) -> None:
    """What is kept of a clipped text ends where a glyph or an escape ends."""
    kept = clip(text, cells, more="")
    assert show(text).startswith(kept)
    whole, _ = split_graphemes(show(text))
    assert len(kept) in {0, *(end for _, end, _ in whole)}


def test_escapes_are_not_cut() -> None:
    """An escape is shown whole or not at all."""
    assert [clip("a\x1bb", cells, more="") for cells in range(7)] == ["", "a", "a", "a", "a", "a\\x1b", "a\\x1bb"]


@quick
@given(TEXTS, st.integers(0, 20), st.sampled_from(["left", "right", "center"]))
def test_padded_text_has_the_width_asked_for(text: str, cells: int, align: str) -> None:
    """Padded text has exactly the cells it was given."""
    assert cell_len(pad(text, cells, align=align)) == cells


@quick
@given(TEXTS, st.integers(0, 20))
def test_wrapped_lines_fit(text: str, cells: int) -> None:
    """No line of wrapped text is too wide, and no letter is lost where every glyph fits."""
    lines = wrap(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    if cells >= 2:
        kept = "".join(lines).replace(" ", "")
        assert kept == "".join(show(part) for part in text.split("\n")).replace(" ", "")


@quick
@given(
    st.lists(st.sampled_from(["[bold]", "[/]", "[red]x", "[link=http://a]", "\\[", "]", "a"]), max_size=8).map("".join)
)
def test_markup_is_never_read(text: str) -> None:
    """A text with markup is printed as it is written, in no style."""
    made = inert(text)
    assert made.plain == show(text)
    assert not made.spans
    console = Console(width=200, color_system="truecolor", force_terminal=True, file=None)
    assert all(not segment.style for segment in made.render(console))


def test_towers_of_marks_end() -> None:
    """A letter bears a few marks; more of them are written out."""
    assert show("e" + "\u0301" * 7) == "e" + "\u0301" * 4 + "\\u0301" * 3


def test_examples_read_well() -> None:
    """The common cases look as a person expects."""
    assert show("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert show("one\ntwo\tthree") == "one\\ntwo\\tthree"
    assert show("evil\u202etxt") == "evil\\u202etxt"
    assert clip("日本語テスト", 5) == "日本…"
    assert wrap("the quick brown fox", 9) == ("the quick", "brown fox")


def test_a_long_text_is_not_read_to_its_end() -> None:
    """Clipping looks at what can be shown and no further."""

    class Counted(str):
        __slots__ = ()
        looked = 0

        def __getitem__(self, part):  # type: ignore[no-untyped-def]
            Counted.looked = part.stop
            return str.__getitem__(self, part)

    assert clip(Counted("é" * 1_000_000), 10) == "é" * 9 + "…"
    assert Counted.looked < 100
