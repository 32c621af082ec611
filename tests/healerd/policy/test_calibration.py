"""When the gate says at least 80%, it is at least about 80% right: a seeded world of sites the policy has not seen."""

import numpy as np

from healerd.policy import POLICIES, ActionPrior, CostModel, Question, begin, learn_event
from healerd.policy.learning import Event
from tests.healerd.policy.incidents import FEATURES, NOW, a_model

SITES, INCIDENTS = 60, 40
SURE_ENOUGH = 0.80


class Site:
    """One pipeline's truth: how often each action really fails, which its owner has guessed only roughly."""

    def __init__(self, rng: np.random.Generator, model: CostModel) -> None:
        self.rng, self.model = rng, model
        self.lines = {prior.action: self._line(prior) for prior in model.actions}

    def _line(self, prior: ActionPrior) -> np.ndarray:
        assert prior.failure is not None
        return np.array([prior.failure, 0.0, 0.0]) + self.rng.normal(0, 0.15, len(FEATURES))

    def p_failure(self, action: str, context: tuple[float, ...]) -> float:
        """The truth is bent as well: no line fits it exactly."""
        bent = 0.08 * np.sin(5 * context[1])
        return float(np.clip(self.lines[action] @ np.array(context) + bent, 0.02, 0.98))

    def cost(self, action: str, context: tuple[float, ...]) -> float:
        prior = self.model.prior(action)
        assert prior is not None
        return prior.cost + self.model.severity * self.p_failure(action, context)


def claims() -> tuple[np.ndarray, np.ndarray]:
    """Play all sites with learning; give each claim of the gate and whether it was true."""
    model, said, true = a_model(), [], []
    for site_number in range(SITES):
        rng = np.random.Generator(np.random.Philox(site_number))
        site, state = Site(rng, model), begin(model)
        for number in range(1, INCIDENTS + 1):
            context = (1.0, float(rng.random()), float(rng.random() < 0.3))
            rule_action = str(rng.choice(["retrain", "rollback"]))
            question = Question(context=context, permitted=("hold", "retrain", "rollback"), rule_action=rule_action)
            advice = POLICIES["bayesian"].advise(question, model=model, state=state)
            estimate = advice.of(advice.candidate)
            assert estimate is not None
            p = estimate.p_cheaper_than_rule
            if p is not None and p >= SURE_ENOUGH:
                said.append(p)
                true.append(site.cost(advice.candidate, context) < site.cost(rule_action, context))
            chosen = advice.candidate if p is not None and p >= SURE_ENOUGH else rule_action
            failed = bool(rng.random() < site.p_failure(chosen, context))
            event = Event(number=number, at=NOW, action=chosen, context=context, failed=failed, cost=5.0)
            state = learn_event(model, state, event)
    return np.array(said), np.array(true)


def test_the_deviation_gate_is_calibrated():
    """Over held-out sites, claims of 80% and more come true no less often than they say, within 5 points."""
    said, true = claims()
    assert len(said) >= 100, "the gate opens often enough to be judged"
    assert true.mean() >= said.mean() - 0.05, f"claimed {said.mean():.3f}, true {true.mean():.3f}, n {len(said)}"
