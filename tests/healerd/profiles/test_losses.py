import numpy as np
import pytest

from healerd.errors import ConfigError, SourceError
from healerd.profiles import ErrorSummary, Loss, losses, parse_loss, pool_sd, summarise

NAN = np.nan


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        ("zero-one", Loss(kind="zero-one")),
        ("relative 10%", Loss(kind="relative", amount=0.1)),
        (" relative 2.5 % ", Loss(kind="relative", amount=0.025)),
        ("absolute 5", Loss(kind="absolute", amount=5.0)),
    ],
)
def test_a_loss_is_read(text, loss):
    """The three losses read as written."""
    assert parse_loss(text) == loss


@pytest.mark.parametrize("text", ["", "zero", "relative 10", "absolute -5", "absolute 5%", "relative x%"])
def test_what_is_no_loss_is_refused_with_the_choices(text):
    """Anything else is an error that says what may be written."""
    with pytest.raises(ConfigError, match="write `zero-one`, `relative 10%` or `absolute 5`"):
        parse_loss(text)


def test_a_missing_label_is_unknown_and_a_missing_output_wrong():
    """NaN where the label is missing, even if the output is too; 1 where only the output is."""
    found = losses(parse_loss("zero-one"), np.array([1.0, NAN, NAN, 2.0]), np.array([1.0, 1.0, NAN, NAN]))
    assert np.array_equal(found, [0.0, 1.0, NAN, NAN], equal_nan=True)


def test_beside_an_infinite_label_only_that_one_is_right():
    """A share of infinity is infinite, and would call every output right."""
    for text in ("zero-one", "relative 10%", "absolute 5"):
        found = losses(parse_loss(text), np.array([1.0, np.inf, np.inf]), np.array([np.inf, -np.inf, np.inf]))
        assert found.tolist() == [1.0, 1.0, 0.0], text


def test_text_is_compared_as_text():
    """Classes by name are right when equal."""
    found = losses(parse_loss("zero-one"), np.array(["a", "b", None], object), np.array(["a", "a", "a"], object))
    assert found.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("relative 10%", [0, 0, 1, 0, 1, 0, 1]), ("absolute 5", [0, 1, 1, 0, 0, 0, 1])],
)
def test_numbers_are_right_within_reach(text, expected):
    """The bound itself is right, zero reaches nothing under `relative`, and infinity equals itself alone."""
    output = np.array([100.0, 90.0, 89.9, 0.0, 0.1, np.inf, 1e308])
    label = np.array([100.0, 100.0, 100.0, 0.0, 0.0, np.inf, -1e308])
    assert losses(parse_loss(text), output, label).tolist() == expected


def test_kinds_that_do_not_meet_are_refused():
    """Numbers against names, and a distance between names, are errors."""
    names, numbers = np.array(["a"], object), np.array([1.0])
    with pytest.raises(SourceError, match="a loss needs one kind"):
        losses(parse_loss("zero-one"), numbers, names)
    with pytest.raises(SourceError, match="use `zero-one`"):
        losses(parse_loss("absolute 5"), names, names)


def test_no_rows_have_no_losses():
    """An empty window has an empty column of losses, and a summary of no rows."""
    found = losses(parse_loss("zero-one"), np.zeros(0), np.zeros(0))
    assert len(found) == 0
    assert summarise(found, np.zeros(0)) == ErrorSummary(error=0.0, rows=0, windows=0, sd=0.0)


def test_the_sd_between_windows_is_what_chance_does_not_explain():
    """Windows of one error have no sd between them; windows whose errors differ by .1 have about that."""
    rng = np.random.Generator(np.random.Philox(1))
    day = np.repeat(np.arange(200), 300)
    even = (rng.random(len(day)) < 0.3).astype(float)
    uneven = (rng.random(len(day)) < rng.normal(0.3, 0.1, 200).clip(0, 1)[day]).astype(float)
    assert summarise(even, day).sd < 0.01
    assert summarise(uneven, day).sd == pytest.approx(0.1, rel=0.15)


def test_one_window_says_nothing_about_the_sd():
    """With one window, or one row a window, the sd between windows is 0, and unknown losses are left out."""
    assert summarise(np.array([0.0, 1.0, NAN]), np.zeros(3)) == ErrorSummary(error=0.5, rows=2, windows=1, sd=0.0)
    assert summarise(np.array([0.0, 1.0]), np.arange(2)).sd == 0.0


def test_pooling_weighs_by_what_is_known():
    """Variances are averaged by windows less one; summaries of one window say nothing."""
    one = ErrorSummary(error=0.1, rows=9, windows=2, sd=0.1)
    many = ErrorSummary(error=0.1, rows=9, windows=4, sd=0.0)
    single = ErrorSummary(error=0.1, rows=9, windows=1, sd=0.0)
    assert pool_sd([one, many, single]) == pytest.approx((0.01 / 4) ** 0.5)
    assert pool_sd([single]) == 0.0
