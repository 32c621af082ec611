import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.detectors.budget import YEAR_S, limits, promise
from healerd.detectors.evidence import FLOOR, advance, advance_few, ceiling, log_mean, stands
from healerd.detectors.settings import WEIGHTS
from healerd.model import Layer
from tests.healerd.detectors.looking import SETTINGS, seeded

law = settings(max_examples=80, deadline=None, derandomize=True)
E_VALUES = st.lists(st.floats(0.01, 5.0), min_size=1, max_size=30)


@law
@given(E_VALUES)
def test_log_space_is_the_recursion(e_values):
    """The state is log(1 + R) of R <- (R + 1) e, started at 0."""
    cells, r = np.zeros(1), 0.0
    for e in e_values:
        cells, r = advance(cells, np.array([math.log(e)]), at_most=1e9), (r + 1) * e
    assert log_mean(cells) == pytest.approx(math.log(r), abs=1e-6)


def test_nothing_overflows():
    """Evidence of e^100000 a window is held at the ceiling, counter-evidence brings it to the floor."""
    top = ceiling(10.0, 4)
    cells = advance(np.zeros(4), np.array([1e5, -1e5, 1e308, -1e308]), at_most=top)
    assert np.isfinite(cells).all()
    assert cells.max() == top
    assert log_mean(np.zeros(3)) == log_mean(np.zeros(0)) == FLOOR


def test_one_cell_at_the_ceiling_raises_the_alarm_and_no_more():
    """The ceiling is the line times the number of cells, so that one cell suffices."""
    cells = np.array([ceiling(10.0, 20)] + [0.0] * 19)
    assert log_mean(cells) >= 10.0
    assert log_mean(cells) < 10.0 + 1e-6


def test_an_alarm_stands_until_the_evidence_is_half_gone():
    """Raised at the line, kept down to half of it on the log scale, not raised again below the line."""
    assert stands(10.0, 10.0, stood=False)
    assert not stands(9.9, 10.0, stood=False)
    assert stands(5.0, 10.0, stood=True)
    assert not stands(4.9, 10.0, stood=True)


@law
@given(st.lists(st.floats(0, 40), min_size=1, max_size=9), st.lists(st.floats(-30, 30), min_size=9, max_size=9))
def test_state_continues_identically_from_json(cells, log_e):
    """Cells written as JSON and read back go on bit for bit as if they had never left."""
    here = np.array(cells)
    there = np.array(json.loads(json.dumps(here.tolist())))
    step = np.array(log_e[: len(cells)])
    assert (advance(here, step, at_most=30.0) == advance(there, step, at_most=30.0)).all()


def test_run_length_of_exact_e_values_is_at_least_the_target():
    """With e-values of mean exactly 1, the mean time to a false alarm at A = 20 is at least 20."""
    rng, target, lengths = seeded(11), math.log(20), []
    for _ in range(400):
        cells, n = np.zeros(3), 0
        while log_mean(cells) < target and n < 400:
            z = rng.normal(size=3)
            cells, n = advance(cells, np.array([0.5, 1.0, -1.0]) * z - np.array([0.125, 0.5, 0.5]), at_most=99.0), n + 1
        lengths.append(n)
    assert np.mean(lengths) >= 20


@pytest.mark.parametrize("window_s", [60.0, 1800.0, 86400.0])
def test_s20_the_layers_share_one_budget(window_s):
    """E[alarms a year] summed over the layers is what was asked for, never more."""
    for a_year in (0.1, 1.0, 12.0):
        lines = limits(a_year, window_s, WEIGHTS)
        assert sum(YEAR_S / window_s / math.exp(line) for line in lines.values()) <= a_year * (1 + 1e-9)


def test_s20_the_promise_is_printed_with_its_assumptions_and_probability():
    """The promise names the mean, the probability over references and every assumption of every layer."""
    said = promise(SETTINGS)
    assert "on average at most 1 a year" in said
    assert "probability 0.99" in said
    assert "independent" in said
    assert set(limits(1.0, 1800.0, WEIGHTS)) == set(Layer) - {Layer.OPERATIONS}


CELL = st.floats(0, 800)
STEP = st.floats(-1e308, 1e308)


@law
@given(st.lists(st.tuples(CELL, STEP), min_size=1, max_size=8))
def test_a_handful_of_cells_has_the_evidence_of_an_array(pairs):
    """In plain floats and in arrays a step and the mean of R are the same but for rounding."""
    cells, steps = [cell for cell, _ in pairs], [step for _, step in pairs]
    few = advance_few(cells, steps, at_most=900.0)
    assert few == pytest.approx(
        advance(np.array(cells), np.array(steps), at_most=900.0).tolist(), rel=1e-12, abs=1e-300
    )
    assert log_mean(few) == pytest.approx(log_mean(np.array(few)), rel=1e-9, abs=1e-9)
