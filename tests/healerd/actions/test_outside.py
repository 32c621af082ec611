"""Training by somebody else's program: a command under limits, or a job elsewhere; whatever it does is told."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from healerd.actions import Draft, FolderRegistry
from healerd.actions.command import LOG_BYTES_MAX, Limits
from healerd.actions.job import TrainingJob
from healerd.actions.outside import Outside, Rows, write_rows
from healerd.actions.remote import Remote
from healerd.actions.worker import LOG_BYTES_MAX as JOB_LOG_MAX
from healerd.actions.worker import Look, ProcessWorker, Run
from healerd.model import VersionKind
from tests.healerd.actions.elsewhere import Jobs, serving
from tests.healerd.actions.models import START

KEY = "fedcba9876543210" * 4
LIMITS = Limits(deadline_s=20.0, file_bytes=50_000_000)

TRAIN = """
import os, duckdb, numpy as np, skops.io
from sklearn.linear_model import LinearRegression
rows = duckdb.sql(f"select * from '{os.environ['HEALERD_ROWS']}'").fetchnumpy()
label = np.asarray(rows.pop(os.environ["HEALERD_LABEL"]), dtype=float)
print("healerd: progress 0.4 reading", flush=True)
x = np.column_stack([np.asarray(column, dtype=float) for column in rows.values()])
skops.io.dump(LinearRegression().fit(x, label), os.environ["HEALERD_MODEL"] + ".skops")
"""


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    made = FolderRegistry(tmp_path / "registry", "flights")
    made.prepare()
    return made


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[ProcessWorker]:
    made = ProcessWorker(tmp_path / "jobs", tmp_path / "logs", preload=("healerd.actions.job",))
    yield made
    made.close()


def a_job(registry: FolderRegistry, outside: Outside) -> TrainingJob:
    x = np.arange(40.0)
    return TrainingJob(
        key=KEY,
        entry="",
        registry=registry,
        draft=Draft(name="fitted", key=KEY, kind=VersionKind.MODEL, created_at=START),
        features={"x": x, "y": x[::-1].copy()},
        label=x * 2 + 1,
        deadline_s=outside.remote.deadline_s if outside.remote else outside.limits.deadline_s,
        outside=outside,
    )


def by(code: str, **changes: object) -> Outside:
    return Outside(command=(sys.executable, "-c", code), **{"limits": LIMITS, **changes})


def ended(worker: ProcessWorker, job: TrainingJob) -> Look:
    worker.start(job)
    worker.wait(job.key)
    return worker.look(job.key)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_command_trains_from_the_rows_it_is_given(registry, worker, file_format: str) -> None:
    """The rows reach the command as a file, and what it writes to `$HEALERD_MODEL` becomes the version."""
    look = ended(worker, a_job(registry, by(TRAIN, file_format=file_format)))
    assert look == Look(run=Run.ABSENT)
    out = registry.load("fitted").predict({"x": np.array([100.0]), "y": np.array([-61.0])})
    assert out == pytest.approx([201.0])
    assert not list(worker._folder.glob("*.work"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "ended well and wrote no model"),
        ("import sys; print('no such column'); sys.exit(3)", "exit code 3: no such column"),
        ("import os; open(os.environ['HEALERD_MODEL'] + '.skops', 'w').write('rubbish')", "cannot be loaded"),
        ("import os, pickle; open(os.environ['HEALERD_MODEL'] + '.pkl', 'wb').write(pickle.dumps(1))", "allow_pickle"),
        (
            "import os\nfor end in ('.skops', '.onnx'): open(os.environ['HEALERD_MODEL'] + end, 'w').write('x')",
            "write one file",
        ),
        (
            "import os, numpy as np, skops.io\nfrom sklearn.linear_model import LinearRegression\n"
            "x = np.ones((9, 5)); m = LinearRegression().fit(x, x[:, 0])\n"
            "skops.io.dump(m, os.environ['HEALERD_MODEL'] + '.skops')",
            "5 features",
        ),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("import os; open(os.environ['HEALERD_MODEL'] + '.skops', 'wb').write(b'x' * 60_000_000)", "too large"),
    ],
    ids=["nothing", "fails", "corrupt", "pickle", "two", "wrong-shape", "dies", "fills-the-disk"],
)
def test_a_bad_training_is_refused_with_its_reason(registry, worker, code: str, said: str) -> None:
    """Whatever a command does wrong, the job fails, says why, and nothing is stored."""
    look = ended(worker, a_job(registry, by(code)))
    assert look.run is Run.FAILED
    assert said in look.reason
    assert registry.names() == ()


def test_a_missing_program_is_refused(registry, worker) -> None:
    """A command that cannot be started has failed, by name."""
    look = ended(worker, a_job(registry, Outside(command=("/no/such/program",), limits=LIMITS)))
    assert (look.run, "/no/such/program" in look.reason) == (Run.FAILED, True)


def test_cpu_and_memory_are_limited(registry, worker) -> None:
    """Beyond its CPU time or its memory a command is ended, and the reason says which."""
    busy = Limits(deadline_s=20.0, cpu_s=1.0)
    assert "CPU time" in ended(worker, a_job(registry, by("while True: pass", limits=busy))).reason
    small = Limits(deadline_s=20.0, memory_bytes=100_000_000)
    assert "MemoryError" in ended(worker, a_job(registry, by("x = bytearray(500_000_000)", limits=small))).reason


FORKS = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({note!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists({note!r}) or not open({note!r}).read(): time.sleep(0.01)
{after}
"""


@pytest.mark.parametrize("after", ["time.sleep(600)", "sys.exit(0)"])
def test_nothing_that_a_command_forked_outlives_it(registry, worker, tmp_path: Path, after: str) -> None:
    """At the deadline, or when the command ends, its children are killed, also those in a session of their own."""
    note = tmp_path / "child"
    limits = Limits(deadline_s=2.0)
    look = ended(worker, a_job(registry, by(FORKS.format(note=str(note), after=after), limits=limits)))
    assert ("killed at its deadline of 2 s" if "sleep" in after else "wrote no model") in look.reason
    assert not Path(f"/proc/{int(note.read_text())}").exists()


def test_a_gigabyte_of_output_is_cut_with_a_mark(registry, worker, tmp_path: Path) -> None:
    """However much a command prints, its log keeps the beginning and a mark, and its last words stay known."""
    code = "import os\nfor _ in range(16000): os.write(1, b'x' * 65536)\nraise SystemExit('\\nthat was it')"
    look = ended(worker, a_job(registry, by(code)))
    assert "that was it" in look.reason
    log = tmp_path / "logs" / f"job-{KEY[:12]}.log"
    assert LOG_BYTES_MAX < log.stat().st_size < min(2 * LOG_BYTES_MAX, JOB_LOG_MAX)
    assert "the log ends here" in log.read_text()


def test_progress_is_told_in_tenths(registry, worker) -> None:
    """A line `healerd: progress 0.47 text` is what the job says of itself while it runs."""
    code = "import time; print('healerd: progress 0.47 second of four', flush=True); time.sleep(600)"
    worker.start(a_job(registry, by(code)))
    until = time.monotonic() + 15
    while not (look := worker.look(KEY)).reason:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert look == Look(run=Run.RUNNING, reason="40%: second of four")


def test_rows_come_out_as_they_were(tmp_path: Path) -> None:
    """Text, numbers and missing values survive the file; a feature called `label` keeps its name."""
    rows = Rows(
        features={"label": np.array([1.5, np.nan]), 'a "b"': np.array(["x", None], dtype=np.object_)},
        label=np.array(["yes", "no"], dtype=np.object_),
    )
    file, label = write_rows(tmp_path, rows, "parquet")
    assert duckdb.sql(f"select * from '{file}'").fetchall() == [(1.5, "x", "yes"), (None, None, "no")]
    assert label == "label_"


# Jobs elsewhere.


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with serving(Jobs()) as made:
        yield made


def remote(jobs: Jobs, *, deadline_s: float = 20.0, only_ask: bool = False) -> Outside:
    at = Remote(
        url=f"{jobs.address}/jobs", status_url=f"{jobs.address}/jobs/{{key}}", poll_s=0.05, deadline_s=deadline_s
    )
    return Outside(limits=LIMITS, remote=at, only_ask=only_ask)


def a_model_file(folder: Path) -> str:
    x = np.arange(40.0)
    path = folder / "trained.skops"
    skops.io.dump(LinearRegression().fit(np.column_stack([x, x[::-1]]), x * 2 + 1), path)
    return str(path)


def test_a_job_elsewhere_is_begun_once_and_followed(registry, worker, jobs, tmp_path: Path) -> None:
    """The key goes along, the job is asked for until it is done, and the model that it names becomes the version."""
    done = {"state": "done", "model": a_model_file(tmp_path)}
    jobs.begins = [(404, {}), (503, {}), (200, {"state": "running", "progress": 0.5}), (200, done)]
    assert ended(worker, a_job(registry, remote(jobs))) == Look(run=Run.ABSENT)
    assert jobs.begun == {KEY: 1}
    assert {"key", "pipeline", "rows", "label", "count"} == set(jobs.bodies[0])
    assert registry.made_by(KEY, "fitted") is not None


def test_a_job_that_the_server_knows_is_not_begun_again(registry, worker, jobs, tmp_path: Path) -> None:
    """After a restart the server is asked first: a job that it has is followed, never posted a second time."""
    jobs.says = [(200, {"state": "running"}), (200, {"state": "done", "model": a_model_file(tmp_path)})]
    assert ended(worker, a_job(registry, remote(jobs))).run is Run.ABSENT
    assert jobs.begun == {}


def test_a_stored_version_can_be_named(registry, worker, jobs) -> None:
    """A job may leave its model in the registry itself, and say which version it is."""
    from healerd.actions.safe_model import fit_safe_model

    registry.add(fit_safe_model({}, np.array([5.0])), Draft(name="theirs", kind=VersionKind.MODEL, created_at=START))
    jobs.begins = [(200, {"state": "done", "version": "theirs"})]
    assert ended(worker, a_job(registry, remote(jobs))).run is Run.ABSENT
    assert registry.load("fitted").predict({"x": np.zeros(1)}).tolist() == [5.0]


@pytest.mark.parametrize(
    ("says", "run", "said"),
    [
        ([(200, {"state": "failed", "reason": "no GPU"})], Run.FAILED, "no GPU"),
        ([(200, {"state": "done"})], Run.FAILED, "names neither"),
        ([(200, {"state": "done", "model": "/nowhere.skops"})], Run.FAILED, "is not there"),
        ([(200, {"state": "done", "version": "nowhere"})], Run.FAILED, "no version `nowhere`"),
        ([(200, "what?")], Run.UNKNOWN, "makes no sense"),
        ([(200, {"state": "perhaps"})], Run.UNKNOWN, "makes no sense"),
        ([(403, {})], Run.UNKNOWN, "answers 403"),
        ([(500, {})], Run.UNKNOWN, "answers 500"),
        ([(200, {"state": "running"}), (404, {})], Run.UNKNOWN, "has lost it"),
        ([(200, {"state": "running"})], Run.UNKNOWN, "running at its deadline"),
    ],
)
def test_what_a_server_says_is_believed_no_further_than_it_goes(registry, worker, jobs, says, run, said) -> None:
    """A failure is one only when the server says so; an answer that tells nothing leaves the job unknown."""
    jobs.begins = says
    look = ended(worker, a_job(registry, remote(jobs, deadline_s=2.0)))
    assert (look.run, registry.names()) == (run, ("fitted",) if run is Run.ABSENT else ())
    assert said in look.reason


def test_a_refused_job_has_failed(registry, worker, jobs) -> None:
    """A server that turns the job away has not begun it."""
    jobs.post = (400, "no such queue")
    look = ended(worker, a_job(registry, remote(jobs)))
    assert (look.run, "no such queue" in look.reason) == (Run.FAILED, True)


def test_a_server_that_cannot_be_reached_is_unknown_never_absent(registry, worker) -> None:
    """Nobody answers: neither absent nor failed, whether the job was to be begun or only asked for."""
    nowhere = Jobs()
    nowhere.address = "http://127.0.0.1:9"
    for only_ask in (False, True):
        look = ended(worker, a_job(registry, remote(nowhere, deadline_s=1.0, only_ask=only_ask)))
        assert look.run is Run.UNKNOWN
        assert "cannot be reached" in look.reason


def test_only_a_server_can_say_that_there_is_no_job(registry, worker, jobs) -> None:
    """Asked alone, a 404 is an answer: the job is absent, and nothing was begun."""
    look = ended(worker, a_job(registry, remote(jobs, only_ask=True)))
    assert (look.run, look.asked, jobs.begun) == (Run.ABSENT, True, {})
