"""The tests between candidate and deviation inside the whole line, and the canary's coin."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.audit import canonical
from healerd.decision import SURE_ENOUGH, Situation, decide, page, replay
from healerd.decision.choice import choose
from healerd.decision.context import FEATURES, contexts_of, recorded_context
from healerd.decision.stages import demoted, withdraw_trust
from healerd.decision.view import look
from healerd.model import HOLD, Decision, IntentState, Stage
from healerd.policy import BARS, POLICIES, Account, Deed, Terms, begin, keep_account, learn_all
from tests.healerd.decision.situations import HOUR, NOW, a_situation, an_incident, costs, ready, rules
from tests.healerd.decision.strategies import rule_texts, situations
from tests.healerd.policy.incidents import an_event

MODEL = costs()
PROPOSE_BOTH = "propose first: retrain when rows > 0 priority 99"
ACTIVE = (Stage.CANARY, Stage.LIVE)


def a_deed(number: int, **changes: Any) -> Deed:
    held: dict[str, Any] = {
        "key": f"i-{number}",
        "at": NOW,
        "action": "retrain",
        "rule_action": "retrain",
        "context": (1.0, *[0.0] * (len(FEATURES) - 1)),
        "severity": MODEL.severity,
        "failed": True,
        "over": True,
    }
    return Deed(**{**held, **changes})


def an_account(*deeds: Deed, active: bool = True, **terms: Any) -> Account:
    return keep_account(MODEL, deeds, terms=Terms(**terms), since_at=NOW if active else None)


def disagreeing(**changes: Any) -> Situation:
    """The rules propose to retrain; much that happened says that a rollback is cheaper."""
    context = (1.0, *[0.0] * (len(FEATURES) - 1))
    events = (
        an_event(n, action="retrain" if n % 2 else "rollback", context=context, failed=n % 4 == 1) for n in range(1, 61)
    )
    held = {"stage": Stage.LIVE, "learned": learn_all(MODEL, events), "account": an_account(alpha=None)}
    return a_situation(**{**held, **changes})


def announced_and_more_severe() -> tuple[Decision, Decision]:
    """The policy's rollback is announced; then the incident gets more severe, and it is to be asked anew."""
    ruleset = rules(PROPOSE_BOTH)
    first = decide(disagreeing(incident=an_incident(severity=3), id="dec-1"), ruleset)
    waits = ready(first, state=IntentState.ANNOUNCED, current="v2")
    later = disagreeing(incident=an_incident(severity=4), id="dec-2", intents=(waits,), now=NOW + HOUR)
    return first, decide(later, ruleset)


def chosen(situation: Situation):
    return choose(look(situation, rules(PROPOSE_BOTH)))


def test_a_sure_policy_deviates_where_nothing_bars_it():
    """The situation of these tests deviates, so that what bars it is what the test names."""
    choice = chosen(disagreeing())
    assert (choice.rule_action, choice.chosen, choice.deviates) == ("retrain", "rollback", True)


@pytest.mark.parametrize(
    ("account", "name"),
    [
        (an_account(*[a_deed(n) for n in range(60)], alpha=None), "prior check"),
        (replace(an_account(alpha=None), irregular=True), "irregular log"),
        (an_account(alpha=None, pending_max=0), "pending cap"),
        (an_account(), "ledger"),
        (an_account(a_deed(1, action="rollback", active=True), alpha=None, budget=1.0), "budget"),
        (an_account(alpha=None, gate=1.0), "gate"),
    ],
)
def test_each_test_bars_under_its_own_name(account: Account, name: str):
    """The rule's action stands, the trace names the test that blocked, and it replays."""
    situation = disagreeing(account=account)
    ruleset = rules(PROPOSE_BOTH)
    decision = decide(situation, ruleset)
    assert decision.chosen == decision.rule_action == "retrain"
    assert decision.candidate == "rollback"
    assert decision.trace["gate"]["barred_by"] == name
    assert name in BARS
    assert f"is barred by the {name}" in page(decision)
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    assert replay(stored, ruleset) == stored


def test_a_cheaper_action_that_fails_more_often_is_barred_by_its_failures():
    """Cheap enough to be surely cheaper, and 30 points more likely to fail: a margin decides, and money does not."""
    context = (1.0, *[0.0] * (len(FEATURES) - 1))
    dear = replace(
        MODEL,
        severity=20.0,
        actions=tuple(replace(each, cost=400.0 * (each.action != "rollback")) for each in MODEL.actions),
    )
    events = (
        an_event(n, action="retrain" if n % 2 else "rollback", context=context, failed=n % 4 == 0, cost=400.0 * (n % 2))
        for n in range(1, 61)
    )
    barred = {
        margin: disagreeing(
            costs=dear, learned=learn_all(dear, events), account=an_account(alpha=None, failure_margin=margin)
        )
        for margin in (0.0, 0.1, 0.9, 1.0)
    }
    found = {margin: decide(each, rules(PROPOSE_BOTH)) for margin, each in barred.items()}
    assert {each.candidate for each in found.values()} == {"rollback"}
    assert [each.chosen for each in found.values()] == ["retrain", "retrain", "rollback", "rollback"]
    assert [each.trace["gate"]["barred_by"] for each in found.values()][:2] == ["failures", "failures"]
    assert "is barred by the failures" in page(found[0.0])


@st.composite
def accounts(draw: Any) -> Account:
    """Accounts of logs in which anything may have gone wrong."""
    count = draw(st.integers(0, 12))

    def one(number: int) -> Deed:
        return a_deed(
            number,
            action=draw(st.sampled_from(["retrain", "rollback", "hold"])),
            failed=draw(st.sampled_from([True, False, None])),
            over=draw(st.booleans()),
            active=draw(st.booleans()),
            earns=draw(st.booleans()),
            coin=draw(st.booleans()),
        )

    return keep_account(
        MODEL,
        [one(number) for number in range(count)],
        terms=Terms(
            alpha=draw(st.sampled_from([None, 0.1, 1.0])),
            budget=draw(st.sampled_from([None, 0.0, 500.0])),
            pending_max=draw(st.integers(0, 3)),
        ),
        since_at=draw(st.sampled_from([None, NOW])),
        irregular=draw(st.sampled_from([False, False, False, True])),
    )


@given(situation=situations(wish=None), account=accounts(), text=rule_texts(), stage=st.sampled_from(Stage))
@settings(max_examples=100, deadline=None)
def test_a_deviation_needs_gate_ledger_and_pending_cap(situation: Situation, account: Account, text: str, stage: Stage):
    """Whatever happened: a deviation is permitted, sure enough, within the cap, and once active within the ledger."""
    situation = replace(situation, account=account, stage=stage)
    view = look(situation, rules(f"{text}\n{PROPOSE_BOTH}"))
    choice = choose(view)
    assert choice.chosen in (HOLD, *view.permitted)
    if not choice.deviates:
        return
    assert choice.tried is not None
    assert choice.p_cheaper_than_rule is not None
    assert choice.p_cheaper_than_rule >= SURE_ENOUGH
    assert not account.check.tripped
    assert not account.irregular
    incident = situation.open_incident
    assert incident is not None
    known = choice.chosen == HOLD and f"hold {incident.id}" in account.pending
    assert known or len(account.pending) < account.terms.pending_max
    if account.since_at is not None and account.terms.alpha is not None and not known:
        assert choice.tried.balance is not None
        assert choice.tried.balance.upper <= 0
    if stage is Stage.CANARY:
        assert choice.coin is not None


@given(situation=situations(wish=None), account=accounts(), text=rule_texts(), stage=st.sampled_from(Stage))
@settings(max_examples=50, deadline=None)
def test_decisions_with_an_account_replay_bit_for_bit(situation: Situation, account: Account, text: str, stage: Stage):
    """After the audit log's own JSON and back, account, tests and coin lead to the same decision."""
    situation, ruleset = replace(situation, account=account, stage=stage), rules(text)
    decision = decide(situation, ruleset)
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    assert replay(stored, ruleset) == stored


# the canary -------------------------------------------------------------------


def test_in_canary_a_coin_picks_one_of_two_autonomous_actions():
    """Over 400 decisions each side comes up about half the time, with its propensity, and the same again."""
    picked = []
    for number in range(400):
        situation = disagreeing(stage=Stage.CANARY, id=f"d-{number}")
        choice = chosen(situation)
        assert choice.coin is not None
        assert (choice.coin.policy, choice.coin.rule, choice.propensity) == ("rollback", "retrain", 0.5)
        assert choice.chosen == choice.coin.up
        assert choice.coin == chosen(situation).coin
        picked.append(choice.chosen)
    assert 140 <= picked.count("rollback") <= 260


def test_s5_no_coin_where_one_side_needs_a_person():
    """With an approval on one of the two the rule's action stands, barred by name."""
    text = f'{PROPOSE_BOTH}\nrequire ask: rollback approval from "oncall" within 1h else deny'
    choice = choose(look(disagreeing(stage=Stage.CANARY), rules(text)))
    assert choice.coin is None
    assert choice.chosen == "retrain"
    assert choice.tried is not None
    assert choice.tried.barred_by == "canary"


@pytest.mark.parametrize("stage", [Stage.OBSERVE, Stage.SUGGEST, Stage.LIVE])
def test_no_coin_outside_the_canary(stage: Stage):
    """Only in canary anything is tossed."""
    assert chosen(disagreeing(stage=stage)).coin is None


# demotion ----------------------------------------------------------------------


@pytest.mark.parametrize("stage", Stage)
def test_s5_what_turned_against_the_policy_ends_its_autonomy(stage: Stage):
    """From canary and live the daemon goes to suggest, with the reason; below there is nothing to take away."""
    situation = disagreeing(stage=stage, account=an_account(*[a_deed(n) for n in range(60)]))
    change = withdraw_trust(situation)
    assert (change is not None) == (stage in ACTIVE)
    if change is not None:
        assert (change.stage, change.author) == (Stage.SUGGEST, "daemon")
        assert "prior check" in change.reason
        after = demoted(situation, change)
        assert after.stage is Stage.SUGGEST
        assert after.account is not None
        assert after.account.since_at is None


def test_without_a_cause_nobody_is_demoted():
    """An account in order keeps its stage."""
    situation = disagreeing()
    assert withdraw_trust(situation) is None
    assert demoted(situation, None) is situation


# what cannot be learned, and experiments -----------------------------------------


def test_a_log_that_cannot_be_learned_from_leaves_the_rules_alone():
    """The policy has no answer, the rule's action stands, how sure it is is unknown, and so a person decides."""
    decision = decide(disagreeing(unlearned="event 3 does not follow event 1"), rules(PROPOSE_BOTH))
    assert decision.rule_action == decision.candidate == "retrain"
    assert decision.confidence is None
    assert decision.level in ("approval needed", "deferred", "forbidden")
    assert decision.trace["policy"]["failure"] == "event 3 does not follow event 1"


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.experimental])
@given(situation=situations(wish=None), text=rule_texts())
@settings(max_examples=20, deadline=None)
def test_experiments_stay_within_the_mask_and_replay(name: str, situation: Situation, text: str):
    """With no gate before it a policy still chooses among the permitted only, and its draws replay."""
    situation, ruleset = replace(situation, policy=name), rules(text)
    view = look(situation, ruleset)
    assert choose(view).chosen in (HOLD, *view.permitted)
    decision = decide(situation, ruleset)
    assert replay(replace(decision, trace=json.loads(canonical(decision.trace))), ruleset) == decision


def test_what_an_incident_costs_depends_on_its_severity():
    """With a factor for critical incidents the expected costs of this one rise, and the trace says what it is worth."""
    dear = replace(MODEL, factors=(1.0, 1.0, 1.0, 10.0))
    plain, grave = (decide(disagreeing(costs=model), rules(PROPOSE_BOTH)) for model in (MODEL, dear))
    assert grave.trace["gate"]["severity"] == 10 * plain.trace["gate"]["severity"]
    assert begin(dear) == begin(MODEL)


@given(situation=situations())
@settings(max_examples=40, deadline=None)
def test_a_stored_decision_teaches_the_context_it_stood_on(situation: Situation):
    """After the audit log's own JSON, which sorts keys, each number of the context is still where it belongs."""
    decision = decide(situation, rules(PROPOSE_BOTH))
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    wanted = contexts_of(situation)[0] if situation.open_incident is not None else ()
    assert recorded_context(stored) == recorded_context(decision) == wanted
