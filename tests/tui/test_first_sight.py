"""What somebody stumbles over who sees the terminal UI for the first time, or who has a thousand pipelines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Tree

from healerd.client import Client
from healerd.errors import ControlError
from healerd_tui.actions import Situation, by_id, why_not
from healerd_tui.detail import estimate_words, segment_words
from healerd_tui.export import write_trace
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import width
from healerd_tui.places import Place
from healerd_tui.question import Question, consequence, question_lines
from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.health import health_lines, log_lines
from healerd_tui.screens.lines import Painted
from healerd_tui.screens.pipeline import PipelineScreen
from healerd_tui.screens.traces import TracesScreen
from healerd_tui.state import Snapshot, State, reduce
from healerd_tui.view import banner
from tests.served import a_decision, served
from tests.tui.canned import a_question, a_snapshot
from tests.tui.playing import Clock, Played, ask, playing
from tests.tui.scenes import an_app, scene

Story = Callable[[Played], Awaitable[None]]


def live(folder: Path, story: Story, **settings: Any) -> None:
    async def played() -> None:
        async with playing(folder, **settings) as playing_:
            await playing_.live()
            await story(playing_)

    asyncio.run(played())


def texts(lines: Any) -> list[str]:
    return ["".join(words for words, _ in line) for line in lines]


def test_a_sign_stays_with_its_rule() -> None:
    """In the list of rules no line ends with the sign of the rule on the next line, whatever the width."""
    rules = [{"rule": f"base.rule_{number}", "effect": "pass", "because": ""} for number in range(9)]
    question = a_question()
    asked = Question({**question, "review": {**question["review"], "rules": rules}})
    for cells in range(40, 130, 7):
        for line in texts(question_lines(asked, cells=cells, glyphs=GlyphSet.BRAILLE)):
            assert not line.rstrip().endswith("✓")


@pytest.mark.parametrize(("action", "target"), [("retrain", "a new version"), ("fallback", "the safe model")])
def test_an_action_names_what_it_leads_to(action: str, target: str) -> None:
    """A fallback leads to the safe model, and only a retraining to a new version."""
    asked = Question(a_question(action=action, target=None))
    assert asked.title.endswith(f"→ {target}")
    assert f"to {target} " in consequence(asked, "approve")


def test_what_silence_does_is_said_in_words() -> None:
    """No word of the rule language stands where a person asks what follows when an approval is not given."""
    need = {"role": "operators", "rule": "base.stage_suggest", "otherwise": "defer"}
    question = a_question()
    asked = Question({**question, "review": {**question["review"], "approvals": [need]}})
    said = " ".join(" ".join(texts(question_lines(asked, cells=118, glyphs=GlyphSet.BRAILLE))).split())
    assert "otherwise it does not run, and may be asked again" in said


def test_what_was_found_stands_before_the_evidence() -> None:
    """The sentences of the diagnosis, and the segments in which an alarm stands, are read before the numbers."""
    question = a_question()
    found = {"diagnosis": ["It looks like a concept shift."], "segments": ["`lane=right`: it errs more"]}
    asked = Question({**question, "review": {**question["review"], **found}})
    lines = texts(question_lines(asked, cells=118, glyphs=GlyphSet.BRAILLE))
    first = next(k for k, line in enumerate(lines) if line.startswith("FOUND"))
    assert "It looks like a concept shift." in lines[first]
    assert "`lane=right`: it errs more" in lines[first + 1]
    assert lines[first + 2].startswith("EVIDENCE")


def test_a_pipeline_names_its_segments_and_says_that_an_estimate_is_one() -> None:
    """Segments with an alarm are named with their layers; the estimate of the error never stands without its words."""
    view = {"segments": [{"name": "lane=left", "alarms": ["drift"]}, {"name": "lane=right", "alarms": []}]}
    assert segment_words(view) == ["lane=left: drift"]
    assert estimate_words({"estimated_error": 0.125}) == [
        "estimated error 12.5%: without labels, blind to concept shift"
    ]
    assert segment_words({}) + estimate_words({}) == []


def test_a_long_line_of_the_log_says_that_it_goes_on() -> None:
    """What is cut ends in an ellipsis."""
    line = {"at": "2026-05-07T14:17:00Z", "level": "info", "from": "healerd", "message": "m" * 200}
    (said,) = texts(log_lines({"log": [line]}, State(), 80, ""))
    assert said.endswith("…")
    assert width(said) == 80


def test_the_doctor_shows_what_is_sound_when_asked() -> None:
    """Health lists only what should be mended; D lists every check."""
    view = {"findings": [{"check": "disk", "level": "ok", "said": "72 GB free", "mend": ""}]}

    def said(*, everything: bool) -> str:
        lines = health_lines(
            view, state=State(), monotonic_s=0.0, cells=100, glyphs=GlyphSet.BRAILLE, everything=everything
        )
        return "\n".join(texts(lines))

    assert "disk" not in said(everything=False)
    assert "✓ disk: 72 GB free" in said(everything=True)


def test_a_trace_is_written_once(tmp_path: Path) -> None:
    """An export is the JSON of the command line, lies in the folder whatever the id says, and overwrites nothing."""
    view = {"decision": {"id": "../d/1"}, "said": []}
    path = write_trace(view, tmp_path)
    assert path.parent == tmp_path
    assert json.loads(path.read_text(encoding="utf-8")) == {"schema": 1, **view}
    with pytest.raises(ControlError, match="is there already"):
        write_trace(view, tmp_path)


def test_e_writes_the_trace_on_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E writes the decision into the folder that the program was started in, and says where."""
    monkeypatch.chdir(tmp_path)

    async def story(played: Played) -> None:
        played.app.visit(Place("traces"))
        screen = played.app.screen
        assert isinstance(screen, TracesScreen)
        await played.until(lambda: screen.ready and screen.list.highlighted)
        await played.press("E")
        await played.until(lambda: any("written" in said for said in played.said()))
        assert json.loads((tmp_path / "trace-dec-1.json").read_text(encoding="utf-8"))["decision"]["id"] == "dec-1"

    with served(tmp_path) as daemon:
        ask(daemon)
        live(tmp_path, story)


def test_the_decisions_of_one_rule(tmp_path: Path) -> None:
    """A list kept to a rule holds the decisions in which it acted or proposed, not those that only speak of it."""

    async def story(played: Played) -> None:
        played.app.visit(Place("traces", "churn", keep="rule=base.settle"))
        screen = played.app.screen
        assert isinstance(screen, TracesScreen)
        await played.until(lambda: screen.ready and screen.list.highlighted)
        assert screen.list.count == 1 or screen.list.row_at(1) is None
        assert screen.names()["decision"] == "dec-2"
        assert "rule=base.settle" in played.text()

    with served(tmp_path) as daemon:
        daemon.store.put(a_decision(reason="base.settle was not asked"))
        daemon.store.put(a_decision(id="dec-2", trace={"proposals": [{"rule": "base.settle"}]}))
        live(tmp_path, story)


def test_the_bell_rings_again_a_minute_before_the_end(tmp_path: Path) -> None:
    """An intent rings when it begins to wait and when a minute is left, each once."""

    async def story() -> None:
        clock = Clock()
        async with playing(tmp_path, clock=clock) as played:
            await played.live()
            app = played.app
            assert len({what for _, what in app._belled}) == 1
            clock.pass_(190.0)
            app._tick()
            assert {what for _, what in app._belled} == {"new", "last"}

    with served(tmp_path) as daemon:
        ask(daemon)
        asyncio.run(story())


def test_a_pipeline_that_is_not_there_is_not_read_for_ever(tmp_path: Path) -> None:
    """A wrong name says so once, and no panel goes on to say that it is being read."""

    async def story(played: Played) -> None:
        assert isinstance(played.app.screen, PipelineScreen)
        await played.until(lambda: any("no pipeline `nosuch`" in said for said in played.said()))
        await played.until(lambda: "reading" not in played.text())
        assert len(played.said()) == 1

    with served(tmp_path):
        live(tmp_path, story, pipeline="nosuch")


def test_a_prompt_is_broken_anew_when_the_terminal_shrinks(tmp_path: Path) -> None:
    """After a resize no line of the question is wider than the terminal."""

    async def story(played: Played) -> None:
        screen = await played.open_prompt()
        await played.pilot.resize_terminal(80, 24)
        lines = screen.query_one("#lines", Painted)
        await played.until(lambda: max(map(width, lines.plain.splitlines())) <= 76)

    with served(tmp_path) as daemon:
        ask(daemon)
        live(tmp_path, story, size=(200, 50))


def test_a_row_that_did_not_change_is_not_drawn_again(tmp_path: Path) -> None:
    """A second snapshot that says the same keeps the very views, and the fleet draws none of their rows."""
    first = a_snapshot(heard_s=1.0)
    copied = json.loads(json.dumps(first.status))
    once = reduce(State(), first)
    twice = reduce(once, Snapshot(status=copied, intents=first.intents, heard_s=2.0))
    assert all(twice.pipelines[name] is view for name, view in once.pipelines.items())


def test_leaves_come_in_one_piece(tmp_path: Path) -> None:
    """Leaves that come by the thousand are taken together: none is lost, and none comes twice."""

    async def story(played: Played) -> None:
        with daemon.store.transaction() as tx:
            for number in range(500):
                tx.note("test", {"number": number}, pipeline="churn", actor="ana")
        daemon.ring()
        await played.until(lambda: played.app.state.seq >= 500)
        assert isinstance(played.app.screen, FleetScreen)
        assert not played.app.state.gap

    with served(tmp_path) as daemon:
        live(tmp_path, story)


def test_the_stream_is_whole(tmp_path: Path) -> None:
    """The event stream sends every leaf, in order, however many are read at once."""
    with served(tmp_path) as daemon:
        with daemon.store.transaction() as tx:
            for number in range(300):
                tx.note("test", {"number": number}, pipeline="churn", actor="ana")
        events = Client(tmp_path).events(after=0)
        assert [next(events)["seq"] for _ in range(300)] == list(range(1, 301))


def test_no_line_of_the_question_is_cut() -> None:
    """At every width each line of the question fits, so that nothing a person needs is cut off."""
    for cells in range(60, 196, 9):
        lines = question_lines(Question(a_question()), cells=cells, glyphs=GlyphSet.BRAILLE, open_evidence=True)
        assert max(map(width, texts(lines))) <= cells


def test_the_list_of_intents_says_when_silence_decides(tmp_path: Path) -> None:
    """An approval that runs out counts as a deadline in every list, not only where the whole intent is read."""
    with served(tmp_path) as daemon:
        ask(daemon)
        (line,) = Client(tmp_path).intents()["intents"]
        assert line["deadline_at"] == "2026-05-07T14:21:00Z"


def test_the_sign_of_what_waits_is_whole_in_ascii() -> None:
    """The banner shows the sign that the README lists, not a piece of it."""
    line = banner(reduce(State(), a_snapshot(heard_s=1.0)), monotonic_s=1.0, cells=120, glyphs=GlyphSet.ASCII)
    assert line is not None
    assert line[0][0] == "[? ] 2 PENDING"


def test_only_what_is_paused_is_resumed() -> None:
    """u asks for nothing on a pipeline that is not paused; it says that it is not."""
    able = Situation(live=True, roles=("viewer", "operator", "approver"), has=frozenset({"pipeline"}))
    assert why_not(by_id("resume"), able) == "it is not paused"
    assert why_not(by_id("resume"), replace(able, has=frozenset({"pipeline", "paused"}))) == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
def test_what_is_cut_in_a_trace_says_so(size: tuple[int, int]) -> None:
    """No leaf of a trace is wider than its panel: a note that is too long ends in an ellipsis, not in half a word."""

    async def story() -> None:
        app = an_app()
        async with app.run_test(size=size) as pilot:
            await scene("trace")(pilot)
            tree = app.screen.query_one(Tree)
            room = tree.size.width
            for branch in tree.root.children:
                for leaf in branch.children:
                    assert width(str(leaf.label)) + 4 <= room

    asyncio.run(story())


@pytest.mark.parametrize("view", ["fleet", "inbox", "rules", "audit", "health", "traces", "trace", "diff", "pipeline"])
def test_no_panel_runs_out_of_a_small_terminal(view: str) -> None:
    """At 80x24 every panel has both its edges on the screen."""

    async def story() -> None:
        app = an_app()
        async with app.run_test(size=(80, 24)) as pilot:
            await scene(view)(pilot)
            panels = [panel for panel in app.screen.query(".panel") if panel.display and panel.region]
            assert panels
            assert all(panel.region.x >= 0 and panel.region.right <= 80 for panel in panels)

    asyncio.run(story())
