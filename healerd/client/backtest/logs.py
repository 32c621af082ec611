"""The action log as a trial has it: what its heals cost, how long its own count, and at which prices.

Must never price what nobody has priced: a price that the record does not hold stays unknown, and bars.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from healerd.client.backtest.recorded import Whole
from healerd.decision import Logged, Situation
from healerd.decision.elsewhere import counted_money, looks_back
from healerd.policy import CostModel
from healerd_rules import RuleSet

__all__ = ["kept_for", "own_line", "priced"]

LOG_KEPT = timedelta(days=31)


def kept_for(ruleset: RuleSet, window_s: float) -> timedelta:
    """Tell how long a heal that only the trial started stays in its log: as long as the daemon looks back at least."""
    return max(LOG_KEPT, looks_back(ruleset, window_s))


def priced(situation: Situation, old: RuleSet, new: RuleSet, *, tried: Mapping[str, float]) -> Situation:
    """Give a recorded situation the prices that the daemon would have had under the new rules.

    First counts what the rules say, then what is `tried` (as `retrain.cost`), then the recorded price. Of what the old
    rules counted no money of, the record holds the cost to the policy, which is the configured price with the downtime;
    0 may also mean that none was configured. Where rules and prices are the recorded ones, nothing changes.
    """
    counted = counted_money(new)
    given = {name: tried[f"{name}.cost"] for name in counted if f"{name}.cost" in tried}
    if not counted or (old == new and not given):
        return situation
    said = {action.name: action.cost for action in new.actions if action.cost is not None}
    by_model = _costs(situation.costs, counted - counted_money(old))
    known = {**by_model, **situation.prices, **given}
    prices = {name: known[name] for name in sorted(counted - said.keys()) if name in known}
    log = tuple(_priced_line(line, situation.pipeline, {**given, **said}, prices) for line in situation.log)
    return replace(situation, prices=prices, log=log)


def own_line(whole: Whole, action: str, situation: Situation, ruleset: RuleSet) -> Logged:
    """The heal that only the trial starts: its effect is taken to end at once, since nobody knows how long it took."""
    said = {each.name: each.cost for each in ruleset.actions}.get(action)
    return Logged(
        intent_id=f"trial-{whole.id}",
        heal_id=f"trial-{whole.id}",
        action=action,
        pipeline=whole.pipeline,
        tags=situation.tags,
        started_at=whole.at,
        ended_at=whole.at,
        incident_id=situation.incident.id if situation.incident else None,
        cost=situation.prices.get(action) if said is None else said,
    )


def _costs(model: CostModel, names: frozenset[str]) -> dict[str, float]:
    return {prior.action: prior.cost for prior in model.actions if prior.action in names and prior.cost > 0.0}


def _priced_line(line: Logged, own: str, fixed: Mapping[str, float], prices: Mapping[str, float]) -> Logged:
    """A line at the price of its action; of another pipeline only where that is the same everywhere."""
    configured = prices.get(line.action) if line.pipeline == own and line.cost is None else line.cost
    return replace(line, cost=fixed.get(line.action, configured))
