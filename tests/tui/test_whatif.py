"""The what-if of the rules: numbers are found and replaced to the letter, tried on the record, and never in force."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.client import TuiOptions
from healerd.errors import ControlError
from healerd.model import ACTIONS_THAT_HEAL as HEALS
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.question import expected_lines
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.lines import Painted
from healerd_tui.screens.rules import RulesScreen
from healerd_tui.screens.whatif import WhatIfScreen
from healerd_tui.whatif import edited, found_lines, numbers_of, write_draft
from tests.tui.canned import RULES, Canned, a_what_if
from tests.tui.scenes import an_app, painted, scene, settle, try_number

CONSTS = """import "base"
const LEAST = 500  # rows
forbid few: retrain
  when rows < LEAST
  because "1000 is better"

forbid other: retrain when rows > 7
"""


def test_numbers_of_a_rule_and_of_its_constants() -> None:
    """A rule's own numbers come first, units included, then those of the constants it names; texts hold none."""
    assert [(spot.line, spot.text) for spot in numbers_of(RULES, 6)] == [(7, "10%"), (8, "5m")]
    assert [(spot.line, spot.text) for spot in numbers_of(CONSTS, 3)] == [(2, "500")]
    assert [(spot.line, spot.text) for spot in numbers_of(CONSTS, 7)] == [(7, "7")]


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_nothing_but_the_number_changes(value: int, place: int) -> None:
    """Whatever is typed, only the letters of that number are others."""
    spots = [spot for line in (3, 6, 11, 15) for spot in numbers_of(RULES, line)]
    spot = spots[place % len(spots)]
    after = edited(RULES, spot, str(value))
    before = sum(len(line) for line in RULES.splitlines(keepends=True)[: spot.line - 1]) + spot.start
    assert after[:before] == RULES[:before]
    assert after[before : before + len(str(value))] == str(value)
    assert after[before + len(str(value)) :] == RULES[before + len(spot.text) :]


def test_what_follows_is_written_with_its_evidence() -> None:
    """Counts, the evidence and the verdict are said; what is listed says when its targets were assumed."""
    words = " ".join("".join(part for part, _ in line) for line in found_lines(a_what_if(), cells=100))
    assert "14 would have been others" in words
    assert "newly automatic" in words
    assert "12 without evidence; verdict: not proven" in words
    assert "(targets assumed)" in words
    broken = {**a_what_if(), "findings": "error[unknown-name]: unknown name `acuracy`"}
    assert found_lines(broken, cells=60) == ((("error[unknown-name]: unknown name `acuracy`", "failed"),),)


@pytest.mark.parametrize("name", ["x.toml", "../x.heal", "a/b.heal", ""])
def test_a_draft_is_a_new_file_here(tmp_path: Path, name: str) -> None:
    """A draft is written once, into this folder, under the name of a rule file, and overwrites nothing."""
    with pytest.raises(ControlError):
        write_draft("x", name, tmp_path)
    assert write_draft("x", "draft.heal", tmp_path).read_text() == "x"
    with pytest.raises(ControlError, match="is there already"):
        write_draft("y", "draft.heal", tmp_path)


def test_a_number_is_tried_and_a_draft_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter tries the number on the record; a draft is written only after its name was confirmed, esc leaves it."""
    monkeypatch.chdir(tmp_path)

    async def played() -> None:
        app = an_app()
        access = app.access
        assert isinstance(access, Canned)
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("rules")(pilot)
            await try_number(app, "25%")
            await settle(pilot)
            assert "when traffic_share > 25%" in access.texts[-1]
            assert "10% → 25%, the last 7 days" in painted(app)
            await pilot.press("ctrl+s")
            await pilot.press("escape")
            assert not list(tmp_path.iterdir())
            await pilot.press("ctrl+s")
            await pilot.press("enter")
            await settle(pilot)
            assert (tmp_path / "prod-draft.heal").read_text() == access.texts[-1]
            await pilot.press("escape")
            assert isinstance(app.screen, RulesScreen)

    asyncio.run(played())


def test_only_rules_of_ones_own_can_be_edited() -> None:
    """A rule without a number, or of a shipped pack, says why there is nothing to try."""

    async def played() -> None:
        app = an_app()
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("rules")(pilot)
            assert isinstance(app.screen, RulesScreen)
            app.screen.find_rule("freeze")
            await settle(pilot)
            assert "no number" in app.screen.why_not("what_if")

    asyncio.run(played())


def test_a_proposal_shows_what_each_heal_is_expected_to_cost() -> None:
    """Before a heal is asked for, its cost with an interval, what the rules say and the stage stand in the question."""
    option = {"action": "retrain", "level": "approval needed", "cost_mean": 40.0, "cost_sd": 10.0}
    decision = {"stage": "suggest", "chosen": "hold", "options": [option]}
    lines = ["".join(words for words, _ in line) for line in expected_lines(decision, actions=HEALS, cells=70)]
    assert lines[0] == "stage suggest: every action asks a person first"
    assert "cost 40, 80% 27.2 to 52.8  approval needed" in lines[1]
    assert "no estimate yet" in lines[2]

    async def played() -> None:
        app = an_app()
        access = app.access
        assert isinstance(access, Canned)
        access.views["/v1/traces"] = {"schema": 1, "traces": [{"id": "dec-8f3a"}], "before": None}
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            app.push_screen(ConfirmScreen("propose", {"pipeline": "churn-eu"}))
            await settle(pilot)
            assert "no estimate yet" in painted(app)

    asyncio.run(played())


class Slow(Canned):
    """A client that answers a what-if only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def what_if(self, name: str, *, rules_id: str, path: str, text: str, days: int = 7) -> Any:
        assert self.go.wait(10)
        return super().what_if(name, rules_id=rules_id, path=path, text=text, days=days)


def test_an_answer_to_another_number_is_dropped() -> None:
    """What comes for the number that was chosen before is not shown under the number that is chosen now."""

    async def played() -> None:
        access = Slow()
        app = HealerdApp(TuiOptions(access=access), glyphs=GlyphSet.BRAILLE, guard_s=0.0, burst_s=0.0, follow=False)
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("rules")(pilot)
            await try_number(app, "25%")
            await pilot.pause()
            screen = app.screen
            assert isinstance(screen, WhatIfScreen)
            screen.action_choose(+1)
            assert len(screen.spots) > 1
            access.go.set()
            await app.workers.wait_for_complete()
            await settle(pilot)
            assert screen.query_one("#found", Painted).plain == ""

    asyncio.run(played())
