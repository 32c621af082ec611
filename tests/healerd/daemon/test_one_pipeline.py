"""What goes wrong with one pipeline holds that one: the others are judged, and what they have open goes on."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from healerd.client.fleet import pipeline_view
from healerd.columns import Predictions
from healerd.daemon.executor import ends_all
from healerd.daemon.messages import about
from healerd.daemon.metrics import Metrics
from healerd.daemon.tick import Trouble
from healerd.errors import (
    ActionError,
    ConfigError,
    Conflict,
    HealerdError,
    LockHeld,
    SegmentError,
    SourceError,
    StaleEpoch,
    StoreError,
    TooLong,
)
from healerd.model import Decision, Incident, Intent, IntentState, Layer
from healerd.sources import MemorySource
from tests.healerd.daemon.bench import Bench
from tests.healerd.daemon.loop import NAME, START, Loop

OTHER = """
[pipeline.trains]
window = 3600
label_horizon = 0
rules = ["flights.heal"]
source = { kind = "memory" }
"""
Make = Callable[..., Loop]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds a loop whose `flights` come before `trains`."""
    made: list[Loop] = []

    def build(**changes: object) -> Loop:
        made.append(Loop(tmp_path / str(len(made)), more=OTHER, **changes))
        return made[-1]

    yield build
    for loop in made:
        loop.core.close()


def test_a_source_that_cannot_be_read_is_told_and_seen(make: Make) -> None:
    """A pipeline that was never judged is stale, behind, and told to people once."""
    loop = make()
    loop.source.down = True
    told = []
    for _ in range(5):
        loop.clock.advance(3600.0)
        told += loop.core.run_due()
    assert [each.what for each in about(told) if each.kind == "trouble"] == ["flights is not judged"]
    store, now = loop.core.store, loop.clock.now()
    assert pipeline_view(store, NAME, at=now)["state"] == "stale"
    metrics = Metrics(pipelines=(NAME,), describe=dict, queues=dict, budget=2.0)
    samples = {each.name: each.value for each in metrics.samples(store, now) if NAME in each.labels}
    assert samples["healerd_window_lag_seconds"] == 5 * samples["healerd_window_length_seconds"] == 5 * 3600.0


def judged(loop: Loop, pipeline: str) -> int:
    return len(loop.core.store.find(Decision, pipeline=pipeline))


def waiting(loop: Loop) -> Intent:
    """Give `trains` an intent that waits although its incident has closed: the next step withdraws it."""
    now = loop.clock.now()
    closed = Incident(
        id="i9",
        pipeline="trains",
        opened_at=now,
        closed_at=now,
        closed_by="daemon",
        kind=Layer.HARM,
        severity=2,
        reason="the error rose",
        opened_by="alarm",
    )
    intent = Intent(
        id="rollback-9",
        key="9" * 64,
        pipeline="trains",
        incident_id="i9",
        decision_id="d9",
        action="rollback",
        target=None,
        current=None,
        state=IntentState.ANNOUNCED,
        confidence=0.9,
        severity=2,
        created_at=now,
        default="runs",
    )
    with loop.core.store.transaction() as tx:
        tx.put(closed)
        tx.put(intent)
    return intent


def torn(_content: bytes) -> bytes:
    return b"not a table"


def turned(content: bytes) -> bytes:
    """One bit of the last numbers is another: the table can still be read, and says something else."""
    place = len(content) - 8 - int.from_bytes(content[-8:-4], "little") - 100
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def damage(loop: Loop, how: Callable[[bytes], bytes]) -> dict[Path, bytes]:
    """Damage the rows that were kept of `flights`; give what they were."""
    files = {path: path.read_bytes() for path in (loop.folder / "state/segments").rglob("*.parquet")}
    assert files
    for path, content in files.items():
        path.write_bytes(how(content))
    return files


@pytest.mark.parametrize("how", [torn, turned])
def test_damaged_rows_hold_their_pipeline_alone(
    make: Make, caplog: pytest.LogCaptureFixture, how: Callable[[bytes], bytes]
) -> None:
    """While `flights` cannot be read, `trains` is judged and its intents move; told once, over with the mend."""
    loop = make()
    loop.play(3)
    loop.reopen()
    files = damage(loop, how)
    stands, counts = waiting(loop), (judged(loop, NAME), judged(loop, "trains"))
    loop.serve()
    with caplog.at_level(logging.ERROR, logger="healerd"):
        told = loop.core.run_due()
    assert (judged(loop, NAME), judged(loop, "trains")) == (counts[0], counts[1] + 1)
    assert loop.core.store.get(Intent, stands.id).state is IntentState.WITHDRAWN
    (leaf,) = loop.core.store.leaves(kind="window failed")
    assert (leaf.pipeline, "gone or damaged" in leaf.record["error"]) == (NAME, True)
    assert "`flights`: a segment is gone or damaged" in caplog.text
    assert [each.what for each in about(told) if each.kind == "trouble"] == ["flights is not judged"]
    before = loop.core.store.head()
    for _ in range(3):
        assert loop.core.run_due() == ()
    assert loop.core.store.head() == before, "what goes on is not told again with each tick"
    for path, content in files.items():
        path.write_bytes(content)
    loop.run()
    assert judged(loop, NAME) == counts[0] + 1


def test_an_id_that_is_taken_takes_more_of_its_key(make: Make) -> None:
    """An intent whose first digits are another's gets a longer id, and one that collides with none keeps eight."""
    plain, taken = make(), make()
    plain.play(3)
    plain.play(3, turned=True)
    (wanted,) = plain.intents(action="retrain")
    assert wanted.id == f"retrain-{wanted.key[:8]}"
    taken.play(3)
    stranger = replace(waiting(taken), id=wanted.id, key=wanted.key[:8] + "f" * 56, state=IntentState.EXPIRED)
    with taken.core.store.transaction() as tx:
        tx.put(stranger)
    taken.play(3, turned=True)
    (made,) = taken.intents(action="retrain", pipeline=NAME)
    assert (made.key, made.id) == (wanted.key, f"retrain-{wanted.key[:16]}")
    assert taken.core.store.get(Intent, wanted.id).key == stranger.key


class Refusing(MemorySource):
    """A source whose rows cannot be had, for a reason that the test gives."""

    error: HealerdError | None = None
    asked = 0

    def fetch(self, start_at, end_at):  # type: ignore[no-untyped-def]
        self.asked += 1
        if self.error is not None:
            raise self.error
        return super().fetch(start_at, end_at)


WHOSE = [
    (SourceError("no file"), False),
    (ActionError("no registry"), False),
    (ConfigError("misspelt"), False),
    (Conflict("taken"), False),
    (SegmentError("a segment is gone"), False),
    (TooLong("a decision of 2,000 features"), False),
    (StoreError("the disk is full"), True),
    (LockHeld("held"), True),
    (StaleEpoch("another daemon leads"), True),
]


@pytest.mark.parametrize(("error", "all_of_it"), WHOSE, ids=lambda value: type(value).__name__)
def test_only_the_database_and_a_newer_daemon_end_a_whole_tick(
    make: Make, error: HealerdError, all_of_it: bool
) -> None:
    """Whatever else is raised while one pipeline is judged, the next one is judged in the same tick."""
    loop = make()
    loop.core.close()
    loop.source = Refusing()
    loop.open()
    loop.source.error = error
    loop.clock.advance(3600)
    assert ends_all(error) is all_of_it
    if all_of_it:
        with pytest.raises(type(error)):
            loop.core.run_due()
    else:
        loop.core.run_due()
    assert (judged(loop, NAME), judged(loop, "trains")) == (0, 0 if all_of_it else 1)
    assert loop.clock.now() > START


@pytest.mark.parametrize(("error", "tries"), [(TooLong("a decision of 2,000 features"), 1), (SourceError("gone"), 3)])
def test_a_decision_that_is_too_long_is_not_computed_again(make: Make, error: HealerdError, tries: int) -> None:
    """It would be as long at every run: its pipeline is held, and told of once, until the daemon starts anew."""
    loop = make()
    loop.core.close()
    loop.source = Refusing()
    loop.open()
    loop.source.error = error
    loop.clock.advance(3600)
    told = [each for _ in range(3) for each in loop.core.run_due() if isinstance(each, Trouble)]
    assert (loop.source.asked, len(told)) == (tries, 1)
    loop.source.error = None
    loop.reopen()
    loop.core.run_due()
    assert judged(loop, NAME) == 1


def test_an_intent_whose_rows_are_damaged_holds_no_other_up(tmp_path: Path) -> None:
    """The executor goes on with the next intent, and the one that cannot be judged says why; later it goes on."""
    bench = Bench(tmp_path).with_versions()
    bench.close_windows(2, label=0.0)
    bench.close_windows(2, label=1.0)
    bench.propose("rollback")
    bench.step()
    bench.close_windows(2, label=1.0)
    bench.incident(name="i2")
    other = replace(bench.intent(), id="h2", key="2" * 64, pipeline="trains", incident_id="i2")
    with bench.store.transaction() as tx:
        tx.put(replace(other, state=IntentState.ANNOUNCED, test=None))
    bench.close_incident("i2")
    rows = bench.rows

    def damaged(start: datetime, end: datetime) -> Predictions:
        raise SegmentError("a segment is gone or damaged: restore it from a backup")

    bench.rows = damaged  # type: ignore[method-assign]
    bench.step()
    assert bench.intent().state is IntentState.VERIFYING
    assert "gone or damaged" in bench.intent().reason
    assert bench.intent("h2").state is IntentState.WITHDRAWN
    bench.rows = rows  # type: ignore[method-assign]
    bench.close_window(label=1.0)
    bench.step()
    assert bench.intent().state is IntentState.VERIFIED
    bench.store.close()
