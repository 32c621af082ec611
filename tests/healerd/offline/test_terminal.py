"""A person at the terminal is asked once, taken at their word, and never answered for under their name."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from healerd.model import Answer, AnswerKind, Bar, StageChange
from healerd.offline.chronicle import SIMULATED
from healerd.offline.operators import Operator
from healerd.offline.options import TryOptions
from healerd.offline.session import Session, open_session
from healerd.offline.settings import Settings, make_config
from healerd.offline.setup import Setup, prepare
from healerd.offline.stream import load_stream
from healerd.offline.teller import Teller
from healerd.offline.terminal import FIRST_S, PersonOperator
from tests.healerd.offline.tables import drifting


def quiet() -> Teller:
    return Teller(out=io.StringIO(), err=io.StringIO())


class Scripted:
    """Answers questions from a list, then is silent; remembers what it was asked."""

    def __init__(self, *replies: str | None) -> None:
        self.replies, self.asked = list(replies), list[tuple[str, int]]()

    def __call__(self, question: str, seconds: int) -> str | None:
        self.asked.append((question, seconds))
        return self.replies.pop(0) if self.replies else None


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    file = drifting(tmp_path_factory.mktemp("terminal") / "games.csv", days=22, turn=12)
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
def played(setup: Setup, state: Path, operator: Operator) -> Iterator[Session]:
    with open_session(setup.stream, make_config(setup.settings, state), setup.first, operator=operator) as session:
        session.play(quiet(), lambda event: None)
        yield session


def person(ask: Scripted) -> PersonOperator:
    return PersonOperator(name="ada", ask=ask, teller=quiet())


def test_what_the_person_approves_is_theirs(setup: Setup, tmp_path: Path) -> None:
    """Enter approves under the person's name."""
    ask = Scripted("")
    with played(setup, tmp_path / "state", person(ask)) as session:
        first = session.core.store.find(Answer)[0]
    assert (first.kind, first.author) == (AnswerKind.APPROVE, "ada")
    assert ask.asked[0][1] == FIRST_S


def test_s8_a_veto_is_taken_with_its_reason_and_remembered(setup: Setup, tmp_path: Path) -> None:
    """`v REASON` vetoes, and the memory of it holds the reason."""
    with played(setup, tmp_path / "state", person(Scripted("v the campaign starts"))) as session:
        bars = session.core.store.find(Bar)
    assert [(bar.author, bar.reason) for bar in bars] == [("ada", "the campaign starts")]


def test_what_is_no_consent_is_asked_again_and_then_a_veto(setup: Setup, tmp_path: Path) -> None:
    """Only an empty line goes on: `no` approves nothing, whoever says so three times has vetoed."""
    with played(setup, tmp_path / "state", person(Scripted("no", "stop", "no, please"))) as session:
        bars, answers = session.core.store.find(Bar), session.core.store.find(Answer, author="ada")
    assert [(bar.author, bar.reason) for bar in bars] == [("ada", "no, please")]
    assert {answer.kind for answer in answers} == {AnswerKind.VETO}
    with played(setup, tmp_path / "other", person(Scripted("yes", ""))) as session:
        assert session.core.store.find(Answer)[0].kind is AnswerKind.APPROVE


def test_s19_silence_is_answered_by_the_simulated_operator_under_its_own_name(setup: Setup, tmp_path: Path) -> None:
    """Nobody's silence becomes their consent: whoever approves then is called simulated."""
    with played(setup, tmp_path / "state", person(Scripted())) as session:
        authors = {answer.author for answer in session.core.store.find(Answer)}
        promoters = {change.author for change in session.core.store.find(StageChange, stage="live")}
    assert authors == {SIMULATED}
    assert promoters <= {SIMULATED}


def test_who_wants_no_more_questions_gets_none(setup: Setup, tmp_path: Path) -> None:
    """After `q` nothing is asked."""
    ask = Scripted("q", "", "", "")
    with played(setup, tmp_path / "state", person(ask)) as session:
        assert session.core.store.find(Answer)
    assert len(ask.asked) == 1
