"""The experiments on detection in their quick form: what they print must be so, and could be otherwise."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from experiments.detection.__main__ import markdown
from experiments.detection.looking import QUICK, seeded
from experiments.detection.promises import begun, delay, few_windows, limit, run_length
from experiments.detection.rules import features, ks_distances, rules_of


def test_the_mean_run_length_is_at_least_the_target():
    """Law known or not, features correlated or not, labels at the limit: the mean is at least A, within error."""
    table = run_length(QUICK, 1)
    assert len(table) == 7
    for row in table:
        assert row["mean"] + 2 * row["standard error"] >= row["target A"], row
    assert min(row["mean"] for row in table) < QUICK.cap, "a cap that nothing reaches below tells nothing"


def test_the_delays_are_those_of_the_design():
    """At a target of one year: a quarter of a sd within 8 windows, half within 2, one sd in the first."""
    found = [float(row["A = one year, reference of one window"].split()[0]) for row in delay(QUICK, 1)]
    assert [median <= most for median, most in zip(found, [8, 2, 1, 2, 1, 1, 4], strict=True)] == [True] * 7
    assert found[0] > found[2], "a small shift takes longer than a large one"


def test_the_guard_holds_where_the_assumptions_break():
    """A daily cycle and errors that differ between windows alarm without the reference's windows, not with them."""
    rows = {row["healthy data"]: row for row in limit(QUICK, 1)}
    cycle = next(row for name, row in rows.items() if ".2 sd" in name)
    labels = next(row for name, row in rows.items() if "labels" in name)
    assert cycle["alarms a day without the guard"] >= 1
    assert labels["alarms a day without the guard"] >= 1
    assert cycle["alarms a day with it"] == labels["alarms a day with it"] == 0


def test_few_windows_that_differ_alarm_when_their_rows_are_taken_for_independent():
    """With five windows or more of reference the year is quiet; with the margin of independent rows it is not."""
    rows = [row for row in few_windows(QUICK, 1) if row["windows of the reference"] >= 5]
    assert max(row["healerd"] for row in rows) <= 1 / QUICK.runs
    assert np.mean([row["rows taken for independent"] for row in rows]) > 0.1


def test_usual_rules_alarm_on_healthy_data_or_miss_a_change():
    """KS p < .05 alarms on most healthy windows, Bonferroni on some, half the features never; healerd neither."""
    table = {row["rule"]: row for row in features(QUICK, 1)}
    alarms = {name: row["healthy windows in alarm a day, of 48"] for name, row in table.items()}
    assert alarms["KS p < .05, any feature"] > 24
    assert alarms["KS, Bonferroni over features"] > 0
    assert alarms["healerd, reference of one window"] == alarms["healerd, reference of 50 windows"] == 0
    assert table["share of features with KS p < .05 at least 50%"]["delay at 1.0 sd"].startswith("none")
    assert float(table["healerd, reference of one window"]["delay at 0.5 sd"]) <= 2


@pytest.mark.parametrize("seed", [1, 2])
def test_the_rules_have_the_distances_and_levels_of_scipy(seed):
    """D is scipy's, and a rule alarms exactly where scipy's p-value is below the level."""
    rng = seeded(seed)
    reference, rows = rng.normal(size=(500, 8)), np.round(rng.normal(0.2, 1, size=(60, 8)), 1)
    exact = [ks_2samp(a, b, method="asymp") for a, b in zip(reference.T, rows.T, strict=True)]
    found = ks_distances(np.sort(reference, axis=0), rows)
    assert np.allclose(found, [one.statistic for one in exact])
    p_values = [one.pvalue for one in exact]
    rules = rules_of(found[None, :], 500, 60)
    assert rules["KS p < .05, any feature"] == [min(p_values) < 0.05]
    assert rules["KS, Bonferroni over features"] == [min(p_values) < 0.05 / 8]


def test_an_alarm_that_stands_is_one():
    """Alarms are counted where they begin, each run by itself."""
    assert begun([[True, True, False, True], [True, False]]) == 3
    assert begun([[False] * 5]) == 0


def test_a_table_has_a_line_a_row():
    """Markdown: the head, the rule below it, and a line a row, with blanks for what a row lacks."""
    assert markdown([{"a": 1, "b": 0.12345}, {"a": "x"}]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 0.123 |",
        "| x |  |",
    ]
