"""From syntax to the typed tree: names are resolved, types and units checked, lets and constants filled in.

It never evaluates anything but constants; None means that the fault has been reported. It is long because one pass
knows every form of the language, and each form is a few lines.
"""

from dataclasses import dataclass, field, replace

from healerd_rules import core, tree
from healerd_rules.arithmetic import arithmetic
from healerd_rules.builtins import BUILTINS, Function
from healerd_rules.calendars import CalendarSpec, read_calendar
from healerd_rules.comparing import check_comparable
from healerd_rules.context import Context, Place, with_article
from healerd_rules.core import Core
from healerd_rules.module import Home, Vocabulary
from healerd_rules.schema import FactDecl, Type
from healerd_rules.sizes import MAX_DEPTH, Sizes
from healerd_rules.tree import Expr, Ident, Span
from healerd_rules.units import NUMERIC, combine
from healerd_rules.words import BUILTIN_VALUES, did_you_mean

MAX_DURATION_S = 90 * 86400


@dataclass(slots=True)
class Elaborator:
    """Works on all modules of one rule set; what has a name is worked out once."""

    vocabulary: Vocabulary
    _done: dict[tuple[str, str], Core | CalendarSpec | None] = field(default_factory=dict)
    _open: set[tuple[str, str]] = field(default_factory=set)
    _sizes: Sizes = field(default_factory=Sizes)
    _level: int = 0

    def truth(self, expr: Expr, context: Context) -> Core | None:
        """An expression that must be a truth."""
        node = self.expression(expr, context)
        if node is None:
            return None
        if node.type is not Type.BOOL:
            context.error("type", expr.span, f"`{context.text(expr.span)}` is {with_article(node.type)}, not a truth")
            return None
        return node if self._sizes.small(node, expr.span, context) else None

    def constant(self, expr: Expr, context: Context, kinds: tuple[Type, ...]) -> core.Const | None:
        """An expression that must be known now and of one of the types."""
        node = self.expression(expr, context)
        if node is None:
            return None
        if not isinstance(node, core.Const):
            context.error("value", expr.span, f"`{context.text(expr.span)}` must be a constant")
            return None
        if node.type not in kinds:
            wanted = " or ".join(kind.value for kind in kinds)
            context.error(
                "unit", expr.span, f"`{context.text(expr.span)}` is {with_article(node.type)}, expected {wanted}"
            )
            return None
        return node

    def expression(self, expr: Expr, context: Context) -> Core | None:
        """Any expression; definitions nested too deeply in each other are reported."""
        if self._level > MAX_DEPTH:
            context.error("too-deep", expr.span, "definitions build on each other too deeply")
            return None
        self._level += 1
        node = self._expression(expr, context)
        self._level -= 1
        return node

    def _expression(self, expr: Expr, context: Context) -> Core | None:
        literal = _literal(expr)
        if literal is not None:
            return literal
        match expr:
            case tree.Ref():
                return self._ref(Ident(expr.name, expr.span), context)
            case tree.Call():
                return self._call(expr, context)
            case tree.Negative() | tree.Arith():
                return self._arith(expr, context)
            case tree.Logic():
                return self._logic(expr, context)
            case tree.Quantifier():
                return self._quantifier(expr, context)
            case tree.Temporal():
                return self._temporal(expr, context)
            case tree.Compare() | tree.Between():
                return self._comparison(expr, context)
            case tree.InCalendar():
                return self._in_calendar(expr, context)
            case tree.IsMissing():
                return self._is_missing(expr, context)
            case _:
                context.error("target", expr.span, "`any action` stands only in `autonomous(any action)`")
                return None

    # names -------------------------------------------------------------

    def _ref(self, name: Ident, context: Context) -> Core | None:
        if name.text == "confidence":
            return self._confidence(name.span, context)
        if name.text == "stage":
            return core.Builtin("stage", Type.TEXT)
        if name.text == "incident":
            return core.Named(core.Builtin("incident", Type.BOOL), "incident")
        home = context.module.names.get(name.text)
        if home is not None:
            return self._definition(name, home, context)
        fact = self.vocabulary.facts.get(name.text)
        if fact is None:
            self.unknown("name", name, context, (*context.module.names, *self.vocabulary.facts, *BUILTIN_VALUES))
            return None
        node = self._measured(fact, fact.name, name.span, context)
        return core.Named(node, name.text) if node is not None and node.type is Type.BOOL else node

    def _measured(self, fact: FactDecl, name: str, span: Span, context: Context) -> core.Fact | None:
        """A measured value under its own name or as `baseline(...)`, of the member that is being looked at."""
        if fact.per is not None and fact.per != context.dimension:
            mend = f"say for which: `any {fact.per} where ({name} > ...)`"
            context.error("dimension", span, f"`{name}` is measured per {fact.per}", mend)
            return None
        return core.Fact(name, Type(fact.type), fact.per)

    def _confidence(self, span: Span, context: Context) -> Core | None:
        if context.place is Place.PLAIN:
            mend = "it is known only once an action is chosen: compare it in `require` or `forbid`"
            context.error("confidence", span, "`confidence` has no meaning here", mend)
            return None
        return core.Confidence()

    def unknown(self, kind: str, name: Ident, context: Context, known: "tuple[str, ...]") -> None:
        """Report a name that nothing defines, or that two imports do, unless a broken statement seems to define it."""
        if name.text in context.module.ambiguous:
            first, second = context.module.ambiguous[name.text]
            mend = "define it here, or say which: `import ... as NAME`, then `NAME." + name.text + "`"
            context.error("duplicate", name.span, f"`{name.text}` is defined in `{first}` and in `{second}`", mend)
        elif not context.module.may_define(name.text):
            context.error("unknown-name", name.span, f"unknown {kind} `{name.text}`", did_you_mean(name.text, known))

    def _definition(self, name: Ident, home: Home, context: Context) -> Core | None:
        if isinstance(home.definition, tree.Calendar | tree.ScopeDecl):
            kind = "calendar" if isinstance(home.definition, tree.Calendar) else "scope"
            mend = f"write `now in {name.text}`" if kind == "calendar" else f"write `on {name.text}` after the actions"
            context.error("type", name.span, f"`{name.text}` is a {kind}, not a value", mend)
            return None
        node = self.named(home, name, context)
        if node is None or isinstance(node, CalendarSpec):
            return None
        if context.place is Place.PLAIN and core.mentions(node, core.Confidence):
            self._confidence(name.span, context)
            return None
        if isinstance(home.definition, tree.Signal):
            return replace(node, text=name.text) if isinstance(node, core.Named) else None
        return node

    def named(self, home: Home, name: Ident, context: Context) -> Core | CalendarSpec | None:
        """The typed tree of a definition, worked out once; a definition that needs itself is reported."""
        key = (home.module.source.path, home.definition.name.text)
        if key in self._open:
            message = f"`{home.definition.name.text}` needs itself"
            context.error("cycle", name.span, message, "break the circle: a definition builds on earlier ones only")
            return None
        if key not in self._done:
            self._open.add(key)
            node = self._define(home)
            small = not isinstance(node, Core) or self._sizes.small(node, name.span, context)
            self._done[key] = node if small else None
            self._open.discard(key)
        return self._done[key]

    def _define(self, home: Home) -> Core | CalendarSpec | None:
        match home.definition:
            case tree.Const():
                return self._const(home.definition, Context(home.module, Place.PLAIN))
            case tree.Let():
                return self.expression(home.definition.body, Context(home.module, Place.GUARD))
            case tree.Signal():
                return self._signal(home.definition, Context(home.module, Place.PLAIN))
            case tree.Calendar():
                return read_calendar(home.definition, home.module.findings)
            case tree.ScopeDecl():
                return None

    def _const(self, const: tree.Const, context: Context) -> Core | None:
        node = self.expression(const.body, context)
        if node is not None and not isinstance(node, core.Const):
            context.error(
                "value", const.body.span, f"`{const.name.text}` must be a constant", "use `let` for a formula"
            )
            return None
        return node

    def _signal(self, signal: tree.Signal, context: Context) -> Core | None:
        body = self.truth(signal.body, context)
        clears = None if signal.clears is None else self.truth(signal.clears, context)
        if body is None or (signal.clears is not None and clears is None):
            return None
        if clears is not None:
            text = context.text(signal.body.span)
            body = core.Remembered("opens", (body, clears), 1, 0.0, 0, Type.BOOL, text)
        return core.Named(body, signal.name.text)

    # calls -------------------------------------------------------------

    def _call(self, call: tree.Call, context: Context) -> Core | None:
        function = BUILTINS.get(call.name.text)
        if function is None:
            self.unknown("function", call.name, context, tuple(BUILTINS))
            return None
        if len(call.args) != len(function.arguments):
            shape = f"{call.name.text}({', '.join(function.arguments)})"
            context.error(
                "type", call.span, f"`{call.name.text}` takes {len(function.arguments)} arguments", f"`{shape}`"
            )
            return None
        if call.name.text == "autonomous" and context.place is not Place.INVARIANT:
            context.error("type", call.span, "`autonomous` stands only in invariants")
            return None
        if function.fold is not None:
            return self._series(call, function, context)
        return self._ask(call, function, context)

    def _ask(self, call: tree.Call, function: Function, context: Context) -> Core | None:
        kind, arg, name = function.arguments[0], call.args[0], call.name.text
        if isinstance(arg, tree.AnyAction) and name == "autonomous":
            return core.Ask(name, "*", Type.BOOL)
        if not isinstance(arg, tree.Ref):
            context.error("type", arg.span, f"`{name}` takes the name of a {kind}")
            return None
        ident = Ident(arg.name, arg.span)
        known = {"action": self.vocabulary.actions, "alarm": self.vocabulary.alarms, "metric": self.vocabulary.facts}
        if arg.name not in known[kind]:
            self.unknown(kind, ident, context, tuple(known[kind]))
            return None
        if kind == "metric":
            return self._measured(self.vocabulary.facts[arg.name], f"baseline({arg.name})", arg.span, context)
        node = core.Ask(name, arg.name, function.result or Type.NUMBER)
        return core.Named(node, context.text(call.span)) if node.type is Type.BOOL else node

    def _series(self, call: tree.Call, function: Function, context: Context) -> Core | None:
        value = self.expression(call.args[0], context)
        extent = self.extent(call.args[1], context)
        if value is None or extent is None or not self._plain((value,), call.span, context):
            return None
        if value.type not in NUMERIC:
            context.error("type", call.args[0].span, f"`{call.name.text}` of {with_article(value.type)} has no meaning")
            return None
        if not self._sizes.small(
            value, call.span, context
        ):  # its key is made of the whole tree, each part as often as said
            return None
        kind = function.result or (Type.POINTS if call.name.text == "drop" and value.type is Type.RATIO else value.type)
        return core.Remembered(call.name.text, (value,), *extent, 0, kind, context.text(call.span))

    def extent(self, expr: Expr, context: Context) -> tuple[int, float] | None:
        """Windows and seconds of a look into the past; one of the two is zero."""
        found = self.constant(expr, context, (Type.DURATION, Type.WINDOWS))
        if found is None:
            return None
        value = float(found.value)
        most = core.MAX_WINDOWS if found.type is Type.WINDOWS else MAX_DURATION_S
        if not 0 < value <= most or (found.type is Type.WINDOWS and value != int(value)):
            bound = f"from 1 to {core.MAX_WINDOWS} whole windows" if found.type is Type.WINDOWS else "up to 90d"
            context.error("value", expr.span, f"`{context.text(expr.span)}` cannot be remembered", f"choose {bound}")
            return None
        return (int(value), 0.0) if found.type is Type.WINDOWS else (0, value)

    def _plain(self, nodes: "tuple[Core, ...]", span: Span, context: Context) -> bool:
        """Report `confidence` in something remembered: it belongs to one action at one moment."""
        if any(core.mentions(node, core.Confidence) for node in nodes):
            context.error("confidence", span, "`confidence` cannot be remembered", "compare it by itself")
            return False
        return True

    # operators ---------------------------------------------------------

    def _arith(self, expr: tree.Negative | tree.Arith, context: Context) -> Core | None:
        operands = (expr.operand,) if isinstance(expr, tree.Negative) else (expr.first, *(o for _, o in expr.rest))
        nodes = [self.expression(operand, context) for operand in operands]
        if any(node is None for node in nodes):
            return None
        found = [node for node in nodes if node is not None]
        for node, operand in zip(found, operands, strict=True):
            if isinstance(node, core.Confidence) or node.type not in NUMERIC:
                code = "confidence" if isinstance(node, core.Confidence) else "type"
                message = f"cannot calculate with `{context.text(operand.span)}`"
                mend = "compare `confidence` itself, as in `confidence < 80%`" if code == "confidence" else ""
                context.error(code, operand.span, message, mend)
                return None
        return self._combined(expr, found, context)

    def _combined(self, expr: tree.Negative | tree.Arith, nodes: list[Core], context: Context) -> Core | None:
        if isinstance(expr, tree.Negative):
            return _fold(core.Negative(nodes[0], nodes[0].type))
        kind = nodes[0].type
        for (op, operand), node in zip(expr.rest, nodes[1:], strict=True):
            after = combine(kind, op, node.type)
            if after is None:
                context.error("type", operand.span, f"cannot combine {kind.value} {op} {node.type.value}")
                return None
            kind = after
        rest = tuple((op, node) for (op, _), node in zip(expr.rest, nodes[1:], strict=True))
        return _fold(core.Arith(nodes[0], rest, kind))

    def _comparison(self, expr: tree.Compare | tree.Between, context: Context) -> Core | None:
        op = expr.op if isinstance(expr, tree.Compare) else "<="
        operands = [expr.left, expr.right] if isinstance(expr, tree.Compare) else [expr.operand, expr.low, expr.high]
        nodes = [self.expression(operand, context) for operand in operands]
        first, *others = nodes
        if first is None or any(other is None for other in others):
            return None
        found = [other for other in others if other is not None]
        if not all(check_comparable(first, other, op, expr, context) for other in found):
            return None
        text = context.text(expr.span)
        if isinstance(expr, tree.Compare):
            return core.Compare(op, first, found[0], text)
        return core.Between(first, found[0], found[1], text)

    def _is_missing(self, expr: tree.IsMissing, context: Context) -> Core | None:
        node = self.expression(expr.operand, context)
        return None if node is None else core.Missing(node, context.text(expr.span))

    def _in_calendar(self, expr: tree.InCalendar, context: Context) -> Core | None:
        node = self.expression(expr.operand, context)
        home = context.module.names.get(expr.calendar.text)
        if home is None or not isinstance(home.definition, tree.Calendar):
            names = (n for n, h in context.module.names.items() if isinstance(h.definition, tree.Calendar))
            self.unknown("calendar", expr.calendar, context, tuple(names))
            return None
        calendar = self.named(home, expr.calendar, context)
        if node is None or not isinstance(calendar, CalendarSpec):
            return None
        if node.type is not Type.TIME:
            context.error(
                "type", expr.operand.span, f"{with_article(node.type)} cannot lie in a calendar", "write `now in ...`"
            )
            return None
        return core.InCalendar(node, calendar, context.text(expr.span))

    def _logic(self, expr: tree.Logic, context: Context) -> Core | None:
        nodes = [self.truth(operand, context) for operand in expr.operands]
        found = tuple(node for node in nodes if node is not None)
        if len(found) < len(nodes):
            return None
        if expr.op == "implies":
            return core.Logic("or", (core.Logic("not", found[:1]), found[1]))
        return core.Logic(expr.op, found)

    def _quantifier(self, expr: tree.Quantifier, context: Context) -> Core | None:
        dimension = expr.dimension.text
        if dimension not in self.vocabulary.dimensions:
            self.unknown("dimension", expr.dimension, context, tuple(self.vocabulary.dimensions))
            return None
        body = self.truth(expr.body, replace(context, dimension=dimension))
        bound = None if expr.bound is None else self._bound(expr.bound, context)
        if body is None or (expr.bound is not None and bound is None):
            return None
        if not any(isinstance(part, core.Fact) and part.dimension == dimension for part in core.distinct(body)):
            mend = "compare something that is measured per member"
            context.error("dimension", expr.body.span, f"says nothing about one {dimension}", mend)
            return None
        count, share = bound or (0, None)
        measures = tuple(sorted(fact.name for fact in self.vocabulary.facts.values() if fact.per == dimension))
        return core.Quantified(expr.kind, count, share, dimension, body, measures, context.text(expr.span))

    def _bound(self, expr: Expr, context: Context) -> tuple[int, float | None] | None:
        found = self.constant(expr, context, (Type.NUMBER, Type.RATIO))
        if found is None:
            return None
        value = float(found.value)
        if found.type is Type.RATIO and 0 <= value <= 1:
            return 0, value
        if found.type is Type.NUMBER and value == int(value) and 0 <= value <= 1_000_000:
            return int(value), None
        context.error("value", expr.span, f"`{context.text(expr.span)}` is neither a count nor a share up to 100%")
        return None

    def _temporal(self, expr: tree.Temporal, context: Context) -> Core | None:
        nodes = [self.truth(operand, context) for operand in expr.operands]
        extent = (1, 0.0) if expr.extent is None else self.extent(expr.extent, context)
        found = tuple(node for node in nodes if node is not None)
        if len(found) < len(nodes) or extent is None or not self._plain(found, expr.span, context):
            return None
        if expr.kind == "m_of_n" and not 1 <= expr.need <= extent[0]:
            context.error("value", expr.span, f"{expr.need} of {extent[0]} windows can never be")
            return None
        return core.Remembered(expr.kind, found, *extent, expr.need, Type.BOOL, context.text(expr.span))


def _literal(expr: Expr) -> Core | None:
    match expr:
        case tree.Quantity():
            return core.Const(expr.value, expr.type)
        case tree.TextLiteral():
            return core.Const(expr.value, Type.TEXT)
        case tree.BoolLiteral():
            return core.Const(expr.value, Type.BOOL)
        case tree.Now():
            return core.Builtin("now", Type.TIME)
        case _:
            return None


def _fold(node: core.Negative | core.Arith) -> Core:
    """A constant, when all operands are."""
    operands = core.parts(node)
    if not all(isinstance(operand, core.Const) for operand in operands):
        return node
    value = arithmetic(node, [operand.value for operand in operands if isinstance(operand, core.Const)])
    return node if value is None else core.Const(value, node.type)
