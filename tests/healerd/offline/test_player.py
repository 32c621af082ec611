"""The player shows a core only what is known, by the model that served, and goes on where it stopped."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from healerd.columns import is_missing
from healerd.model import Intent
from healerd.offline.operators import SimulatedOperator
from healerd.offline.options import TryOptions
from healerd.offline.session import Session, open_session
from healerd.offline.settings import Settings, make_config
from healerd.offline.setup import Setup, prepare
from healerd.offline.stream import load_stream
from healerd.offline.teller import Teller
from tests.healerd.offline.tables import drifting


def quiet() -> Teller:
    return Teller(out=io.StringIO(), err=io.StringIO())


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    file = drifting(tmp_path_factory.mktemp("player") / "games.csv", days=30, turn=14)
    stream = load_stream(TryOptions(file=file, target="wins", time="time", train_rows=600))
    settings = Settings(
        pipeline=stream.name,
        window_s=stream.window_s,
        label_horizon_s=0.0,
        loss="zero-one",
        rows_min=200,
        retrain_cost=None,
        rules=None,
        estimator=None,
        task=stream.task,
    )
    return prepare(stream, settings, quiet())


@contextmanager
def opened(setup: Setup, state: Path) -> Iterator[Session]:
    config = make_config(setup.settings, state)
    with open_session(setup.stream, config, setup.first, operator=SimulatedOperator()) as session:
        yield session


@pytest.fixture(scope="module")
def whole(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play a run in one go."""
    state = tmp_path_factory.mktemp("whole") / "state"
    with opened(setup, state) as session:
        session.play(quiet(), lambda event: None)
    return state


def served(setup: Setup, state: Path) -> list[tuple[str, str, object]]:
    with opened(setup, state) as session:
        rows = session.core.store.rows(setup.stream.name, setup.stream.start_at, setup.stream.end_at)
        return list(zip(rows.ids, rows.version, rows.output, strict=True))


def done(setup: Setup, state: Path) -> list[tuple[str, str | None, object]]:
    with opened(setup, state) as session:
        found = session.core.store.find(Intent, pipeline=setup.stream.name)
        return [(intent.action, intent.target, intent.effect_at) for intent in found]


def test_every_row_after_the_training_is_served_once(setup: Setup, whole: Path, tmp_path: Path) -> None:
    """No row is lost, doubled, or served before its model."""
    names = [name for name, _, _ in served(setup, Path(shutil.copytree(whole, tmp_path / "state")))]
    assert names == [f"row-{n}" for n in range(600, 1800)]


def test_s12_no_label_is_known_before_its_time(setup: Setup, tmp_path: Path) -> None:
    """At the end of a window its labels are there, and none of the next one."""
    with opened(setup, tmp_path / "state") as session:
        session.player.play_window()
        first_end = session.mark
        session.player.play_window()
        store, stream = session.core.store, setup.stream
        before = store.rows(stream.name, stream.start_at, session.mark, as_of=first_end)
    known = before.ids[~is_missing(before.label)]
    assert len(known) == 60
    assert set(known) == {f"row-{n}" for n in range(600, 660)}


def test_a_row_is_served_by_the_version_that_the_alias_named_at_its_time(
    setup: Setup, whole: Path, tmp_path: Path
) -> None:
    """What the store says about a row's version is what the alias said at that moment."""
    with opened(setup, Path(shutil.copytree(whole, tmp_path / "state"))) as session:
        moves = session.registry.alias().moves
        rows = session.core.store.rows(setup.stream.name, setup.stream.start_at, setup.stream.end_at)
    assert len(moves) > 1
    times = np.array([move.at.replace(tzinfo=None) for move in moves], "datetime64[us]")
    expected = [moves[place].version for place in np.searchsorted(times, rows.at, side="right") - 1]
    assert list(rows.version) == expected


@pytest.mark.parametrize("stops", [(1,), (17, 18, 19), (3, 8, 13, 18)])
def test_s16_a_run_that_was_broken_off_ends_as_if_it_had_not_been(
    setup: Setup, whole: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Stopped after any windows and started again, the same rows are served by the same versions."""
    state, windows = tmp_path / "broken", 0
    for stop in stops:
        with opened(setup, state) as session:
            while windows < stop:
                session.player.play_window()
                windows += 1
    with opened(setup, state) as session:
        session.play(quiet(), lambda event: None)
    same = Path(shutil.copytree(whole, tmp_path / "whole"))
    assert served(setup, state) == served(setup, same)
    assert done(setup, state) == done(setup, same)
