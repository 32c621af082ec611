"""A slow, obvious second evaluator, written from the reference and sharing no code with the first.

A truth is the set of values it may still have; a rule set is a list of plain tuples that `render` writes out.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

METRICS = ("alpha", "beta", "gamma")
ACTIONS = ("mend", "swap")
MEMBERS = ("age", "income", "zip")
HEADER = """
dimension feature
metric alpha: ratio
metric beta: ratio
metric gamma: ratio
metric delta: number per feature
metric flag: bool
action mend risk 1 cost $5
action swap risk 2
"""

Cond = tuple[Any, ...]
Facts = dict[str, Any]


@dataclass(frozen=True)
class World:
    """What is known: None is hidden."""

    facts: Facts
    stage: str | None = "live"
    incident: bool | None = True
    confidence: float | None = 0.9


@dataclass(frozen=True)
class Rule:
    """One guard of the test's own language."""

    name: str
    kind: str
    actions: tuple[str, ...]
    cond: Cond | None
    policy: str = ""
    terms: tuple[Any, ...] = field(default=())


# strategies ------------------------------------------------------------------

ops = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
tens = st.integers(0, 10).map(lambda n: n / 10)


def conds(*, confidence: bool = True) -> st.SearchStrategy[Cond]:
    """Conditions up to a few levels deep, without `is missing`."""
    leaves = [
        st.tuples(st.just("cmp"), st.sampled_from(METRICS), ops, tens),
        st.tuples(st.just("two"), st.sampled_from(METRICS), ops, st.sampled_from(METRICS)),
        st.tuples(st.just("flag")),
        st.tuples(
            st.just("quant"), st.sampled_from(["any", "every", "at least", "at most"]), st.integers(0, 3), ops, tens
        ),
    ]
    if confidence:
        leaves.append(st.tuples(st.just("conf"), ops, tens))
        leaves.append(st.tuples(st.just("confmetric"), ops, st.sampled_from(METRICS)))
    return st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner),
            st.tuples(st.just("and"), inner, inner),
            st.tuples(st.just("or"), inner, inner),
            st.tuples(st.just("implies"), inner, inner),
        ),
        max_leaves=4,
    )


def guards(kinds: tuple[str, ...] = ("permit", "forbid", "approval", "veto")) -> st.SearchStrategy[Rule]:
    """One guard; names are given later."""
    targets = st.sampled_from([("mend",), ("swap",), ("mend", "swap"), ()])
    terms = st.tuples(
        st.sampled_from(["ops", "boss"]), st.sampled_from([None, 1, 2]), st.sampled_from(["deny", "defer"])
    )
    return st.builds(
        Rule,
        name=st.just(""),
        kind=st.sampled_from(kinds),
        actions=targets,
        cond=st.none() | conds(),
        terms=terms,
    )


def rule_sets(**kinds: Any) -> st.SearchStrategy[list[Rule]]:
    """A few guards with different names."""
    return st.lists(guards(**kinds), max_size=5).map(
        lambda found: [Rule(f"r{n}", r.kind, r.actions, r.cond, r.policy, r.terms) for n, r in enumerate(found)]
    )


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, st.none())


facts = st.fixed_dictionaries(
    {
        **{name: _maybe(tens) for name in METRICS},
        "flag": _maybe(st.booleans()),
        "delta": st.fixed_dictionaries({member: _maybe(tens) for member in MEMBERS}),
        "data_quality": _maybe(st.sampled_from(["good", "bad"])),
    }
)
worlds = st.builds(
    World,
    facts=facts,
    stage=st.sampled_from(["live", "live", "canary", "suggest", "observe", None]),
    incident=st.sampled_from([True, True, True, False, None]),
    confidence=_maybe(tens),
)


# writing ---------------------------------------------------------------------


def render(rules: list[Rule]) -> str:
    """The rules in the language."""
    return HEADER + "".join(render_rule(rule) for rule in rules)


def render_rule(rule: Rule) -> str:
    """One rule in the language."""
    keyword = {"approval": "require", "veto": "require"}.get(rule.kind, rule.kind)
    text = f"{keyword} {rule.name}: {', '.join(rule.actions) or 'any action'}"
    role, hours, otherwise = rule.terms
    if rule.kind == "approval":
        within = "" if hours is None else f" within {hours}h"
        text += f'\n  approval from "{role}"{within} else {otherwise}'
    if rule.kind == "veto":
        text += f"\n  veto within {hours or 3}h"
    if rule.cond is not None:
        text += f"\n  when {render_cond(rule.cond)}"
    return text + "\n"


def render_cond(cond: Cond) -> str:
    """One condition in the language, fully bracketed."""
    match cond:
        case ("cmp", name, op, bound):
            return f"({name} {op} {bound:.0%})"
        case ("two", left, op, right):
            return f"({left} {op} {right})"
        case ("flag",):
            return "flag"
        case ("conf", op, bound):
            return f"(confidence {op} {bound:.0%})"
        case ("confmetric", op, name):
            return f"({name} {op} confidence)"
        case ("quant", kind, count, op, bound):
            how = f"{kind} {count} of" if kind.startswith("at") else kind
            return f"({how} feature where (delta {op} {bound}))"
        case ("not", inner):
            return f"(not {render_cond(inner)})"
        case (word, left, right):
            return f"({render_cond(left)} {word} {render_cond(right)})"
    raise AssertionError(cond)


# judging ---------------------------------------------------------------------

Truths = frozenset[bool]
BOTH = frozenset({True, False})


def possible(cond: Cond, world: World) -> Truths:
    """The values a condition may have, operator by operator."""
    facts = world.facts
    match cond:
        case ("cmp", name, op, bound):
            return _compare(op, facts[name], bound)
        case ("two", left, op, right):
            return _compare(op, facts[left], facts[right])
        case ("flag",):
            return BOTH if facts["flag"] is None else frozenset({facts["flag"]})
        case ("conf", op, bound):
            return _compare(op, world.confidence, bound)
        case ("confmetric", op, name):
            return _compare(op, facts[name], world.confidence)
        case ("quant", kind, count, op, bound):
            each = [_compare(op, facts["delta"][member], bound) for member in sorted(facts["delta"])]
            return (
                frozenset(_quantify(kind, count, sum(row), len(row)) for row in itertools.product(*each))
                if each
                else BOTH
            )
        case ("not", inner):
            return frozenset(not value for value in possible(inner, world))
        case (word, left, right):
            pairs = itertools.product(possible(left, world), possible(right, world))
            return frozenset(_connect(word, a, b) for a, b in pairs)
    raise AssertionError(cond)


def _compare(op: str, left: Any, right: Any) -> Truths:
    if left is None or right is None:
        return BOTH
    results = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }
    return frozenset({results[op]})


def _quantify(kind: str, count: int, holding: int, total: int) -> bool:
    return {
        "any": holding >= 1,
        "every": holding == total,
        "at least": holding >= count,
        "at most": holding <= count,
    }[kind]


def _connect(word: str, a: bool, b: bool) -> bool:
    return {"and": a and b, "or": a or b, "implies": b or not a}[word]


@dataclass(frozen=True)
class Answer:
    """A verdict, bare: level 0 to 4, the longest veto window in hours, who must approve."""

    level: int
    veto: float | None
    approvals: frozenset[tuple[Any, ...]]


def judge(rules: list[Rule], world: World, action: str) -> Answer:
    """The second pass, with the guards of `base` written out by hand."""
    permitted = False
    level, vetoes, approvals = 0, set(), set()
    for rule in rules:
        if rule.actions and action not in rule.actions:
            continue
        truths = frozenset({True}) if rule.cond is None else possible(rule.cond, world)
        role, hours, otherwise = rule.terms
        if rule.kind == "permit":
            permitted = permitted or truths == {True}
        elif True in truths and rule.kind == "forbid":
            level = 4
        elif True in truths and rule.kind == "veto":
            level = max(level, 1)
            vetoes.add(float(hours or 3))
        elif True in truths:
            level = max(level, 2)
            approvals.add((rule.name, role, hours, otherwise))
    asked = {"base.confidence_gate": world.confidence is None or world.confidence < 0.8}
    asked["base.stage_suggest"] = world.stage not in ("canary", "live")
    approvals |= {(name, "operators", 12, "defer") for name, asks in asked.items() if asks}
    level = max(level, 2) if approvals else level
    if not permitted or world.stage in ("observe", None) or world.incident is not True:
        level = 4
    return Answer(level, max(vetoes, default=None), frozenset(approvals))


def first_pass_level(rules: list[Rule], world: World, action: str) -> int:
    """The first pass: each rule alone picks its own kindest confidence, on a grid finer than all thresholds."""
    grid = [None, *(n / 20 for n in range(21))]
    kindest = []
    for rule in rules:
        if rule.cond is None:
            kindest.append(rule)
            continue
        views = [possible(rule.cond, World(world.facts, confidence=c)) for c in grid]
        wanted = any(v == {True} for v in views) if rule.kind == "permit" else all(True in v for v in views)
        if wanted:
            kindest.append(Rule(rule.name, rule.kind, rule.actions, None, "", rule.terms))
    return judge(kindest, World(world.facts, world.stage, world.incident, 1.0), action).level
