"""Incidents looked into by the running core: once, bounded, recorded; told in the trace and in the question."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd.client.reproduce import decisions, reproduce
from healerd.client.review import intent as look_at_intent
from healerd.decision import Diagnosis, Situation, diagnosis_said, from_json, page
from healerd.detectors.diagnosis import Change
from healerd.model import Decision, Layer
from healerd.model import Quality as Q
from tests.healerd.daemon.loop import NAME, START, Loop


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path / "loop")
    yield made
    made.core.close()


def situations(loop: Loop) -> list[Situation]:
    return [from_json(one.trace["situation"]) for one in loop.core.store.find(Decision) if one.window_end_at]


def newest(loop: Loop) -> Diagnosis:
    found = situations(loop)[-1].diagnosis
    assert found is not None
    return found


def test_a_turned_relation_is_called_a_concept_shift_with_its_features_and_rows(loop: Loop) -> None:
    """Harm with still inputs: a concept shift, no feature beyond chance, the rows not told from those before."""
    loop.play(3)
    loop.play(3, turned=True)
    found = newest(loop)
    assert (found.change, found.layers[0]) == (Change.CONCEPT, Layer.HARM)
    assert found.apart is not None
    assert found.apart.low <= 0.5 <= found.apart.high
    said = " ".join(diagnosis_said(found))
    assert "looks like a concept shift" in said
    assert "None of 3 inputs and outputs moved by more than chance" in said
    assert "cannot be told from the rows before" in said
    assert f"from {START:%Y-%m-%d} 03:00, when the evidence began" in said


def test_moved_inputs_are_named_with_distances_since_when_and_told_apart(loop: Loop) -> None:
    """Covariate drift: the feature that moved comes first, with KS, PSI, Wasserstein and a false-discovery rate."""
    loop.play(3)
    loop.play(2, moved=1.5)
    found = newest(loop)
    first = next(one for one in found.features if one.layer is Layer.DRIFT)
    assert first.name == "x"
    assert first.q_value < 1e-6
    assert min(first.ks, first.psi, first.wasserstein) > 0.3
    assert first.since_at >= START
    assert found.apart.low > 0.6
    assert found.apart.importances[0][0] == "x"
    assert found.change in {Change.COVARIATE, Change.BOTH}


def test_it_is_made_once_and_again_only_when_another_alarm_joins(loop: Loop) -> None:
    """While the alarms stay the same the same look is carried on; a new kind of alarm is looked into anew."""
    loop.play(3)
    loop.play(4, moved=1.5)
    seen = [one.diagnosis for one in situations(loop) if one.diagnosis is not None]
    made = {(one.to_at, one.layers) for one in seen}
    assert len({one.layers for one in seen}) == len(made)
    assert len(seen) > len(made)
    assert seen[-1].rows == next(one.rows for one in seen if one.layers == seen[-1].layers)


def test_without_an_incident_there_is_none(loop: Loop) -> None:
    """A healthy pipeline is not looked into, and its trace holds no word of it."""
    loop.play(3)
    assert all(one.diagnosis is None for one in situations(loop))
    assert "diagnosis" not in loop.decision().trace["situation"]


def test_whether_it_came_at_once_is_told_as_soon_as_windows_can_tell(loop: Loop) -> None:
    """A course that three windows cannot tell is judged again at later windows: here it came at once, at 12:00."""
    loop.play(12)
    loop.play(3, turned=True)
    early = newest(loop)
    loop.play(6, turned=True)
    late = newest(loop)
    assert early.course == "unclear" or early.course_at is not None
    assert late.course == "sudden"
    assert (late.course_of, f"{late.course_at:%H:%M}") == ("the error", "12:00")
    assert "It came at once, at 2026-01-01 12:00" in page(loop.decision())


def test_a_concept_that_returns_offers_the_stored_version_that_was_best_on_it(loop: Loop) -> None:
    """The version that knows the returned relation is named with its gain, and it is what a rollback aims at."""
    loop.add("other", -1.0, activate=False)
    loop.play(3)
    loop.play(4, turned=True)
    found, situation = newest(loop), situations(loop)[-1]
    assert found.stored == situation.target("rollback").version == "other"
    assert found.p_stored_better > 0.99
    assert "a concept that returns: the stored `other` errs on" in page(loop.decision())


def test_a_diagnosis_is_recorded_never_made_again(loop: Loop) -> None:
    """Every decision, with its diagnosis, is reproduced bit for bit from its trace, after a restart too."""
    loop.play(3)
    loop.play(3, turned=True)
    before = newest(loop)
    loop.reopen()
    loop.play(1, turned=True)
    assert (newest(loop).incident_id, newest(loop).features) == (before.incident_id, before.features)
    found = decisions(loop.core.store)
    assert len(found) >= 7
    assert [one.problem for one in reproduce(loop.core.store, found)] == [""] * len(found)


def test_the_question_to_people_tells_the_diagnosis(loop: Loop) -> None:
    """What an intent asks comes with what was found."""
    loop.play(3)
    loop.play(4, turned=True)
    asked = loop.intents(action="retrain")[0]
    view = look_at_intent(loop.core.store, [NAME], loop.clock.now(), {"id": asked.id})
    assert any("concept shift" in line for line in view["review"]["diagnosis"])


def test_bad_data_is_looked_into_without_a_failure(loop: Loop) -> None:
    """A feature that is all missing has no law to compare: it is told as missing, and the tick goes on."""
    loop.play(2)
    loop.play(2, broken=True)
    assert loop.core.pipelines[NAME].qualities[START.replace(hour=3)] is Q.BAD
    found = newest(loop)
    assert "100% missing" in {one.law for one in found.features}


def test_nothing_heavy_is_loaded_before_an_incident_asks_for_it() -> None:
    """Importing the core loads no part of scikit-learn."""
    code = "import sys, healerd.daemon.core; sys.exit(any(name.startswith('sklearn') for name in sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )
