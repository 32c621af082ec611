"""The prompt over a served control API: veto, approval, conflict, changed evidence, a daemon that goes, a deadline."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from healerd.client import Client
from healerd.model import AnswerKind, Intent, IntentState
from healerd_tui.question import Question, is_grave
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.prompt import PromptScreen
from tests.served import Served, served
from tests.tui.playing import Clock, ask, playing

WHY = "easter campaign, expected"


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        ask(running)
        yield running


def answers(daemon: Served) -> list[tuple[Any, ...]]:
    return [call for call in daemon.core.calls if call[0] == "answer"]


def move(daemon: Served, **changes: Any) -> None:
    intent = daemon.store.get(Intent, "act-1")
    assert intent is not None
    daemon.store.put(replace(intent, version=intent.version + 1, **changes), instead_of=intent)
    daemon.ring()


def test_s8_a_veto_is_one_step_and_a_reason(daemon: Served) -> None:
    """v, a preset and enter veto; the prompt stays and says so when the daemon has acknowledged."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("v", "1", "enter")
            await played.until(lambda: screen.acknowledged)
            assert "vetoed" in played.text()
            assert played.app.screen is screen
            assert answers(daemon) == [("answer", "act-1", AnswerKind.VETO, *answers(daemon)[0][3:])]
            assert answers(daemon)[0][4] == "known campaign"

    run(story)


def test_a_veto_wants_a_reason(daemon: Served) -> None:
    """Without a reason, or with one that is too short, nothing is sent and the prompt says why."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("v", "enter")
            assert "at least 8 characters" in screen.error
            await played.press("h", "m", "enter")
            assert "at least 8 characters" in screen.error
            assert answers(daemon) == []
            await played.press(*[{" ": "space", ",": "comma"}.get(sign, sign) for sign in " " + WHY], "enter")
            await played.until(lambda: screen.acknowledged)
            assert answers(daemon)[0][4] == f"hm {WHY}"

    run(story)


def test_an_approval_is_armed_first(daemon: Served) -> None:
    """a arms and says what it will do; a second press, not a double press, sends the revision that was read."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("a")
            assert answers(daemon) == []
            assert "starts as soon as the guards agree" in played.text()
            await played.press("enter", "a")
            assert answers(daemon) == []  # a double press arms, and no more
            played.clock.pass_(1.0)
            await played.press("a")
            await played.until(lambda: screen.acknowledged)
            assert [call[2] for call in answers(daemon)] == [AnswerKind.APPROVE]
            assert answers(daemon)[0][5] == 3

    run(story)


def test_esc_takes_the_step_back(daemon: Served) -> None:
    """Esc disarms, then leaves the question open."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("a", "escape")
            assert screen.step == ""
            await played.press("enter")
            assert answers(daemon) == []
            await played.press("escape")
            assert isinstance(played.app.screen, FleetScreen)

    run(story)


def test_the_name_is_typed_where_the_risk_is_high(daemon: Served) -> None:
    """With a high blast radius, or no way back, an approval is sent only after the pipeline's name was typed."""
    high = {"level": "high", "reversible": "rollback to `v14`"}
    assert is_grave(Question({"intent": {}, "review": {"blast": high}}))
    assert not is_grave(Question({"intent": {}, "review": {"blast": {**high, "level": "low"}}}))
    move(daemon, current=None)

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("a")
            played.clock.pass_(1.0)
            await played.press("enter")
            assert "type `churn`" in screen.error
            await played.press("c", "h", "u", "r", "enter")
            assert answers(daemon) == []
            await played.press("n", "enter")
            await played.until(lambda: screen.acknowledged)

    run(story)


def test_of_two_operators_the_first_wins(daemon: Served) -> None:
    """When somebody else was faster the same modal says who, when and why, and nothing can be pressed any more."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("a")
            Client(daemon.state).answer("act-1", "veto", reason=WHY)
            await played.until(lambda: screen.question is not None and not screen.question.waits)
            await played.pilot.pause()
            assert WHY in played.text()
            assert screen.query_one("#veto").disabled
            assert screen.query_one("#approve").disabled
            await played.press("enter", "v", "enter")
            assert len(answers(daemon)) == 1
            assert played.app.screen is screen

    run(story)


def test_a_conflict_stays_in_the_modal(daemon: Served) -> None:
    """An answer that comes too late is shown with the daemon's words, and the prompt stays."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("v", "1")
            assert played.app._follower is not None
            played.app._follower.close()  # so that the news of it cannot come first
            await asyncio.to_thread(Client(daemon.state).answer, "act-1", "veto", reason=WHY)
            await played.press("enter")
            await played.until(lambda: screen.error)
            assert "already" in screen.error
            await played.until(lambda: screen.question is not None and not screen.question.waits)
            assert played.app.screen is screen

    run(story)


class Slow:
    """A hand whose answers reach the daemon when they are let go."""

    def __init__(self, client: Client) -> None:
        self._client, self.go = client, threading.Event()

    def answer(self, *given: Any, **named: Any) -> Any:
        assert self.go.wait(10)
        return self._client.answer(*given, **named)


def test_the_prompt_stays_until_the_daemon_acknowledged(daemon: Served) -> None:
    """While an answer is under way nothing closes or leaves the prompt, and no second answer is sent."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            hand = Slow(Client(daemon.state))
            played.app.hand = hand  # type: ignore[assignment]
            await played.live()
            screen = await played.open_prompt()
            await played.press("v", "1", "enter")
            assert screen.sending == "veto"
            await played.press("escape", "t", "n", "enter", "v", "a")
            played.app.go("audit")
            await played.pilot.pause()
            assert played.app.screen is screen
            assert "waiting for the daemon to acknowledge" in played.text()
            hand.go.set()
            await played.until(lambda: screen.acknowledged)
            assert len(answers(daemon)) == 1

    run(story)


def test_changed_evidence_disarms(daemon: Served) -> None:
    """A new revision of the evidence takes an armed approval back and says to read again."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press("a")
            move(daemon, revision=4)
            await played.until(lambda: screen.changed)
            await played.pilot.pause()
            assert screen.step == ""
            assert "evidence changed, re-read" in played.text()
            await played.press("enter")
            assert answers(daemon) == []
            played.clock.pass_(1.0)
            await played.press("a")
            played.clock.pass_(1.0)
            await played.press("enter")
            await played.until(lambda: screen.acknowledged)
            assert answers(daemon)[0][5] == 4

    run(story)


def test_keys_are_ignored_until_there_was_time_to_read(daemon: Served) -> None:
    """Keys in the first half second after the prompt opened do nothing."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            await played.press("n")
            screen = played.app.screen
            assert isinstance(screen, PromptScreen)
            await played.until(lambda: screen.question is not None)
            await played.press("v", "1", "enter", "a", "enter")
            assert screen.step == ""
            assert answers(daemon) == []

    run(story)


def test_pasted_text_never_acts(daemon: Served) -> None:
    """Pasted text does nothing outside the field for the reason, and keys in a burst count as pasted."""

    async def story() -> None:
        async with playing(daemon.state, burst_s=60.0) as played:
            await played.live()
            played.app._key_time = float("-inf")
            screen = await played.open_prompt()
            played.app.post_message(events.Paste("v1\nknown campaign\n"))
            await played.press("v", "1", "enter", "a", "enter")
            assert answers(daemon) == []
            assert screen.step == ""

    run(story)


def test_a_daemon_that_goes_away_takes_the_answers_along(tmp_path: Path) -> None:
    """While the daemon is away the countdown stands still, nothing can be answered, and the reason is said."""

    async def story() -> None:
        async with playing(tmp_path) as played:
            with served(tmp_path) as daemon:
                ask(daemon)
                await played.live()
                await played.until(lambda: bool(played.app.state.intents))
                screen = await played.open_prompt()
            await played.until(lambda: not played.app.state.live)
            await played.pilot.pause()
            screen.refresh_all()
            assert "daemon away: nothing can be decided" in played.text()
            assert "--:--" in played.text()
            assert screen.query_one("#veto").disabled
            played.clock.pass_(100)
            await played.press("v")
            assert screen.step == ""
            with served(tmp_path) as daemon:
                ask(daemon)
                played.app.do_refresh()
                await played.until(lambda: played.app.state.live)
                await played.until(lambda: not screen.query_one("#veto").disabled)
                await played.press("v", "2", "enter")
                await played.until(lambda: screen.acknowledged)
                assert len(answers(daemon)) == 1

    run(story)


def test_a_deadline_that_passes_is_said(daemon: Served) -> None:
    """When the deadline passes while the prompt is open it says so, and stays; then it shows what silence did."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            played.clock.pass_(600.0)
            screen.tick()
            assert "the deadline has passed" in played.text()
            move(daemon, state=IntentState.EXPIRED, reason="no approval from `operators` in time; it is refused")
            await played.until(lambda: screen.question is not None and not screen.question.waits)
            await played.pilot.pause()
            assert "no approval from" in played.text()
            assert played.app.screen is screen

    run(story)


def test_a_prompt_never_opens_by_itself(tmp_path: Path) -> None:
    """A question that begins to wait shows in the banner and rings once; the view stays what it was."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            async with playing(tmp_path) as played:
                await played.live()
                before, rung = played.app.screen, []
                played.app.bell = lambda: rung.append(1)  # type: ignore[method-assign]
                ask(daemon)
                await played.until(lambda: bool(played.app.state.intents))
                played.app._show_dirty()
                await played.pilot.pause()
                assert played.app.screen is before
                assert "1 PENDING" in played.text()
                move(daemon, reason="still waiting")
                await played.until(lambda: played.app.state.intents["act-1"]["reason"] == "still waiting")
                assert rung == [1]

    run(story)


def test_read_only_has_no_hand(daemon: Served) -> None:
    """A read-only UI holds nothing to act with, and says why each key does nothing."""

    async def story() -> None:
        async with playing(daemon.state, read_only=True) as played:
            await played.live()
            assert played.app.hand is None
            screen = await played.open_prompt()
            await played.press("v", "1", "enter")
            assert any("read-only" in said for said in played.said())
            screen.step = "veto"
            screen.query_one("#reason", Input).value = WHY
            screen._confirm()
            await played.pilot.pause()
            assert answers(daemon) == []
            assert " RO " in played.text()

    run(story)


def test_a_pause_asks_first(daemon: Served) -> None:
    """p opens a question; only a reason and enter pause the pipeline."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            await played.press("p")
            assert isinstance(played.app.screen, ConfirmScreen)
            played.clock.pass_(1.0)
            await played.press("enter")
            assert not [call for call in daemon.core.calls if call[0] == "pause"]
            await played.press(*"labelsarewrong", "enter")
            await played.until(lambda: isinstance(played.app.screen, FleetScreen))
            assert [call[:2] for call in daemon.core.calls if call[0] == "pause"] == [("pause", "churn")]

    run(story)


def test_s15_stop_all_works_while_the_daemon_is_away(tmp_path: Path) -> None:
    """With no daemon, stop-all still leaves its file."""

    async def story() -> None:
        async with playing(tmp_path) as played:
            await played.until(lambda: bool(played.app.state.lost_why))
            await played.press("X")
            assert isinstance(played.app.screen, ConfirmScreen)
            played.clock.pass_(1.0)
            await played.press(*"somethingiswrong", "enter")
            await played.until((tmp_path / "STOP").exists)

    run(story)


def test_the_clock_is_told(tmp_path: Path) -> None:
    """The tests' clock moves only when it is told to."""
    clock = Clock()
    assert clock() == clock()
    clock.pass_(2.0)
    assert clock() == 1002.0
