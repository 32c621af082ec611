"""Plots have the size asked for, whatever the numbers, and show what they say they show."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from healerd_tui.glyphs import GlyphSet
from healerd_tui.plots import (
    Band,
    Canvas,
    Level,
    Mark,
    Picture,
    categories,
    countdown_bar,
    cumulate,
    ecdf_plot,
    gate_bar,
    histogram,
    interval_bar,
    largest_gap,
    line_plot,
    meter,
    say_gate,
    sparkline,
)
from healerd_tui.plots.axes import Area
from healerd_tui.plots.raster import dot_grid
from healerd_tui.plots.scales import number_ticks, range_of, time_ticks
from healerd_tui.themes import ROLES
from tests.tui import drawn

quick = settings(max_examples=60, deadline=None)
ALL = pytest.mark.parametrize("glyphs", list(GlyphSet))
HARD = st.sampled_from(
    [0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 1.7e308, 5e-324, 1e-300, 1e16, 3.0]
)
NUMBERS = st.lists(st.one_of(HARD, st.floats()), max_size=12)
SIZES = {"width": st.integers(0, 60), "height": st.integers(0, 14), "glyphs": st.sampled_from(list(GlyphSet))}


def assert_exact(made: Picture, width: int, height: int) -> None:
    lines = made.plain.split("\n") if height else []
    assert [cell_len(line) for line in lines] == [width] * height
    assert (made.width, made.height, len(made.lines)) == (width, height, height)
    assert {role for line in made.lines for _, role in line} <= {"", *ROLES}


def test_pictures_are_those_that_were_kept() -> None:
    """Every plot on known numbers looks as it did; `python -m tests.tui.drawn` rewrites the file for a change."""
    assert drawn.text() == drawn.KEPT.read_text(encoding="utf-8")


@quick
@example(values=[1.0], names="a", time=True, at=math.nan, width=40, height=9, glyphs=GlyphSet.ASCII)
@example(values=[1.0], names="a", time=True, at=math.inf, width=40, height=9, glyphs=GlyphSet.ASCII)
@given(values=NUMBERS, names=st.text(max_size=8), time=st.booleans(), at=st.floats(), **SIZES)
def test_line_plots_have_their_size(
    values: list[float], names: str, time: bool, at: float, width: int, height: int, glyphs: GlyphSet
) -> None:
    """A line plot has exactly its size and never fails, whatever numbers and names it is given."""
    made = line_plot(
        np.sort(values),
        {names: values, "other": values[::-1]},
        width=width,
        height=height,
        glyphs=glyphs,
        time=time,
        unit=names,
        marks=[Mark(at=at, kind="veto", label=names), Mark(at=0, kind="unheard of")],
        levels=[Level(at=at, label=names)],
        bands=[Band(low=at, high=1.0, label=names)],
        cursor=len(values) // 2,
    )
    assert_exact(made, width, height)


@quick
@given(values=NUMBERS, name=st.text(max_size=8), **SIZES)
def test_plots_of_shares_have_their_size(
    values: list[float], name: str, width: int, height: int, glyphs: GlyphSet
) -> None:
    """Histograms, classes and cumulative shares have exactly their size and never fail."""
    n, turned = len(values), values[::-1]
    size = {"width": width, "height": height, "glyphs": glyphs}
    assert_exact(histogram(range(n + 1), values, turned, unit=name, **size), width, height)
    assert_exact(histogram([0.0, *values][: n + 1], values, turned, **size), width, height)
    assert_exact(categories([name] * n, values, turned, **size), width, height)
    assert_exact(ecdf_plot(range(n), values, turned, unit=name, **size), width, height)
    assert_exact(ecdf_plot(values, cumulate(values), cumulate(turned), **size), width, height)


@quick
@given(
    values=NUMBERS,
    one=st.one_of(st.none(), HARD, st.floats()),
    other=st.one_of(st.none(), HARD),
    width=st.integers(0, 60),
    glyphs=st.sampled_from(list(GlyphSet)),
)
def test_bars_have_their_size(
    values: list[float], one: float | None, other: float | None, width: int, glyphs: GlyphSet
) -> None:
    """Every one-line drawing has exactly its width and never fails."""
    size = {"width": width, "glyphs": glyphs}
    assert_exact(sparkline(values, **size), width, 1)
    assert_exact(meter(one, other or 0.0, **size), width, 1)
    assert_exact(interval_bar(one, other, 1.0, scale=(other or 0.0, 5.0), **size), width, 1)
    assert_exact(countdown_bar(one, other, **size), width, 1)
    assert_exact(gate_bar(one, 0.8, **size), width, 2)
    assert say_gate(one, 0.8)


@quick
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(8, 60), st.integers(4, 20))
def test_the_sets_of_signs_draw_one_shape(values: list[float], width: int, height: int) -> None:
    """Where one set of signs draws a line, the others draw it in the same cell or the next one."""
    cells = {glyphs: _line_cells(values, width, height, glyphs) for glyphs in GlyphSet}
    for one in GlyphSet:
        for other in GlyphSet:
            for x, y in cells[one]:
                near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
                assert near & cells[other], (one, other, x, y)


@ALL
def test_a_line_goes_through_its_points(glyphs: GlyphSet) -> None:
    """Every point has its dot, and neighbours are joined without a hole."""
    values = [0.0, 5.0, 2.0, 9.0, 9.0, 1.0]
    area = _area(30, 10, range_of(np.array(values)), glyphs)
    across, down = area.dots(np.arange(6.0), np.array(values))
    grid = dot_grid(glyphs)
    dots = set(zip(across.tolist(), down.tolist(), strict=True))
    rows = 10 * grid.down - 1
    for x, value in enumerate(values):
        assert (round(x / 5 * (30 * grid.across - 1)), round((1 - value / 9) * rows)) in dots
    assert {x for x, _ in dots} == set(range(30 * grid.across))
    ordered = sorted(dots)
    assert all(min(math.dist(one, each) for each in dots if each != one) < 1.5 for one in ordered)


@ALL
def test_gaps_stay_open(glyphs: GlyphSet) -> None:
    """Nothing is drawn where values are missing, and a point alone between gaps is still drawn."""
    values = np.array([1.0] * 10 + [np.nan] * 10 + [1.0] + [np.nan] * 10 + [1.0] * 9)
    columns = {x for x, _ in _line_cells(values.tolist(), 40, 6, glyphs)}
    assert not columns & set(range(11, 20))
    assert columns & {20, 21}
    assert not columns & set(range(22, 30))
    assert columns >= set(range(1, 9)) | set(range(32, 39))


def test_many_points_are_drawn_as_all_of_them_would_be() -> None:
    """Thinning out points within one column of dots changes no cell: a single outlier stays seen."""
    x = np.arange(5000.0)
    values = np.sin(x / 300)
    values[2222] = 4.0
    area = _area(60, 20, range_of(values), GlyphSet.BRAILLE)
    whole, thin = Canvas(60, 20), Canvas(60, 20)
    area.draw(whole, area.dots(np.append(x, np.nan), np.append(values, np.nan)), "plot-line")
    area.draw(thin, area.dots(x, values), "plot-line")
    assert thin.picture().plain == whole.picture().plain
    assert thin.picture().plain.split("\n")[0].strip()


@ALL
def test_marks_stand_under_their_time_and_the_urgent_one_is_seen(glyphs: GlyphSet) -> None:
    """A mark stands on the axis below its instant; of two in one cell the more urgent is drawn."""
    x = np.linspace(0, 1000, 101)
    marks = [Mark(at=500, kind="promotion"), Mark(at=500, kind="drift"), Mark(at=1000, kind="heal")]
    made = line_plot(x, {"y": x}, width=60, height=9, glyphs=glyphs, time=False, marks=marks)
    axis = made.plain.split("\n")[7]
    drift, heal = ("D", "~") if glyphs is GlyphSet.ASCII else ("◆", "↻")
    left = axis.index("+" if glyphs is GlyphSet.ASCII else "└") + 1
    assert axis.index(drift) == left + round((59 - left) / 2)
    assert axis[-1] == heal
    assert ("healing" in {role for text, role in made.lines[7] if heal in text}) is True


@ALL
def test_lines_of_one_plot_differ_in_more_than_colour(glyphs: GlyphSet) -> None:
    """The second line is dashed where the first is not, and both are named."""
    x = np.arange(50.0)
    made = line_plot(x, {"active": x * 0 + 2, "shadow": x * 0 + 1}, width=70, height=10, glyphs=glyphs, time=False)
    rows = made.lines[:7]
    drawn_cells = {
        role: sum(len(text.replace(" ", "")) for row in rows for text, of in row if of == role)
        for role in ("plot-line", "plot-other")
    }
    assert drawn_cells["plot-other"] < drawn_cells["plot-line"]
    assert "active" in made.plain
    assert "shadow" in made.plain


@ALL
def test_histograms_compare_shares(glyphs: GlyphSet) -> None:
    """Samples of different size and the same distribution are drawn as equal: nothing is only in one of them."""
    made = histogram(range(6), [10, 20, 40, 20, 10], [100, 200, 400, 200, 100], width=40, height=12, glyphs=glyphs)
    roles = {role for line in made.lines[1:9] for text, role in line if text.strip()}
    assert roles == {"axis", "both"}


@ALL
def test_tones_tell_without_colour_which_sample_is_which(glyphs: GlyphSet) -> None:
    """Bins of only one sample have tones of their own."""
    made = histogram([0, 1, 2], [1, 0], [0, 1], width=40, height=12, glyphs=glyphs)
    tones = {role: text.strip() for text, role in made.lines[5] if role in {"reference", "current"}}
    assert tones["reference"] != tones["current"]
    assert set(tones["reference"]).isdisjoint(tones["current"])


@ALL
@pytest.mark.parametrize("unit", ["ms", "predictions a minute"])
def test_the_unit_is_written(unit: str, glyphs: GlyphSet) -> None:
    """The unit of an axis stands in the picture, be it short or long."""
    made = line_plot([0, 1, 2], {"latency": [10, 20, 30]}, width=60, height=9, glyphs=glyphs, time=False, unit=unit)
    assert unit in made.plain
    assert f"0 {unit}" in histogram([0, 1, 2], [1, 2], [2, 1], width=60, height=9, glyphs=glyphs, unit=unit).plain
    assert unit in ecdf_plot([0, 1], [0, 1], [0.5, 1], width=60, height=9, glyphs=glyphs, unit=unit).plain


def test_the_largest_gap_is_found_and_written() -> None:
    """The largest distance of two cumulative shares, and where it is, stand in the picture."""
    assert largest_gap([1, 2, 3], [0.2, 0.5, 1], [0.1, 0.9, 1]) == (pytest.approx(0.4), 2.0)
    assert largest_gap([], [], [])[0] == largest_gap([1], [0.5], [0.5])[0] == 0
    made = ecdf_plot([1, 2, 3], [0.2, 0.5, 1], [0.1, 0.9, 1], width=50, height=10, glyphs=GlyphSet.BRAILLE)
    assert "↕0.40 at 2" in made.plain


def test_shares_that_do_not_compare_are_said_to_be_wrong() -> None:
    """Samples of different bins are refused, not drawn."""
    size = {"width": 20, "height": 5, "glyphs": GlyphSet.ASCII}
    for wrong in (
        lambda: histogram([0, 1], [1, 2], [1, 2], **size),
        lambda: categories(["a"], [1, 2], [1, 2], **size),
        lambda: ecdf_plot([0], [1, 1], [1, 1], **size),
        lambda: line_plot([0], {"a": [1, 2]}, **size),
    ):
        with pytest.raises(ValueError, match=r"one|every|both|edges"):
            wrong()


@ALL
def test_intervals_stand_on_one_scale(glyphs: GlyphSet) -> None:
    """A larger cost stands further right, and what is unknown is said to be."""
    point = "o" if glyphs is GlyphSet.ASCII else "●"
    bars = [
        interval_bar(middle, middle - 1, middle + 1, scale=(0, 20), width=50, glyphs=glyphs).plain
        for middle in (2.0, 5.0, 12.0, 19.0)
    ]
    places = [bar.index(point) for bar in bars]
    assert places == sorted(set(places))
    assert interval_bar(None, 1, 2, scale=(0, 3), width=50, glyphs=glyphs).plain.strip() == "unknown"


@ALL
def test_the_gate_is_passed_only_where_it_is(glyphs: GlyphSet) -> None:
    """Confidence under the gate is drawn left of it and said not to suffice; unknown counts as under it."""
    gate, dot = ("|", "o") if glyphs is GlyphSet.ASCII else ("┿", "●")
    under = gate_bar(0.5, 0.8, width=60, glyphs=glyphs).plain.split("\n")[1]
    over = gate_bar(0.9, 0.8, width=60, glyphs=glyphs).plain.split("\n")[1]
    assert under.index(dot) < under.index(gate)
    assert over.index(gate) < over.index(dot)
    assert dot not in gate_bar(None, 0.8, width=60, glyphs=glyphs).plain
    assert "alone could not act" in say_gate(0.79, 0.8)
    assert "without a person" in say_gate(None, 0.8)
    assert "could not" not in say_gate(0.8, 0.8)


@ALL
def test_the_countdown_never_runs_on_nothing(glyphs: GlyphSet) -> None:
    """The bar shrinks with the time, is reversed under a minute, empty only at the end, and absent if unknown."""
    full = "#" if glyphs is GlyphSet.ASCII else "█"
    made = [countdown_bar(left, 300, width=40, glyphs=glyphs) for left in (300, 200, 61, 59, 1, 0)]
    filled = [each.plain.count(full) for each in made]
    assert filled == sorted(filled, reverse=True)
    assert filled[-2] >= 1
    assert filled[-1] == 0
    assert [each.lines[0][0][1] == "urgent" for each in made] == [False, False, False, True, True, True]
    assert countdown_bar(None, 300, width=40, glyphs=glyphs).plain.strip() == "--:--"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(HARD, st.floats()), max_size=6), st.integers(1, 8))
def test_axes_are_finite_and_labelled_once(values: list[float], count: int) -> None:
    """Every range of numbers has a few ticks inside it, in order, each with a label of its own."""
    low, high = range_of(np.array(values))
    assert low < high
    assert math.isfinite(low)
    assert math.isfinite(high)
    ticks = number_ticks(low, high, count)
    assert 2 <= len(ticks) <= 50
    places = [at for at, _ in ticks]
    assert places == sorted(places)
    assert len({label for _, label in ticks}) == len(ticks)
    assert len(time_ticks(low, high, 80)) <= 220


def test_times_are_written_as_people_say_them() -> None:
    """Days by their date, hours by the clock, and a date where a day begins."""
    day = 86400.0
    assert [label for _, label in time_ticks(drawn.START, drawn.START + 6 * day, 80)] == [
        *("May 1", "May 2", "May 3", "May 4", "May 5", "May 6", "May 7")
    ]
    hours = [label for _, label in time_ticks(drawn.START + 0.8 * day, drawn.START + 1.1 * day, 48)]
    assert hours[0].startswith("May 1 ")
    assert "May 2" in hours


def test_pictures_become_text_and_strips() -> None:
    """As text, as a rich text and as strips a picture has the same letters; styles are those of its roles."""
    made = meter(61, 100, width=12, glyphs=GlyphSet.BRAILLE)
    styles = {"ok": Style(color="green")}
    assert made.text(styles).plain == made.plain
    strips = made.strips(styles, Style(bold=True))
    assert "".join(segment.text for segment in strips[0]) == made.plain
    assert strips[0].cell_length == 12
    assert all(segment.style is not None and segment.style.bold for segment in strips[0])


@quick
@given(st.text(max_size=10), st.integers(0, 12), st.integers(1, 14))
def test_a_canvas_keeps_within_itself(text: str, x: int, width: int) -> None:
    """Whatever is written, a line keeps its width, and a wide glyph is written whole or not at all."""
    canvas = Canvas(width, 1)
    canvas.write(x, 0, text, "ok")
    canvas.write(0, 0, "日", "ok")
    assert_exact(canvas.picture(), width, 1)


def _area(cells: int, lines: int, y_range: tuple[float, float], glyphs: GlyphSet) -> Area:
    return Area(
        left=0,
        top=0,
        cells=cells,
        lines=lines,
        x_low=0.0,
        x_high=float(5 if cells == 30 else 4999),
        y_low=y_range[0],
        y_high=y_range[1],
        glyphs=glyphs,
    )


def _line_cells(values: list[float], width: int, height: int, glyphs: GlyphSet) -> set[tuple[int, int]]:
    area = Area(
        left=0,
        top=0,
        cells=width,
        lines=height,
        x_low=0.0,
        x_high=float(max(len(values) - 1, 1)),
        y_low=0.0,
        y_high=1.0,
        glyphs=glyphs,
    )
    across, down = area.dots(np.arange(float(len(values))), np.array(values))
    grid = dot_grid(glyphs)
    return set(zip((across // grid.across).tolist(), (down // grid.down).tolist(), strict=True))
