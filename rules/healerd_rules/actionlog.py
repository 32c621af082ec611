"""What the action log says: ages, cooldowns and limits. It is the only clock they have (SAFETY S10).

It never reads a metric, and a record in the future counts as one of now, so a clock set back bars longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from healerd_rules.inputs import ActionRecord, Inputs, Truth
from healerd_rules.program import BoundTerms, CompiledRule, RestTerms
from healerd_rules.schema import ActionDecl, Type
from healerd_rules.verdicts import Leaf


@dataclass(frozen=True, slots=True)
class Deferral:
    """Not now; `until` None means until something open ends."""

    until: datetime | None
    leaf: Leaf


def age_s(action: str, inputs: Inputs) -> float:
    """Seconds since the action last ended here; 0 while open, infinite if it never ran."""
    mine = [r for r in inputs.log if r.action == action and r.pipeline == inputs.pipeline]
    ages = (0.0 if r.ended_at is None else max(0.0, (inputs.now - r.ended_at).total_seconds()) for r in mine)
    return min(ages, default=float("inf"))


def did(action: str, inputs: Inputs) -> Truth:
    """Whether the action was started here in the open incident; unknown while the incident's id is."""
    if inputs.incident is False:
        return False
    mine = [r for r in inputs.log if r.action == action and r.pipeline == inputs.pipeline and r.began]
    if not mine:
        return False
    return None if inputs.incident_id is None else any(r.incident_id == inputs.incident_id for r in mine)


def cooling(terms: RestTerms, rule: CompiledRule, inputs: Inputs) -> Deferral | None:
    """The cooldown, from the end of the last action it counts; while one is open, nobody knows until when."""
    length = timedelta(seconds=terms.length_s or terms.windows * inputs.window_s)
    counted = [r for r in _group(terms.per, inputs) if _counts(r, rule, terms.after)]
    if any(record.ended_at is None for record in counted):
        return Deferral(None, _leaf("an action it waits for is still open", None, None, Type.DURATION))
    last = max((r.ended_at for r in counted if r.ended_at is not None), default=None)
    if last is None or inputs.now >= last + length:
        return None
    passed = (inputs.now - last).total_seconds()
    return Deferral(last + length, _leaf("time since the last action", passed, length.total_seconds(), Type.DURATION))


def limited(terms: BoundTerms, rule: CompiledRule, action: ActionDecl, inputs: Inputs) -> Deferral | None:
    """The limit, counting the action as if it started now."""
    counted = [r for r in _group(terms.per, inputs) if _counts(r, rule, None)]
    if terms.kind == "concurrent":
        running = [record for record in counted if record.ended_at is None]
        full = len(running) + 1 > terms.amount
        return Deferral(None, _leaf("open actions", len(running), terms.amount, Type.COUNT)) if full else None
    period = timedelta(seconds=terms.period_s or terms.windows * inputs.window_s)
    recent = sorted((r for r in counted if r.started_at + period > inputs.now), key=lambda r: r.started_at)
    if terms.kind == "fleet":
        return _fleet(terms, recent, period, inputs)
    if terms.kind == "money":
        price = inputs.prices.get(action.name) if action.cost is None else action.cost
        return _money(terms, recent, period, price)
    return _count(terms, recent, period)


def _count(terms: BoundTerms, recent: list[ActionRecord], period: timedelta) -> Deferral | None:
    excess = len(recent) + 1 - int(terms.amount)
    if excess <= 0:
        return None
    until = recent[excess - 1].started_at + period if excess <= len(recent) else None
    return Deferral(until, _leaf("actions in the period", len(recent), terms.amount, Type.COUNT))


def _money(terms: BoundTerms, recent: list[ActionRecord], period: timedelta, price: float | None) -> Deferral | None:
    """Unknown spend acts: until all of it has left the period, or for good when the price itself is unknown."""
    costs = [record.cost for record in recent]
    if price is None or any(cost is None for cost in costs):
        until = recent[-1].started_at + period if price is not None else None
        return Deferral(until, _leaf("money spent in the period", None, terms.amount, Type.MONEY))
    spent = sum(cost for cost in costs if cost is not None)
    leaf = _leaf("money spent in the period, with this action", spent + price, terms.amount, Type.MONEY)
    if spent + price <= terms.amount:
        return None
    for record in recent:
        spent -= record.cost or 0.0
        if spent + price <= terms.amount:
            return Deferral(record.started_at + period, leaf)
    return Deferral(None, leaf)


def _fleet(terms: BoundTerms, recent: list[ActionRecord], period: timedelta, inputs: Inputs) -> Deferral | None:
    """At most so many different pipelines; a share rounds up, to at least one."""
    most = max(1, int(-(-(terms.amount * inputs.pipelines - 1e-9) // 1))) if terms.share else int(terms.amount)
    newest = {record.pipeline: record.started_at for record in recent if record.pipeline != inputs.pipeline}
    excess = len(newest) + 1 - most
    if excess <= 0:
        return None
    ends = sorted(newest.values())
    until = ends[excess - 1] + period if excess <= len(ends) else None
    return Deferral(until, _leaf("other pipelines acted on in the period", len(newest), most, Type.COUNT))


def _counts(record: ActionRecord, rule: CompiledRule, after: frozenset[str] | None) -> bool:
    return record.action in after if after is not None else rule.covers(record.action)


def _group(per: str | None, inputs: Inputs) -> Iterable[ActionRecord]:
    """The records of the same pipeline, of the same `per:...` tag, or of the whole fleet.

    A pipeline without such a tag is counted with the whole fleet: the stricter reading.
    """
    if per is None:
        return inputs.log
    if per == "pipeline":
        return [record for record in inputs.log if record.pipeline == inputs.pipeline]
    mine = {tag for tag in inputs.tags if tag.startswith(f"{per}:")}
    return [record for record in inputs.log if mine & set(record.tags)] if mine else inputs.log


def _leaf(text: str, value: float | None, threshold: float | None, unit: Type) -> Leaf:
    truth = None if value is None else True
    return Leaf(text=text, value=value, threshold=threshold, truth=truth, unit=unit.value)
