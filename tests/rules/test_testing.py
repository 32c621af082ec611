"""Test blocks: what they see, what they expect, how they fail, and what they have covered."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules import Loaded, RuleSet, Schema, load, load_pack, load_text, pack_paths, render, shipped_packs
from healerd_rules.coverage import Outcome
from healerd_rules.testing import Failure, Report, run_tests
from tests.rules.worlds import SCHEMA, codes

EXAMPLES = Path(__file__).parents[2] / "rules" / "examples"
NAME = "my.heal"


def loaded(text: str, schema: Schema = SCHEMA) -> RuleSet:
    found = load_text(text, name=NAME, schema=schema)
    assert found.ruleset is not None, render(found.diagnostics, found.sources)
    return found.ruleset


def report(text: str) -> Report:
    return run_tests(loaded(text), files=(NAME,))


def failure(rules: str, steps: str) -> Failure | None:
    """How a test with these steps fails on these rules."""
    (result,) = report(f'{rules}\ntest "it" {{\n{steps}\n}}').results
    return result.failure


def passes(rules: str, steps: str) -> bool:
    return failure(rules, steps) is None


SURE = 'given confidence = 95%, data_quality = "good"\n'


# where a test starts --------------------------------------------------------


def test_a_test_starts_live_with_an_open_incident_and_knows_nothing() -> None:
    """Stage live, an open incident, no confidence and no facts: a person is asked, and training is barred."""
    assert passes("", "expect approval_needed rollback by confidence_gate\nexpect forbidden retrain by bad_data")
    assert passes('signal s = stage == "live" and incident', "expect s")
    assert passes("signal s = rows > 5", "expect unknown s")


def test_times_are_utc_and_start_on_a_monday_at_noon() -> None:
    """Without `at` it is Monday noon; with it, that moment in UTC."""
    office = "calendar c = mon 12:00..12:00\nsignal s = now in c"
    assert passes(office, "expect s\nadvance 1m\nexpect not s")
    assert passes(office, "at 2026-11-23 12:00\nexpect s")
    assert passes(office, "at 2026-11-24 12:00\nexpect not s")


def test_at_moves_on_once_time_has_passed() -> None:
    """A later `at` closes the windows on the way; one that lies in the past fails the test at its place."""
    three = "signal s = rows > 5 for 3 windows"
    assert passes(three, "at 2026-11-23 10:00\ngiven rows = 6\nadvance 1 window\nat 2026-11-23 11:30\nexpect s")
    found = failure(three, "at 2026-11-23 10:00\nadvance 1 window\nat 2026-11-23 10:00")
    assert found is not None
    assert (found.line, found.outcome) == (5, "it is already 2026-11-23 10:30")


def test_at_stands_before_the_log() -> None:
    """Where actions were counted from an earlier start, a new one is refused rather than guessed."""
    found = failure("", "did rollback 5m ago\nat 2026-11-23 10:00")
    assert found is not None
    assert found.outcome.startswith("`at` stands before")


@pytest.mark.parametrize(
    "step",
    ["at 9999-12-31 23:59", "at 0001-01-01 00:00", "did retrain 999999w ago", "doing retrain for 999999w"],
)
def test_moments_that_no_clock_reaches_are_findings(step: str) -> None:
    """Time is bounded when a test is read, so that no step can fail for it."""
    assert codes(f'test "t" {{ {step} }}') == ["value"]


@pytest.mark.parametrize("year", [1970, 2199])
def test_the_ends_of_time_can_be_tested(year: int) -> None:
    """The first and the last year hold all that a test may do there."""
    steps = f"at {year}-01-01 00:00\n{SURE}did retrain 5200w ago\nadvance 40d\nexpect allowed rollback"
    assert passes("", steps)


def test_imported_names_are_said_with_their_prefix() -> None:
    """A signal that is imported under a name is expected under it, a rule of a pack under the pack's."""
    steps = f"{SURE}given error_rate = 50%\nexpect d.collapse\nexpect allowed rollback by base.known_actions"
    assert passes('import "drift" as d', steps)


# windows ----------------------------------------------------------------------


def test_a_value_is_measured_again_every_window() -> None:
    """After `given`, three windows are three measurements, and before the third the signal is false."""
    steps = "given rows = 6\nadvance 2 windows\nexpect not s\nadvance 1 window\nexpect s"
    assert passes("signal s = rows > 5 for 3 windows", steps)


def test_an_expectation_right_after_a_value_sees_the_open_window() -> None:
    """What is given is seen as if its window closed now, and closing it then changes nothing."""
    steps = "given rows = 6\nexpect s\nadvance 1 window\nexpect s\ngiven rows = 1\nexpect not s"
    assert passes("signal s = rows > 5 for 1 windows", steps)
    assert passes("signal s = rows > 5 for 2 windows", "given rows = 6\nexpect not s\nexpect not s\nexpect not s")


def test_minutes_close_only_the_windows_that_end_meanwhile() -> None:
    """Eleven minutes close no window, nineteen more close one."""
    assert passes("signal s = rows > 5 for 2 windows", "given rows = 6\nadvance 1 window\nadvance 29m\nexpect not s")
    assert passes("signal s = rows > 5 for 2 windows", "given rows = 6\nadvance 41m\nadvance 19m\nexpect s")


def test_a_missing_value_is_unknown_and_keeps_the_count() -> None:
    """A window without the value reads unknown, and the count goes on after it."""
    steps = (
        "given rows = 6\nadvance 2 windows\ngiven rows = missing\nadvance 1 window\nexpect unknown s\n"
        "given rows = 6\nadvance 1 window\nexpect s"
    )
    assert passes("signal s = rows > 5 for 3 windows", steps)


def test_members_alarms_and_baselines_can_be_given() -> None:
    """Values over a dimension, alarms and baselines are given as they are written in rules."""
    rules = "signal a = any feature where (psi > 0.2)\nsignal b = alarm(harm)\nsignal c = rows > baseline(rows)"
    steps = 'given psi[age] = 0.1, psi["the income"] = 0.3, alarm(harm) = true, rows = 5, baseline(rows) = 4'
    assert passes(rules, f"{steps}\nexpect a\nexpect b\nexpect c")
    assert passes(rules, f'{steps}\ngiven psi["the income"] = missing\nexpect unknown a')
    assert passes(rules, f"{steps}\ngiven alarm(harm) = missing, baseline(rows) = 5\nexpect unknown b\nexpect not c")


def test_a_test_has_an_end() -> None:
    """More windows than a test may have fail it."""
    found = failure("", "advance 90d")
    assert found is not None
    assert "at most" in found.outcome


# the action log ---------------------------------------------------------------


def test_did_is_a_closed_heal() -> None:
    """`did X 20m ago` starts the cooldown twenty minutes ago, here; elsewhere it bars nothing here."""
    assert passes(
        "", f"{SURE}did rollback 20m ago\nexpect deferred rollback by settle\nadvance 10m\nexpect allowed rollback"
    )
    assert passes("", f'{SURE}did rollback 20m ago in pipeline "other"\nexpect allowed rollback')
    assert passes("signal s = age(rollback) == 20m", "did rollback 20m ago\nexpect s")


def test_doing_is_an_open_action() -> None:
    """`doing X` is an action that runs: nothing else starts until it ends."""
    assert passes("", f"{SURE}doing retrain\nexpect deferred rollback by one_at_a_time, settle")
    assert passes(
        "limit l: retrain at most 2 concurrent", f'{SURE}doing retrain in pipeline "b"\nexpect allowed retrain'
    )
    steps = f'{SURE}doing retrain in pipeline "b"\ndoing retrain for 5m in pipeline "c"\nexpect deferred retrain by l'
    assert passes("limit l: retrain at most 2 concurrent", steps)


def test_actions_of_this_incident_and_of_others() -> None:
    """`did` in this incident is seen by `did(...)`, one before it is not."""
    rules = "signal s = did(rollback)"
    assert passes(
        rules, "expect not s\ndid rollback 2h ago\nexpect not s\ndid rollback 1h ago in this incident\nexpect s"
    )


def test_fleets_teams_and_money() -> None:
    """The size of the fleet, the tags and the declared costs reach limits."""
    fleet = "limit l: any action at most 10% of pipelines per 1h"
    other = 'did rollback 10m ago in pipeline "b"\n'
    assert passes(fleet, f"{SURE}given pipelines = 20\n{other}expect allowed rollback")
    assert passes(fleet, f"{SURE}given pipelines = 10\n{other}expect deferred rollback by l")
    team = "limit l: retrain at most $79 per 24h per team"
    ours = 'on pipeline "a" tags "team:x"\n'
    theirs = 'did retrain 1h ago in pipeline "b" tags "team:{}"\n'
    assert passes(team, f"{ours}{SURE}{theirs.format('y')}expect allowed retrain")
    assert passes(team, f"{ours}{SURE}{theirs.format('x')}expect deferred retrain by l")


# expectations -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "holds"),
    [
        ("expect approval_needed retrain", True),
        ("expect approval_needed retrain by r", True),
        ("expect approval_needed retrain by r, base.confidence_gate", False),
        ('expect approval_needed retrain from "ops" within 2h else defer by r', True),
        ('expect approval_needed retrain from "others"', False),
        ("expect approval_needed retrain within 3h", False),
        ("expect approval_needed retrain else deny", False),
        ("expect not approval_needed retrain", False),
        ("expect not allowed retrain", True),
        ("expect allowed retrain", False),
        ("expect announced rollback within 5m by v", True),
        ("expect announced rollback within 6m", False),
        ("expect not announced rollback by r", True),
        ("expect allowed fallback by known_actions", True),
        ("expect allowed fallback by r", False),
        ("expect proposed retrain by p", True),
        ("expect proposed rollback", False),
        ("expect proposed retrain before fallback by p", True),
        ("expect proposed fallback before retrain", False),
        ("expect proposed retrain before rollback", False),
        ("expect not proposed fallback before retrain", True),
        ("expect not proposed retrain", False),
        ("expect not proposed rollback", True),
        ('expect notify "a" by n', True),
        ('expect notify "b"', False),
        ('expect not notify "a"', False),
        ('expect not notify "b"', True),
        ("expect s", True),
        ("expect not s", False),
        ("expect unknown s", False),
        ("expect not unknown s", True),
        ("expect not u", False),
        ("expect u", False),
        ("expect unknown u", True),
        ("expect not unknown u", False),
        ("expect forbidden reboot by default", True),
    ],
)
def test_each_expectation(expectation: str, holds: bool) -> None:
    """Each form of an expectation tells what is so from what is not."""
    rules = (
        'require r: retrain approval from "ops" within 2h else defer\nrequire v: rollback veto within 5m\n'
        'propose p: retrain when rows > 5 priority 5\nnotify n: "a" when rows > 5\n'
        "signal s = rows > 5\nsignal u = error_rate > 5%\n"
        "action reboot\npropose q: fallback"
    )
    assert passes(rules, f"{SURE}given rows = 6\n{expectation}") is holds


def test_a_test_stops_where_it_fails_and_says_why() -> None:
    """A failure carries the place, what was expected, what came out, and each comparison with its values."""
    found = failure(
        "forbid few: retrain when rows < 500", f"{SURE}given rows = 120\nexpect allowed retrain\nexpect allowed undo"
    )
    assert found is not None
    assert found.prose().splitlines()[:4] == [
        "my.heal:5: expect allowed retrain",
        "  but retrain is forbidden",
        "  forbid few acts (my.heal:1)",
        "    `rows < 500` is true: value 120, threshold 500",
    ]
    assert json.loads(json.dumps(found.to_json()))["line"] == 5


def test_a_signal_that_fails_is_told_window_by_window() -> None:
    """For a signal with memory the windows so far are told, and how it stands now."""
    found = failure("signal s = rows > 5 for 3 windows", "given rows = 6\nadvance 2 windows\nexpect s")
    assert found is not None
    assert found.outcome == "`s` is false"
    assert found.reasons == (
        "  `rows > 5 for 3 windows` is false: the newest windows were true, true",
        "    now: `rows > 5` is true: value 6, threshold 5",
    )


def test_a_proposal_that_fails_tells_the_rules_that_could() -> None:
    """Where nothing was proposed, each rule that could have says why it did not."""
    found = failure("propose p: retrain when rows > 5", "given rows = 1\nexpect proposed retrain")
    assert found is not None
    assert found.outcome == "proposed: nothing"
    assert found.reasons == ("  propose p does not act (my.heal:1)", "    `rows > 5` is false: value 1, threshold 5")


def test_names_that_do_not_exist_are_findings() -> None:
    """Unknown rules, actions, signals, alarms and metrics in tests are reported; so are rules of one name."""
    for step in (
        "expect allowed nosuch",
        "expect nosuch",
        "expect allowed retrain by nosuch",
        "given nosuch = 1",
        "given alarm(nosuch) = true",
        "given baseline(nosuch) = 1",
        "given age(retrain) = 1m",
        "did nosuch 1m ago",
    ):
        assert codes(f'test "t" {{ {step} }}') == ["unknown-name"], step
    assert codes('test "t" { given alarm(harm) = 5% }') == ["type"]
    assert codes('test "t" { given psi = 0.5 }') == ["dimension"]
    assert codes('test "t" { expect allowed retrain before rollback }') == ["target"]
    assert codes('test "t" { at 2026-02-30 10:00 }') == ["value"]
    assert codes('test "t" { advance 0 windows }') == ["value"]


# invariants -----------------------------------------------------------------------


def test_an_invariant_that_breaks_fails_the_test() -> None:
    """Each window and each expectation is held against every invariant; unknown breaks it too."""
    rules = "invariant few: autonomous(rollback) implies rows > 5"
    assert passes(rules, f"{SURE}given rows = 6\nadvance 2 windows\nexpect allowed rollback")
    for value in ("5", "missing"):
        found = failure(rules, f"{SURE}given rows = {value}\nadvance 1 window\nexpect allowed rollback")
        assert found is not None
        assert (found.line, found.expected) == (5, "invariant few (my.heal:1) holds after `advance 1 window`")
        assert found.reasons[:2] == ("  rollback is allowed", "  `autonomous(rollback)` is true")
        assert found.reasons[2].startswith("  `rows > 5` is ")
    assert passes(rules, "given rows = 5\nexpect approval_needed rollback")


def test_an_invariant_is_held_at_the_end_too() -> None:
    """What the last step gave is held against every invariant, though nothing is expected of it."""
    rules = "invariant few: autonomous(rollback) implies rows > 5"
    assert passes(rules, f"{SURE}given rows = 6")
    assert not passes(rules, f"{SURE}given rows = 5")


@pytest.mark.parametrize(
    "way", ["advance 3 windows", "advance 90m", "advance 31m\nadvance 59m", "advance 1m\nat 2026-01-05 13:30"]
)
def test_time_passes_the_same_in_any_pieces(way: str) -> None:
    """However the clock is moved, the same windows have closed and the same is remembered."""
    rules = "signal three = rows > 5 for 3 windows\nsignal four = rows > 5 for 4 windows"
    assert passes(rules, f"given rows = 6\n{way}\nexpect three\nexpect not four")


def test_an_invariant_may_ask_for_past_windows() -> None:
    """What an invariant remembers is remembered in tests, though no rule asks for it."""
    rules = (
        "forbid f: rollback unless rows > 5\ninvariant i: autonomous(rollback) implies rows > 5 within last 2 windows"
    )
    assert passes(rules, f"{SURE}given rows = 6\nadvance 1 window\nexpect allowed rollback")


# coverage --------------------------------------------------------------------------


def test_coverage_tells_how_each_rule_came_out() -> None:
    """A rule is seen acting, not acting or unknown; what a rule cannot come to is not asked of it."""
    text = (
        'forbid f: retrain when rows < 5\nrequire v: retrain veto within 5m\nnotify n: "a" when rows is missing\n'
        "cooldown c: retrain 1h\nlimit m: retrain at most $50 per 24h\nsignal s = rows < 5\n"
        'test "a" { given rows = 3 expect s }\ntest "b" { given rows = 9 advance 1 window }'
    )
    coverage = report(text).coverage
    seen = {one.name: (one.possible, one.seen) for one in (*coverage.rules, *coverage.signals)}
    yes, no, unknown = Outcome.YES, Outcome.NO, Outcome.UNKNOWN
    assert seen == {
        "f": ({yes, no, unknown}, {yes, no}),
        "v": ({yes}, {yes}),
        "n": ({yes, no}, {no}),
        "c": ({yes, no}, {no}),
        "m": ({yes, no, unknown}, {no}),
        "s": ({yes, no, unknown}, {yes, no}),
    }
    assert coverage.share == pytest.approx(8 / 14)


def test_the_order_of_tests_changes_nothing() -> None:
    """Tests know nothing of each other: each gives the same result alone."""
    one = 'test "a" { given rows = 6 advance 3 windows expect s }'
    two = 'test "b" { expect unknown s }'
    rules = "signal s = rows > 5 for 3 windows"
    for tests in ((one, two), (two, one)):
        assert report("\n".join((rules, *tests))).failed == ()


names = ["retrain", "rollback", "promote", "nosuch"]
amounts = ["1m", "29m", "30m", "3h", "1 window", "7 windows", "0 windows"]
values = ["5", "80%", "missing", '"good"', "true", "3h"]
targets = ["rows", "psi[age]", "alarm(harm)", "confidence", "stage", "incident", "pipelines", "baseline(rows)", "p99"]
steps = st.one_of(
    st.builds("given {} = {}".format, st.sampled_from(targets), st.sampled_from(values)),
    st.builds("advance {}".format, st.sampled_from(amounts)),
    st.builds("did {} {} ago".format, st.sampled_from(names), st.sampled_from(amounts)),
    st.builds("doing {}".format, st.sampled_from(names)),
    st.builds("at 2026-01-{:02d} 10:00".format, st.integers(4, 6)),
    st.builds("expect {} {}".format, st.sampled_from(["allowed", "not deferred", "proposed"]), st.sampled_from(names)),
    st.sampled_from(["expect drift", "expect unknown drift", "expect not bad_data", 'expect notify "x"']),
)
FUZZED = """signal bad_data = (data_quality != "good") for 2 windows
signal drift = any feature where (psi > 0.2) for 3 windows
notify n: "x" when rows < 5 for 1h
limit l: any action at most 10% of pipelines per 1h
cooldown c: retrain 3 windows after rollback
invariant i: autonomous(retrain) implies rows > 5 within last 2 windows or not alarm(harm)
"""


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(steps, max_size=8))
def test_any_test_runs_or_has_findings(lines: list[str]) -> None:
    """Any test block either gets findings or comes to the same result each time, never to an exception."""
    found = load_text(f'{FUZZED}test "t" {{\n' + "\n".join(lines) + "\n}", name=NAME, schema=SCHEMA)
    assert (found.ruleset is None) == bool(found.errors)
    if found.ruleset is not None:
        one, two = (run_tests(found.ruleset, files=(NAME,)) for _ in range(2))
        assert one == two
        assert json.loads(json.dumps([result.to_json() for result in one.results]))


# what is shipped ------------------------------------------------------------------


def packed(name: str) -> tuple[Loaded, Report]:
    found = load_pack(name, schema=SCHEMA)
    assert found.ruleset is not None, render(found.diagnostics, found.sources)
    rules, tests = pack_paths(name)
    return found, run_tests(found.ruleset, files=(tests,), about=(rules,))


@pytest.mark.parametrize("name", shipped_packs())
def test_every_pack_passes_its_tests_and_is_covered(name: str) -> None:
    """Each pack has tests without findings that pass, and see every rule and signal come to all it can."""
    found, result = packed(name)
    assert found.diagnostics == ()
    assert result.results
    assert [failed.failure for failed in result.failed] == []
    assert result.coverage.share == 1


def test_loading_a_pack_does_not_read_its_tests() -> None:
    """A daemon that loads the packs never parses their tests."""
    found = load_text("".join(f'import "{name}"\n' for name in shipped_packs()), name=NAME, schema=SCHEMA)
    assert found.ruleset is not None
    assert found.ruleset.tests == ()
    assert not any("_tests" in path for path in found.sources)


def test_the_example_tests_pass() -> None:
    """The tests of the example file pass, with the examples' own vocabulary alone."""
    path = EXAMPLES / "08_tests.heal"
    found = load(path, schema=Schema())
    assert found.ruleset is not None
    result = run_tests(found.ruleset, files=(str(path),))
    assert [one.failure for one in result.results] == [None] * 7
