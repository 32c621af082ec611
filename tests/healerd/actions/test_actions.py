"""What each action would do, on which rows, and when it cannot: asked of the world, nothing done yet."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from healerd.actions import ACTIONS, EFFECTS, Draft, Plan, Refusal
from healerd.actions.evidence import compare, gains_against, models_that_never_saw, newest, newest_windows, since, thin
from healerd.actions.recalibrate import Recalibrate
from healerd.actions.safe_model import fit_safe_model
from healerd.actions.world import Seen
from healerd.columns import is_missing
from healerd.config import ActionSettings
from healerd.model import STEPS, Quality, VersionKind
from tests.healerd.daemon.bench import HOUR, ROWS, START, Bench, Mute, with_healing


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """`zero` serves, `one` is stored; no window is closed yet."""
    made = Bench(tmp_path).with_versions()
    yield made
    made.store.close()


def world(bench: Bench):
    return bench.world("flights", bench.clock.now())


def plan(bench: Bench, action: str) -> Plan:
    found = ACTIONS[action].plan(world(bench))
    assert isinstance(found, Plan), found
    return found


def refusal(bench: Bench, action: str) -> str:
    found = ACTIONS[action].plan(world(bench))
    assert isinstance(found, Refusal), found
    return found.reason


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_says_what_may_be_relied_on(name: str) -> None:
    """Each entry of the table bears its own name, says what it does, and declares its properties."""
    effect = EFFECTS[name]
    assert effect.name == name
    assert effect.does
    declared = (effect.idempotent, effect.dedupe, effect.reversible, effect.observable, effect.serves)
    assert all(isinstance(each, bool) for each in (*declared, effect.needs_good_data))
    assert (name in STEPS) != (name in ACTIONS)


@pytest.mark.parametrize("name", ["retrain", "promote", "return"])
def test_s13_what_trusts_the_newest_rows_needs_good_data(name: str) -> None:
    """Fitting, promoting and returning start only on data that is known to be good."""
    assert EFFECTS[name].needs_good_data


def test_only_an_action_without_a_window_to_learn_from_is_refused(bench: Bench) -> None:
    """Without labelled rows nothing can be planned, and each action says what it lacks."""
    for name in ACTIONS:
        assert "labelled rows" in refusal(bench, name)


def test_retrain_keeps_the_newest_windows_to_judge_by(bench: Bench) -> None:
    """The bounds of training and judging lie side by side: no row is on both sides."""
    bench.close_windows(6)
    found = plan(bench, "retrain")
    assert found.args == {"train_from": START.isoformat(), "judge_from": (START + 4 * HOUR).isoformat()}


def test_retrain_judges_by_more_windows_when_rows_are_few(bench: Bench) -> None:
    """Where the newest windows hold too few rows, older ones judge as well."""
    bench.settings = msgspec.structs.replace(
        bench.settings, healing=msgspec.structs.replace(bench.settings.healing, rows_min=3 * ROWS)
    )
    bench.close_windows(6)
    assert plan(bench, "retrain").args["judge_from"] == (START + 3 * HOUR).isoformat()


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.UNKNOWN])
def test_s13_retrain_is_refused_on_bad_or_unknown_data(bench: Bench, quality: Quality) -> None:
    """A data-quality verdict other than good refuses a retraining."""
    bench.close_windows(6)
    bench.quality = quality
    assert refusal(bench, "retrain") == f"the newest window's data is {quality}, not good"


def test_retrain_needs_a_training_function(bench: Bench) -> None:
    """Without an entry point the mend is named."""
    bench.settings = msgspec.structs.replace(bench.settings, actions={"retrain": ActionSettings()})
    bench.close_windows(6)
    assert "actions.retrain.entry" in refusal(bench, "retrain")


def test_rollback_aims_at_the_version_that_does_best_in_shadow(bench: Bench) -> None:
    """Age does not matter: of the stored versions the one with the surest gain on the newest rows is the target."""
    bench.add_version("two", 2.0)
    bench.close_windows(2, label=1.0, noise=0.1)
    found = plan(bench, "rollback")
    assert (found.target, found.current) == ("one", "zero")
    assert found.args["gain"] == pytest.approx(0.8)
    assert "`one` does better by 80.0%" in found.note


def test_rollback_chooses_by_more_windows_when_rows_are_few(bench: Bench) -> None:
    """The best of many on a handful of rows is chosen by luck: older windows count too, up to four times as many."""
    bench.settings = with_healing(bench.settings, choose_rows=3 * ROWS)
    bench.close_windows(6, label=1.0)
    assert plan(bench, "rollback").args["n"] == 3 * ROWS
    bench.settings = with_healing(bench.settings, choose_rows=100 * ROWS, choose_windows=1)
    assert plan(bench, "rollback").args["n"] == 4 * ROWS


def test_rollback_is_refused_when_nothing_stored_does_better(bench: Bench) -> None:
    """A version that is no better is no way out."""
    bench.close_windows(2, label=0.0)
    assert refusal(bench, "rollback") == "no stored version does better on the newest labelled rows"


def test_s12_a_version_is_not_judged_on_rows_that_trained_it(bench: Bench) -> None:
    """A version trained on the newest rows is left out of the comparison on them."""
    bench.close_windows(6, label=1.0)
    bench.propose("retrain")
    bench.step()
    fitted = bench.intent().result["version"]
    rows = newest(world(bench), windows=5).rows
    assert fitted not in models_that_never_saw(world(bench), rows)
    assert fitted in models_that_never_saw(world(bench), newest(world(bench), windows=1).rows)


def test_s12_a_version_of_unknown_training_is_not_judged_on_rows_from_before_it_was_made(bench: Bench) -> None:
    """What others registered may have trained on all that there was by then; what came later it never saw."""
    bench.close_windows(3, label=1.0)
    before = newest(world(bench), windows=2).rows
    made_at = bench.clock.now()
    bench.registry.add(
        fit_safe_model({}, np.array([1.0])), Draft(name="v7", kind=VersionKind.MODEL, created_at=made_at)
    )
    bench.close_windows(1, label=1.0)
    assert "v7" not in models_that_never_saw(world(bench), before)
    assert "v7" in models_that_never_saw(world(bench), newest(world(bench), windows=1).rows)


def test_a_version_that_cannot_be_loaded_is_no_target(bench: Bench) -> None:
    """A damaged version is wrong on every row, and the others are compared all the same."""
    bench.add_version("broken", 1.0)
    (bench.registry.folder / "versions/broken/model.joblib").write_bytes(b"x")
    bench.close_windows(2, label=1.0)
    assert plan(bench, "rollback").target == "one"


def test_fallback_is_refused_while_a_safe_model_serves(bench: Bench) -> None:
    """A fallback does not fall back again."""
    bench.close_windows(2, label=1.0)
    bench.propose("fallback")
    bench.step()
    assert "serves already" in refusal(bench, "fallback")


def test_fallback_is_fresh_and_leaves_out_windows_of_bad_data(bench: Bench) -> None:
    """The safe model learns from the newest window whose data was good."""
    bench.close_windows(3, label=0.0)
    bench.bad.add(bench.clock.now())
    bench.close_window(label=1.0)
    bench.propose("fallback")
    bench.step()
    version = bench.registry.get(bench.intent().result["version"])
    assert version.trained_to_at == START + 3 * HOUR
    assert bench.registry.load(version.name).predict({"x": np.zeros(1)})[0] == 0.0


# Which rows count.


def test_s12_a_window_counts_when_all_its_labels_came_or_have_had_their_time(bench: Bench) -> None:
    """Half a window's labels are no evidence before the horizon, and enough of them after it."""
    bench.close_windows(2)
    labels = bench.served[1].label
    labels[: ROWS // 60] = np.nan
    assert newest(world(bench), windows=9).windows == (START,)
    bench.clock.advance(3600)
    assert newest(world(bench), windows=9).windows == (START, START + HOUR)
    labels[: ROWS // 2] = np.nan
    assert newest(world(bench), windows=9).windows == (START,)


def test_a_window_that_is_not_over_does_not_count(bench: Bench) -> None:
    """Rows of a window that still runs are left out, labelled or not."""
    bench.close_windows(2)
    early = bench.world("flights", bench.clock.now() - timedelta(minutes=1))
    assert newest(early, windows=9).windows == (START,)


def test_evidence_since_a_moment_begins_with_the_next_whole_window(bench: Bench) -> None:
    """A window in which the alias moved is served by two versions, and judges neither."""
    bench.close_windows(3)
    assert since(world(bench), START + timedelta(minutes=5)).windows == (START + HOUR, START + 2 * HOUR)
    assert not is_missing(since(world(bench), START).rows.label).any()


def test_the_newest_windows_are_told_even_without_rows(bench: Bench) -> None:
    """Closed windows are counted by time alone."""
    bench.clock.advance(7300)
    assert newest_windows(world(bench), 2) == (START + HOUR, START)


def test_s11_a_shadow_without_an_output_is_wrong_on_every_row(bench: Bench) -> None:
    """A version that raised or was too slow loses against one that answered rightly."""
    bench.close_windows(2, label=0.0)
    rows = newest(world(bench), windows=2).rows
    assert compare(world(bench), rows, new=None, old=rows.output).mean == -1.0


def test_s4_a_version_that_serves_and_gives_no_answer_is_held_to_what_it_served(bench: Bench) -> None:
    """One late or killed shadow of the active version makes no other look better; without rows of its own, none is."""
    bench.close_windows(2, label=0.0, noise=0.3)
    rows = newest(world(bench), windows=2).rows
    asked = gains_against(world(bench), rows, ["one"], against="zero")
    assert asked["one"].mean < 0
    bench.worker = Mute("zero")
    assert gains_against(world(bench), rows, ["one"], against="zero") == asked
    assert refusal(bench, "rollback") == "no stored version does better on the newest labelled rows"
    foreign = replace(rows, version=np.full(len(rows), "one", dtype=object))
    assert gains_against(world(bench), foreign, ["one"], against="zero") == {}
    bench.registry.set_alias("one", if_current="zero", key="by hand", epoch=1, by="ada", at=START)
    bench.worker = Mute("one")
    assert "gave no answer" in refusal(bench, "rollback")


def test_s11_a_version_that_raises_is_wrong_but_for_what_it_served(bench: Bench) -> None:
    """On rows that others answered in its place it loses to any right answer; its own answers stand."""
    bench.close_windows(2, label=0.0, noise=0.3)
    rows = newest(world(bench), windows=2).rows
    asked = gains_against(world(bench), rows, ["one"], against="zero")
    bench.worker = Mute("zero", raised=True)
    assert gains_against(world(bench), rows, ["one"], against="zero") == asked
    foreign = replace(rows, version=np.full(len(rows), "substitute", dtype=object))
    against_silence = gains_against(world(bench), foreign, ["one"], against="zero")["one"]
    assert against_silence.mean == pytest.approx(rows.label.mean())


def test_many_rows_are_thinned_evenly(bench: Bench) -> None:
    """At most so many rows are compared, from the first to the last."""
    bench.close_windows(4)
    rows = newest(world(bench), windows=4).rows
    few = thin(rows, 10)
    assert len(few) == 10
    assert (few.at[0], few.at[-1]) == (rows.at[0], rows.at[-1])


def test_a_recalibration_is_asked_for_nowhere_else(bench: Bench) -> None:
    """It is fitted here, also where retrainings run on a server: a lost job is absent, and no server is asked."""
    bench.close_windows(6)
    intent = replace(bench.propose("retrain"), action="recalibrate")
    url = "http://127.0.0.1:9/jobs"
    elsewhere = ActionSettings(url=url, status_url=f"{url}/{{key}}")
    bench.settings = msgspec.structs.replace(bench.settings, actions={"retrain": elsewhere})
    assert Recalibrate().observe(intent, world(bench), epoch=1).seen is Seen.ABSENT
