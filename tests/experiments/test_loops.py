"""The experiments through the closed loop in their short forms, and the run of all of them."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from experiments import concept_shift, noise_injection, run_all, synthetic_drift
from experiments.loop import by_window, play
from experiments.output import Figure, Finding, Line, keep
from experiments.real_streams import Past, adwin_cuts, every, play_trigger
from experiments.report import report
from experiments.scenarios import ESTIMATOR, Case, run_cases
from experiments.worlds import CHANGE, Change, Law, World, draw, law_in, seeded, stream_of
from healerd.profiles import parse_loss

SHORT = World(served=48, rows=60)
"""Long enough for a second fit: the first learns mostly from the old concept, and the next waits 14 windows."""


def only(case: Case) -> dict:
    return run_cases([case], seeds=1, seed=1)[0]


def test_a_healthy_world_is_left_alone():
    """Nothing is opened, nothing trained, nothing moved, and what it costs is chance against the oracle."""
    row = only(Case(name="healthy", world=SHORT, heals=False))
    assert (row["false alarms"], row["heals"], row["trainings"]) == (0, 0, 0)
    assert row["accuracy"] == row["no action"]


def test_a_turned_concept_is_seen_and_healed():
    """It is seen within three windows, healed by a retraining, and no action is beaten; the oracle is not."""
    row = only(Case(name="turned", world=replace(SHORT, change=Change(to=Law(angle=90.0)))))
    assert 1 <= row["delay"] <= 3
    assert row["missed"] == row["false alarms"] == row["wrong heals"] == 0
    assert row["trainings"] >= 1
    assert row["no action"] < row["accuracy"] < row["oracle"]
    assert row["cost"] < row["cost of no action"]


def test_a_wrong_heal_is_counted():
    """The same heals in a world that should have been left alone are all wrong ones."""
    row = only(Case(name="turned", world=replace(SHORT, change=Change(to=Law(angle=90.0))), heals=False))
    assert row["wrong heals"] == row["heals"] >= 1
    assert row["false alarms"] >= 1


@pytest.mark.parametrize("course", ["abrupt", "gradual", "incremental"])
def test_a_law_changes_by_its_course(course):
    """Before the change it is the first one, at the end of the course the new one; a change back ends it."""
    world = World(change=Change(to=Law(angle=40.0, share=0.5), course=course, back=40))
    assert law_in(world, CHANGE - 1) == world.first
    assert law_in(world, CHANGE + 39) == Law(angle=40.0, share=0.5)
    assert law_in(world, CHANGE + 40) == world.first
    halfway = law_in(world, CHANGE + 6)
    assert (halfway.angle, halfway.share) == {
        "abrupt": (40.0, 0.5),
        "gradual": (40.0, 0.25),
        "incremental": (10.0, 0.5),
    }[course]


def test_the_same_seed_makes_the_same_stream_and_an_honest_label():
    """Rows repeat bit for bit; a label is what the plane says but for one in twenty."""
    one, two = (stream_of(SHORT, seed=3) for _ in range(2))
    assert np.array_equal(one.label, two.label)
    assert all(np.array_equal(one.features[name], two.features[name]) for name in one.features)
    features, label = draw(Law(), Law(), 20_000, seeded(5))
    plane = features["heat"] + 0.3 * features["load"] > 0
    assert (label != plane).mean() == pytest.approx(0.05, abs=0.005)


def test_a_fault_lasts_as_long_as_it_should_and_repeats_itself():
    """Before and after its days the features pass untouched; the same rows are spoilt alike."""
    case = next(one for one in noise_injection.cases(quick=True) if one.name.startswith("half"))
    stream = stream_of(World(served=46, rows=20), seed=1)
    rows = slice(stream.first, len(stream))
    fed = case.feed(stream.inputs(rows), stream.at[rows])
    assert np.array_equal(fed["heat"], case.feed(stream.inputs(rows), stream.at[rows])["heat"], equal_nan=True)
    missing = by_window(stream, np.isnan(fed["heat"]).astype(float))
    assert (missing > 0).tolist() == [CHANGE <= k < CHANGE + noise_injection.LASTS for k in range(46)]
    assert np.array_equal(fed["load"], stream.features["load"][rows])


def test_flipped_labels_are_known_but_not_true():
    """A share of the labels of the faulty windows is turned, and no other."""
    stream = stream_of(World(served=46, rows=50), seed=1)
    label = noise_injection.flipped(0.2)(stream, seeded(2))
    turned = by_window(stream, (label != stream.label)[stream.first :].astype(float))
    assert np.flatnonzero(turned).min() == CHANGE
    assert np.flatnonzero(turned).max() == CHANGE + noise_injection.LASTS - 1
    assert turned[CHANGE : CHANGE + noise_injection.LASTS].mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("experiment", [synthetic_drift, concept_shift, noise_injection])
def test_the_short_form_has_fewer_cases_of_the_same_names(experiment):
    """What is played in the short form is played in the full one too, only longer."""
    short, full = ({case.name for case in experiment.cases(quick=quick)} for quick in (True, False))
    assert short < full


def test_triggers_fire_as_they_say():
    """A period fires at each phase; what never fires serves the first model; all losses are counted."""
    world = World(change=Change(to=Law(angle=90.0)), served=28, rows=40)
    stream = stream_of(world, seed=1)
    past = Past(stream=stream, loss=parse_loss("zero-one"))
    never, none = play_trigger(past, lambda *_: False)
    assert none == 0
    assert len(never) == len(stream) - stream.first
    assert [play_trigger(past, every(10, phase))[1] for phase in (0, 9)] == [2, 3]
    always, fits = play_trigger(past, every(1, 0))
    assert fits == stream.windows - 1
    assert always.mean() < never.mean()


def test_adwin_cuts_where_the_error_changes():
    """A step of the error is cut; an error that stays, or too few rows, are not."""
    rng = seeded(4)
    low, high = ((rng.random((20, 50)) < p).astype(float) for p in (0.1, 0.4))
    assert not adwin_cuts(list(low))
    assert adwin_cuts([*low, *high])
    assert not adwin_cuts([low[0], high[0][:2]])


def test_what_is_played_is_the_products_own_loop():
    """The log of a run verifies, and every served row has its loss."""
    run = play(stream_of(replace(SHORT, served=5), seed=1), estimator=ESTIMATOR)
    assert run.verified
    assert len(run.losses) == 5 * SHORT.rows
    assert run.action_cost == 0


def test_a_finding_is_kept_whole(tmp_path):
    """JSON, page and a small figure are written, and the report names each and repeats the claims."""
    line = Line(name="healerd", values=tuple(np.sin(np.arange(200.0))))
    found = Finding(
        name="made",
        title="A made finding",
        seed=1,
        tables={"rows": [{"case": "one", "accuracy": 0.5}]},
        figures=(Figure(name="curve", title="a curve", x="window", y="accuracy", lines=(line,), smooth=3),),
        claims=(("one is one", True), ("one is two", False)),
    )
    keep(found, tmp_path, quick=False)
    assert json.loads((tmp_path / "made.json").read_text())["tables"]["rows"][0]["accuracy"] == 0.5
    assert 1_000 < (tmp_path / "made-curve.png").stat().st_size < 100_000
    bars = {"schema": 1, "reached": {"rules": False}, "claims": [["the hybrid minus rules: NOT reached", False]]}
    (tmp_path / "ablation.json").write_text(json.dumps(bars))
    said = report(tmp_path, quick=False)
    assert "| **does not hold** | `ablation` | the hybrid minus rules: NOT reached |" in said
    assert "| holds | `made` | one is one |" in said
    assert "| **does not hold** | `made` | one is two |" in said
    assert "made-curve.png" in said
    assert "[made.md](made.md)" in said


def test_one_that_fails_does_not_stop_the_others(tmp_path):
    """The others run, the failure is named, and the exit code says so."""
    table = (
        run_all.Experiment(name="agreement", quick=("--decisions", "nonsense"), prints="agreement.json"),
        run_all.Experiment(name="no_such_experiment"),
        run_all.Experiment(name="agreement", quick=("--decisions", "50"), prints="agreement.json"),
    )
    assert run_all.run(table, tmp_path, quick=True, seed=0) == ["agreement"]
    assert json.loads((tmp_path / "agreement.json").read_text())["disagreements"] == 0


def test_every_experiment_of_the_folder_is_in_the_table():
    """What has a command of its own is run with the others, or is named here as a test or a bench."""
    apart = {"attached", "fleet", "fuzz_rules", "run_all"}
    folder = run_all.HERE
    commands = {path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8")}
    commands |= {path.parent.name for path in folder.glob("*/__main__.py")} - {"bench"}
    table = {each.name for each in run_all.EXPERIMENTS}
    assert commands - apart <= table
    assert table - {"ablation", "one_step"} <= commands


def test_an_unknown_name_is_an_error_that_helps():
    """The message names what there is."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.run_all", "--only", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
        cwd=run_all.HERE.parent,
    )
    assert done.returncode == 2
    assert "no experiment `nonsense`" in done.stderr
    assert "synthetic_drift" in done.stderr
