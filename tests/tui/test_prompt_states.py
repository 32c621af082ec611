"""What the prompt says of an intent that is half decided: approved in part, ready to run, or in need of a person."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healerd.clock import ManualClock
from healerd.model import Answer, AnswerKind, ApprovalNeed, IntentState
from healerd_tui.places import Place
from healerd_tui.screens.prompt import PromptScreen
from tests.served import NOW, Served, served
from tests.tui.playing import Played, ask, playing

Story = Callable[[Played, PromptScreen, Served], Awaitable[None]]


def prompted(folder: Path, story: Story, *answers: Answer, at_s: float = 0.0, **changed: Any) -> None:
    """Open the prompt of an intent, `at_s` after it was made, and play the story."""

    async def play() -> None:
        clock = ManualClock(NOW)
        clock.advance(at_s)
        with served(folder, clock=clock) as daemon:
            ask(daemon, **changed)
            for answer in answers:
                daemon.store.put(answer)
            async with playing(folder) as played:
                await played.live()
                played.app.visit(Place("prompt", "act-1"))
                await played.pilot.pause()
                screen = played.app.screen
                assert isinstance(screen, PromptScreen)
                await played.until(lambda: screen.question is not None)
                played.clock.pass_(1.0)
                screen.refresh_all()
                await story(played, screen, daemon)

    asyncio.run(play())


def test_an_approval_that_was_given_ends_nothing(tmp_path: Path) -> None:
    """The countdown runs to the end of the veto window, not to the deadline of an approval that is given already."""
    given = Answer(
        id="a1",
        intent_id="act-1",
        pipeline="churn",
        kind=AnswerKind.APPROVE,
        author="bo",
        roles=("operators",),
        reason="looks right to me",
        revision=3,
        at=NOW,
    )

    async def story(played: Played, screen: PromptScreen, daemon: Served) -> None:
        left = screen._left()
        assert left is not None
        assert 24 * 60 < left <= 25 * 60
        assert "the deadline has passed" not in played.text()

    window = {"veto_within_s": 1800.0, "counted_at": NOW, "deadline_at": NOW + timedelta(minutes=30)}
    prompted(tmp_path, story, given, at_s=300.0, **window)


@pytest.mark.parametrize("reached", [True, False])
def test_the_countdown_is_that_of_the_approval_while_one_is_missing(tmp_path: Path, *, reached: bool) -> None:
    """What is left and of how much are both the approval's, though a veto window follows; that time always runs."""

    async def story(played: Played, screen: PromptScreen, daemon: Served) -> None:
        left, window = screen._left(), screen._window()
        assert left is not None
        assert window == 12 * 3600
        assert window - 310 <= left <= window - 300
        assert "The time does not run" not in played.text()

    need = ApprovalNeed(role="operators", deadline_at=NOW + timedelta(hours=12), otherwise="deny", rule="mine.ask")
    counted = {"counted_at": NOW, "deadline_at": NOW + timedelta(minutes=10)} if reached else {}
    prompted(tmp_path, story, at_s=300.0, approvals=(need,), veto_within_s=600.0, **counted)


def test_a_veto_window_that_nobody_was_told_of_stands_still(tmp_path: Path) -> None:
    """Where silence decides at the end of a veto window, and that does not count yet, the prompt says so."""

    async def story(played: Played, screen: PromptScreen, daemon: Served) -> None:
        assert screen._left() is None
        assert "The time does not run" in played.text()

    prompted(tmp_path, story, state=IntentState.ANNOUNCED, approvals=(), veto_within_s=600.0)


def test_what_needs_a_person_says_why_and_how_to_answer(tmp_path: Path) -> None:
    """An intent whose effect nobody knows counts down to nothing: it says what happened, and names its own command."""

    async def story(played: Played, screen: PromptScreen, daemon: Served) -> None:
        text = played.text()
        assert "nobody can tell whether it took effect" in text
        assert "healerd resolve act-1 --took-effect" in text
        assert "if nobody answers" not in text.lower()
        assert "deadline has passed" not in text
        assert "decide within" not in text
        assert "healerd resolve" in screen.why_not("veto")
        assert "healerd resolve" in screen.why_not("approve")

    why = "nobody can tell whether it took effect"
    dead = {"veto_within_s": 60.0, "counted_at": NOW, "deadline_at": NOW + timedelta(minutes=1)}
    prompted(tmp_path, story, at_s=300.0, state=IntentState.NEEDS_PERSON, reason=why, **dead)


def test_a_veto_still_stops_what_is_ready(tmp_path: Path) -> None:
    """Until an approved intent runs the prompt offers its veto, and reading it again does not take the step back."""

    async def story(played: Played, screen: PromptScreen, daemon: Served) -> None:
        assert "a veto still stops it" in played.text()
        await played.press("v", "1")
        screen.fetch()
        await played.app.workers.wait_for_complete()
        await played.pilot.pause()
        assert screen.step == "veto"
        await played.press("enter")
        await played.until(lambda: screen.acknowledged)
        assert [call[2] for call in daemon.core.calls if call[0] == "answer"] == [AnswerKind.VETO]

    prompted(tmp_path, story, state=IntentState.READY)
