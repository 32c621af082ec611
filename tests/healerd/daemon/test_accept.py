"""Accepting an expected change: what inputs are compared with moves, what errors are held against does not (S12)."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.columns import Predictions
from healerd.errors import Conflict, NotFound
from healerd.model import Layer, Measurement, Reference
from healerd.profiles import reference_from_bytes
from tests.healerd.daemon.loop import HOUR_S, NAME, ROWS, START, Loop, Sign

WHY = "the campaign was planned"


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path / "loop")
    yield made
    made.core.close()


def drifts(loop: Loop) -> bool:
    """Whether the inputs' alarm stands in the newest window."""
    mark = loop.core.store.watermark(NAME)
    told = [m for m in loop.core.store.measurements(NAME, mark) if m.layer is Layer.DRIFT and m.subject is None]
    return any(one.alarm for one in told)


def harm(loop: Loop) -> Measurement:
    told = loop.core.store.measurements(NAME, loop.core.store.watermark(NAME))
    return next(one for one in told if one.layer is Layer.HARM and one.log_limit is not None)


def newest(loop: Loop) -> Reference:
    return loop.core.store.find(Reference, pipeline=NAME, order="-at", limit=1)[0]


def test_an_accepted_change_is_no_alarm_any_more(loop: Loop) -> None:
    """Moved inputs alarm until they are accepted; from the next window on they do not, and the old ones do."""
    loop.play(3)
    loop.play(3, moved=1.0)
    assert drifts(loop)
    accepted = loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    assert accepted.start_at >= START + timedelta(seconds=3 * HOUR_S)
    assert accepted.rows == 3 * ROWS
    loop.play(3, moved=1.0)
    assert not drifts(loop)
    loop.play(3)
    assert drifts(loop)


def test_s16_what_was_accepted_last_is_in_force_whatever_the_clock_said(loop: Loop) -> None:
    """An acceptance while the clock was ahead does not outlast a later one that bears the earlier time (SAFETY S12)."""
    loop.play(3)
    ahead_s = 48 * HOUR_S
    loop.clock.jump(ahead_s)
    loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    loop.clock.jump(-ahead_s)
    loop.play(3, moved=2.0)
    assert drifts(loop)
    last = loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    assert last.at < newest(loop).at
    loop.play(3, moved=2.0)
    assert not drifts(loop)


def test_nobody_accepts_what_lies_too_far_back(loop: Loop) -> None:
    """A year that was mistyped is refused, and names from when on a reference can be made; no window of it is read."""
    loop.play(3)
    with pytest.raises(Conflict, match="name a time after 2024-11"):
        loop.core.accept(NAME, since=START.replace(year=2006), author="ada", reason=WHY)


def test_a_rehearsal_makes_the_reference_and_takes_it_not(loop: Loop) -> None:
    """With `dry_run` the answer is what an acceptance would give; nothing is stored, and the alarm stands."""
    loop.play(3)
    loop.play(3, moved=1.0)
    before, head = newest(loop), loop.core.store.head()
    told = loop.core.accept(NAME, since=None, author="ada", reason=WHY, dry_run=True)
    assert (newest(loop), loop.core.store.head()) == (before, head)
    assert loop.core.accept(NAME, since=None, author="ada", reason=WHY) == told


def test_it_holds_after_a_restart_and_is_recorded(loop: Loop) -> None:
    """The reference and its profile are in the store, with the author and the reason in the audit log."""
    loop.play(3)
    loop.play(3, moved=1.0)
    accepted = loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    loop.reopen()
    loop.play(1, moved=1.0)
    assert not drifts(loop)
    assert newest(loop) == accepted
    content = loop.core.store.state(NAME, f"reference {accepted.id}")
    assert reference_from_bytes(content).whole.rows == accepted.rows
    leaves = [each for each in loop.core.store.leaves(after=0, limit=10_000) if each.actor == "ada"]
    assert {each.kind for each in leaves} >= {"accepted", "reference"}
    assert WHY in json.dumps([str(each) for each in leaves])


def test_s12_no_number_of_acceptances_moves_the_error(loop: Loop) -> None:
    """A model that errs more is held against its first error however often its inputs are accepted."""
    loop.play(3)
    first = newest(loop)
    for _ in range(4):
        loop.play(2, turned=True, moved=0.3)
        accepted = loop.core.accept(NAME, since=loop.clock.now() - timedelta(hours=2), author="ada", reason=WHY)
        assert (accepted.error, accepted.error_rows, accepted.limit_max) == (
            first.error,
            first.error_rows,
            first.limit_max,
        )
    told = [m for m in loop.core.store.measurements(NAME, loop.core.store.watermark(NAME)) if m.layer is Layer.HARM]
    assert any(one.effect is not None and one.effect > 0.5 for one in told)


def test_s12_accepting_inputs_silences_no_harm(loop: Loop) -> None:
    """Evidence that the model errs more goes on after the inputs were accepted: it does not begin from nothing."""
    loop.play(3)
    loop.play(3, turned=True, moved=1.0)
    told = [harm(loop)]
    loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    loop.play(1, turned=True, moved=1.0)
    told.append(harm(loop))
    assert [one.alarm for one in told] == [True, True]
    assert told[1].since_at == told[0].since_at


def test_s13_bad_windows_are_never_accepted(loop: Loop) -> None:
    """Windows whose data was judged bad do not become a reference; what is good among them does."""
    loop.play(3)
    loop.play(3, broken=True)
    with pytest.raises(Conflict, match="0 rows of good windows"):
        loop.core.accept(NAME, since=loop.clock.now() - timedelta(hours=3), author="ada", reason=WHY)
    loop.play(1, moved=0.5)
    accepted = loop.core.accept(NAME, since=loop.clock.now() - timedelta(hours=4), author="ada", reason=WHY)
    assert accepted.rows == ROWS


def test_nothing_to_accept_is_a_conflict(loop: Loop) -> None:
    """Before the first window, in the future, twice the same, or of another pipeline: an answer that says why."""
    with pytest.raises(Conflict, match=r"there is nothing to accept|rows of good windows"):
        loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    loop.play(3)
    with pytest.raises(Conflict, match="0 rows of good windows"):
        loop.core.accept(NAME, since=loop.clock.now() + timedelta(days=1), author="ada", reason=WHY)
    loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    with pytest.raises(Conflict, match="already"):
        loop.core.accept(NAME, since=None, author="ada", reason=WHY)
    with pytest.raises(NotFound):
        loop.core.accept("nobody", since=None, author="ada", reason=WHY)


def test_a_reference_of_the_daemon_knows_the_time_of_day(loop: Loop) -> None:
    """A week of hourly rows that follow the day gives a reference with a season, kept in the store."""
    rng, hours = np.random.Generator(np.random.Philox(3)), np.repeat(np.arange(24 * 7), 60)
    x = 1.5 * np.sin(2 * np.pi * hours / 24) + rng.normal(size=len(hours))
    label = (x > 0).astype(np.float64)
    begin = np.datetime64(START.replace(tzinfo=None), "us") - np.timedelta64(14, "D")
    rows = Predictions(
        ids=np.array([f"day-{k}" for k in range(len(hours))], object),
        at=begin + hours.astype("timedelta64[h]"),
        version=np.full(len(hours), "daily", object),
        output=label,
        label=label,
        features={"x": x, "z": rng.normal(size=len(hours))},
    )
    trained = {"trained_from_at": START - timedelta(days=20), "trained_to_at": START - timedelta(days=15)}
    loop.core.add_version(NAME, Sign(1.0), name="daily", rows=rows, held_out=rows, **trained)
    held = loop.core.store.find(Reference, pipeline=NAME, version="daily")[0]
    kept = reference_from_bytes(loop.core.store.state(NAME, f"reference {held.id}"))
    assert kept.seasons is not None
    assert set(kept.seasons.features) >= {"x"}
    assert "z" not in kept.seasons.features
