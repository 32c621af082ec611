"""Single points of the semantics, each small enough to be read off the page."""

import datetime as dt
import json
import math
from dataclasses import replace

import pytest

from healerd_rules import Evaluation, Inputs, Level, Memory, SignalState, Truth, advance, evaluate
from healerd_rules.build import amount
from tests.rules.worlds import NOW, ago, codes, inputs, record, rules, verdict

PERMIT = "action probe\npermit p: probe "


def truth(condition: str, **facts: object) -> Truth:
    """The truth of a condition, by way of a signal."""
    ruleset = rules(f"signal s = {condition}")
    given = inputs(facts=facts)
    state = advance(ruleset, given, SignalState())
    return evaluate(ruleset, given, state, confidence=None).signals["s"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("rows > 5", True),
        ("rows > 500", False),
        ("rows / 0 > 5", None),
        ("rows / (rows - rows) > 5", None),
        ("error_rate > 5%", None),
        ("not (error_rate > 5%)", None),
        ("error_rate > 5% and rows > 500", False),
        ("error_rate > 5% or rows > 5", True),
        ("error_rate > 5% implies rows > 5", True),
        ("error_rate == error_rate", None),
        ("error_rate is missing", True),
        ("rows is missing", False),
        ("rows between 100 and 200", True),
        ("rows between 101 and 200", False),
        ("rows + 2 * rows == 300", True),
        ("-rows < 0", True),
        ('data_quality == "good"', True),
        ('data_quality != "bad"', True),
        ("serving_fallback", False),
        ("serving_fallback == false", True),
        ("alias_moved", None),
        ("alarm(harm)", False),
        ("incident", True),
        ('stage == "live"', True),
        ("any feature where (psi > 0.2)", True),
        ("every feature where (psi > 0.2)", False),
        ("at least 2 of feature where (psi > 0.2)", None),
        ("at least 60% of feature where (psi > 0.2)", None),
        ("at most 1 of feature where (psi > 0.2)", None),
        ("at most 2 of feature where (psi > 0.2)", True),
        ("any feature where (ks > 0.2)", None),
        ("baseline(rows) == 7", True),
        ("any feature where (psi > 2 * baseline(psi))", True),
        ("p99 between 300ms and 2s", True),
        ("spend_today + 40 * $1 > $200", True),
    ],
)
def test_conditions(condition: str, expected: Truth) -> None:
    """A condition is true, false or unknown as the reference says."""
    facts = {
        "rows": 100,
        "error_rate": math.nan,
        "psi": {"age": 0.3, "income": None, "zip": 0.1},
        "ks": {"age": None},
        "baseline(rows)": 7.0,
        "baseline(psi)": {"age": 0.1},
        "p99": 0.5,
        "spend_today": 170.0,
    }
    assert truth(condition, **facts) is expected


def test_an_empty_dimension_is_unknown() -> None:
    """Nothing is known about every member of nothing, and nothing about any."""
    assert truth("every feature where (psi > 0.2)") is None
    assert truth("any feature where (psi > 0.2)", psi={}) is None


def test_s4_a_listed_member_that_vanished_is_unknown() -> None:
    """A feature that the host lists and no fact mentions counts as unknown, not as absent."""
    ruleset = rules("signal s = every feature where (psi < 1)")
    state = SignalState()
    seen = inputs(facts={"psi": {"age": 0.1}})
    listed = inputs(facts={"psi": {"age": 0.1}}, members={"feature": ("age", "zip")})
    assert evaluate(ruleset, seen, state, confidence=None).signals["s"] is True
    assert evaluate(ruleset, listed, state, confidence=None).signals["s"] is None


def test_s4_a_value_of_the_wrong_type_is_unknown() -> None:
    """Text where a number belongs, a truth where a count belongs, infinity: all unknown."""
    for wrong in ("many", True, math.inf, {"age": 1.0}):
        assert truth("rows > 5", rows=wrong) is None


@pytest.mark.parametrize(
    ("condition", "acts_first"),
    [
        ("confidence < 80%", False),
        ("confidence >= 0%", True),
        ("confidence > 80% and confidence < 90%", False),
        ("not (confidence > 80% and confidence < 90%)", False),
        ("confidence between 0% and 100%", True),
        ("confidence >= error_rate", False),
        ("error_rate > 10% or confidence >= 0%", True),
    ],
)
def test_s1_free_confidence(condition: str, acts_first: bool) -> None:
    """In the first pass a forbid acts only when it acts at every confidence, points between thresholds included."""
    ruleset = rules(f"{PERMIT}\nforbid f: probe when {condition}")
    first = evaluate(ruleset, inputs(facts={"error_rate": 0.1}), SignalState(), confidence=None).verdicts["probe"]
    assert (first.level is Level.FORBIDDEN) is acts_first


def test_s1_a_permit_between_two_thresholds_holds_in_the_first_pass() -> None:
    """A permit for a range of confidence is seen although neither end of the range satisfies it."""
    ruleset = rules("action probe\npermit p: probe when confidence > 85% and confidence < 95%")
    assert evaluate(ruleset, inputs(), SignalState(), confidence=None).verdicts["probe"].level is Level.ALLOWED
    assert verdict(ruleset, inputs(), "probe", 0.9).level is Level.ALLOWED
    assert verdict(ruleset, inputs(), "probe", 0.96).level is Level.FORBIDDEN


def test_s1_unknown_confidence_belongs_to_the_first_pass() -> None:
    """A guard that skips unknown confidence is skipped in the first pass too, so the second is not looser."""
    ruleset = rules(f"{PERMIT}\nforbid f: probe when confidence >= 0% if unknown skips")
    first = evaluate(ruleset, inputs(), SignalState(), confidence=None).verdicts["probe"]
    assert first.level <= verdict(ruleset, inputs(), "probe", None).level
    assert verdict(ruleset, inputs(), "probe", 0.9).level is Level.FORBIDDEN


def test_s2_confidence_outside_its_range_is_unknown() -> None:
    """120% or NaN is no confidence: the gate acts."""
    for wrong in (1.2, -0.1, math.nan, None):
        assert verdict(rules(PERMIT), inputs(), "probe", wrong).level is Level.APPROVAL_NEEDED


@pytest.mark.parametrize(
    ("policy", "unknown", "known"),
    [
        ("", Level.FORBIDDEN, Level.FORBIDDEN),
        ("if unknown fires", Level.FORBIDDEN, Level.FORBIDDEN),
        ("if unknown skips", Level.ALLOWED, Level.FORBIDDEN),
    ],
)
def test_unknown_policies(policy: str, unknown: Level, known: Level) -> None:
    """A forbid acts on unknown unless it says that it skips."""
    ruleset = rules(f"{PERMIT}\nforbid f: probe when rows < 100 {policy}")
    assert verdict(ruleset, inputs(), "probe").level is unknown
    assert verdict(ruleset, inputs(facts={"rows": 5}), "probe").level is known
    assert verdict(ruleset, inputs(facts={"rows": 500}), "probe").level is Level.ALLOWED


def test_asking_on_unknown_adds_an_approval_to_a_veto_window() -> None:
    """`if unknown asks` is stricter than the announcement it stands in."""
    ruleset = rules(f"{PERMIT}\nrequire r: probe veto within 10m when rows < 100 if unknown asks")
    assert verdict(ruleset, inputs(facts={"rows": 5}), "probe").level is Level.ANNOUNCED
    unknown = verdict(ruleset, inputs(), "probe")
    assert (unknown.level, unknown.veto_within_s) == (Level.APPROVAL_NEEDED, 600)


@pytest.mark.parametrize("how", ["fires", "asks"])
def test_s4_a_permit_cannot_fire_on_unknown(how: str) -> None:
    """No permit and no forbid can be made looser by unknown data through `fires` or `asks`."""
    assert "unknown-policy" in codes(f"{PERMIT}when rows > 5 if unknown {how}")
    assert "unknown-policy" in codes("forbid f: retrain when rows > 5 if unknown asks")


def test_enforcement() -> None:
    """An advisory guard is named and does not count; a soft forbid lets a person pass it."""
    advisory = verdict(rules(f"{PERMIT}\n@enforce(advisory)\nforbid f: probe"), inputs(), "probe")
    assert (advisory.level, [acting.rule for acting in advisory.acting]) == (Level.ALLOWED, ["f"])
    soft = verdict(rules(f'{PERMIT}\n@enforce(soft) @owner("team")\nforbid f: probe'), inputs(), "probe")
    assert (soft.level, soft.approvals[0].role) == (Level.APPROVAL_NEEDED, "operators")


def test_scopes() -> None:
    """A rule applies where its scope says: by glob, by tag, by name, negated."""
    text = (
        'scope tier1 = tag "tier1" or pipeline "fraud-*"\n'
        + PERMIT
        + '\nforbid f: probe on tier1 and not tag "sandbox"'
    )
    ruleset = rules(text)
    level = {
        (name, tags): verdict(ruleset, inputs(pipeline=name, tags=tags), "probe").level
        for name, tags in [("churn", ()), ("fraud-eu", ()), ("churn", ("tier1",)), ("fraud-eu", ("sandbox",))]
    }
    assert [found is Level.FORBIDDEN for found in level.values()] == [False, True, True, False]


@pytest.mark.parametrize(
    ("moment", "calendar", "inside"),
    [
        ("2026-11-24T08:30", 'mon..fri 09:00..18:00 tz "Europe/Berlin"', True),
        ("2026-11-24T17:30", 'mon..fri 09:00..18:00 tz "Europe/Berlin"', False),
        ("2026-11-28T10:00", "mon..fri 09:00..18:00", False),
        ("2026-11-28T23:59", "sat 15:00..23:59", True),
        ("2026-11-29T05:00", "sat 22:00..06:00", True),
        ("2026-11-28T05:00", "sat 22:00..06:00", False),
        ("2026-11-29T05:00", "fri..mon 00:00..24:00", True),
        ("2026-12-20T00:00", "2026-12-20..2027-01-03", True),
        ("2027-01-03T23:59", "2026-12-20..2027-01-03", True),
        ("2027-01-04T00:00", "2026-12-20..2027-01-03", False),
        ("2026-11-24T03:00", "22:00..06:00", True),
    ],
)
def test_calendars(moment: str, calendar: str, inside: bool) -> None:
    """Both ends of a calendar's ranges are included, nights may wrap, and its own time zone counts."""
    ruleset = rules(f"calendar c = {calendar}\nsignal s = now in c")
    now = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    assert evaluate(ruleset, inputs(now=now), SignalState(), confidence=None).signals["s"] is inside


# the action log ----------------------------------------------------------------


def test_s10_the_cooldown_runs_from_the_end_of_the_last_step() -> None:
    """Thirty minutes count from the end, not the start; a step restarts them; another pipeline does not matter."""
    ruleset = rules("")
    for log, until in [
        ((record(ended_at=ago(20)),), NOW + dt.timedelta(minutes=10)),
        ((record(ended_at=ago(40)), record("promote", ended_at=ago(5))), NOW + dt.timedelta(minutes=25)),
        ((record(ended_at=ago(30)),), None),
        ((record(ended_at=ago(1), pipeline="other"),), None),
    ]:
        found = verdict(ruleset, inputs(log=log), "retrain")
        assert (found.level, found.deferred_until) == (Level.DEFERRED if until else Level.ALLOWED, until)


def test_s10_steps_are_exempt() -> None:
    """Promotion, undo and return run inside the cooldown and beside an open intent, under every other guard."""
    log = (record("retrain", ended_at=None, started_at=ago(5)), record(ended_at=ago(1)))
    for step in ("promote", "undo", "return"):
        assert verdict(rules(""), inputs(log=log), step).level is Level.ALLOWED
        assert verdict(rules(""), inputs(log=log), step, 0.5).level is Level.APPROVAL_NEEDED


def test_s10_one_open_intent_a_pipeline() -> None:
    """While an action is open no other starts there, and nobody can say until when."""
    found = verdict(rules(""), inputs(log=(record(ended_at=None, started_at=ago(300)),)), "retrain")
    assert (found.level, found.deferred_until) == (Level.DEFERRED, None)
    assert {"base.one_at_a_time", "base.settle"} <= {acting.rule for acting in found.acting}


def test_s16_a_clock_set_back_shortens_nothing() -> None:
    """A record from the future keeps the cooldown and the limits acting."""
    future = (record(started_at=ago(-50), ended_at=ago(-60)),)
    assert verdict(rules(""), inputs(log=future), "retrain").level is Level.DEFERRED
    limit = rules("limit l: rollback at most 1 per 1h")
    assert "l" in {acting.rule for acting in verdict(limit, inputs(log=future), "rollback").acting}


OLD = {"started_at": ago(100), "ended_at": ago(90)}


@pytest.mark.parametrize(
    ("limit", "log", "minutes"),
    [
        ("retrain at most 2 per 24h per pipeline", [("retrain", OLD)], None),
        ("retrain at most 1 per 100m per pipeline", [("retrain", OLD)], None),
        (
            "retrain at most 2 per 24h per pipeline",
            [("retrain", OLD), ("retrain", {"started_at": ago(200)})],
            24 * 60 - 200,
        ),
        ("retrain at most 2 per 24h per pipeline", [("retrain", OLD), ("retrain", {"pipeline": "x"})], None),
        ("retrain at most 2 per 24h", [("retrain", OLD), ("retrain", {"pipeline": "x"})], 24 * 60 - 100),
        (
            "retrain at most 1 per 24h per team",
            [("retrain", {"pipeline": "x", "tags": ("team:a",), **OLD})],
            24 * 60 - 100,
        ),
        ("retrain at most 1 per 24h per team", [("retrain", {"pipeline": "x", "tags": ("team:b",), **OLD})], None),
        ("retrain at most $100 per 24h", [("retrain", {"cost": 60.0, **OLD})], None),
        ("retrain at most $100 per 24h", [("retrain", {"cost": 61.0, **OLD})], 24 * 60 - 100),
        ("retrain at most $100 per 24h", [("retrain", {"cost": None, **OLD})], 24 * 60 - 100),
        ("any action at most 10% of pipelines per 2h", [("retrain", OLD)], None),
        ("any action at most 10% of pipelines per 2h", [("retrain", {"pipeline": "x", **OLD})], 20),
        ("any action at most 2 of pipelines per 2h", [("retrain", {"pipeline": "x", **OLD})], None),
        ("retrain at most 4 windows per 24h", [], "error"),
    ],
)
def test_limits(limit: str, log: list[tuple[str, dict[str, object]]], minutes: float | str | None) -> None:
    """A limit counts the action as if it started now, and says when it may."""
    if minutes == "error":
        assert "unit" in codes(f"limit l: {limit}")
        return
    given = inputs(tags=("team:a",), log=tuple(record(name, **changes) for name, changes in log))
    found = verdict(rules(f"limit l: {limit}"), given, "retrain")
    until = NOW + dt.timedelta(minutes=minutes) if isinstance(minutes, int | float) else None
    assert (found.level is Level.DEFERRED, found.deferred_until) == (until is not None, until)


def test_limits_with_unknown_money_bar() -> None:
    """An action whose price nobody knows cannot start under a money limit."""
    ruleset = rules("limit l: fallback at most $100 per 24h")
    assert verdict(ruleset, inputs(), "fallback").level is Level.DEFERRED


def test_s3_cooldowns_and_limits_never_loosen() -> None:
    """Adding a cooldown or a limit to a rule set only ever defers."""
    log = (record(ended_at=ago(45)),)
    for extra in ("cooldown c: any action 2h per pipeline", "limit l: any action at most 1 per 2h"):
        assert verdict(rules(""), inputs(log=log), "retrain").level is Level.ALLOWED
        assert verdict(rules(extra), inputs(log=log), "retrain").level is Level.DEFERRED


def test_age_and_did() -> None:
    """`age` counts from the end, is 0 while open and endless if never; `did` asks about the open incident."""
    done = (record("rollback", incident_id="i1"), record("fallback", incident_id="i0"))
    ruleset = rules(
        "signal young = age(rollback) < 2h\nsignal never = age(retrain) > 90d\n"
        "signal again = did(rollback)\nsignal other = did(fallback)"
    )
    assert evaluate(ruleset, inputs(log=done), SignalState(), confidence=None).signals == {
        "young": True,
        "never": True,
        "again": True,
        "other": False,
    }
    assert (
        evaluate(ruleset, inputs(log=done, incident_id=None), SignalState(), confidence=None).signals["again"] is None
    )


# proposals, notifications --------------------------------------------------------


def test_proposals_are_ranked() -> None:
    """Priority first, then severity, then the lower risk, then the name; a last resort comes last."""
    ruleset = rules(
        "propose d: promote priority 5\npropose c: retrain priority 5\npropose b: rollback priority 5\n"
        "propose a: retrain priority 5 severity critical\npropose z: retrain priority 9\nlast resort l: fallback\n"
        "propose no: rollback when rows > 5"
    )
    found = evaluate(ruleset, inputs(), SignalState(), confidence=None).proposals
    assert [(p.rule, p.last_resort) for p in found] == [(n, n == "l") for n in "zabcdl"]


def test_notifications_fire_on_unknown_and_say_so() -> None:
    """A notification whose condition cannot be known fires, marked unknown, unless it skips."""
    ruleset = rules(
        'notify a: "slack:x" when rows < 5 repeat every 6h\nnotify b: "slack:x" when rows < 5 if unknown skips'
    )
    found = evaluate(ruleset, inputs(), SignalState(), confidence=None).notifications
    assert [(n.rule, n.unknown, n.repeat_s) for n in found] == [("a", True, 21600.0)]


# state -----------------------------------------------------------------------------


def test_state_survives_json_and_reload() -> None:
    """A state read back from JSON is the same, and an edited rule set keeps what still means the same."""
    import json

    before = rules("signal s = rows > 5 for 3 windows\nsignal gone = rows > 6 for 2 windows")
    state = SignalState()
    for _ in range(2):
        state = advance(before, inputs(facts={"rows": 10}), state)
    again = SignalState.from_json(json.loads(json.dumps(state.to_json())))
    assert again == state
    after = rules("# edited\nconst BOUND = 5\nsignal renamed = rows > BOUND for 3 windows")
    moved = advance(after, inputs(facts={"rows": 10}), again)
    assert evaluate(after, inputs(), moved, confidence=None).signals["renamed"] is True
    assert len(moved.patient) == 1


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"schema": 2},
        {"schema": 1, "patient": 3},
        {"schema": 1, "patient": {"a": {}}, "strict": {}},
        {"schema": 1, "patient": {}, "strict": {"a": {"past": [], "reading": float("nan")}}},
    ],
)
def test_a_foreign_state_is_refused(raw: dict[str, object]) -> None:
    """What `to_json` did not write is a ValueError, not a wrong memory."""
    with pytest.raises(ValueError, match="signal state"):
        SignalState.from_json(raw)


def test_hysteresis_opens_and_clears_slowly() -> None:
    """A signal with `clears when` stays open between its two conditions, and is kept while nothing is known."""
    ruleset = rules("signal s = error_rate > 20% for 2 windows clears when error_rate < 10%")
    state, seen = SignalState(), []
    for value in (0.3, 0.3, 0.15, None, 0.15, 0.05, 0.15):
        given = inputs(facts={"error_rate": value})
        state = advance(ruleset, given, state)
        seen.append(evaluate(ruleset, given, state, confidence=None).signals["s"])
    assert seen == [False, True, True, None, True, False, False]


@pytest.mark.parametrize(
    ("condition", "windows"),
    [
        ("held", [(0.05, 0.5), (None, 0.5), (0.15, 0.5)]),
        ("(error_rate > 10%) since (stored_gain > 90%)", [(0.3, None), (0.3, 0.5)]),
    ],
)
def test_s4_a_guard_does_not_forget_that_it_could_not_know(
    condition: str, windows: list[tuple[float | None, float | None]]
) -> None:
    """What may have started in a window without data keeps a guard acting, while a proposal stays away."""
    text = "signal held = error_rate > 20% clears when error_rate < 10%\n"
    ruleset = rules(f"{text}{PERMIT}\nforbid f: probe when {condition}\npropose p2: rollback when {condition}")
    state = SignalState()
    for error, gain in windows:
        given = inputs(facts={"error_rate": error, "stored_gain": gain})
        state = advance(ruleset, given, state)
    answer = evaluate(ruleset, given, state, confidence={"probe": 0.9})
    assert answer.verdicts["probe"].level is Level.FORBIDDEN
    assert answer.proposals == ()


def test_what_was_never_advanced_is_unknown() -> None:
    """Before its first window a remembered condition is unknown, so a guard on it acts."""
    ruleset = rules(f"{PERMIT}\nforbid f: probe when rows > 5 for 2 windows")
    assert verdict(ruleset, inputs(facts={"rows": 1}), "probe", windows=0).level is Level.FORBIDDEN
    assert verdict(ruleset, inputs(facts={"rows": 1}), "probe", windows=1).level is Level.ALLOWED


def test_durations_are_counted_in_windows() -> None:
    """`for 45m` with windows of 30 minutes needs two of them."""
    ruleset = rules("signal s = rows > 5 for 45m")
    state = advance(ruleset, inputs(facts={"rows": 9}), SignalState())
    assert evaluate(ruleset, inputs(), state, confidence=None).signals["s"] is False
    state = advance(ruleset, inputs(facts={"rows": 9}), state)
    assert evaluate(ruleset, inputs(), state, confidence=None).signals["s"] is True


def test_evaluation_is_pure() -> None:
    """Evaluating twice, and evaluating at all, changes nothing."""
    ruleset = rules('import "default"')
    state = advance(ruleset, inputs(), SignalState())
    copy = SignalState.from_json(state.to_json())
    results = {repr(evaluate(ruleset, inputs(), state, confidence=None)) for _ in range(3)}
    assert (len(results), state) == (1, copy)


def test_inputs_need_an_aware_moment() -> None:
    """A naive datetime is a bug of the caller, found at once."""
    with pytest.raises(AssertionError, match="aware"):
        Inputs(pipeline="p", now=dt.datetime(2026, 1, 1), window_s=1, stage=None, incident=None)  # noqa: DTZ001


def test_memory_is_bounded() -> None:
    """However long a pipeline lives, a memory keeps no more windows than its rule looks back."""
    ruleset = rules("signal s = rows > 5 for 3 windows")
    state = SignalState()
    for _ in range(20):
        state = advance(ruleset, inputs(facts={"rows": 9}), state)
    assert list(state.patient.values()) == [Memory(past=(True, True, True), reading=True)]


HELD = """
action reboot risk 1
permit quiet: reboot when error_rate < 5% for 24h
forbid lately: reboot when error_rate > 30% within last 6h
signal short = error_rate < 5% for 3 windows
"""


def test_another_length_of_windows_shortens_no_hold() -> None:
    """A time that a rule remembers begins anew with windows of another length; what it counts in windows goes on."""
    ruleset = rules(HELD)

    def after(state: SignalState, window_s: float, windows: int, rate: float) -> tuple[SignalState, Evaluation]:
        given = inputs(window_s=window_s, facts={"error_rate": rate})
        for _ in range(windows):
            state = advance(ruleset, given, SignalState.from_json(state.to_json()))
        return state, evaluate(ruleset, given, state, confidence={"reboot": 0.95})

    def acting(found: Evaluation) -> set[str]:
        return {each.rule for each in found.verdicts["reboot"].acting}

    bad, _ = after(SignalState(), 300, 20 * 12, 0.4)
    good, found = after(bad, 300, 7 * 12, 0.01)
    assert found.verdicts["reboot"].level is Level.FORBIDDEN
    assert acting(found) == {"default"}
    state, found = after(good, 3600, 5, 0.01)
    assert found.verdicts["reboot"].level is Level.FORBIDDEN
    assert acting(found) == {"default", "lately"}
    state, found = after(state, 3600, 18, 0.01)
    assert acting(found) == {"default"}
    assert after(state, 3600, 1, 0.01)[1].verdicts["reboot"].level is Level.ALLOWED
    assert after(good, 3600, 1, 0.01)[1].signals["short"] is True


def test_a_state_without_a_length_is_read_as_before() -> None:
    """A memory of before lengths were kept goes on whatever the length."""
    ruleset = rules(HELD)
    given = inputs(facts={"error_rate": 0.01})
    old = replace(advance(ruleset, given, SignalState()), window_s=None)
    assert "window_s" not in old.to_json()
    assert advance(ruleset, given, SignalState.from_json(old.to_json())) == advance(ruleset, given, old)
    with pytest.raises(ValueError, match="length"):
        SignalState.from_json({**old.to_json(), "window_s": "1h"})


def test_a_remembered_endless_age_is_written_as_json() -> None:
    """A memory of what never ended is JSON, and is read back; an old one without it reads unknown."""
    ruleset = rules("forbid young: retrain when min(age(rollback), 3h) < 1h or -1 * min(age(rollback), 1h) > 0s")
    state = advance(ruleset, inputs(), SignalState())
    told = json.dumps(state.to_json(), allow_nan=False)
    assert "endless" in told
    assert SignalState.from_json(json.loads(told)) == state
    assert Memory(past=(None, "-endless"), reading="endless") == Memory(past=(None, -math.inf), reading=math.inf)


def test_a_per_cent_is_the_number_nearest_to_it() -> None:
    """A ratio that is measured at a bound of one decimal, in per cent or points, is at that bound."""
    for tenths in range(1001):
        text, number = f"{tenths // 10}.{tenths % 10}", float(f"{tenths}e-3")
        assert (amount(text, "%"), amount(text, "pp")) == (number, number)
        assert amount(f"{tenths}", "ms") == number
    assert truth("error_rate >= 1.1%", error_rate=11 / 1000) is True
    assert truth("error_rate <= 0.7%", error_rate=7 / 1000) is True
