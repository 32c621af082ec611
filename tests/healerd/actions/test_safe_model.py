"""The safe model: near the usual answer, whatever comes in."""

import numpy as np
import pytest

from healerd.actions.safe_model import fit_safe_model


def a_generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def routes(rng: np.random.Generator, n: int = 4000):
    """Flights whose time depends on origin and destination, with a distance that follows them."""
    origin = rng.integers(0, 3, n)
    destination = rng.integers(0, 40, n)
    time = 60.0 + 20 * origin + 7 * destination + 30 * ((origin + destination) % 2) + rng.normal(0, 3, n)
    columns = {
        "origin": np.array([f"o{i}" for i in origin], dtype=object),
        "destination": np.array([f"d{i}" for i in destination], dtype=object),
        "distance": time * 7 + rng.normal(0, 10, n),
    }
    return columns, time


def cut(columns, part: slice):
    return {name: column[part] for name, column in columns.items()}


def test_it_finds_the_pair_that_matters() -> None:
    """Where two columns together decide, the median within their pairs is the answer."""
    columns, time = routes(a_generator(1))
    model = fit_safe_model(cut(columns, slice(3000)), time[:3000])
    assert set(model.columns) == {"origin", "destination"}
    assert np.median(np.abs(model.predict(cut(columns, slice(3000, None))) - time[3000:])) < 3


def test_a_bent_number_upstream_does_not_touch_it() -> None:
    """With text columns to go by, a feed that scales a number changes no answer."""
    columns, time = routes(a_generator(2))
    model = fit_safe_model(columns, time)
    bent = {**columns, "distance": columns["distance"] * 1.6}
    assert np.array_equal(model.predict(columns), model.predict(bent))


def test_whatever_a_row_holds_it_has_an_answer() -> None:
    """Unseen names, missing values, a missing column or one of the wrong kind lead to a coarser answer."""
    columns, time = routes(a_generator(3))
    model = fit_safe_model(columns, time)
    odd = {
        "origin": np.array(["o1", None, "nowhere"], dtype=object),
        "destination": np.array([None, "d1", "d2"], dtype=object),
    }
    assert np.isfinite(model.predict(odd)).all()
    assert model.predict({"origin": np.full(2, np.nan)}) == pytest.approx([np.median(time)] * 2)
    assert model.predict({"distance": np.full(2, np.inf)}) == pytest.approx([np.median(time)] * 2)


def test_classes_are_answered_by_the_majority() -> None:
    """A label of text is answered by the most frequent one of the group, of the kind it had."""
    shop = np.array((["north"] * 6 + ["south"] * 6) * 20, dtype=object)
    label = np.array((["yes"] * 5 + ["no"] * 1 + ["no"] * 4 + ["yes"] * 2) * 20, dtype=object)
    model = fit_safe_model({"shop": shop}, label)
    assert list(model.predict({"shop": np.array(["north", "south", "west"], dtype=object)})) == ["yes", "no", "yes"]


def test_numbers_alone_are_grouped_in_bins() -> None:
    """Without a text column, ranges of a number serve as groups."""
    x = a_generator(4).uniform(0, 1, 3000)
    model = fit_safe_model({"x": x}, 100 * (x > 0.5) + x)
    assert model.predict({"x": np.array([0.1, 0.9])}) == pytest.approx([0.1, 100.9], abs=0.2)


def test_a_column_that_tells_nothing_is_left_out() -> None:
    """Groups of noise are not worth it: the answer over all rows stays."""
    rng = a_generator(5)
    noise = np.array([f"c{i}" for i in rng.integers(0, 50, 1000)], dtype=object)
    assert fit_safe_model({"noise": noise}, rng.normal(0, 1, 1000)).columns == ()


def test_without_a_label_there_is_nothing_to_fit() -> None:
    """Rows without any label are an error, not a guess."""
    with pytest.raises(ValueError, match="no row has a label"):
        fit_safe_model({"x": np.arange(3.0)}, np.full(3, np.nan))
