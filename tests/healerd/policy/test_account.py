"""What bounds deviations: ledger, budget and pending cap, on logs of every sort."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.policy import (
    BARS,
    Account,
    Charge,
    Deed,
    Deviation,
    Terms,
    bar,
    begin_account,
    keep_account,
    learn_all,
    pooled_windows,
)
from healerd.policy.belief import along
from healerd.policy.ledger import SCEPTICAL_INCIDENTS, balance, begin_ledger, charged
from tests.healerd.policy.incidents import NOW, a_model, an_event, drawn_events
from tests.healerd.policy.test_prior_check import a_deed

S = 300.0
MODEL = a_model()


def a_deviation(number: int = 900, **changes: object) -> Deviation:
    held: dict[str, object] = {
        "action": "rollback",
        "rule_action": "retrain",
        "context": (1.0, 0.0, 0.0),
        "severity": S,
    }
    return Deviation(key=f"i-{number}", charge=Charge(**{**held, **changes}))  # type: ignore[arg-type]


def an_account(*deeds: Deed, terms: Terms | None = None, active: bool = True) -> Account:
    return keep_account(MODEL, deeds, terms=terms or Terms(), since_at=NOW if active else None)


@st.composite
def logs(draw: st.DrawFn) -> list[Deed]:
    """A log of up to 30 deeds in which anything may be late, missing, deviated, approved or tossed."""
    rng = np.random.Generator(np.random.Philox(draw(st.integers(0, 2**32 - 1))))

    def one(number: int) -> Deed:
        over = bool(rng.random() < 0.8)
        return a_deed(
            number,
            action=str(rng.choice(["hold", "retrain", "rollback"])),
            rule_action=str(rng.choice(["retrain", "rollback"])),
            context=(1.0, float(rng.random()), float(rng.random() < 0.5)),
            severity=float(rng.choice([100.0, S, 900.0])),
            failed=bool(rng.random() < 0.4) if over and rng.random() < 0.8 else None,
            over=over,
            active=bool(rng.random() < 0.8),
            earns=bool(rng.random() < 0.7),
        )

    return [one(number) for number in range(draw(st.integers(0, 30)))]


@given(deeds=logs())
@settings(max_examples=30, deadline=None)
def test_the_same_log_gives_the_same_account(deeds: list[Deed]):
    """Twice the same deeds, twice the same numbers, bit for bit."""
    assert an_account(*deeds) == an_account(*deeds)


@given(deeds=logs(), budget=st.floats(0, 2000))
@settings(max_examples=60, deadline=None)
def test_with_a_budget_the_realised_excess_is_bounded(deeds: list[Deed], budget: float):
    """Deviating only when nothing bars it, realised excess never exceeds the budget + what was pending since."""
    terms = Terms(alpha=None, budget=budget, pending_max=2, check=False)
    done: list[Deed] = []
    for deed in deeds:
        account = an_account(*done, terms=terms)
        deviation = a_deviation(action=deed.action, rule_action=deed.rule_action, severity=deed.severity)
        active = replace(deed, active=True)
        barred = bar(account, MODEL, deviation)[0] if deed.deviates else ""
        done.append(replace(active, action=deed.rule_action) if barred else active)
        # An outcome may come in at any time: what was pending at the last deviation is what may come on top.
        pending = [each.severity for each in done if each.deviates and each.counted is None]
        came_in = [replace(each, over=True) for each in done]
        before = an_account(*done, terms=terms)
        assert len(pending) <= terms.pending_max
        just = deed.severity if not barred and deed.deviates and deed.counted else 0.0
        if not barred and deed.deviates:
            assert before.excess <= budget + just + 1e-6
        worst = keep_account(MODEL, came_in, terms=terms, since_at=NOW).excess
        assert worst <= before.excess + sum(pending) + 1e-6


@given(deeds=logs())
@settings(max_examples=40, deadline=None)
def test_what_is_let_pass_keeps_the_ledger_within_its_bound(deeds: list[Deed]):
    """After a deviation that nothing barred, mean + 1.645 sd under the sceptic is 0 at most."""
    account = an_account(*deeds, terms=Terms(pending_max=100, check=False))
    barred, after = bar(account, MODEL, a_deviation())
    assert after is not None
    assert barred in BARS or (barred == "" and after.upper <= 0)
    if after.upper > 0:
        assert barred == "ledger"


def test_the_ledger_starts_without_slack_and_earns_it_from_the_rules():
    """The first decision cannot deviate on trust; many of the rules' own, paid for, let one pass."""
    assert bar(an_account(), MODEL, a_deviation())[0] == "ledger"
    history = [a_deed(n, action="rollback", rule_action="rollback", active=True, earns=True) for n in range(60)]
    failing = [a_deed(n, failed=True, active=True, earns=True) for n in range(60, 90)]
    assert bar(an_account(*history, *failing, terms=Terms(check=False)), MODEL, a_deviation())[0] == ""


def test_shadow_time_earns_nothing():
    """The same history before the activation, or approved by a person, teaches and gives no slack."""
    active = [a_deed(n, active=True, earns=True) for n in range(80)]
    shadow = [replace(deed, active=False, earns=False) for deed in active]
    approved = [replace(deed, earns=False, person=True) for deed in active]
    assert an_account(*active).balance.mean < 0.0
    for history in (shadow, approved):
        found = an_account(*history)
        assert (found.balance.mean, found.balance.sd) == (0.0, 0.0)
        assert found.ledger.belief == an_account(*active).ledger.belief


def test_what_a_person_let_deviate_is_charged_all_the_same():
    """An approved deviation costs the ledger and earns nothing."""
    deed = a_deed(1, action="rollback", active=True, earns=False, person=True)
    found = an_account(deed)
    assert found.ledger.deviations == 1
    assert found.balance.sd > 0


def test_s11_a_missing_outcome_counts_as_failed_for_ledger_and_budget():
    """Over without a verdict is as dear as failed, and nothing else."""
    late = an_account(a_deed(1, action="rollback", failed=None, over=True, active=True, earns=True))
    failed = an_account(a_deed(1, action="rollback", failed=True, over=True, active=True, earns=True))
    assert (late.excess, late.balance) == (failed.excess, failed.balance)
    assert late.excess == pytest.approx(1.0 - 40.0 + S)


def test_each_bar_has_its_name():
    """Prior check, irregular log, pending cap, ledger and budget each bar by themselves, under their own name."""
    tripped = an_account(*[a_deed(n, failed=True) for n in range(60)])
    assert bar(tripped, MODEL, a_deviation())[0] == "prior check"
    assert bar(replace(an_account(), irregular=True), MODEL, a_deviation())[0] == "irregular log"
    open_ = [a_deed(n, action="rollback", failed=None, over=False, active=True) for n in range(2)]
    assert bar(an_account(*open_), MODEL, a_deviation())[0] == "pending cap"
    assert bar(an_account(), MODEL, a_deviation())[0] == "ledger"
    spent = an_account(a_deed(1, action="rollback", failed=True, active=True), terms=Terms(alpha=None, budget=50.0))
    assert bar(spent, MODEL, a_deviation())[0] == "budget"


def test_while_people_decide_ledger_and_budget_bar_nothing():
    """Before the activation a suggestion may deviate as soon as the gate opens; the cap and the prior check stand."""
    assert bar(an_account(active=False, terms=Terms(budget=0.0)), MODEL, a_deviation())[0] == ""


def test_a_hold_counts_once_an_incident():
    """A hold that is decided again while its outcome is open is no new deviation."""
    held = a_deed(1, key="hold inc-1", action="hold", failed=None, over=False, active=True, earns=True)
    account = an_account(held, terms=Terms(pending_max=1, alpha=None))
    again = replace(a_deviation(action="hold"), key="hold inc-1")
    assert bar(account, MODEL, again)[0] == ""
    assert bar(account, MODEL, a_deviation())[0] == "pending cap"


def test_a_second_outcome_is_refused_and_told():
    """Of two deeds with one name the first counts; the refusal is kept in words, and nothing deviates."""
    account = an_account(a_deed(1), a_deed(1, failed=True))
    assert account.check == an_account(a_deed(1)).check
    assert account.refused == ("`i-1` has a second outcome, which is not counted",)
    assert bar(account, MODEL, a_deviation())[0] == "irregular log"


def test_what_turns_against_the_policy_is_said():
    """A tripped prior check, a canary that is worse and an overdrawn ledger each end the trust, with a reason."""
    assert an_account().turned == ""
    assert "prior check" in an_account(*[a_deed(n, failed=True) for n in range(60)]).turned
    overdrawn = [a_deed(n, action="rollback", failed=True, active=True, earns=True) for n in range(30)]
    assert "overdrawn" in an_account(*overdrawn).turned
    worse = [
        a_deed(n, action="rollback" if n % 2 else "retrain", failed=bool(n % 2), coin=True, active=True)
        for n in range(200)
    ]
    assert "fail more often" in an_account(*worse, terms=Terms(check=False)).turned


def test_the_balance_is_the_sum_of_the_decisions_in_closed_form():
    """One vector an action gives the mean that adding the decisions one by one does."""
    ledger = replace(
        begin_ledger(MODEL), belief=learn_all(MODEL, drawn_events(np.random.Generator(np.random.Philox(3)), 40))
    )
    charges = [
        Charge(action=a, rule_action=r, context=(1.0, x, 0.0), severity=S)
        for a, r, x in (("rollback", "retrain", 0.2), ("retrain", "retrain", 0.9), ("retrain", "rollback", 0.5))
    ]
    whole, wanted = ledger, 0.0
    for charge in charges:
        whole = charged(MODEL, whole, charge, alpha=0.1)
        cost = {
            action: prior.cost + S * along(ledger.belief.belief(action), charge.context)[0]  # type: ignore[arg-type]
            for action in ("retrain", "rollback")
            if (prior := MODEL.prior(action)) is not None
        }
        difference = cost[charge.action] - cost[charge.rule_action] if charge.action != charge.rule_action else 0.0
        wanted += difference - 0.1 * cost[charge.rule_action]
    assert balance(whole).mean == pytest.approx(wanted)


def test_the_sceptic_starts_with_two_incidents():
    """The ledger's belief weighs a fifth of the policy's, and its variance is the coin's."""
    belief = begin_ledger(MODEL).belief.belief("rollback")
    assert belief is not None
    mean, variance = along(belief, (1.0, 0.0, 0.0))
    p = (0.35 * 10 + 1) / 12
    assert mean == pytest.approx(0.35)
    assert variance == pytest.approx(p * (1 - p) / SCEPTICAL_INCIDENTS)


def test_a_cost_model_that_does_not_fit_its_log_is_an_error_with_the_event():
    """A context of another length is refused by name."""
    with pytest.raises(ValueError, match="event 1: the context is not 3 finite numbers"):
        an_account(a_deed(1, context=(1.0,)))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"gate": 1.2}, "gate"),
        ({"alpha": -1.0}, "alpha"),
        ({"budget": -1.0}, "budget"),
        ({"pending_max": -1}, "pending_max"),
    ],
)
def test_absurd_terms_are_refused_by_their_key(changes: dict[str, float], key: str):
    """A number that makes no sense names its key."""
    with pytest.raises(ValueError, match=f"^`{key}` is "):
        Terms(**changes)  # type: ignore[arg-type]


def test_the_account_of_nothing_is_that_of_an_empty_log():
    """Beginning is keeping no deeds."""
    assert begin_account(MODEL) == an_account(active=False)


# severity --------------------------------------------------------------------


@given(realised=st.lists(st.floats(1, 1e6), max_size=60), configured=st.floats(0.5, 100))
@settings(max_examples=60, deadline=None)
def test_a_pooled_severity_lies_between_what_was_seen_and_believed(realised: list[float], configured: float):
    """The winsorised mean is within the range of its numbers."""
    found = pooled_windows(configured, realised)
    assert min([configured, *realised]) <= found * (1 + 1e-9)
    assert found <= max([configured, *realised]) * (1 + 1e-9)


def test_one_long_incident_does_not_make_the_severity():
    """One of a year's length counts as no more than the others."""
    assert pooled_windows(3.0, [17_520.0]) == 3.0
    assert pooled_windows(3.0, [4.0] * 20 + [17_520.0]) < 4.0


def test_severity_scales_the_cost_of_an_incident():
    """A critical incident is worth its factor, an ordinary one the model as it is."""
    model = a_model(factors=(0.5, 1.0, 1.0, 3.0))
    assert model.at(4).severity == 900.0
    assert model.at(1).severity == 150.0
    assert model.at(3) is model
    assert an_event(1).failed is False
