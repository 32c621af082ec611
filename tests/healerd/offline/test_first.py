"""The first model is judged by what never saw the rows, and wrong is defined before it serves."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from healerd.columns import Column
from healerd.errors import ConfigError
from healerd.offline.first import First, loss_for, train_first
from tests.healerd.offline.streams import a_stream

LABEL = np.tile([0.0, 1.0], 100)


class Memory:
    """Knows the labels of the rows it was fitted on, and says -1 of all others."""

    def __init__(self, features: Mapping[str, Column], label: Column) -> None:
        self.known = dict(zip(features["place"], label, strict=True))

    def predict(self, features: Mapping[str, Column]) -> Column:
        return np.array([self.known.get(place, -1.0) for place in features["place"]])


def test_s12_no_row_is_judged_by_a_model_that_saw_it() -> None:
    """A model that remembers every row has no right answer on held-out ones."""
    first = train_first(a_stream(LABEL, first=100), Memory)
    assert (first.held_out.output == -1).all()
    assert np.array_equal(first.rows.output, first.rows.label)


def test_each_block_is_foretold_from_what_lay_before_it() -> None:
    """Two blocks of whole days in the second half: the first from five days, the next from seven."""
    seen: list[Column] = []

    def fit(features: Mapping[str, Column], label: Column) -> Memory:
        seen.append(features["place"])
        return Memory(features, label)

    first = train_first(a_stream(LABEL, first=100), fit)
    assert [(places.min(), places.max()) for places in seen] == [(0, 99), (0, 49), (0, 69)]
    assert list(first.held_out.ids) == [f"row-{n}" for n in range(50, 100)]


def test_a_past_of_one_class_foretells_that_class() -> None:
    """Where the first half holds one class, the block is held against it, not left out."""
    label = np.zeros(200)
    label[60:] = np.tile([0.0, 1.0], 70)
    assert train_first(a_stream(label, first=100), Memory).held_out.output[:20].tolist() == [0.0] * 20


def test_rows_without_a_label_do_not_train() -> None:
    """The first model sees labelled rows alone."""
    label = LABEL.copy()
    label[:10] = np.nan
    assert len(train_first(a_stream(label, first=100), Memory).rows) == 90


def test_what_an_estimator_does_not_like_is_said() -> None:
    """An estimator's complaint becomes an error with its first line."""

    def fussy(features: Mapping[str, Column], label: Column) -> Memory:
        raise ValueError("Input X contains NaN.\nMany more lines")

    with pytest.raises(ConfigError, match=r"Input X contains NaN\.$"):
        train_first(a_stream(LABEL, first=100), fussy)


def quantity(label: Column, off: Column) -> tuple[First, Column]:
    first = train_first(a_stream(LABEL, first=100), Memory)
    rows = replace(first.rows, label=label, output=label + off)
    return replace(first, held_out=rows), label


@pytest.mark.parametrize(
    ("label", "off", "loss"),
    [
        (np.linspace(50, 150, 100), np.full(100, 1.0), "relative 10%"),
        (np.linspace(50, 150, 100), np.linspace(0, 100, 100), "absolute 80"),
        (np.linspace(-50, 150, 100), np.linspace(0, 10, 100), "absolute 8"),
        (np.linspace(-50, 150, 100), np.linspace(0, 1e-9, 100), "absolute 0.0000000008"),
    ],
)
def test_a_quantity_is_wrong_by_its_own_scale(label: Column, off: Column, loss: str) -> None:
    """10% where that is mostly reached on positive numbers; else what four in five held-out rows stay within."""
    first, _ = quantity(label, off)
    stream = replace(a_stream(LABEL, first=100), task="regression")
    assert loss_for(stream, first) == loss


def test_a_class_is_wrong_when_it_is_another() -> None:
    """Classes know no near."""
    stream = a_stream(LABEL, first=100)
    assert loss_for(stream, train_first(stream, Memory)) == "zero-one"
