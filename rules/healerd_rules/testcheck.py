"""Checks test blocks: every name exists, every value has the type of what it is given to.

It never runs a test.
"""

from healerd_rules import tree
from healerd_rules.calendars import read_date, read_minute
from healerd_rules.context import Context, Place
from healerd_rules.elaborate import Elaborator
from healerd_rules.module import Module
from healerd_rules.schema import Type
from healerd_rules.units import comparable
from healerd_rules.words import did_you_mean

BUILTIN_TYPES = {"confidence": Type.RATIO, "stage": Type.TEXT, "incident": Type.BOOL}


def check_test(test: tree.TestBlock, module: Module, elaborator: Elaborator, rules: frozenset[str]) -> None:
    """Report what a test names in vain."""
    context = Context(module, Place.GUARD)
    for step in test.steps:
        if isinstance(step, tree.Binding):
            _binding(step, context, elaborator)
        else:
            _step(step, context, elaborator, rules)


def _step(step: tree.TestStep, context: Context, elaborator: Elaborator, rules: frozenset[str]) -> None:
    actions = elaborator.vocabulary.actions
    match step.kind:
        case "at":
            _moment(step, context)
        case "advance":
            elaborator.extent(step.values[0], context)
        case "did":
            _known("action", step.words[0], tuple(actions), context, elaborator)
            elaborator.constant(step.values[0], context, (Type.DURATION,))
        case "verdict":
            _known("action", step.words[1], tuple(actions), context, elaborator)
        case "signal":
            _known("signal", step.words[0], tuple(context.module.names), context, elaborator)
    for name in step.by:
        if name.text not in rules and not context.module.may_define(name.text):
            mend = did_you_mean(name.text, rules)
            context.error("unknown-name", name.span, f"unknown rule `{name.text}`", mend)


def _known(kind: str, name: tree.Ident, known: tuple[str, ...], context: Context, elaborator: Elaborator) -> None:
    if name.text not in known:
        elaborator.unknown(kind, name, context, known)


def _moment(step: tree.TestStep, context: Context) -> None:
    date, time = step.words
    try:
        read_date(date.text)
        read_minute(time.text)
    except ValueError as error:
        context.error("value", step.span, str(error))


def _binding(binding: tree.Binding, context: Context, elaborator: Elaborator) -> None:
    name, facts = binding.name, elaborator.vocabulary.facts
    fact = facts.get(name.text)
    if fact is None and name.text not in BUILTIN_TYPES:
        elaborator.unknown("metric", name, context, (*facts, *BUILTIN_TYPES))
        return
    if fact is not None and (fact.per is None) != (binding.member is None):
        shape = f"`{name.text}[{fact.per}]`" if fact.per else f"`{name.text}`"
        context.error("dimension", binding.span, f"a value is given to {shape}")
    kind = Type(fact.type) if fact is not None else BUILTIN_TYPES[name.text]
    given = None if binding.value is None else elaborator.expression(binding.value, context)
    if given is not None and not comparable(kind, given.type, "=="):
        context.error("type", binding.span, f"`{name.text}` is {kind.value}, not {given.type.value}")
