"""What actions do when the world does not play along: bad trainings, a registry that moves or lies, full disks."""

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from healerd.action_settings import ActionSettings
from healerd.actions import FolderRegistry, InlineWorker
from healerd.actions.model_files import ModelFiles
from healerd.actions.outside import Rows, write_rows
from healerd.config import Duration
from healerd.errors import ActionError, StoreError
from healerd.model import IntentState, Outcome, Quality, Result
from tests.healerd.actions.elsewhere import Jobs, serving
from tests.healerd.daemon.bench import SETTINGS, Bench

S = IntentState
Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def build(registry: FolderRegistry | None = None, **actions: ActionSettings) -> Bench:
        settings = msgspec.structs.replace(SETTINGS, actions={**SETTINGS.actions, **actions})
        made.append(Bench(tmp_path / str(len(made)), settings=settings, registry=registry).with_versions())
        return made[-1]

    yield build
    for bench in made:
        bench.store.close()


def a_command(code: str) -> ActionSettings:
    return ActionSettings(command=[sys.executable, "-c", code], deadline=Duration(60))


WRITES = """
import os, numpy as np, skops.io
from sklearn.dummy import DummyRegressor
x = np.ones((9, {columns}))
model = DummyRegressor(strategy="constant", constant={value}).fit(x, np.full(9, 5.0))
skops.io.dump(model, os.environ["HEALERD_MODEL"] + ".skops")
"""


def wait_out(bench: Bench, label: float) -> None:
    for _ in range(12):
        bench.close_window(label=label)
        bench.step()


# Retrainings by a command.


def test_a_command_that_trains_a_better_model_heals(make: Make) -> None:
    """The model that a command leaves is judged, promoted and verified like any other."""
    bench = make(retrain=a_command(WRITES.format(columns=1, value=1.0)))
    bench.close_windows(3, label=1.0)
    bench.propose("retrain")
    bench.step()
    assert bench.registry.active == bench.intent().result["version"]
    bench.close_windows(2, label=1.0)
    bench.step()
    bench.step()
    assert bench.intent().state is S.VERIFIED


def test_an_exit_code_of_0_with_a_worse_model_is_refused(make: Make) -> None:
    """A command may call it a success: on rows that the model never saw it is no better, so nothing moves."""
    bench = make(retrain=a_command(WRITES.format(columns=1, value=3.0)))
    bench.close_windows(6, label=1.0)
    bench.propose("retrain")
    bench.step()
    assert "not accepted yet: no sure gain" in bench.intent().reason
    wait_out(bench, 1.0)
    assert (bench.intent().state, bench.registry.active) == (S.REFUSED, "zero")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "wrote no model"),
        ("raise SystemExit(4)", "exit code 4"),
        ("import os; open(os.environ['HEALERD_MODEL'] + '.skops', 'w').write('x')", "cannot be loaded"),
    ],
)
def test_a_training_that_leaves_nothing_usable_ends_with_its_reason(make: Make, code: str, said: str) -> None:
    """The intent has failed, its record says why, and its outcome teaches nothing."""
    bench = make(retrain=a_command(code))
    bench.close_windows(4, label=1.0)
    bench.propose("retrain")
    bench.step()
    assert (bench.intent().state, said in bench.intent().reason) == (S.FAILED, True)
    assert bench.store.get(Outcome, "h1").result is Result.FAILED
    assert bench.registry.names() == ("one", "zero")


def test_a_job_elsewhere_that_nobody_can_tell_of_waits_for_a_person(make: Make) -> None:
    """A server that never answers leaves the retraining unknown: it is neither repeated nor forgotten."""
    way = ActionSettings(url="http://127.0.0.1:9/", status_url="http://127.0.0.1:9/{key}", deadline=Duration(1))
    bench = make(retrain=way)
    bench.close_windows(4, label=1.0)
    bench.propose("retrain")
    bench.step()
    assert (bench.intent().state, "cannot be reached" in bench.intent().reason) == (S.NEEDS_PERSON, True)


def test_s14_a_job_elsewhere_is_asked_for_after_a_restart_before_it_is_begun_again(make: Make) -> None:
    """What a lost daemon began is found by its key: the job that runs there is followed, and posted once."""
    with serving(Jobs()) as jobs:
        way = ActionSettings(
            url=f"{jobs.address}/jobs", status_url=f"{jobs.address}/{{key}}", deadline=Duration(1), poll=Duration(0.1)
        )
        bench = make(retrain=way)
        bench.close_windows(4, label=1.0)
        jobs.says = [(200, {"state": "running"})]
        bench.propose("retrain", state=S.EXECUTING, attempt=1, executed_at=bench.clock.now())
        bench.worker = InlineWorker()
        bench.start_anew()
        bench.step()
        assert jobs.begun == {}
        assert bench.intent().state is S.NEEDS_PERSON, "still running at the deadline is unknown"


# Recalibration and the kinds of fallback.


def test_a_recalibration_is_judged_promoted_verified_and_can_be_undone(make: Make) -> None:
    """A bias is taken out of the answers around the model; when the world turns back, the correction is undone."""
    bench = make(recalibrate=ActionSettings(method="offset"))
    bench.close_windows(5, label=0.37)
    bench.propose("recalibrate")
    bench.step()
    made = bench.intent().result["version"]
    assert made.startswith("recalibrate-")
    assert bench.registry.active == made
    assert bench.registry.load(made).predict({"x": np.zeros(2)}) == pytest.approx([0.37, 0.37])
    bench.close_windows(3, label=0.0)
    bench.step()
    bench.step()
    assert bench.registry.active == "zero"
    assert bench.intent("h1-promote").state is S.UNDONE


def test_s13_nothing_is_recalibrated_on_bad_data(make: Make) -> None:
    """A correction learns from the newest rows, so it waits for good ones."""
    bench = make(recalibrate=ActionSettings())
    bench.close_windows(5, label=0.37)
    bench.propose("recalibrate")
    bench.quality = Quality.BAD
    bench.step()
    assert bench.intent().state is S.WITHDRAWN


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        (ActionSettings(constant=7.0), 7.0),
        (ActionSettings(constant="none"), "none"),
        (ActionSettings(version="one"), 1.0),
    ],
)
def test_a_fallback_serves_what_the_configuration_names_and_comes_back(make: Make, settings, answer) -> None:
    """A constant or a stored version serves during a fallback, and undo brings the model back."""
    bench = make(fallback=settings)
    bench.close_windows(3, label=1.0)
    bench.propose("fallback")
    bench.step()
    active = bench.registry.active
    assert bench.registry.load(active).predict({"x": np.zeros(2)}).tolist() == [answer, answer]
    assert (active == "one") == (settings.version == "one")
    bench.quality = Quality.GOOD
    for _ in range(6):
        bench.serve(active, 0.0)
        with bench.store.transaction() as tx:
            tx.set_watermark("flights", bench.clock.now())
        bench.step()
    assert bench.registry.active == "zero"


# The registry.


class Strange(FolderRegistry):
    """A registry that can lie, be out of reach, have no room, or be moved by somebody else in the last moment."""

    lies = gone = full = False
    meddle: Callable[[], object] | None = None

    def alias(self):
        if self.gone:
            raise ActionError("registry `http://registry` cannot be reached: connection refused")
        return super().alias()

    def raise_fence(self, epoch):
        if self.gone:
            raise ActionError("registry `http://registry` cannot be reached: connection refused")
        return super().raise_fence(epoch)

    def set_alias(self, target, **moved):
        if self.meddle is not None:
            self.meddle()
        if self.lies:
            return None
        if self.full:
            with no_room():
                return super().set_alias(target, **moved)
        return super().set_alias(target, **moved)

    def add(self, model, draft):
        if self.full:
            with no_room():
                return super().add(model, draft)
        return super().add(model, draft)


@contextmanager
def no_room() -> Iterator[None]:
    """Let every write of this process fail, as on a full disk."""
    before, old = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


@pytest.fixture
def strange(make: Make, tmp_path: Path) -> Bench:
    bench = make(registry=Strange(tmp_path / "strange", "flights", ModelFiles(allow_pickle=True)))
    bench.close_windows(3, label=1.0)
    return bench


def test_an_alias_that_somebody_else_moves_meanwhile_is_left_alone(strange: Bench) -> None:
    """The compare-and-set fails: the heal ends and says so; what is proposed next starts from where it stands now."""
    strange.add_version("two", 2.0)
    strange.propose("rollback")
    move = FolderRegistry.set_alias
    now = strange.clock.now()
    strange.registry.meddle = lambda: move(
        strange.registry, "two", if_current="zero", key="theirs", epoch=1, by="ann", at=now
    )
    strange.step()
    assert (strange.intent().state, strange.registry.active) == (S.FAILED, "two")
    assert "somebody else moved it" in strange.intent().reason
    strange.registry.meddle = None
    again = strange.propose("rollback", name="h2")
    strange.step()
    assert (again.current, strange.registry.active) == ("two", "one")


def test_a_registry_that_lies_is_not_believed(strange: Bench) -> None:
    """A move that is said to have been made and is not there is tried a few times, then has failed, with its reason."""
    strange.propose("rollback")
    strange.registry.lies = True
    for _ in range(8):
        strange.step()
    assert (strange.intent().state, strange.registry.active) == (S.FAILED, "zero")
    assert "no effect after 5 attempts" in strange.intent().reason


def test_a_registry_out_of_reach_holds_what_has_not_begun(strange: Bench) -> None:
    """A ready heal waits and says why; when the registry is back it runs, once."""
    strange.propose("rollback")
    strange.registry.gone = True
    strange.step()
    assert (strange.intent().state, "cannot be reached" in strange.intent().reason) == (S.READY, True)
    strange.registry.gone = False
    strange.step()
    assert strange.registry.active == "one"


def test_a_registry_lost_in_the_middle_is_unknown_and_asks(strange: Bench) -> None:
    """When nobody can tell whether the alias moved, a person is asked, and nothing is repeated."""
    strange.propose("rollback")
    strange.registry.meddle = lambda: setattr(strange.registry, "gone", True)
    strange.step()
    assert strange.intent().state is S.NEEDS_PERSON
    strange.registry.gone, strange.registry.meddle = False, None
    strange.step()
    assert strange.intent().state is S.NEEDS_PERSON
    assert [move.key for move in strange.registry.alias().moves].count(strange.intent().key) == 1


# Full disks, phase by phase.


@pytest.mark.parametrize("action", ["rollback", "fallback", "retrain"])
def test_a_full_registry_disk_fails_the_action_and_changes_nothing(strange: Bench, action: str) -> None:
    """Storing a version or moving the alias without room is a failure with its reason; what served goes on serving."""
    strange.propose(action)
    strange.registry.full = True
    strange.step()
    assert (strange.intent().state, bool(strange.intent().reason)) == (S.FAILED, True)
    assert (strange.registry.active, strange.registry.names()) == ("zero", ("one", "zero"))
    strange.registry.full = False
    strange.propose("rollback", name="h2")
    strange.step()
    assert strange.registry.active == "one"


def test_without_room_for_the_record_nothing_is_done(strange: Bench) -> None:
    """An intent whose next state cannot be written touches nothing; with room again it runs."""
    strange.propose("rollback")
    with no_room(), pytest.raises(StoreError):
        strange.step()
    assert strange.registry.active == "zero"
    strange.step()
    assert strange.registry.active == "one"


def test_training_rows_without_room_are_a_failure(tmp_path: Path) -> None:
    """Rows that cannot be written for a command end the job, by name."""
    rows = Rows(features={"x": np.arange(50_000.0)}, label=np.arange(50_000.0))
    with no_room(), pytest.raises(ActionError, match="cannot be written"):
        write_rows(tmp_path, rows, "parquet")


def test_no_version_is_pruned_that_serves_or_is_spoken_of(strange: Bench) -> None:
    """The newest stay, and always the one that serves, the one before it, and what an open intent names."""
    for number in range(12):
        strange.add_version(f"v{number:02}", float(number))
    strange.propose("rollback")
    strange.step()
    assert strange.intent().state is S.VERIFYING
    gone = strange.registry.prune(keep=3, referenced={"v00"})
    assert {"zero", "v00", strange.registry.active} <= set(strange.registry.names())
    assert len(strange.registry.names()) == 3
    assert not {"zero", "v00"} & set(gone)
