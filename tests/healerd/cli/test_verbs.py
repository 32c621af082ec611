"""The verbs against a control API on a real socket: what they print, what they end with, what reaches the core."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli import answer, inbox, options
from healerd.cli.exits import Exit
from healerd.client import Client
from healerd.clock import ManualClock
from healerd.model import Answer, AnswerKind, ApprovalNeed, IntentState
from healerd.store import Store, Watermark
from tests.served import NOW, Served, a_decision, an_intent

Call = Callable[..., Any]
WHY = ("--reason", "easter campaign, expected")


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answer, inbox, options):
        monkeypatch.setattr(module, "is_interactive", lambda: True)


def test_status_is_a_tab_separated_table_in_a_pipe(ask: Call) -> None:
    """In a pipe each pipeline is one line of tab-separated cells under one line of names, without colour."""
    called = ask("status")
    assert called.rows[0][:3] == ["PIPELINE", "STATE", "STAGE"]
    assert [row[:2] for row in called.rows[1:]] == [["churn", "pending"], ["fraud", "ok"]]
    assert "\x1b" not in called.out


def test_status_of_one_pipeline(ask: Call) -> None:
    """One pipeline is shown in detail, one name and value a line."""
    pairs = dict(ask("status", "churn").rows)
    assert pairs["open"] == "retrain announced [act-1]"
    assert pairs["decision"] == "retrain: the error rose"


def test_status_tells_a_script_that_something_waits(ask: Call, daemon: Served) -> None:
    """With --exit-status the code says whether a person is needed."""
    assert ask("status", "--exit-status").code == Exit.CONDITION_TRUE
    assert ask("status", "fraud", "--exit-status").code == Exit.OK
    assert ask("status").code == Exit.OK


def test_status_tells_a_health_check_whether_the_daemon_answers(ask: Call, call: Call, tmp_path: Path) -> None:
    """With --live a daemon that is away is not well, though what it stored can be shown."""
    assert ask("status", "--live").code == Exit.OK
    assert ask("status", "churn", "--live").code == Exit.OK
    with Store.open(tmp_path / "alone", clock=ManualClock(NOW)):
        pass
    assert call("status", "--state", tmp_path / "alone").code == Exit.OK
    away = call("status", "--live", "--state", tmp_path / "alone")
    assert (away.code, "away" in away.err) == (Exit.AWAY, True)


@pytest.mark.parametrize(
    "verb",
    [
        ["status"],
        ["status", "churn"],
        ["inbox"],
        ["review", "act-1"],
        ["trace", "list"],
        ["trace", "show", "dec-1"],
        ["policy", "status"],
        ["policy", "promote", "churn", *WHY],
        ["policy", "demote", "churn", *WHY],
        ["veto", "act-1", *WHY],
        ["approve", "act-1", "--yes", *WHY],
        ["pause", "churn", *WHY],
        ["resume", "churn", *WHY],
        ["resume", "--all", *WHY],
        ["reference", "accept", "churn", *WHY],
        ["stop-all", *WHY],
        ["propose", "churn", "rollback", "--to", "v12", *WHY],
        ["propose", "churn", "rollback", "--dry-run"],
    ],
    ids=" ".join,
)
def test_every_verb_prints_json_with_its_schema(ask: Call, verb: list[str]) -> None:
    """With --json stdout is one JSON object whose schema is 1."""
    called = ask(*verb, "--json")
    assert called.code == Exit.OK, called.err
    assert called.json["schema"] == 1


def test_inbox_lists_the_pressing_first_and_all_on_demand(ask: Call, daemon: Served) -> None:
    """Only what stands open is listed, unless all is asked for."""
    daemon.store.put(an_intent(id="act-0", state=IntentState.VERIFIED))
    assert [row[0] for row in ask("inbox").rows[1:]] == ["act-1"]
    assert {row[0] for row in ask("inbox", "--all").rows[1:]} == {"act-0", "act-1"}
    assert ask("inbox", "--pipeline", "fraud").err == "nothing waits\n"


def test_review_says_what_happens_without_an_answer(ask: Call) -> None:
    """Whoever reviews reads the default, the reason, the confidence, and the commands that answer."""
    out = ask("review", "act-1").out
    assert "If nobody answers within 10 min of having been able to, it runs." in out
    assert "confidence  0.86" in out
    assert 'healerd veto act-1 --if-rev 3 --reason "..."' in out


def test_a_confidence_below_the_gate_is_said_to_need_a_person(ask: Call, daemon: Served) -> None:
    """A confidence under 80% is never shown without what follows from it."""
    daemon.store.put(an_intent(id="act-2", confidence=0.71))
    daemon.store.put(an_intent(id="act-3", confidence=None))
    assert "0.71, below 0.80: it cannot run without a person" in ask("review", "act-2").out
    assert "unknown: it cannot run without a person" in ask("review", "act-3").out


def test_s8_veto_reaches_the_core(ask: Call, daemon: Served) -> None:
    """A veto stops the intent and says so."""
    assert ask("veto", "act-1", *WHY).rows[1] == ["act-1", "churn", "retrain", "vetoed"]
    assert daemon.core.calls[-1][:3] == ("answer", "act-1", AnswerKind.VETO)


def test_s8_a_veto_can_be_lifted(ask: Call, daemon: Served) -> None:
    """--lift takes a veto back."""
    ask("veto", "act-1", *WHY)
    assert ask("veto", "act-1", "--lift", *WHY).code == Exit.OK
    assert daemon.core.calls[-1][:3] == ("answer", "act-1", AnswerKind.LIFT)


def test_a_late_veto_is_a_conflict_with_the_way_back(ask: Call, daemon: Served) -> None:
    """Who comes too late is told the state and the command that undoes it."""
    daemon.store.put(an_intent(id="act-2", state=IntentState.VERIFIED))
    called = ask("veto", "act-2", *WHY)
    assert called.code == Exit.CONFLICT
    assert "healerd propose churn rollback --to v14" in called.err


def test_s14_an_unknown_effect_is_settled_by_a_person(ask: Call, daemon: Served) -> None:
    """Who looked says whether the effect is there; what needs nobody is a conflict, and neither word is no answer."""
    daemon.store.put(an_intent(id="act-3", state=IntentState.NEEDS_PERSON))
    assert ask("resolve", "act-3", *WHY).code == Exit.USAGE
    assert ask("resolve", "act-3", "--took-effect", "--if-rev", "2", *WHY).code == Exit.CONFLICT
    assert not daemon.core.calls
    called = ask("resolve", "act-3", "--took-effect", *WHY)
    assert (called.code, "inconclusive" in called.out) == (Exit.OK, True)
    assert daemon.core.calls[-1][:3] == ("resolve", "act-3", True)
    assert ask("resolve", "act-1", "--no-effect", *WHY).code == Exit.CONFLICT
    assert ask("resolve", "nothing", "--no-effect", *WHY).code == Exit.NOT_FOUND


def test_an_approval_is_never_blind(ask: Call, daemon: Served) -> None:
    """Where nobody can be asked an approval needs the revision or --yes; an old revision is a conflict."""
    called = ask("approve", "act-1", *WHY)
    assert (called.code, "--if-rev 3" in called.err) == (Exit.USAGE, True)
    assert ask("approve", "act-1", "--if-rev", "2", *WHY).code == Exit.CONFLICT
    assert not daemon.core.calls
    assert ask("approve", "act-1", "--if-rev", "3", *WHY).code == Exit.OK


def test_ids_come_from_stdin(ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads ids from stdin; one that fails does not keep the others from being stopped."""
    daemon.store.put(an_intent(id="act-2"))
    monkeypatch.setattr("sys.stdin", io.StringIO("act-1\tchurn\nnone\n\nact-2\n"))
    called = ask("veto", "-", *WHY)
    assert [row[0] for row in called.rows[1:]] == ["act-1", "act-2"]
    assert called.code == Exit.NOT_FOUND
    assert "no intent `none`" in called.err


@pytest.mark.parametrize("verb", [["veto", "act-1"], ["pause", "churn"], ["stop-all"], ["policy", "promote", "churn"]])
def test_nothing_is_asked_where_nobody_sits(ask: Call, daemon: Served, verb: list[str]) -> None:
    """Without a terminal a missing reason ends the verb, naming the option."""
    called = ask(*verb)
    assert called.code == Exit.USAGE
    assert "--reason" in called.err
    assert not daemon.core.calls


def test_a_person_at_a_terminal_is_asked(ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the missing reason and the consent are asked for, after the evidence was shown."""
    at_a_terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO("easter campaign\ny\n"))
    called = ask("approve", "act-1")
    assert called.code == Exit.OK
    assert called.err.index("RETRAIN churn") < called.err.index("let it run?")
    assert daemon.core.calls[-1][4:] == ("easter campaign", 3)


@pytest.mark.parametrize("others", [(), ("ml-oncall",)])
def test_who_has_approved_is_told_what_it_waits_for(ask: Call, daemon: Served, others: tuple[str, ...]) -> None:
    """Who was the last to approve is told that it runs, anybody else that another word is missing."""
    me = Client(daemon.state).status()["you"]["name"]
    needs = tuple(ApprovalNeed(role=role, deadline_at=None, otherwise="deny", rule="r") for role in ("mine", *others))
    asked = an_intent(id="act-2", state=IntentState.AWAITING_APPROVAL, approvals=needs, approved_by=(me,))
    yes = Answer(
        id="a", intent_id="act-2", pipeline="churn", kind=AnswerKind.APPROVE, author=me, roles=("mine",),
        reason="it looks right", revision=3, at=NOW,
    )  # fmt: skip
    daemon.store.put(asked)
    daemon.store.put(yes)
    said = "it waits for somebody else's word" if others else "it runs unless somebody vetoes it"
    assert f"you have approved it; {said}" in ask("review", "act-2").err


def test_who_declines_has_approved_nothing(ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no at the question leaves everything as it was."""
    at_a_terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert ask("approve", "act-1", *WHY).code == Exit.INTERRUPTED
    assert not daemon.core.calls


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_who_declines_the_second_is_told_that_the_first_runs(
    ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    """What was approved before a no is printed, for the no takes nothing of it back."""
    daemon.store.put(an_intent(id="act-2", key="k2", pipeline="fraud"))
    at_a_terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n"))
    called = ask("approve", "act-1", "act-2", *form, *WHY)
    assert called.code == Exit.INTERRUPTED
    assert "act-1" in called.out
    assert "act-2" not in called.out


def test_no_ids_on_stdin_are_said(ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A veto of nothing is no veto that was done."""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    called = ask("veto", "-", *WHY)
    assert (called.code, "no id came on stdin" in called.err) == (Exit.USAGE, True)


def test_the_inbox_of_no_pipeline_is_an_error(ask: Call) -> None:
    """A misspelt name is not told that nothing waits."""
    called = ask("inbox", "--pipeline", "chrn")
    assert (called.code, "did you mean `churn`" in called.err) == (Exit.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("choice", "calls"), [("\n", 0), ("veto\neaster campaign\n", 1), ("approve\neaster campaign\n", 1)]
)
def test_review_takes_the_answer_at_a_terminal(
    ask: Call, daemon: Served, monkeypatch: pytest.MonkeyPatch, choice: str, calls: int
) -> None:
    """A person at a terminal can answer right after reading, or leave it open."""
    at_a_terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO(choice))
    need = ApprovalNeed(role="operators", deadline_at=None, otherwise="deny", rule="base.stage_suggest")
    daemon.store.put(an_intent(id="act-2", state=IntentState.AWAITING_APPROVAL, approvals=(need,)))
    assert ask("review", "act-2").code == Exit.OK
    assert len(daemon.core.calls) == calls


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (IntentState.ANNOUNCED, {"veto"}),
        (IntentState.READY, {"veto"}),
        (IntentState.EXECUTING, set()),
        (IntentState.NEEDS_PERSON, set()),
        (IntentState.VETOED, set()),
    ],
)
def test_review_offers_only_what_can_still_be_said(
    ask: Call, daemon: Served, state: IntentState, offered: set[str]
) -> None:
    """No answer is offered that would be refused."""
    daemon.store.put(an_intent(id="act-2", state=state))
    out = ask("review", "act-2").out
    assert {answer for answer in ("veto", "approve") if f"healerd {answer} act-2" in out} == offered


def test_resume_says_whose_pause_it_ends(ask: Call, daemon: Served) -> None:
    """A pause is not ended without saying who made it and why."""
    ask("pause", "churn", "--reason", "labels are being repaired")
    called = ask("resume", "churn", *WHY)
    assert "labels are being repaired" in called.err
    assert called.rows[1] == ["state", "running"]


def test_resume_refuses_a_pause_that_is_not_the_one_seen(ask: Call) -> None:
    """With --if-rev another pause than the one looked at stays."""
    ask("pause", "churn", *WHY)
    assert ask("resume", "churn", "--if-rev", "suggest:running", *WHY).code == Exit.CONFLICT


@pytest.mark.parametrize("arguments", [[], ["churn", "--all"]])
def test_resume_wants_one_thing(ask: Call, arguments: list[str]) -> None:
    """Neither nothing nor everything and one at once can be resumed."""
    assert ask("resume", *arguments, *WHY).code == Exit.USAGE


def test_s15_stop_all_works_without_a_daemon(call: Call, tmp_path: Path) -> None:
    """With no daemon there, stop-all leaves the file that is read before each effect."""
    called = call("stop-all", *WHY, "--state", tmp_path)
    assert called.code == Exit.OK
    assert WHY[1] in (tmp_path / "STOP").read_text()
    assert "no daemon answered" in called.out


def test_s15_stop_all_and_resume_all_with_a_daemon(ask: Call, daemon: Served) -> None:
    """With a daemon both the file and the daemon know, and resuming clears both."""
    ask("stop-all", *WHY)
    assert (daemon.state / "STOP").exists()
    assert "everything is stopped" in ask("status").err
    assert ask("resume", "--all", *WHY).code == Exit.OK
    assert not (daemon.state / "STOP").exists()


def test_promotion_climbs_one_stage(ask: Call) -> None:
    """A promotion goes to the next stage, a demotion to the one before, and the ends are named."""
    assert ["stage", "canary"] in ask("policy", "promote", "churn", *WHY).rows
    assert ["stage", "live"] in ask("policy", "promote", "churn", *WHY).rows
    assert "`live` is the last stage" in ask("policy", "promote", "churn", *WHY).err
    assert ["stage", "suggest"] in ask("policy", "demote", "churn", "--to", "suggest", *WHY).rows
    assert ["stage", "observe"] in ask("policy", "demote", "churn", "--to", "observe", *WHY).rows


@pytest.mark.parametrize(("verb", "to"), [("demote", "live"), ("promote", "observe"), ("demote", "suggest")])
def test_s5_neither_verb_goes_the_other_way(ask: Call, daemon: Served, verb: str, to: str) -> None:
    """`demote` never promotes and `promote` never demotes, whatever stage is named: the other verb is."""
    called = ask("policy", verb, "churn", "--to", to, *WHY)
    assert called.code == Exit.USAGE
    assert f"healerd policy {'promote' if verb == 'demote' else 'demote'}" in called.err
    assert not daemon.core.calls


def test_a_promotion_says_what_evidence_there_is(ask: Call) -> None:
    """Before a pipeline is trusted with more, the verdict of its coin decisions is said, on stderr."""
    assert "evidence: not proven" in ask("policy", "promote", "churn", *WHY).err


def test_policy_status_of_one_pipeline_shows_the_evidence(ask: Call) -> None:
    """Stage, reliability, coin decisions and what people decided are shown, and the same as JSON."""
    out = ask("policy", "status", "churn").out
    assert "predicted against observed failure" in out
    assert "verdict\tnot proven" in out
    view = ask("policy", "status", "churn", "--json").json
    assert (view["schema"], view["stage"], view["reliability"]) == (1, "suggest", [])
    assert view["people"] == {"approved": 0, "compared": 0, "failed": 0, "vetoed": 0}


def test_trace_show_leaves_nothing_out(ask: Call) -> None:
    """A trace is printed as a page, with what came of it."""
    out = ask("trace", "show", "dec-1").out
    assert "It would retrain, because the error rose" in out
    assert "error_rate 0.31" in out
    assert "intent `act-1`: retrain is announced" in out


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [
        (["statsu"], Exit.USAGE, "did you mean `status`?"),
        (["status", "chrun"], Exit.NOT_FOUND, "did you mean `churn`?"),
        (["pause", "chrun", *WHY], Exit.NOT_FOUND, "did you mean `churn`?"),
        (["trace", "list", "chrun"], Exit.NOT_FOUND, "did you mean `churn`?"),
        (["trace", "show", "none"], Exit.NOT_FOUND, "healerd trace list"),
        (["review", "none"], Exit.NOT_FOUND, "healerd inbox"),
        (["propose", "churn", "retrian", *WHY], Exit.USAGE, "retrain"),
        (["pause", "churn", "--reason", "no"], Exit.USAGE, "at least 8 characters"),
    ],
)
def test_errors_say_what_why_and_what_next(ask: Call, call: Call, verb: list[str], code: int, said: str) -> None:
    """What went wrong is on stderr with the next step, nothing is on stdout, and the code says which kind it was."""
    called = call(*verb) if verb == ["statsu"] else ask(*verb)
    assert (called.code, called.out) == (code, "")
    assert said in called.err


def test_without_a_daemon_the_way_to_one_is_said(call: Call, tmp_path: Path) -> None:
    """No daemon and no database is exit 3 with the command that starts one."""
    called = call("status", "--state", tmp_path)
    assert called.code == Exit.AWAY
    assert "healerd run" in called.err


def test_without_a_configuration_the_ways_to_name_one_are_said(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing to go by, the error names both options."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALERD_CONFIG", raising=False)
    called = call("status")
    assert called.code == Exit.USAGE
    assert "--config FILE" in called.err
    assert "--state DIR" in called.err


def test_the_configuration_is_found(
    call: Call, daemon: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """./healerd.toml counts first, then $HEALERD_CONFIG; --config before both."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(f'[daemon]\nstate = "{daemon.state}"\n')
    bad.write_text("[deamon]\n")
    monkeypatch.setenv("HEALERD_CONFIG", str(good))
    assert call("status").code == Exit.OK
    (folder / "healerd.toml").write_text("[deamon]\n")
    assert "did you mean `daemon`?" in call("status").err
    assert call("status", "--config", good).code == Exit.OK
    assert call("status", "--config", bad).code == Exit.USAGE


def test_s17_the_daemon_refuses_and_the_verb_says_so(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lacks the role gets exit 4 and is told where roles are given."""
    from tests.served import served

    monkeypatch.setattr("healerd.daemon.people.ROOT", 64_999)
    with served(tmp_path, owner_uid=64_999):
        called = call("pause", "churn", *WHY, "--state", tmp_path)
    assert called.code == Exit.NOT_ALLOWED
    assert "roles" in called.err


def test_watch_tells_what_happens_and_skips_what_does_not_matter(ask: Call, daemon: Served) -> None:
    """Watching prints one line an event in plain words, without the bookkeeping, until the daemon stops."""
    daemon.store.put(Watermark(pipeline="churn", end_at=NOW))
    daemon.store.note("clock jump", actor="daemon", record={"seconds": 3600})
    _stop_soon(daemon)
    called = ask("watch", "--after", "0")
    lines = [line.split("  ", 1)[1] for line in called.out.splitlines()]
    assert lines == [
        "churn: decided to retrain: the error rose",
        "churn: retrain is announced; if nobody answers, it runs  [act-1]",
        "clock jump seconds 3600",
    ]
    assert called.err == "the daemon has stopped\n"


def test_watch_prints_json_lines(ask: Call, daemon: Served) -> None:
    """With --json each event is one JSON object on a line of its own."""
    _stop_soon(daemon)
    events = [json.loads(line) for line in ask("watch", "--after", "0", "--all", "--json").out.splitlines()]
    assert [(event["schema"], event["seq"]) for event in events] == [(1, 1), (1, 2)]


def test_a_terminal_gets_a_table(ask: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal the same data is a table, each state with its sign and its word."""
    monkeypatch.setattr("healerd.cli.show.Show.is_terminal", True)
    monkeypatch.setenv("COLUMNS", "110")
    out = ask("status").out
    assert "▲ pending" in out
    assert "\t" not in out
    assert ask("status", "churn").out.splitlines()[0].split() == ["pipeline", "churn"]
    assert max(map(len, ask("trace", "list").out.splitlines())) <= 110


def test_version_needs_nothing(call: Call) -> None:
    """The version is printed without a daemon or a configuration."""
    from healerd import __version__

    assert dict(call("version").rows)["healerd"] == __version__
    assert call("version", "--json").json["healerd"] == __version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(call: Call, shell: str) -> None:
    """Each shell gets a script that calls back into healerd."""
    assert "_HEALERD_COMPLETE" in call("completion", shell).out


def test_pipelines_and_intents_complete(
    daemon: Served, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell is offered the names that exist; without a daemon nothing, and never an error."""
    from click.shell_completion import ShellComplete

    from healerd.cli.group import cli

    def offered(*arguments: str) -> list[str]:
        complete = ShellComplete(cli, {}, "healerd", "_HEALERD_COMPLETE")
        return [item.value for item in complete.get_completions(list(arguments[:-1]), arguments[-1])]

    assert offered("status", "--state", str(daemon.state), "ch") == ["churn"]
    assert offered("veto", "--state", str(daemon.state), "a") == ["act-1"]
    assert offered("status", "--state", "/nowhere", "") == []
    assert "status" in offered("st")


def _stop_soon(daemon: Served) -> None:
    daemon.loop.call_soon_threadsafe(lambda: daemon.loop.call_later(0.2, daemon.bell.stop))


def test_decisions_can_be_filtered_and_paged(ask: Call, daemon: Served) -> None:
    """`trace list` keeps what fits, and says how to see older ones."""
    daemon.store.put(a_decision(id="dec-2", chosen="hold", reason="no rule asks for anything"))
    assert [row[0] for row in ask("trace", "list", "--action", "hold").rows[1:]] == ["dec-2"]
    assert [row[0] for row in ask("trace", "list", "--text", "the error rose").rows[1:]] == ["dec-1"]
    page = ask("trace", "list", "--limit", "1")
    assert [row[0] for row in page.rows[1:]] == ["dec-2"]
    before = page.err.split("--before ")[1].strip()
    assert [row[0] for row in ask("trace", "list", "--before", before).rows[1:]] == ["dec-1"]


def test_two_decisions_are_compared(ask: Call, daemon: Served) -> None:
    """`trace diff` prints what differs, and the first difference that changed the result."""
    daemon.store.put(a_decision(id="dec-2", chosen="hold", confidence=None))
    called = ask("trace", "diff", "dec-1", "dec-2")
    assert ["action", "chosen", "retrain", "hold", "-"] in called.rows
    assert "first difference that changed the result: gate, confidence" in called.err
    assert ask("trace", "diff", "dec-1", "dec-1").err == "their results are the same\n"
    assert ask("trace", "diff", "dec-1", "dec-2", "--json").json["first"]["step"] == "gate"


def test_the_log_can_be_searched(ask: Call) -> None:
    """`audit list` prints the entries that fit, newest first, in words."""
    rows = ask("audit", "list", "--kind", "intent,decision").rows[1:]
    assert [row[3] for row in rows] == ["intent", "decision"]
    assert rows[1][5] == "churn: decided to retrain: the error rose"
    assert ask("audit", "list", "--actor", "nobody").rows[1:] == []


def test_rules_that_fired_are_counted(ask: Call) -> None:
    """`rules fired` says on how many decisions it stands, and which rules were silent."""
    called = ask("rules", "fired", "churn", "--days", "30")
    assert called.code == Exit.OK
    assert called.err.startswith("1 decisions since")


def test_a_dry_run_is_shown_and_nothing_is_proposed(ask: Call) -> None:
    """The plan, the verdict and what would be done are printed; the same verb without the option then proposes."""
    before = ask("trace", "list", "--json").out
    shown = ask("propose", "churn", "rollback", "--to", "v12", "--dry-run")
    assert shown.code == Exit.OK
    assert all(said in shown.out for said in ("v13", "v12", "allowed", "nothing: a dry run"))
    assert ask("trace", "list", "--json").out == before
