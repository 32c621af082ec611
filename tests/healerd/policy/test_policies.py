"""Every policy: what it may propose, how it answers, and how it fails."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.config import ActionSettings, PipelineSettings, SourceSettings
from healerd.model import Outcome, Result
from healerd.policy import (
    DEFAULT_PRIORS,
    POLICIES,
    ActionPrior,
    CostModel,
    PolicyFailed,
    Question,
    begin,
    event_of,
    failed,
    learn_all,
)
from tests.healerd.policy.incidents import NOW, a_model, an_event, drawn_events

ACTIONS = ("retrain", "rollback")
HOLD = ActionPrior(action="hold", failure=0.9)


def a_question(**changes: object) -> Question:
    held: dict[str, object] = {
        "context": (1.0, 0.0, 0.0),
        "permitted": ("hold", *ACTIONS),
        "rule_action": "retrain",
    }
    return Question(**{**held, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", POLICIES)
@given(seed=st.integers(0, 2**32 - 1), open_=st.sets(st.sampled_from(ACTIONS)))
@settings(max_examples=30, deadline=None)
def test_a_policy_proposes_only_what_is_permitted(name: str, seed: int, open_: set[str]):
    """The candidate is permitted and can be drawn, nothing else is, and the same question has the same answer."""
    model, rng = a_model(), np.random.Generator(np.random.Philox(seed))
    state = learn_all(model, drawn_events(rng, 30))
    permitted = ("hold", *sorted(open_))
    question = a_question(permitted=permitted, rule_action=str(rng.choice(permitted)))
    advice = POLICIES[name].advise(question, model=model, state=state)
    assert advice.candidate in permitted
    assert advice.propensities[advice.candidate] > 0
    assert {action for action, p in advice.propensities.items() if p} <= set(permitted)
    assert sum(advice.propensities.values()) == pytest.approx(1.0)
    assert advice == POLICIES[name].advise(question, model=model, state=state)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_says_what_it_is(name: str):
    """Each entry of the table carries its name and a sentence."""
    assert POLICIES[name].name == name
    assert POLICIES[name].does


def test_the_candidate_is_the_cheapest_in_expectation():
    """With equal failures the lower fixed cost wins, and a severe incident turns cost into a side matter."""
    even = (HOLD, *(ActionPrior(action=a, cost=c, failure=0.3) for a, c in (("retrain", 40.0), ("rollback", 1.0))))
    model = a_model(actions=even)
    advice = POLICIES["bayesian"].advise(a_question(), model=model, state=begin(model))
    assert advice.candidate == "rollback"
    graver = a_model(severity=1e5)
    assert POLICIES["bayesian"].advise(a_question(), model=graver, state=begin(graver)).candidate == "retrain"


def test_a_tie_is_the_rules_action():
    """Of two actions that cost the same in expectation, the rule's is the candidate."""
    model = a_model(actions=(HOLD, *(ActionPrior(action=a, cost=5.0, failure=0.3) for a in ACTIONS)))
    for rule_action in ACTIONS:
        question = a_question(rule_action=rule_action)
        assert POLICIES["bayesian"].advise(question, model=model, state=begin(model)).candidate == rule_action


def test_rules_only_never_deviates_and_still_tells_its_confidence():
    """The candidate is the rule's action however bad it looks; the probabilities are those of the posterior."""
    model = a_model()
    state = learn_all(model, (an_event(n, failed=True) for n in range(1, 30)))
    ours = POLICIES["rules only"].advise(a_question(), model=model, state=state)
    theirs = POLICIES["bayesian"].advise(a_question(), model=model, state=state)
    assert ours.candidate == "retrain" != theirs.candidate
    assert ours.estimates == theirs.estimates


def test_without_a_configured_prior_the_policy_stays_in_shadow():
    """An action whose failure nobody configured is estimated for the log, never proposed, and has no confidence."""
    model = a_model(
        actions=(HOLD, ActionPrior(action="retrain"), ActionPrior(action="rollback", cost=1, failure=0.999))
    )
    state = learn_all(model, (an_event(n, failed=False) for n in range(1, 30)))
    advice = POLICIES["bayesian"].advise(a_question(permitted=("hold", "retrain")), model=model, state=state)
    estimate = advice.of("retrain")
    assert estimate is not None
    assert advice.candidate == "hold"
    assert not estimate.configured
    assert estimate.p_cheaper_than_hold is None
    assert estimate.p_cheaper_than_rule is None
    assert estimate.p_best is None
    assert estimate.p_failure < 0.5


def test_nothing_is_cheaper_than_itself():
    """The comparison of an action with itself is left open."""
    model = a_model()
    advice = POLICIES["bayesian"].advise(a_question(rule_action="hold"), model=model, state=begin(model))
    hold = advice.of("hold")
    assert hold is not None
    assert hold.p_cheaper_than_hold is None
    assert hold.p_cheaper_than_rule is None


def test_a_state_that_does_not_fit_is_a_failure_with_a_name():
    """A policy that cannot answer raises PolicyFailed, which its caller can catch."""
    model = a_model()
    strange = begin(a_model(features=("one",)))
    with pytest.raises(PolicyFailed, match="does not fit"):
        POLICIES["bayesian"].advise(a_question(), model=model, state=strange)
    lost = replace(begin(model), beliefs=())
    with pytest.raises(PolicyFailed, match="nothing is known of `hold`"):
        POLICIES["bayesian"].advise(a_question(), model=model, state=lost)
    belief = begin(model).beliefs[0]
    broken = replace(begin(model), beliefs=(replace(belief, precision=(0.0,) * 9), *begin(model).beliefs[1:]))
    with pytest.raises(PolicyFailed, match="cannot be solved"):
        POLICIES["bayesian"].advise(a_question(), model=model, state=broken)
    wild = replace(begin(model), beliefs=(replace(belief, square=float("nan")), *begin(model).beliefs[1:]))
    with pytest.raises(PolicyFailed, match="is not a law"):
        POLICIES["bayesian"].advise(a_question(), model=model, state=wild)


# the cost model -------------------------------------------------------------


def settings_with(**actions: ActionSettings) -> PipelineSettings:
    return PipelineSettings(source=SourceSettings(kind="memory"), actions=actions)


def test_the_cost_model_comes_from_the_configuration():
    """Costs, failures and the severity are those of the pipeline; what is not configured has no failure."""
    model = CostModel.of(settings_with(retrain=ActionSettings(cost=7, failure=0.4)), features=("one",), hold=HOLD)
    assert model.severity == 300.0
    assert model.prior("retrain") == ActionPrior(action="retrain", cost=7.0, failure=0.4)
    assert model.configured("retrain")
    assert model.configured("hold")
    assert not model.configured("rollback")
    assert not model.configured("unheard of")


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: ActionPrior(action="retrain", cost=-1.0), "actions.retrain.cost"),
        (lambda: ActionPrior(action="retrain", cost=float("nan")), "actions.retrain.cost"),
        (lambda: ActionPrior(action="retrain", cost=float("inf")), "actions.retrain.cost"),
        (lambda: ActionPrior(action="retrain", cost=1e30), "actions.retrain.cost"),
        (lambda: ActionPrior(action="fallback", failure=0.0), "actions.fallback.failure"),
        (lambda: ActionPrior(action="fallback", failure=1.0), "actions.fallback.failure"),
        (lambda: ActionPrior(action="fallback", failure=float("nan")), "actions.fallback.failure"),
        (lambda: ActionPrior(action="hold", slopes={"effect": 3.0}), "actions.hold.slopes.effect"),
        (lambda: a_model(severity=0.0), "degraded_cost x degraded_windows"),
        (lambda: a_model(severity=float("inf")), "degraded_cost x degraded_windows"),
        (lambda: a_model(actions=(ActionPrior(action="retrain"),)), "actions"),
        (lambda: a_model(actions=(HOLD, HOLD)), "actions"),
        (lambda: a_model(actions=(ActionPrior(action="hold", slopes={"moon": 0.1}),)), "slopes"),
    ],
)
def test_an_absurd_number_is_refused_by_its_key(make, key: str):
    """A cost or prior that makes no sense is a ValueError that names the key."""
    with pytest.raises(ValueError, match=f"^`{key}` is "):
        make()


def test_the_suggested_priors_can_be_configured():
    """What is offered as a first guess is valid in a configuration, for every heal."""
    written = {name: ActionSettings(cost=p.cost, failure=p.failure) for name, p in DEFAULT_PRIORS.items()}
    model = CostModel.of(settings_with(**written), features=("one",), hold=HOLD)
    assert all(model.configured(prior.action) for prior in model.actions)


# the reward ------------------------------------------------------------------


def an_outcome(result: Result, *, paired: bool = True) -> Outcome:
    return Outcome(
        intent_id="i",
        at=NOW,
        result=result,
        gain=None,
        gain_low=None,
        gain_high=None,
        p_better=None,
        n=0,
        paired=paired,
    )


@pytest.mark.parametrize(
    ("result", "lesson"),
    [
        (Result.HEALED, False),
        (Result.WORSE, True),
        (Result.FAILED, True),
        (Result.NO_CHANGE, None),
        (Result.UNKNOWN, None),
    ],
)
def test_s11_only_a_paired_outcome_that_came_out_is_a_lesson(result: Result, lesson: bool | None):
    """Healed is a success, worse and failed are failures, the rest teaches nothing; unpaired nothing ever."""
    assert failed(an_outcome(result)) is lesson
    assert failed(an_outcome(result, paired=False)) is None


def test_the_event_of_an_outcome_is_about_the_heal():
    """The lesson names the heal's action and context, and carries what the outcome was worth."""
    event = event_of(an_outcome(Result.WORSE), number=3, action="retrain", context=(1.0, 0.5), cost=2.0)
    assert (event.number, event.at, event.action, event.context) == (3, NOW, "retrain", (1.0, 0.5))
    assert event.failed is True
    assert event.cost == 2.0
