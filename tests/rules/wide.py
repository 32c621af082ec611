"""The slow, obvious oracle for all of the language: written from the reference, sharing no code with any engine.

A truth is the set of values it may still have. What looks at past windows is worked out from the whole story each
time, so there is no state that could be kept wrongly.
"""

import datetime as dt
import itertools
import math
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from healerd_rules import Inputs
from tests.rules.generated import DIMENSIONS, MEASURED, OWN, SHIPPED, TEXTS, Cond, Story, WideRule, WideSet

BOTH = frozenset({True, False})
YES, NO = frozenset({True}), frozenset({False})
STEPS = ("nudge", "promote", "undo", "return")
COSTS = {"mend": 5.0}
RISKS = {"mend": 1, "swap": 2}
ACTIONS = tuple(sorted((*OWN, *SHIPPED)))
GUARDS = ("permit", "forbid", "approval", "veto", "cooldown", "limit")
SEVERITIES = ("low", "medium", "high")


def _any_of(*words: str) -> Cond:
    first, *rest = (("text", "stage", "==", word) for word in words)
    return ("or", first, _any_of(*words[1:])) if rest else first


BASE = (
    WideRule(name="base.known_actions", kind="permit", actions=SHIPPED),
    WideRule(name="base.confidence_gate", kind="approval", terms=("operators", 12, "defer"),
             cond=("conf", "<", ("const", 0.8))),
    WideRule(name="base.stage_observe", kind="forbid", cond=("not", _any_of("suggest", "canary", "live"))),
    WideRule(name="base.stage_suggest", kind="approval", terms=("operators", 12, "defer"),
             cond=("not", _any_of("canary", "live"))),
    WideRule(name="base.no_incident", kind="forbid", cond=("not", ("incident",))),
    WideRule(name="base.bad_data", kind="forbid", actions=("retrain", "promote"),
             cond=("not", ("text", "data_quality", "==", "good"))),
    WideRule(name="base.settle", kind="cooldown", terms=("0.5h", "pipeline", None)),
    WideRule(name="base.one_at_a_time", kind="limit", terms=("concurrent", 1, "", "pipeline")),
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """One way of looking at a story: at window `at` (the last is the moment), patiently or strictly."""

    rules: WideSet
    story: Story
    at: int
    patient: bool
    confidence: float | None = None
    bound: tuple[tuple[str, str], ...] = ()
    thresholds: list[float] = field(default_factory=list)

    @property
    def world(self) -> Inputs:
        """What is known there."""
        return (*self.story.windows, self.story.moment)[self.at]

    def look(self, **changes: Any) -> "View":
        """Another view of the same story."""
        mine = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return View(**{**mine, **changes})

    # truths --------------------------------------------------------------

    def truth(self, cond: Cond) -> frozenset[bool]:  # noqa: C901 - one case a form
        """The values a condition may have."""
        match cond:
            case ("flag",):
                return self._bool(self.world.facts.get("flag"))
            case ("incident",):
                return self._bool(self.world.incident)
            case ("alarm", name):
                return self._bool(self.world.alarms.get(name))
            case ("did", action):
                return self._did(action)
            case ("age", action, op, hours):
                return _ordered(op, self._age(action), hours * 3600.0)
            case ("cmp", op, left, right):
                return _ordered(op, self.number(left), self.number(right))
            case ("between", value, low, high):
                x = self.number(value)
                return _each(all, [_ordered("<=", self.number(low), x), _ordered("<=", x, self.number(high))])
            case ("conf", op, threshold):
                return _ordered(op, self.confidence, self._threshold(threshold))
            case ("confbetween", low, high):
                ends = (self._threshold(("const", low)), self._threshold(high))
                pair = [_ordered("<=", ends[0], self.confidence), _ordered("<=", self.confidence, ends[1])]
                return _each(all, pair)
            case ("text", name, op, word):
                return _ordered(op, self._text(name), word)
            case ("texts", name, op, other):
                return _ordered(op, self._text(name), self._text(other))
            case ("cal", name, hours):
                return frozenset({CALENDARS[name](self.world.now - dt.timedelta(hours=hours))})
            case ("missing", ("truth", inner)):
                return YES if self.truth(inner) == BOTH else NO
            case ("missing", ("word", name)):
                return YES if self._text(name) is None else NO
            case ("missing", number):
                return YES if self.number(number) is None else NO
            case ("same", op, left, right):
                pairs = itertools.product(self.truth(left), self.truth(right))
                return frozenset((a == b) is (op == "==") for a, b in pairs)
            case ("quant", kind, bound, dim, body):
                return self._quantified(kind, bound, dim, body)
            case ("signal", name):
                return self._signal(name)
            case ("for" | "once" | "m_of_n" | "since", *_):
                return self._past(cond)
            case ("not", inner):
                return frozenset(not value for value in self.truth(inner))
            case ("and", *parts):
                return _each(all, [self.truth(part) for part in parts])
            case ("or", *parts):
                return _each(any, [self.truth(part) for part in parts])
            case ("implies", left, right):
                return _each(any, [self.truth(("not", left)), self.truth(right)])
        raise AssertionError(cond)

    def _bool(self, raw: Any) -> frozenset[bool]:
        return frozenset({raw}) if isinstance(raw, bool) else BOTH

    def _mine(self, action: str) -> list[Any]:
        return [r for r in self.world.log if r.action == action and r.pipeline == self.world.pipeline]

    def _did(self, action: str) -> frozenset[bool]:
        began = [r for r in self._mine(action) if r.began]
        if self.world.incident is False or not began:
            return NO
        if self.world.incident_id is None:
            return BOTH
        return frozenset({any(r.incident_id == self.world.incident_id for r in began)})

    def _age(self, action: str) -> float:
        ages = [
            0.0 if r.ended_at is None else max(0.0, (self.world.now - r.ended_at).total_seconds())
            for r in self._mine(action)
        ]
        return min([*ages, math.inf])

    def _text(self, name: str) -> str | None:
        raw = self.world.stage if name == "stage" else self.world.facts.get(name)
        assert name == "stage" or name in TEXTS
        return raw if isinstance(raw, str) else None

    def _threshold(self, number: Cond) -> float | None:
        value = self.number(number)
        if value is not None:
            self.thresholds.append(value)
        return value

    def _members(self, dim: str) -> list[str]:
        listed = self.world.members.get(dim)
        measured: Any = self.world.facts.get(MEASURED[dim])
        assert dim in DIMENSIONS
        return list(listed) if listed is not None else sorted(measured) if isinstance(measured, dict) else []

    def _quantified(self, kind: str, bound: Any, dim: str, body: Cond) -> frozenset[bool]:
        members = self._members(dim)
        each = [self.look(bound=(*((d, m) for d, m in self.bound if d != dim), (dim, member))).truth(body)
                for member in members]  # fmt: skip
        if not members:
            return BOTH
        total = len(members)
        wanted = bound
        if isinstance(bound, float):
            wanted = math.floor(bound * total + 1e-9) if kind == "at most" else math.ceil(bound * total - 1e-9)
        holds = {"any": lambda n: n >= 1, "every": lambda n: n == total,
                 "at least": lambda n: n >= wanted, "at most": lambda n: n <= wanted}[kind]  # fmt: skip
        return frozenset(holds(sum(row)) for row in itertools.product(*each))

    def _signal(self, name: str) -> frozenset[bool]:
        body, clears = self.rules.signals[name]
        return self.truth(body) if clears is None else self._past(("opens", body, clears))

    # the past ------------------------------------------------------------

    def _views(self) -> list["View"]:
        """The windows behind a memory, oldest first; one of a member begins anew where the member was missing."""
        last = min(self.at, len(self.story.windows) - 1)
        views: list[View] = []
        for at in range(last, -1, -1):
            view = self.look(at=at)
            if any(member not in view._members(dim) for dim, member in self.bound):
                break
            views.insert(0, view)
        return views

    def _past(self, cond: Cond) -> frozenset[bool]:
        views = self._views()
        if not views:
            return BOTH
        if cond[0] in ("since", "opens"):
            return self._held(cond, views)
        truths = [view.truth(cond[1]) for view in views]
        if self.patient:
            if truths[-1] == BOTH:
                return BOTH
            truths = [truth for truth in truths if truth != BOTH]
        windows = cond[-1]
        recent = ([NO] * windows + truths)[-windows:]
        if cond[0] == "m_of_n":
            return frozenset(sum(row) >= cond[2] for row in itertools.product(*recent))
        return _each(all if cond[0] == "for" else any, recent)

    def _held(self, cond: Cond, views: list["View"]) -> frozenset[bool]:
        held: frozenset[bool] = NO
        now: frozenset[bool] = NO
        for view in views:
            first, second = view.truth(cond[1]), view.truth(cond[2])
            starts, keeps = (second, first) if cond[0] == "since" else (first, frozenset(not x for x in second))
            now = _each(any, [starts, _each(all, [keeps, held])])
            if not (self.patient and now == BOTH):
                held = now
        return now

    # numbers -------------------------------------------------------------

    def number(self, cond: Cond) -> float | None:
        """The value of a number; None is unknown."""
        match cond:
            case ("const" | "ratio", value):
                return float(value)
            case ("metric", name):
                return _known(self.world.facts.get(name))
            case ("member", name):
                measured: Any = self.world.facts.get(name)
                member = next(m for d, m in reversed(self.bound) if MEASURED[d] == name)
                return _known(measured.get(member)) if isinstance(measured, dict) else None
            case ("neg", inner):
                value = self.number(inner)
                return None if value is None else -value
            case ("arith", first, rest):
                total = self.number(first)
                for op, operand in rest:
                    total = _calculated(total, op, self.number(operand))
                return total
            case ("series", kind, inner, windows):
                return self._series(kind, inner, windows)
        raise AssertionError(cond)

    def _series(self, kind: str, inner: Cond, windows: int) -> float | None:
        values = [view.number(inner) for view in self._views()]
        if not values or (self.patient and values[-1] is None):
            return None
        if self.patient:
            values = [value for value in values if value is not None]
        full = kind in ("drop", "rate")
        recent = values[-(windows + 1) :] if full else values[-windows:]
        numbers = [value for value in recent if value is not None]
        if len(numbers) < len(recent) or (full and len(recent) < windows + 1):
            return None
        match kind:
            case "avg":
                return sum(numbers) / len(numbers)
            case "drop":
                return numbers[0] - numbers[-1]
            case "rate":
                return numbers[-1] / numbers[0] if numbers[0] else None
        return min(numbers) if kind == "min" else max(numbers)


def _each(function: Any, parts: list[frozenset[bool]]) -> frozenset[bool]:
    return frozenset(function(row) for row in itertools.product(*parts))


def _known(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or math.isnan(raw) or abs(raw) >= 1e300:
        return None
    return float(raw)


def _calculated(left: float | None, op: str, right: float | None) -> float | None:
    if left is None or right is None or (op == "/" and right == 0):
        return None
    result = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right,
              "/": lambda: left / right}[op]()  # fmt: skip
    return result if math.isfinite(result) else None


def _ordered(op: str, left: Any, right: Any) -> frozenset[bool]:
    if left is None or right is None:
        return BOTH
    return frozenset({
        {"<": lambda: left < right, "<=": lambda: left <= right, ">": lambda: left > right,
         ">=": lambda: left >= right, "==": lambda: left == right, "!=": lambda: left != right}[op]()
    })  # fmt: skip


def _office(moment: dt.datetime) -> bool:
    local = moment.astimezone(ZoneInfo("Europe/Berlin"))
    return local.weekday() < 5 and "09:00" <= f"{local:%H:%M}" <= "18:00"


def _night(moment: dt.datetime) -> bool:
    clock = f"{moment.astimezone(dt.UTC):%H:%M}"
    return clock >= "22:00" or clock <= "06:00"


def _freeze(moment: dt.datetime) -> bool:
    local = moment.astimezone(ZoneInfo("Asia/Tokyo"))
    return dt.date(2026, 1, 1) <= local.date() <= dt.date(2026, 1, 3)


CALENDARS = {"office": _office, "night": _night, "freeze": _freeze}


# the log -----------------------------------------------------------------------


def deferred(rule: WideRule, action: str, world: Inputs) -> bool:
    """Whether a cooldown or a limit says not now."""
    if action in STEPS:
        return False
    if rule.kind == "cooldown":
        length, per, after = rule.terms
        counted = [r for r in _grouped(per, world) if r.action in (after or rule.actions or ACTIONS)]
        return any(r.ended_at is None or world.now < r.ended_at + _span(length) for r in counted)
    shape, amount, period, per = rule.terms
    counted = [r for r in _grouped(None if shape == "fleet" else per, world) if r.action in (rule.actions or ACTIONS)]
    if shape == "concurrent":
        return sum(r.ended_at is None for r in counted) >= amount
    recent = [r for r in counted if world.now - r.started_at < _span(period)]
    if shape == "fleet":
        others = {r.pipeline for r in recent} - {world.pipeline}
        return len(others) + 1 > max(1, math.ceil(amount * world.pipelines - 1e-9))
    if shape == "count":
        return len(recent) >= amount
    costs = [*(r.cost for r in recent), COSTS.get(action)]
    return None in costs or sum(cost for cost in costs if cost is not None) > amount


def _span(length: str) -> dt.timedelta:
    amount, unit = (length[:-1], "h") if length.endswith("h") else length.split()
    return dt.timedelta(hours=float(amount) * (1.0 if unit == "h" else 0.5))


def _grouped(per: str | None, world: Inputs) -> list[Any]:
    if per == "pipeline":
        return [r for r in world.log if r.pipeline == world.pipeline]
    mine = {tag for tag in world.tags if per is not None and tag.startswith(per + ":")}
    return [r for r in world.log if not mine or mine & set(r.tags)]


def in_scope(scope: Cond | None, world: Inputs) -> bool:
    """Whether the pipeline lies in a scope."""
    match scope:
        case None:
            return True
        case ("tag", text):
            return text in world.tags
        case ("pipeline", text):
            return (
                text == "*" or world.pipeline == text or (text.endswith("*") and world.pipeline.startswith(text[:-1]))
            )
        case ("not", inner):
            return not in_scope(inner, world)
        case (word, left, right):
            sides = in_scope(left, world), in_scope(right, world)
            return all(sides) if word == "and" else any(sides)
    raise AssertionError(scope)


# verdicts ------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """The verdict on one action, bare: who acts, the longest veto window in hours, who must approve."""

    level: int
    acting: frozenset[str]
    veto: float | None
    approvals: frozenset[tuple[Any, ...]]


@dataclass(frozen=True)
class Expected:
    """All that a rule set says at a story's moment."""

    second: dict[str, Judged]
    first: dict[str, Judged]
    signals: dict[str, bool | None]
    proposals: tuple[tuple[str, str], ...]
    notifications: tuple[tuple[str, bool], ...]


def expect(rules: WideSet, story: Story) -> Expected:
    """What the reference says about a rule set and a story."""
    now = len(story.windows)
    patient = View(rules, story, now, patient=True)
    here = [rule for rule in rules.rules if in_scope(rule.scope, story.moment)]
    weighed = [(rule, patient.truth(rule.cond) if rule.cond else YES) for rule in here if rule.kind not in GUARDS]
    asked = [(r, a) for r, truth in weighed if r.kind != "notify" and truth == YES for a in r.actions]

    def rank(pair: tuple[WideRule, str]) -> tuple[Any, ...]:
        rule, action = pair
        severity = -SEVERITIES.index(rule.severity)
        return (rule.kind == "last resort", -rule.priority, severity, RISKS.get(action, 1000), rule.name, action)

    return Expected(
        second={a: _judge(rules, story, a, free=False) for a in ACTIONS},
        first={a: _judge(rules, story, a, free=True) for a in ACTIONS},
        signals={name: _plain(patient.truth(("signal", name))) for name in rules.signals},
        proposals=tuple((action, rule.name) for rule, action in sorted(asked, key=rank)),
        notifications=tuple(
            (rule.name, truth == BOTH) for rule, truth in weighed if rule.kind == "notify" and _acts(rule, truth)
        ),
    )


def _plain(truth: frozenset[bool]) -> bool | None:
    return None if truth == BOTH else True in truth


def _acts(rule: WideRule, truth: frozenset[bool]) -> bool:
    return truth == YES if rule.kind in ("permit", "propose") or rule.unknown == "skips" else truth != NO


def _judge(rules: WideSet, story: Story, action: str, *, free: bool) -> Judged:
    levels, acting, vetoes, approvals, permitted = [0], set(), [], set(), False
    for rule in (*BASE, *rules.rules):
        if rule.kind not in GUARDS or action not in (rule.actions or ACTIONS) or not in_scope(rule.scope, story.moment):
            continue
        if rule.kind in ("cooldown", "limit"):
            acts, unknown = deferred(rule, action, story.moment), False
        else:
            acts, unknown = _weigh(rules, story, rule, action, free=free)
        if rule.kind == "permit":
            permitted = permitted or acts
        elif acts:
            acting.add(rule.name)
            if rule.enforcement != "advisory":
                level = {"forbid": 4, "approval": 2, "veto": 1}.get(rule.kind, 3)
                asks = rule.enforcement == "soft" or (rule.kind == "veto" and rule.unknown == "asks" and unknown)
                levels.append(2 if asks else level)
                if asks:
                    approvals.add((rule.name, "operators", None, "deny"))
                if rule.kind == "approval":
                    approvals.add((rule.name, *rule.terms))
                if rule.kind == "veto":
                    vetoes.append(float(rule.terms[0]))
    if not permitted:
        levels.append(4)
    return Judged(max(levels), frozenset(acting), max(vetoes, default=None), frozenset(approvals))


def _weigh(rules: WideSet, story: Story, rule: WideRule, action: str, *, free: bool) -> tuple[bool, bool]:
    """Whether a rule acts, and whether it does so without knowing."""
    view = View(rules, story, len(story.windows), patient=False)
    if rule.cond is None:
        return True, False
    if not free:
        sure = story.confidence.get(action)
        truth = view.look(confidence=sure if sure is not None and 0 <= sure <= 1 else None).truth(rule.cond)
        return _acts(rule, truth), truth == BOTH
    view.truth(rule.cond)
    edges = sorted({0.0, 1.0, *(t for t in view.thresholds if 0 <= t <= 1)})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    truths = [view.look(confidence=sure).truth(rule.cond) for sure in (None, *edges, *middles)]
    if rule.kind == "permit":
        return any(_acts(rule, truth) for truth in truths), False
    return all(_acts(rule, truth) for truth in truths), YES not in truths
