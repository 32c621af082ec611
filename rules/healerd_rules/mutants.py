"""Makes small faults in rule files, one at a time: what a slip of the pen or a wrong number would look like.

It works on the syntax tree and never parses; tests, invariants and vocabulary are left as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from healerd_rules import tree
from healerd_rules.arithmetic import OPPOSITE
from healerd_rules.module import Module
from healerd_rules.play import WINDOW_S
from healerd_rules.quantities import show
from healerd_rules.schema import Type
from healerd_rules.tree import Span, Statement

MUTATED = (tree.Const, tree.Let, tree.Signal, tree.Rule)
EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
LOWEST, HIGHEST = "0", "999999"
NOWHERE = "\0"
"""A name that no pipeline has."""

Variant = tuple[Span, str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault: where, in which statement, what becomes of what, and the statement that stands there instead."""

    path: str
    line: int
    column: int
    name: str
    change: str
    index: int
    statement: Statement

    def describe(self) -> str:
        """The fault in one line."""
        return f"{self.path}:{self.line}:{self.column}: {self.name}: {self.change}"


def mutants(module: Module) -> Iterator[Mutant]:
    """Every fault in one file, in the order of its text."""
    priorities = [int(rank.value) for each in module.statements for rank in _priorities(each)]
    for index, statement in enumerate(module.statements):
        if not isinstance(statement, MUTATED):
            continue
        for span, change, mutated in (*_variants(statement), *_ranked(statement, priorities)):
            line, column = module.source.place(span.start)
            yield Mutant(
                path=module.source.path,
                line=line,
                column=column,
                name=statement.name.text,
                change=change,
                index=index,
                statement=mutated,
            )


def _variants(node: Any) -> Iterator[Variant]:
    """The node with one fault in it, or in one of its parts."""
    yield from _faults(node)
    for field in fields(node):
        value = getattr(node, field.name)
        for span, change, mutated in _inside(value):
            yield span, change, replace(node, **{field.name: mutated})


def _priorities(statement: Statement) -> tuple[tree.Rank, ...]:
    ranks = statement.ranks if isinstance(statement, tree.Rule) else ()
    return tuple(rank for rank in ranks if rank.kind == "priority")


def _ranked(statement: Statement, priorities: list[int]) -> Iterator[Variant]:
    """The first proposal of a file made the last, any other made the first: a step of one would change no order."""
    for rank in _priorities(statement):
        if len(set(priorities)) > 1 and isinstance(statement, tree.Rule):
            value = LOWEST if int(rank.value) == max(priorities) else HIGHEST
            ranks = tuple(replace(one, value=value) if one is rank else one for one in statement.ranks)
            yield rank.span, f"`priority {rank.value}` becomes `priority {value}`", replace(statement, ranks=ranks)


def _inside(value: Any) -> Iterator[Variant]:
    if isinstance(value, tuple):
        for position, part in enumerate(value):
            for span, change, mutated in _inside(part):
                yield span, change, (*value[:position], mutated, *value[position + 1 :])
    elif is_dataclass(value) and not isinstance(value, Span | tree.Ident | tree.Annotation):
        yield from _variants(value)


def _faults(node: Any) -> Iterator[Variant]:
    match node:
        case tree.Compare():
            for op in filter(None, (OPPOSITE[node.op], EDGE.get(node.op))):
                yield node.span, f"`{node.op}` becomes `{op}`", replace(node, op=op)
        case tree.Quantity():
            yield from _nudges(node)
        case tree.Logic():
            yield from _logic(node)
        case tree.Cond():
            other = "unless" if node.kind == "when" else "when"
            yield node.span, f"`{node.kind}` becomes `{other}`", replace(node, kind=other)
        case tree.Quantifier() if node.kind in ("any", "every"):
            other = "every" if node.kind == "any" else "any"
            yield node.span, f"`{node.kind}` becomes `{other}`", replace(node, kind=other)
        case tree.Temporal() if node.kind == "m_of_n":
            for need in (node.need - 1, node.need + 1):
                yield node.span, f"`for {node.need} of` becomes `for {need} of`", replace(node, need=need)
        case tree.BoolLiteral():
            said = (str(value).lower() for value in (node.value, not node.value))
            yield node.span, "`{}` becomes `{}`".format(*said), replace(node, value=not node.value)
        case tree.Approval():
            other = "deny" if node.otherwise == "defer" else "defer"
            yield node.span, f"`else {node.otherwise}` becomes `else {other}`", replace(node, otherwise=other)
        case tree.ScopeLogic() | tree.Rule():
            yield from _scope(node) if isinstance(node, tree.ScopeLogic) else _rule(node)


def _logic(node: tree.Logic) -> Iterator[Variant]:
    if node.op == "not":
        yield node.span, "`not` is dropped", node.operands[0]
    elif node.op in ("and", "or"):
        other = "or" if node.op == "and" else "and"
        yield node.span, f"`{node.op}` becomes `{other}`", replace(node, op=other)


def _scope(node: tree.ScopeLogic) -> Iterator[Variant]:
    if node.op == "not":
        yield node.span, "`not` is dropped from the scope", node.operands[0]
    else:
        other = "or" if node.op == "and" else "and"
        yield node.span, f"`{node.op}` becomes `{other}` in the scope", replace(node, op=other)


def _rule(rule: tree.Rule) -> Iterator[Variant]:
    span = rule.name.span
    yield span, f"the {rule.kind} is dropped", replace(rule, on=tree.ScopeAtom(span, "pipeline", NOWHERE))
    if rule.on is not None:
        yield rule.on.span, "the scope is dropped", replace(rule, on=None)
    if rule.unknown:
        yield rule.unknown[0].span, f"`if unknown {rule.unknown[0].word}` is dropped", replace(rule, unknown=())
    for target in rule.targets or ():
        others = tuple(one for one in rule.targets or () if one is not target)
        if others:
            yield target.span, f"`{target.text}` is left out", replace(rule, targets=others)


def _nudges(node: tree.Quantity) -> Iterator[Variant]:
    """A literal a visible step up and down."""
    step = _step(node)
    for value in (node.value + step, node.value - step):
        shown = f"{node.currency}{show(value, node.type.value)}"
        before = f"{node.currency}{show(node.value, node.type.value)}"
        yield node.span, f"`{before}` becomes `{shown}`", replace(node, value=value)


def _step(node: tree.Quantity) -> float:
    """One percentage point, one whole thing, or a tenth of the value: what a person would call another number.

    From an hour on, at least half an hour: less would be the same number of windows.
    """
    if node.type in (Type.RATIO, Type.POINTS):
        return 0.01 if node.value >= 0.05 else node.value / 5 or 0.01
    if node.type is Type.WINDOWS or (node.type is Type.NUMBER and node.value == int(node.value)):
        return 1.0
    tenth = node.value / 10 or 1.0
    return max(tenth, WINDOW_S) if node.type is Type.DURATION and node.value >= 2 * WINDOW_S else tenth
