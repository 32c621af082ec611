"""What is tried on a record: found by columns, decided by the walker, and the same as deciding everything again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.client import Client
from healerd.client.backtest import Period, backtest, instead_of
from healerd.client.backtest.evidence import Arm, Evidence, difference, wilson
from healerd.client.backtest.figures import Figures, counted_of
from healerd.client.backtest.lanes import Lanes, Met
from healerd.clock import ManualClock
from healerd.daemon.recording import MemoryStore
from healerd.decision import SCHEMA, Situation, decide, from_json, prepare
from healerd.decision.steps import redo_step
from healerd.errors import ConfigError, ControlError, NotFound
from healerd.model import EVERYTHING, HOLD, Answer, AnswerKind, Decision, IntentState, Outcome, Result, Stage, Window
from healerd.policy import POLICIES, begin
from healerd.store import Range
from healerd_rules import RuleSet, SignalState, load_text
from tests.healerd.client.conftest import Past
from tests.healerd.daemon.loop import RULES
from tests.healerd.decision.situations import NOW, a_calm_situation, a_situation, an_intent, costs, harm
from tests.healerd.decision.strategies import rule_texts, situations
from tests.healerd.decision.test_gate import PROPOSE_BOTH, announced_and_more_severe

BUSY = Range("")
DEFAULT = 'import "default"\n'


def a_ruleset(text: str) -> RuleSet:
    ruleset = load_text(DEFAULT + text, name="tried.heal", schema=SCHEMA).ruleset
    assert ruleset is not None
    return ruleset


class Log:
    """A record made decision by decision, under rules whose texts are kept as the daemon keeps them."""

    def __init__(self, rules: str = "") -> None:
        text = DEFAULT + rules
        loaded = load_text(text, name="kept.heal", schema=SCHEMA)
        assert loaded.ruleset is not None, loaded.errors
        self.rules = loaded.ruleset
        self.store, self.count, self.before = MemoryStore(ManualClock(NOW)), 0, None
        sources = [{"path": path, "text": text} for path, text in loaded.sources.items()]
        with self.store.transaction() as tx:
            tx.save_state(EVERYTHING, f"rules {self.rules.id}", {"id": self.rules.id, "sources": sources, "rules": []})

    def add(self, situation: Situation, **changes: Any) -> Decision:
        """Record what is decided on a situation as it is; `changes` are written over the decision."""
        self.count += 1
        decision = replace(decide(replace(situation, id=f"dec-{self.count}"), self.rules), **changes)
        self.store.put(decision)
        return decision

    def live(self, situation: Situation) -> Decision:
        """Record the next window of one pipeline: memory, incident and standing proposals come from the one before."""
        now = NOW + timedelta(seconds=situation.window_s * self.count)
        window = Window(pipeline=situation.pipeline, start_at=now - timedelta(seconds=situation.window_s), end_at=now)
        self.count += 1
        situation = replace(situation, id=f"dec-{self.count}", now=now, window=window)
        decision, self.before = step(situation, self.rules, self.before)
        self.store.put(decision)
        return decision

    def met(self, rules: str, **tried: Any) -> list[Met]:
        """Walk the whole record under other rules."""
        lanes = Lanes(self.store, instead_of(ruleset=a_ruleset(rules), **tried))
        quiet = lanes.contrast_of(self.rules.id).quiet_counts
        numbers = self.store.numbers(Decision, **({} if quiet else {"incident_id": BUSY}))
        return list(lanes.walk(self.store.bodies(Decision, numbers), lambda _: True))

    def view(self, rules: str = "", **tried: Any) -> dict[str, Any]:
        return backtest(self.store, instead_of(ruleset=a_ruleset(rules), **tried), Period())


def step(situation: Situation, rules: RuleSet, before: Any) -> tuple[Decision, Any]:
    """One window as the daemon takes it up."""
    if before is not None:
        incident, signals, standing = before
        open_ = incident if incident is not None and incident.closed_at is None else None
        situation = replace(situation, incident=open_, signals=signals, standing=standing)
    prepared = prepare(situation, rules)
    decision = decide(prepared, rules)
    return decision, (prepared.incident, prepared.signals, tuple(p["rule"] for p in decision.trace["proposals"]))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(situations(), min_size=1, max_size=5),
    rule_texts(),
    st.sampled_from(
        [
            "",
            *(
                "forbid busy: retrain when rows > 500",
                "forbid never: rollback when error_rate > 1%",
                'require ask: any action approval from "oncall" within 1h else deny when p_error_high < 99%',
                "cooldown rest: retrain 6h per pipeline after retrain, promote",
                'require very_sure: any action approval from "owners" when confidence < 97%',
            ),
        ]
    ),
)
def test_columns_and_walker_agree(drawn: list[Situation], kept: str, extra: str) -> None:
    """Whatever guards are added to whatever record, each decision is the one that deciding it anew gives."""
    log = Log(kept)
    recorded = [log.add(situation) for situation in drawn]
    tried = kept if extra in kept else f"{kept}\n{extra}"
    found = {met.brief.id: met.now for met in log.met(tried)}
    rules = a_ruleset(tried)
    for decision, situation in zip(recorded, drawn, strict=True):
        fresh = decide(situation, rules)
        said = found.get(decision.id)
        if said is None:
            assert fresh.chosen == decision.chosen == HOLD
        else:
            assert (said.action, said.action == HOLD or said.level) == (
                fresh.chosen,
                fresh.chosen == HOLD or fresh.level,
            )


OPENING = (
    "propose early: retrain when error_rate > 20% priority 60",
    "signal twice = (error_rate > 20%) for 2 windows\npropose slow: rollback when twice priority 95",
    "signal seen = error_rate > 30% within last 3 windows\nforbid shaky: retrain when seen",
    "propose calm: fallback when rows < 300 and (error_rate > 10%) for 3 windows",
)
errors = st.sampled_from([0.05, 0.15, 0.25, 0.35])
windows = st.lists(st.tuples(errors, st.booleans(), st.sampled_from([100, 600])), min_size=1, max_size=14)


def lived(error: float, alarm: bool, rows: int) -> Situation:
    """A window of a pipeline in `suggest`, whose questions nobody answers: what is decided has no effect."""
    calm = a_calm_situation(rows=rows, measurements=(harm(error=error, alarm=alarm),), stored_gain=0.3)
    return replace(calm, stage=Stage.SUGGEST, p_stored_better=0.99)


@settings(max_examples=40, deadline=None)
@given(windows, st.sampled_from(["", *OPENING]), st.sampled_from(OPENING))
def test_memory_and_incidents_are_carried_along(drawn: list[Any], kept: str, tried: str) -> None:
    """Other proposals and signals come to what living under them comes to, where no action changes the world."""
    log, rules, before = Log(kept), a_ruleset(tried), None
    expected = []
    for number, each in enumerate(drawn):
        situation = log.live(lived(*each))
        seen = replace(from_json(situation.trace["situation"]), incident=None, signals=SignalState(), standing=())
        decision, before = step(seen, rules, before)
        expected.append((f"dec-{number + 1}", decision.chosen, decision.incident_id is None))
    found = {met.brief.id: met.now.action for met in log.met(tried)}
    assert [(name, found.get(name, HOLD)) for name, _, _ in expected] == [
        (name, chosen) for name, chosen, _ in expected
    ]


def test_the_same_changes_nothing(past: Past) -> None:
    """Under the rules that were in force no decision of a life changes, and none is decided again."""
    with past.store() as reader:
        view = backtest(reader, instead_of(), Period())
    assert view["changed"]["count"] == view["decided_again"] == 0
    assert view["reproduced"] == {"checked": view["reproduced"]["checked"], "problem": None}
    assert view["reproduced"]["checked"] > 10
    assert (view["verdict"], view["why"]) == ("not proven", "no decision changes")


def test_every_decision_of_a_life_agrees(past: Past) -> None:
    """On a daemon's own record the columns find exactly what deciding each situation anew finds."""
    tried = 'forbid few: retrain when labelled_rows < 1000\nrequire ask: rollback approval from "operators"'
    with past.store() as reader:
        text = RULES + tried
        ruleset = load_text(text, name="flights.heal", schema=SCHEMA).ruleset
        assert ruleset is not None
        lanes = Lanes(reader, instead_of(ruleset=ruleset))
        numbers = reader.numbers(Decision, incident_id=BUSY)
        met = {one.brief.id: one for one in lanes.walk(reader.bodies(Decision, numbers), lambda _: True)}
        changed = 0
        for decision in reader.find(Decision):
            situation = from_json(decision.trace["situation"])
            raw = decision.trace.get("step")
            fresh = decide(situation, ruleset) if raw is None else redo_step(situation, ruleset, raw)
            found = met[decision.id].now.action if decision.id in met else HOLD
            assert found == fresh.chosen
            changed += found != decision.chosen
    assert changed > 0


def test_newly_forbidden_and_automatic_come_first() -> None:
    """What people must know before anything else stands in front, with the rule that makes the difference."""
    log = Log('require ask: rollback approval from "owners" when rows > 0')
    rollback = {"stored_gain": 0.3, "p_stored_better": 0.99}
    log.add(a_situation(**rollback))
    log.add(a_situation(measurements=(harm(error=0.25),), stage=Stage.SUGGEST))
    view = log.view("forbid never: retrain when rows > 0")
    told = [(pair["kind"], pair["rule"], pair["from"], pair["to"]) for pair in view["changed"]["pairs"]]
    assert told == [
        ("newly forbidden", "never", "asks for retrain", "holds"),
        ("newly automatic", "ask", "asks for rollback", "rollback by itself"),
    ]
    assert view["evidence"] == {"randomised": 0, "overridden": 0, "none": 2}


def test_what_a_person_overrode_is_told_apart_from_no_evidence() -> None:
    """A veto of a changed decision is counted as such, and is no experiment."""
    log = Log()
    decision = log.add(a_situation())
    intent = an_intent(decision_id=decision.id)
    log.store.put(intent)
    log.store.put(
        Answer(
            id="a",
            intent_id=intent.id,
            pipeline="churn",
            kind=AnswerKind.VETO,
            author="ada",
            roles=(),
            reason="not now",
            revision=0,
            at=NOW,
        )
    )
    view = log.view("forbid never: retrain")
    assert view["evidence"] == {"randomised": 0, "overridden": 1, "none": 0}
    assert view["verdict"] == "not proven"


def coins(log: Log, *, retrain_fails: int, fallback_fails: int, of: int) -> None:
    """Toss a coin between retrain (the rule's) and fallback (the policy's), so often each; some fail."""
    for number in range(2 * of):
        chosen, limit = (("retrain", retrain_fails), ("fallback", fallback_fails))[number % 2]
        decision = log.add(a_situation(), chosen=chosen, candidate="fallback", propensity=0.5)
        intent = an_intent(id=f"int-{number}", decision_id=decision.id, action=chosen, state=IntentState.VERIFIED)
        log.store.put(intent)
        result = Result.WORSE if number // 2 < limit else Result.HEALED
        log.store.put(
            Outcome(
                intent_id=intent.id,
                at=NOW,
                result=result,
                gain=None,
                gain_low=None,
                gain_high=None,
                p_better=None,
                n=9,
                paired=True,
            )
        )


@pytest.mark.parametrize(
    ("retrain_fails", "fallback_fails", "verdict"), [(5, 35, "better"), (35, 5, "worse"), (20, 22, "not proven")]
)
def test_only_coins_prove(retrain_fails: int, fallback_fails: int, verdict: str) -> None:
    """Where a coin compared both actions, the failures decide; the interval must leave 0 out."""
    log = Log()
    coins(log, retrain_fails=retrain_fails, fallback_fails=fallback_fails, of=40)
    lanes = Lanes(log.store, instead_of(policy="rules only"))
    figures = Figures(evidence=Evidence(log.store))
    for met in lanes.walk(log.store.bodies(Decision, log.store.numbers(Decision)), lambda _: True):
        figures.add(counted_of(met, figures.evidence))
    view = figures.view()
    assert view["verdict"] == verdict
    assert view["failure"]["tried"] == {"n": 40, "failed": retrain_fails}
    assert view["failure"]["other"] == {"n": 40, "failed": fallback_fails}
    assert view["evidence"]["randomised"] == view["changed"]["count"] == 40


def test_an_interval_of_a_difference_covers() -> None:
    """Newcombe's interval holds the true difference at least about as often as it says, for small samples as well."""
    rng = np.random.Generator(np.random.Philox(4))
    held = 0
    for _ in range(2000):
        a, b = rng.binomial(12, 0.3), rng.binomial(20, 0.15)
        found = difference(Arm(n=12, failed=int(a)), Arm(n=20, failed=int(b)))
        assert found is not None
        held += found.low <= 0.15 <= found.high
    assert held / 2000 >= 0.93
    assert wilson(Arm()) == (0.0, 1.0)
    assert difference(Arm(), Arm(n=3, failed=1)) is None


def test_a_record_that_does_not_reproduce_concludes_nothing() -> None:
    """One decision that comes out otherwise: its first differing field is named, and nothing else is said."""
    log = Log()
    log.add(a_situation())
    log.add(a_situation(), chosen="rollback")
    view = log.view("forbid never: retrain")
    assert view["reproduced"]["problem"]
    assert view["reproduced"]["field"] == "chosen"
    assert "verdict" not in view
    assert "changed" not in view


@pytest.mark.parametrize("policy", POLICIES)
def test_any_policy_can_be_tried(policy: str) -> None:
    """Every policy of the table gives an answer on a recorded situation."""
    log = Log()
    log.add(a_situation())
    assert log.view(policy=policy)["decided_again"] == 1


def test_other_costs_teach_the_policy_anew() -> None:
    """With other priors the lessons that the recorded decision had are learned again from them."""
    log = Log()
    log.add(a_situation())
    view = log.view(settings=["retrain.failure=0.9", "retrain.cost=500"])
    assert [pair["from"] for pair in view["changed"]["pairs"]] == ["retrain by itself, announced"]
    assert view["changed"]["pairs"][0]["rule"] == "the policy"


def test_another_price_is_what_rules_weigh_a_retraining_by() -> None:
    """At a price that no retraining can earn the rules no longer propose it, as the daemon would have decided."""
    log = Log()
    decision = log.add(a_situation())
    assert log.view(policy="rules only")["changed"]["count"] == 0
    (pair,) = log.view(policy="rules only", settings=["retrain.cost=1000000"])["changed"]["pairs"]
    assert (decision.chosen, pair["to"]) == ("retrain", "holds")


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        (["gate"], "expected key=value"),
        (["gat=0.9"], "the keys are gate"),
        (["gate=2"], "from 0.5 to 1"),
        (["gate=nan"], "no number"),
        (["retrain.failure=7"], "between 0 and 1"),
        (["severity=-1"], "above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings_: list[str], said: str) -> None:
    """A setting that nothing reads, or that no model could have, is named before anything is read."""
    with pytest.raises(ConfigError, match=said):
        instead_of(settings=settings_)


def test_an_empty_period_says_what_there_is() -> None:
    """No decision in the period: the error names those that there are, or the pipelines."""
    log = Log()
    log.add(a_situation())
    with pytest.raises(NotFound, match="there are 1 from 2026-05-07T12:00"):
        backtest(log.store, instead_of(), Period(since=datetime(2030, 1, 1, tzinfo=UTC)))
    with pytest.raises(NotFound, match="no decision about `nosuch`"):
        backtest(log.store, instead_of(), Period(pipeline="nosuch"))


def test_a_heal_that_only_the_trial_starts_bars_the_next() -> None:
    """Once the trial lets a heal start that a person was asked for, its cooldown defers the next windows."""
    log = Log('require ask: any action approval from "owners"')
    for minutes in (0, 10, 20, 40):
        now = NOW + timedelta(minutes=minutes)
        log.add(replace(a_situation(stored_gain=0.3, p_stored_better=0.99), now=now))
    found = log.view()["resimulated"]["heals"]
    assert found["recorded"] == {"by itself": 0, "asked": 4}
    assert found["alone"] == {"by itself": 4, "asked": 0}
    assert found["sequence"] == {"by itself": 2, "asked": 0}


LONG_AND_MONEY = [
    ("limit l: retrain at most 2 per 60d", [], 2),
    ("limit l: retrain at most 2 per 24h", [], 4),
    ("limit m: retrain at most $100 per 60d", [], 2),
    ("limit m: retrain at most $100 per 60d", ["retrain.cost=60"], 1),
    ("action retrain cost $30\nlimit m: retrain at most $100 per 60d", ["retrain.cost=60"], 3),
]


@pytest.mark.parametrize(("rules", "tried", "starts"), LONG_AND_MONEY)
def test_a_trial_counts_its_own_heals_as_far_back_and_at_the_prices_of_the_daemon(
    rules: str, tried: list[str], starts: int
) -> None:
    """A limit over two months sees them all; one on money counts the configured 40, what is tried, or the rules'."""
    log = Log('require ask: any action approval from "owners"')
    for days in (0, 35, 40, 57):
        log.add(replace(a_situation(), now=NOW + timedelta(days=days)))
    only = f"forbid others: rollback, fallback\n{rules}"
    found = log.view(only, policy="rules only", settings=tried)["resimulated"]["heals"]
    assert found["sequence"]["by itself"] == starts


def test_a_what_if_is_a_backtest_of_the_record(past: Past, name: str) -> None:
    """The client tries an edited text on the stored decisions; a text that does not load gives its findings."""
    view = past.client.rules(name, days=300)
    source = next(each for each in view["sources"] if each["path"].endswith("flights.heal"))
    asked = {"rules_id": view["rules_id"], "path": source["path"], "days": 300}
    found = past.client.what_if(name, text=source["text"].replace("0.3", "1.0"), **asked)
    assert {pair["kind"] for pair in found["changed"]["pairs"]} & {"no longer proposed", "newly forbidden"}
    same = past.client.what_if(name, text=source["text"], **asked)
    assert same["changed"]["count"] == 0
    wrong = past.client.what_if(name, text=source["text"].replace("error_rate >", "eror_rate >"), **asked)
    assert "unknown name `eror_rate`" in wrong["findings"]
    remote = Client(past.state, remote=True)
    with pytest.raises(ControlError, match="healerd backtest"):
        remote.what_if(name, text="", **asked)


def test_a_deviation_that_only_waits_charges_nothing() -> None:
    """What holds because the policy's heal is announced already is charged once, with that heal, on either side."""
    log = Log(PROPOSE_BOTH)
    for decision in announced_and_more_severe():
        log.add(from_json(decision.trace["situation"]))
    ledger = log.view(PROPOSE_BOTH, settings=["gate=0.8"])["resimulated"]["ledger"]
    assert [ledger[side]["deviations"] for side in ("recorded", "tried")] == [1, 1]


def test_a_higher_gate_takes_a_deviation_back() -> None:
    """A policy that was sure enough for the recorded gate is not for a higher one: the rule's action stands again."""
    log = Log()
    decision = log.add(a_situation(costs=costs(retrain=0.9), learned=begin(costs(retrain=0.9))))
    assert decision.chosen != decision.rule_action == "retrain"
    assert decision.p_cheaper_than_rule is not None
    assert 0.8 <= decision.p_cheaper_than_rule < 0.999999
    (pair,) = log.view(settings=["gate=0.999999"])["changed"]["pairs"]
    assert (pair["rule"], pair["to"]) == ("the policy", "asks for retrain")
