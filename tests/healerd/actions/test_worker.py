"""Jobs: whatever foreign code does, the daemon learns how it ended, and nothing outlives its deadline."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from healerd.actions.job import TrainingJob, started_at
from healerd.actions.registry import Draft, Registry
from healerd.actions.worker import InlineWorker, Look, ProcessWorker, Run, Worker
from healerd.errors import ActionError, StoreAway
from healerd.model import VersionKind
from tests.healerd.actions.models import START, features

KEY = "0123456789abcdef" * 4


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ProcessWorker]:
    worker = ProcessWorker(tmp_path / "jobs", tmp_path / "logs", score_deadline_s=20.0)
    yield worker
    worker.close()


@pytest.fixture(params=["inline", "process"])
def worker(request: pytest.FixtureRequest) -> Worker:
    return InlineWorker() if request.param == "inline" else request.getfixturevalue("process")


def a_job(registry: Registry, entry: str, *, deadline_s: float = 30.0) -> TrainingJob:
    draft = Draft(name="fitted", key=KEY, kind=VersionKind.MODEL, created_at=START)
    return TrainingJob(
        key=KEY,
        entry=entry,
        registry=registry,
        draft=draft,
        features=features(40),
        label=np.full(40, 3.0),
        deadline_s=deadline_s,
    )


def test_a_job_stores_what_it_fitted(registry: Registry, trainers: str, worker: Worker) -> None:
    """The trained model lies in the registry under the job's name and key."""
    worker.start(a_job(registry, f"{trainers}:mean"))
    worker.wait(KEY)
    assert registry.made_by(KEY, "fitted") is not None
    assert worker.score(registry, ["fitted"], features(2))["fitted"].output == pytest.approx([3.0, 3.0])
    assert worker.look(KEY).run is Run.ABSENT


def test_a_plain_estimator_is_trained_as_the_guide_says(registry: Registry, trainers: str, worker: Worker) -> None:
    """A function may return an estimator that takes a matrix: it is given the columns in the order of its training."""
    worker.start(a_job(registry, f"{trainers}:plain"))
    worker.wait(KEY)
    assert worker.look(KEY).reason == ""
    assert worker.score(registry, ["fitted"], features(2))["fitted"].output == pytest.approx([3.0, 3.0])


def test_the_configured_args_reach_the_training_function(registry: Registry, worker: Worker) -> None:
    """What `actions.retrain.args` holds is handed to the entry by name: a chosen estimator is the one fitted."""
    job = a_job(registry, "healerd.offline.estimator:fit")
    worker.start(replace(job, args={"estimator": "sklearn.linear_model:Ridge", "task": "regression"}))
    worker.wait(KEY)
    assert type(registry.load("fitted").estimator).__name__ == "Ridge"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (":raising", "no such column"),
        (":shapeless", "has no `predict"),
        (":missing", "no training function"),
        ("", "no training function"),
    ],
)
def test_a_failed_job_says_why(registry: Registry, trainers: str, worker: Worker, entry: str, said: str) -> None:
    """What the training code raised is the reason of the failure, and nothing is stored."""
    worker.start(a_job(registry, f"{trainers}{entry}"))
    worker.wait(KEY)
    look = worker.look(KEY)
    assert look.run is Run.FAILED
    assert said in look.reason
    assert registry.names() == ("a", "b")


def test_a_job_that_dies_has_failed(registry: Registry, trainers: str, process: ProcessWorker) -> None:
    """A job killed from outside is a failure, not an endless wait."""
    process.start(a_job(registry, f"{trainers}:dying"))
    process.wait(KEY)
    assert process.look(KEY).reason == "its process died"


def test_a_place_for_jobs_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    """A disk without room for a folder is the world's trouble, and no bug."""
    (tmp_path / "full").write_text("")
    with pytest.raises(StoreAway, match="free some disk space"):
        ProcessWorker(tmp_path / "full" / "jobs", tmp_path / "logs")


class KillsItsReader:
    """A registry whose reader is killed, as the kernel does when memory runs out."""

    def __reduce__(self):
        return (kill_this_process, ())


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_whose_process_dies_before_it_has_its_rows_is_a_failure_of_the_world(process: ProcessWorker) -> None:
    """A process killed while it reads its job ends no daemon: the job has not begun, and no version has answered."""
    many = {"x": np.zeros(200_000)}
    with pytest.raises(ActionError, match="could not be started"):
        process.start(replace(a_job(KillsItsReader(), "m:f"), features=many))
    assert process.look(KEY).run is Run.ABSENT
    scored = process.score(KillsItsReader(), ["a", "b"], many)
    assert {one.output for one in scored.values()} == {None}
    assert "could not be started" in scored["b"].error


def test_a_job_is_killed_at_its_deadline_with_what_it_started(
    registry: Registry, trainers: str, process: ProcessWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process of a job is alive a second after its deadline; what it printed is kept."""
    note = child_of(tmp_path, trainers)
    process.start(a_job(registry, f"{trainers}:sleeping", deadline_s=3.0))
    assert process.look(KEY).run is Run.RUNNING
    process.wait(KEY)
    assert process.look(KEY).reason == "killed at its deadline of 3 s"
    assert gone(int(note.read_text()))
    assert "asleep" in (tmp_path / "logs" / f"job-{KEY[:12]}.log").read_text()


def test_jobs_that_are_over_hold_no_descriptors(process: ProcessWorker, registry: Registry, trainers: str) -> None:
    """A daemon has as many open descriptors after many trainings as after the first, and can still be closed."""

    def train(number: int) -> int:
        key = f"{number:064}"
        process.start(replace(a_job(registry, f"{trainers}:missing"), key=key))
        process.wait(key)
        assert process.look(key).run is Run.FAILED
        return len(list(Path("/proc/self/fd").iterdir()))

    assert {train(number) for number in range(4)} == {train(4)}
    process.close()


def test_a_version_that_raises_or_hangs_has_no_output(registry: Registry, trainers: str, tmp_path: Path) -> None:
    """One bad version does not spoil the others: it alone has no output, and the reason is said."""
    inline = InlineWorker()
    for name, entry in (("hangs", "hanging"), ("fits", "mean")):
        job = a_job(registry, f"{trainers}:{entry}")
        draft = Draft(name=name, key=name, kind=VersionKind.MODEL, created_at=START)
        inline.start(
            TrainingJob(
                key=name,
                entry=job.entry,
                registry=job.registry,
                draft=draft,
                features=job.features,
                label=job.label,
                deadline_s=1.0,
            )
        )
    worker = ProcessWorker(tmp_path / "jobs", tmp_path / "logs", score_deadline_s=4.0)
    scored = worker.score(registry, ["a", "hangs", "nowhere", "fits"], features(30))
    assert scored["hangs"].output is None
    assert scored["hangs"].error == "no answer before its deadline"
    assert "no version `nowhere`" in scored["nowhere"].error
    assert not any(score.raised for score in scored.values())
    assert scored["a"].output == pytest.approx(np.zeros(30))
    assert scored["fits"].output == pytest.approx(np.full(30, 3.0))


class Raising:
    """A registry whose every model raises the same."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def load(self, _name):
        return self

    def predict(self, _features):
        raise self._error


@pytest.mark.parametrize(("error", "raised"), [(ValueError("unseen category"), True), (MemoryError(), False)])
def test_s11_only_what_a_model_itself_raises_speaks_against_it(error: Exception, raised: bool) -> None:
    """Memory that is short says nothing of the model that asked for it."""
    scored = InlineWorker().score(Raising(error), ["a"], features(3))["a"]
    assert (scored.output, scored.raised) == (None, raised)


DAEMON = """
import sys, time
from pathlib import Path
import numpy as np
from datetime import UTC, datetime
from healerd.actions.job import TrainingJob
from healerd.actions import FolderRegistry
from healerd.actions.registry import Draft
from healerd.actions.worker import ProcessWorker
from healerd.model import VersionKind

def main(folder, code, entry, key):
    sys.path.insert(0, code)
    worker = ProcessWorker(folder / "jobs", folder / "logs")
    draft = Draft(name="fitted", key=key, kind=VersionKind.MODEL, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    worker.start(TrainingJob(key=key, entry=entry, registry=FolderRegistry(folder / "registry", "flights"), draft=draft,
        features={"x": np.arange(40.0)}, label=np.full(40, 3.0), deadline_s=60.0))
    print("started", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
"""


def test_s14_a_job_dies_with_its_daemon(
    registry: Registry, trainers: str, process: ProcessWorker, tmp_path: Path
) -> None:
    """After kill -9 of the daemon the kernel ends the job and all it started, and the job is absent."""
    note = child_of(tmp_path, trainers)
    script = tmp_path / "daemon.py"
    script.write_text(DAEMON)
    command = [sys.executable, str(script), str(tmp_path), str(tmp_path / "code"), f"{trainers}:sleeping", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        wait_until(lambda: note.exists() and note.read_text())
        assert process.look(KEY).run is Run.RUNNING
        daemon.kill()
    wait_until(lambda: process.look(KEY).run is Run.ABSENT)
    wait_until(lambda: gone(int(note.read_text())))


def test_a_job_that_its_daemon_ended_is_absent_and_not_failed(
    registry: Registry, trainers: str, process: ProcessWorker, tmp_path: Path
) -> None:
    """A daemon that is stopped in a training leaves it to the next one: a restart is no failure of a heal."""
    note = child_of(tmp_path, trainers)
    process.start(a_job(registry, f"{trainers}:sleeping"))
    wait_until(lambda: note.exists() and note.read_text())
    process.close()
    next_one = ProcessWorker(tmp_path / "jobs", tmp_path / "logs")
    assert next_one.look(KEY) == Look(run=Run.ABSENT)
    wait_until(lambda: gone(int(note.read_text())))


def test_a_process_number_used_again_is_not_the_job(process: ProcessWorker, tmp_path: Path) -> None:
    """A note of an earlier boot that names a living process of another start does not mean that the job runs."""
    (tmp_path / "jobs" / f"{KEY[:40]}.json").write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')
    assert process.look(KEY).run is Run.ABSENT


def child_of(folder: Path, trainers: str) -> Path:
    """Have the training that sleeps write the number of the process that it starts into a file; give that."""
    note, code = folder / "child", folder / "code" / f"{trainers}.py"
    code.write_text(code.read_text().replace('os.environ["HEALERD_TEST_CHILD"]', repr(str(note))))
    return note


def gone(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return True
    return started_at(pid) is None or " Z " in Path(f"/proc/{pid}/stat").read_text()


def wait_until(holds, *, within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)
