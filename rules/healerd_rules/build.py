"""Turns lark's parse tree of one statement into the syntax tree.

It never checks a name or a type; literals are read here, and only here. It is long because it has one
method for each rule of the grammar.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lark import Token, Tree
from lark.tree import Meta

from healerd_rules import tree
from healerd_rules.schema import Type
from healerd_rules.tree import Ident, Quantity, Span

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9}
_POWERS = {"%": "e-2", "pp": "e-2", "ms": "e-3"}
"""Units that part a number by a power of ten: read with it, since a division would round a second time."""

Children = list[Any]


def amount(digits: str, unit: str) -> float:
    """The number nearest to what is written, in the unit that values are compared in; no unit leaves it as it is."""
    if unit in _POWERS:
        return float(digits + _POWERS[unit])
    return float(digits) * {**SECONDS, **BYTES}.get(unit, 1.0)


def _span(meta: Meta) -> Span:
    return Span(meta.start_pos, meta.end_pos)


def _ident(token: Token) -> Ident:
    return Ident(str(token), Span(token.start_pos or 0, token.end_pos or 0))


def _maybe(token: Token | None) -> Ident | None:
    return None if token is None else _ident(token)


def _string(token: Token | None) -> str:
    """The text of a string token; unknown escapes keep their backslash, as they stand."""
    if token is None:
        return ""
    body = str(token)[1:-1]
    return body.replace('\\"', '"').replace("\\\\", "\\")


def _only(kind: type[Any], children: Children) -> tuple[Any, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _because(children: Children) -> str:
    return next((child.text for child in children if isinstance(child, _Because)), "")


class _Because:
    def __init__(self, text: str) -> None:
        self.text = text


class _Scope:
    def __init__(self, body: tree.ScopeExpr) -> None:
        self.body = body


class _Head:
    def __init__(self, name: Ident, targets: tuple[Ident, ...] | None, on: tree.ScopeExpr | None) -> None:
        self.name, self.targets, self.on = name, targets, on


def _logic(op: str) -> Callable[[Any, Meta, Children], tree.Expr]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.Expr:
        only: tree.Expr = children[0]
        return only if len(children) == 1 else tree.Logic(_span(meta), op, tuple(children))

    return reduce


def _scope_logic(op: str) -> Callable[[Any, Meta, Children], tree.ScopeExpr]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.ScopeExpr:
        only: tree.ScopeExpr = children[0]
        return only if len(children) == 1 else tree.ScopeLogic(_span(meta), op, tuple(children))

    return reduce


def _scope_atom(kind: str) -> Callable[[Any, Meta, Children], tree.ScopeAtom]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.ScopeAtom:
        text = str(children[0]) if kind == "ref" else _string(children[0])
        return tree.ScopeAtom(_span(meta), kind, text)

    return reduce


def _calendar_part(kind: str) -> Callable[[Any, Meta, Children], tree.CalendarPart]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.CalendarPart:
        return tree.CalendarPart(_span(meta), kind, tuple(str(child) for child in children))

    return reduce


def _quantity(kind: Type, read: Callable[[str], float]) -> Callable[[Any, Meta, Children], Quantity]:
    def reduce(_self: Any, meta: Meta, children: Children) -> Quantity:
        return Quantity(_span(meta), read(str(children[0])), kind)

    return reduce


def _rule(kind: str) -> Callable[[Any, Meta, Children], tree.Rule]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.Rule:
        return _make_rule(kind, _span(meta), children)

    return reduce


def _make_rule(kind: str, span: Span, children: Children) -> tree.Rule:
    head: _Head = children[0]
    terms = _only(tree.Approval | tree.VetoWindow | tree.Rest | tree.Bound | tree.Channel, children)  # type: ignore[arg-type]
    return tree.Rule(
        span,
        kind,
        head.name,
        head.targets,
        head.on,
        _only(tree.Cond, children),
        _only(tree.UnknownPolicy, children),
        _only(tree.Rank, children),
        terms[0] if terms else None,
        _because(children),
    )


def _step(kind: str) -> Callable[[Any, Meta, Children], tree.TestStep]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.TestStep:
        words = [_ident(child) for child in children if isinstance(child, Token) and child.type != "STRING"]
        texts = [_string(child) for child in children if isinstance(child, Token) and child.type == "STRING"]
        return tree.TestStep(
            _span(meta),
            kind,
            tuple(words),
            _only(Quantity | tree.Ref, children),  # type: ignore[arg-type]
            text=texts[0] if texts else "",
            tags=next(iter(_only(tuple, children)), ()),
            elsewhere=next(iter(_only(tree.Elsewhere, children)), None),
        )

    return reduce


def _expect(*, negated: bool) -> Callable[[Any, Meta, Children], tree.TestStep]:
    def reduce(_self: Any, meta: Meta, children: Children) -> tree.TestStep:
        inner, by = children
        step: tree.TestStep = replace(inner, span=_span(meta), by=by or (), negated=negated)
        return step

    return reduce


class _Builder:
    """One method a grammar rule: its place and its parts in, a node of the syntax tree out."""

    # quantities
    percent = _quantity(Type.RATIO, lambda text: amount(text[:-1], "%"))
    points = _quantity(Type.POINTS, lambda text: amount(text[:-2], "pp"))
    number = _quantity(Type.NUMBER, float)
    windows = _quantity(Type.WINDOWS, float)

    def money(self, meta: Meta, children: Children) -> Quantity:
        text = str(children[0])
        return Quantity(_span(meta), float(text[1:]), Type.MONEY, text[0])

    def with_unit(self, meta: Meta, children: Children) -> Quantity:
        text = str(children[0])
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        unit = text[len(digits) :]
        kind = Type.BYTES if unit in BYTES else Type.DURATION
        return Quantity(_span(meta), amount(digits, unit), kind)

    # expressions
    or_ = _logic("or")
    and_ = _logic("and")
    implies = _logic("implies")

    def not_(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Logic(_span(meta), "not", (children[0],))

    def for_(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Temporal(_span(meta), "for", (children[0],), children[1])

    def m_of_n(self, meta: Meta, children: Children) -> tree.Expr:
        last = Quantity(Span(children[2].start_pos, children[2].end_pos), float(children[2]), Type.WINDOWS)
        return tree.Temporal(_span(meta), "m_of_n", (children[0],), last, int(children[1]))

    def once(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Temporal(_span(meta), "once", (children[0],), children[1])

    def since(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Temporal(_span(meta), "since", tuple(children))

    def compare(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Compare(_span(meta), str(children[1]), children[0], children[2])

    def in_(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.InCalendar(_span(meta), children[0], _ident(children[1]))

    def between(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Between(_span(meta), *children)

    def is_missing(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.IsMissing(_span(meta), children[0])

    def q_any(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Quantifier(_span(meta), "any", None, _ident(children[0]), children[1])

    def q_every(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Quantifier(_span(meta), "every", None, _ident(children[0]), children[1])

    def q_atleast(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Quantifier(_span(meta), "at least", children[0], _ident(children[1]), children[2])

    def q_atmost(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Quantifier(_span(meta), "at most", children[0], _ident(children[1]), children[2])

    def arith(self, meta: Meta, children: Children) -> tree.Expr:
        first: tree.Expr = children[0]
        rest = tuple((str(op), operand) for op, operand in zip(children[1::2], children[2::2], strict=True))
        return tree.Arith(_span(meta), first, rest) if rest else first

    def neg(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Negative(_span(meta), children[0])

    def str_(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.TextLiteral(_span(meta), _string(children[0]))

    def true_(self, meta: Meta, _children: Children) -> tree.Expr:
        return tree.BoolLiteral(_span(meta), True)

    def false_(self, meta: Meta, _children: Children) -> tree.Expr:
        return tree.BoolLiteral(_span(meta), False)

    def now_(self, meta: Meta, _children: Children) -> tree.Expr:
        return tree.Now(_span(meta))

    def ref(self, meta: Meta, children: Children) -> tree.Expr:
        return tree.Ref(_span(meta), str(children[0]))

    def call(self, meta: Meta, children: Children) -> tree.Expr:
        args = tuple(child for child in children[1:] if child is not None)
        return tree.Call(_span(meta), _ident(children[0]), args)

    def any_arg(self, meta: Meta, _children: Children) -> tree.Expr:
        return tree.AnyAction(_span(meta))

    # scopes and calendars
    sc_or = _scope_logic("or")
    sc_and = _scope_logic("and")
    sc_pipeline = _scope_atom("pipeline")
    sc_tag = _scope_atom("tag")
    sc_ref = _scope_atom("ref")

    def sc_not(self, meta: Meta, children: Children) -> tree.ScopeExpr:
        return tree.ScopeLogic(_span(meta), "not", (children[0],))

    weekly = _calendar_part("weekly")
    weekly1 = _calendar_part("weekly1")
    dates = _calendar_part("dates")
    daily = _calendar_part("daily")

    def cal_parts(self, _meta: Meta, children: Children) -> tuple[tree.CalendarPart, ...]:
        return tuple(children)

    # vocabulary
    def pack(self, meta: Meta, children: Children) -> tree.Pack:
        return tree.Pack(_span(meta), _ident(children[0]))

    def import_(self, meta: Meta, children: Children) -> tree.Import:
        return tree.Import(_span(meta), _string(children[0]), _maybe(children[1]))

    def const_(self, meta: Meta, children: Children) -> tree.Const:
        return tree.Const(_span(meta), _ident(children[0]), children[1])

    def metric_(self, meta: Meta, children: Children) -> tree.Metric:
        name, kind, per, stale = children
        return tree.Metric(_span(meta), _ident(name), _ident(kind), _maybe(per), stale)

    def dim_(self, meta: Meta, children: Children) -> tree.Dimension:
        return tree.Dimension(_span(meta), _ident(children[0]))

    def risk(self, _meta: Meta, children: Children) -> tuple[str, int]:
        return "risk", int(children[0])

    def cost(self, _meta: Meta, children: Children) -> tuple[str, Quantity]:
        return "cost", children[0]

    def undo(self, _meta: Meta, children: Children) -> tuple[str, Ident]:
        return "undo", _ident(children[0])

    def step(self, _meta: Meta, _children: Children) -> tuple[str, bool]:
        return "step", True

    def action_(self, meta: Meta, children: Children) -> tree.Action:
        has = dict(children[1:])
        return tree.Action(
            _span(meta),
            _ident(children[0]),
            has.get("risk"),
            has.get("cost"),
            has.get("undo"),
            has.get("step", False),
        )

    def calendar_(self, meta: Meta, children: Children) -> tree.Calendar:
        name, parts, zone = children
        span = Span(zone.start_pos, zone.end_pos) if zone is not None else Span(0, 0)
        literal = None if zone is None else tree.TextLiteral(span, _string(zone))
        return tree.Calendar(_span(meta), _ident(name), parts, literal)

    def scope_(self, meta: Meta, children: Children) -> tree.ScopeDecl:
        return tree.ScopeDecl(_span(meta), _ident(children[0]), children[1])

    def let_(self, meta: Meta, children: Children) -> tree.Let:
        return tree.Let(_span(meta), _ident(children[0]), children[1])

    def signal_(self, meta: Meta, children: Children) -> tree.Signal:
        return tree.Signal(_span(meta), _ident(children[0]), children[1], children[2], _because(children))

    # rules
    permit_ = _rule("permit")
    forbid_ = _rule("forbid")
    require_ = _rule("require")
    propose_ = _rule("propose")
    last_resort_ = _rule("last resort")
    limit_ = _rule("limit")

    def cooldown_(self, meta: Meta, children: Children) -> tree.Rule:
        length, per, after = children[1:4]
        rest = tree.Rest(_span(meta), length, _maybe(per), after)
        return _make_rule("cooldown", _span(meta), [children[0], rest, *children[4:]])

    def notify_(self, meta: Meta, children: Children) -> tree.Rule:
        name, target, on, *others, repeat = (c for c in children if not isinstance(c, _Because))
        channel = tree.Channel(_span(meta), _string(target), repeat)
        head = _Head(_ident(name), (), on.body if on else None)
        because = [c for c in children if isinstance(c, _Because)]
        return _make_rule("notify", _span(meta), [head, channel, *others, *because])

    def head(self, _meta: Meta, children: Children) -> _Head:
        name, targets, on = children
        return _Head(_ident(name), targets, on.body if on else None)

    def any_action(self, _meta: Meta, _children: Children) -> None:
        return None

    def names(self, _meta: Meta, children: Children) -> tuple[Ident, ...]:
        return tuple(_ident(child) for child in children)

    def scope_on(self, _meta: Meta, children: Children) -> _Scope:
        return _Scope(children[0])

    def approval(self, meta: Meta, children: Children) -> tree.Approval:
        role, within, otherwise = children
        return tree.Approval(_span(meta), _string(role), within, str(otherwise or "deny"))

    def veto_window(self, meta: Meta, children: Children) -> tree.VetoWindow:
        return tree.VetoWindow(_span(meta), children[0])

    def when(self, meta: Meta, children: Children) -> tree.Cond:
        return tree.Cond(_span(meta), "when", children[0])

    def unless(self, meta: Meta, children: Children) -> tree.Cond:
        return tree.Cond(_span(meta), "unless", children[0])

    def unknown_policy(self, meta: Meta, children: Children) -> tree.UnknownPolicy:
        return tree.UnknownPolicy(_span(meta), str(children[0]))

    def priority(self, meta: Meta, children: Children) -> tree.Rank:
        return tree.Rank(_span(meta), "priority", str(children[0]))

    def severity(self, meta: Meta, children: Children) -> tree.Rank:
        return tree.Rank(_span(meta), "severity", str(children[0]))

    def per_window(self, meta: Meta, children: Children) -> tree.Bound:
        amount, period, per = children
        return tree.Bound(_span(meta), "per_window", amount, period, _maybe(per))

    def concurrent(self, meta: Meta, children: Children) -> tree.Bound:
        return tree.Bound(_span(meta), "concurrent", children[0], None, _maybe(children[1]))

    def blast(self, meta: Meta, children: Children) -> tree.Bound:
        amount, of, period = children
        return tree.Bound(_span(meta), "blast", amount, period, _ident(of))

    def because(self, _meta: Meta, children: Children) -> _Because:
        return _Because(_string(children[0]))

    def invariant_(self, meta: Meta, children: Children) -> tree.Invariant:
        return tree.Invariant(_span(meta), _ident(children[0]), children[1], _because(children))

    def annotation(self, _meta: Meta, children: Children) -> tree.Annotation:
        name, value = children
        text = value if value is None or not isinstance(value, Token) else str(value).strip('"')
        return tree.Annotation(_ident(name), text if text is None or isinstance(text, str) else f"{text.value:g}")

    def annotated(self, meta: Meta, children: Children) -> tree.Statement:
        *annotations, body = children
        if not annotations:
            return body  # type: ignore[no-any-return]
        if isinstance(body, tree.Rule):
            return replace(body, span=_span(meta), annotations=tuple(annotations))
        return tree.Annotated(_span(meta), tuple(annotations), body)

    # tests
    t_on = _step("on")
    t_at = _step("at")
    t_advance = _step("advance")
    t_did = _step("did")
    t_doing = _step("doing")
    e_signal = _step("signal")
    e_unknown = _step("unknown")
    e_notify = _step("notify")
    t_expect = _expect(negated=False)
    t_expect_not = _expect(negated=True)

    def e_verdict(self, meta: Meta, children: Children) -> tree.TestStep:
        verdict, action, before, role, within, otherwise = children
        asked = tree.Asked(
            None if role is None else _string(role),
            within,
            None if otherwise is None else str(otherwise),
            _maybe(before),
        )
        return tree.TestStep(_span(meta), "verdict", (_ident(verdict), _ident(action)), asked=asked)

    def other_pipeline(self, meta: Meta, children: Children) -> tree.Elsewhere:
        return tree.Elsewhere(_span(meta), _string(children[0]), children[1] or ())

    def this_incident(self, meta: Meta, _children: Children) -> tree.Elsewhere:
        return tree.Elsewhere(_span(meta))

    def strings(self, _meta: Meta, children: Children) -> tuple[str, ...]:
        return tuple(_string(child) for child in children)

    def t_given(self, _meta: Meta, children: Children) -> tuple[tree.Binding, ...]:
        return tuple(children)

    def missing(self, _meta: Meta, _children: Children) -> None:
        return None

    def bind(self, meta: Meta, children: Children) -> tree.Binding:
        name, argument, member, value = children
        key = None if member is None else _string(member) if member.type == "STRING" else str(member)
        return tree.Binding(_span(meta), _ident(name), key, value, _maybe(argument))

    def test_(self, meta: Meta, children: Children) -> tree.TestBlock:
        steps: list[tree.TestStep | tree.Binding] = []
        for child in children[1:]:
            steps.extend(child if isinstance(child, tuple) else [child])
        return tree.TestBlock(_span(meta), _string(children[0]), tuple(steps))


_BUILDER = _Builder()


def build(root: Tree[Token]) -> tree.Statement:
    """The statement that a parse tree stands for; works bottom up, without recursion."""
    done: dict[int, Any] = {}
    for sub in root.iter_subtrees():
        children = [done[id(child)] if isinstance(child, Tree) else child for child in sub.children]
        done[id(sub)] = getattr(_BUILDER, str(sub.data))(sub.meta, children)
    return done[id(root)]  # type: ignore[no-any-return]
