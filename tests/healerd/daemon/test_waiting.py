"""What the guards let wait does not happen, in whatever state it waits: announced, ready, begun before a crash.

A crash, or a registry that went away, may lie between the commit that an intent executes and its effect. What it finds
when it is taken up again is a moment like any other (SAFETY S7).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.actions import InlineWorker
from healerd.actions.job import Job
from healerd.daemon.rulings import Go, Ruling
from healerd.model import IntentState, Quality
from tests.healerd.daemon.bench import SETTINGS, Bench, with_healing

Make = Callable[..., Bench]
S = IntentState
WAIT = Ruling(go=Go.WAIT, reason="the clock was set")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds a bench with `zero` serving and `one` stored, where `one` has been right for a while."""
    made: list[Bench] = []

    def build(*, right: int = 5, **changes) -> Bench:
        made.append(Bench(tmp_path / str(len(made)), **changes).with_versions())
        made[-1].close_window(label=0.0)
        made[-1].close_windows(right, label=1.0)
        return made[-1]

    yield build
    for bench in made:
        bench.store.close()


def says(bench: Bench, ruling: Ruling) -> None:
    bench.guards.recheck_says = lambda _: ruling


BEGUN = [{"state": S.READY}, {"state": S.EXECUTING, "attempt": 1, "epoch": 1}]
"""An intent that is to start, and one that a crash left between its commit and its effect."""


@pytest.mark.parametrize("action", ["rollback", "retrain", "fallback"])
@pytest.mark.parametrize("begun", BEGUN, ids=["ready", "executing"])
def test_s7_what_has_to_wait_does_not_happen_until_it_may(make: Make, action: str, begun: dict[str, object]) -> None:
    """While the guards say wait nothing is done and no attempt counts, however often one looks; then it goes on."""
    bench = make()
    bench.propose(action, **begun)
    stored, attempts = bench.registry.names(), bench.intent().attempt
    says(bench, WAIT)
    for _ in range(7):
        bench.step()
    waits = bench.intent()
    assert (bench.registry.active, bench.registry.names()) == ("zero", stored)
    assert (waits.state, waits.attempt) == (begun["state"], attempts)
    assert waits.reason == "waits: the clock was set"
    says(bench, Ruling(go=Go.RUN))
    bench.step()
    assert bench.intent().attempt == attempts + 1
    assert bench.intent().state in {S.VERIFYING, S.CONFIRMED}


@pytest.mark.parametrize("begun", BEGUN, ids=["ready", "executing"])
def test_s16_nothing_goes_on_while_the_newest_window_is_not_judged(make: Make, begun: dict[str, object]) -> None:
    """Whatever the rules say: an intent that a crash interrupted waits for the newest window like one that is ready."""
    bench = make()
    bench.propose("rollback", **begun)
    bench.current = False
    bench.step()
    assert bench.registry.active == "zero"
    assert "not been judged" in bench.intent().reason
    bench.current = True
    bench.step()
    assert bench.registry.active == "one"


@pytest.mark.parametrize("begun", BEGUN, ids=["ready", "executing"])
def test_s10_nothing_goes_on_beside_another_intent(make: Make, begun: dict[str, object]) -> None:
    """An intent that a crash interrupted waits while another stands open on its pipeline."""
    bench = make()
    bench.propose("retrain", name="other", state=S.NEEDS_PERSON)
    bench.propose("rollback", **begun)
    bench.step()
    assert bench.registry.active == "zero"
    assert "`other` is `needs person`" in bench.intent().reason


@pytest.mark.parametrize("begun", BEGUN, ids=["ready", "executing"])
@pytest.mark.parametrize(
    ("ruling", "state"),
    [
        (Ruling(go=Go.ASK, veto_within_s=60.0, reason="stage is suggest"), S.ANNOUNCED),
        (Ruling(go=Go.REFUSE, reason="a freeze began"), S.WITHDRAWN),
    ],
    ids=["ask", "refuse"],
)
def test_s7_what_is_asked_anew_or_refused_does_not_happen_either(
    make: Make, begun: dict[str, object], ruling: Ruling, state: IntentState
) -> None:
    """The other two answers end the execution that a crash interrupted: it waits for people, or is withdrawn."""
    bench = make()
    bench.propose("rollback", **begun)
    says(bench, ruling)
    bench.step()
    assert bench.registry.active == "zero"
    assert (bench.intent().state, bench.intent().reason) == (state, ruling.reason)


@pytest.mark.parametrize("state", [S.ANNOUNCED, S.READY, S.EXECUTING])
def test_s7_a_step_that_has_to_wait_does_not_happen_until_it_may(make: Make, state: IntentState) -> None:
    """A promotion is asked about at its own start, whether it was announced, is ready, or was interrupted."""
    bench = make(right=8)
    bench.guards.step_says = lambda _plan, _confidence: Ruling(go=Go.ASK, veto_within_s=60.0)
    bench.propose("retrain")
    bench.step()
    promotion = bench.intent("h1-promote")
    assert promotion.state is S.ANNOUNCED
    changed = replace(promotion, state=state, attempt=int(state is S.EXECUTING))
    with bench.store.transaction() as tx:
        tx.replace(changed, expect=promotion)
    says(bench, WAIT)
    for _ in range(3):
        bench.clock.advance(60)
        bench.step()
    assert bench.registry.active == "zero"
    assert bench.intent("h1-promote").state is (S.READY if state is S.ANNOUNCED else state)
    says(bench, Ruling(go=Go.RUN))
    bench.step()
    assert bench.registry.active == bench.intent().result["version"]


# A refit: the same training once more, on more rows, after its candidate was accepted.


class Counted(InlineWorker):
    """A worker that counts what it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[str] = []

    def start(self, job: Job) -> None:
        self.trained.append(job.key)
        super().start(job)


@pytest.fixture
def refit(make: Make) -> Bench:
    """A retraining that has trained its candidate, of which the next window decides whether it is accepted."""
    bench = make(right=6, settings=with_healing(SETTINGS, refit=True), worker=Counted())
    bench.propose("retrain")
    bench.guards.recheck_says = lambda intent: Ruling(go=Go.RUN) if intent.state is S.READY else WAIT
    bench.step()
    assert bench.intent().result["phase"] == "refit"
    return bench


def trained(bench: Bench) -> int:
    """How often anything was trained."""
    assert isinstance(bench.worker, Counted)
    return len(bench.worker.trained)


def test_s7_a_refit_waits_for_the_guards_and_then_runs(refit: Bench) -> None:
    """Training anew begins when the guards say so at that moment, not because the first training might."""
    refit.step()
    assert (trained(refit), refit.intent().result["refit_attempt"]) == (1, 0)
    assert refit.intent().reason == "the refit waits: the clock was set"
    says(refit, Ruling(go=Go.RUN))
    refit.step()
    assert trained(refit) == 2
    assert refit.intent().result["phase"] == "shadow"
    assert refit.intent().result["refit"] != refit.intent().result["version"]


@pytest.mark.parametrize(
    "ruling",
    [Ruling(go=Go.REFUSE, reason="`ann` paused the pipeline"), Ruling(go=Go.ASK, reason="severity 2 is now 3")],
    ids=["refuse", "ask"],
)
def test_s15_a_refit_that_may_not_be_is_left_out(refit: Bench, ruling: Ruling) -> None:
    """Under a pause nothing trains: the candidate that is there goes into shadow, and says why it goes alone."""
    says(refit, ruling)
    refit.step()
    assert trained(refit) == 1
    assert refit.intent().result["refit"] == refit.intent().result["version"]
    assert refit.intent().reason == f"no refit: {ruling.reason}"
    refit.close_window(label=1.0)
    refit.step()
    assert refit.intent("h1-promote").target == refit.intent().result["version"]


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.UNKNOWN])
def test_s13_a_lost_refit_is_not_begun_again_on_bad_data(refit: Bench, quality: Quality) -> None:
    """A refit that was lost with a crash looks at the newest data before it trains again."""
    heal = refit.intent()
    with refit.store.transaction() as tx:
        tx.replace(replace(heal, result={**heal.result, "refit_attempt": 1}), expect=heal)
    says(refit, Ruling(go=Go.RUN))
    refit.quality = quality
    refit.step()
    assert trained(refit) == 1
    assert f"data is {quality}, not good" in refit.intent().reason


def test_a_refit_does_not_wait_for_ever(refit: Bench) -> None:
    """Once the patience of its heal has run out, the candidate goes on without it."""
    refit.clock.advance(timedelta(days=3).total_seconds())
    refit.step()
    assert trained(refit) == 1
    assert refit.intent().result.get("phase") == "shadow" or refit.intent().state is not S.CONFIRMED


def test_s15_a_stop_right_after_the_commit_keeps_a_refit_from_running(refit: Bench) -> None:
    """The file is read once more between the commit and the training."""
    stop = refit.reach.stop_file
    refit.guards.recheck_says = lambda _: (stop.write_text(""), Ruling(go=Go.RUN))[1]
    refit.step()
    assert trained(refit) == 1
    stop.unlink()
    says(refit, Ruling(go=Go.RUN))
    refit.step()
    assert trained(refit) == 2
