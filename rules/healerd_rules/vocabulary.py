"""Joins what files declare (metrics, actions, dimensions) with what the host declares, and reports quarrels.

It never looks into rules or expressions.
"""

from dataclasses import replace

from healerd_rules import tree
from healerd_rules.module import Module, Vocabulary
from healerd_rules.schema import METRIC_TYPES, ActionDecl, FactDecl, Schema
from healerd_rules.words import BUILTIN_VALUES, RESERVED, did_you_mean


def gather(modules: list[Module], schema: Schema) -> Vocabulary:
    """The vocabulary of a whole rule set: the host first, then the files in order."""
    found = Vocabulary(
        facts={fact.name: fact for fact in schema.facts},
        actions={action.name: action for action in schema.actions},
        alarms=frozenset(schema.alarms),
        dimensions={*schema.dimensions, *(fact.per for fact in schema.facts if fact.per)},
    )
    declared = [(module, statement) for module in modules for statement in module.statements]
    for module, statement in declared:
        if isinstance(statement, tree.Dimension) and usable(statement.name, module):
            found.dimensions.add(statement.name.text)
    for module, statement in declared:
        if isinstance(statement, tree.Metric) and usable(statement.name, module):
            _add_metric(statement, module, found)
            if statement.stale is not None and not schema.marks_stale:
                message = f"nothing here makes `{statement.name.text}` unknown by its age"
                module.findings.warning("no-effect", statement.stale.span, message, "leave `stale after` out")
        elif isinstance(statement, tree.Action) and usable(statement.name, module):
            _add_action(statement, module, found)
    for module, statement in declared:
        if isinstance(statement, tree.Action) and statement.undo is not None:
            _check_undo(statement.undo, module, found)
    return found


def usable(name: tree.Ident, module: Module) -> bool:
    """Whether a word may name something here; keywords and built-in values may not."""
    if name.text in BUILTIN_VALUES:
        module.findings.error("reserved", name.span, f"`{name.text}` is built in")
        return False
    if name.text in RESERVED:
        mend = f"choose another name, such as `{name.text}_`"
        module.findings.error("reserved", name.span, f"`{name.text}` is a keyword", mend)
        return False
    if "." in name.text:
        mend = "dots belong to packs and to `import ... as`"
        module.findings.error("reserved", name.span, f"`{name.text}` has a dot in it", mend)
        return False
    return True


def _add_metric(metric: tree.Metric, module: Module, found: Vocabulary) -> None:
    if metric.type.text not in METRIC_TYPES:
        mend = did_you_mean(metric.type.text, METRIC_TYPES) or "the types are " + ", ".join(METRIC_TYPES)
        module.findings.error("type", metric.type.span, f"there is no type `{metric.type.text}`", mend)
        return
    if metric.per is not None and metric.per.text not in found.dimensions:
        mend = did_you_mean(metric.per.text, found.dimensions) or f"declare `dimension {metric.per.text}`"
        module.findings.error("unknown-name", metric.per.span, f"unknown dimension `{metric.per.text}`", mend)
        return
    stale = None if metric.stale is None else module.source.slice(metric.stale.span)
    fact = FactDecl(
        name=metric.name.text,
        type=metric.type.text,
        per=metric.per.text if metric.per else None,
        stale_after=stale,
    )
    before = found.facts.get(fact.name)
    if before is not None and (before.type, before.per) != (fact.type, fact.per):
        shape = before.type + (f" per {before.per}" if before.per else "")
        module.findings.error("conflict", metric.name.span, f"`{fact.name}` is declared elsewhere as {shape}")
        return
    found.facts[fact.name] = fact if before is None else replace(before, stale_after=stale or before.stale_after)


def _add_action(action: tree.Action, module: Module, found: Vocabulary) -> None:
    said = ActionDecl(
        name=action.name.text,
        risk=action.risk,
        cost=None if action.cost is None else action.cost.value,
        undo=action.undo.text if action.undo else None,
        step=action.step,
    )
    before = found.actions.get(said.name)
    if before is None:
        found.actions[said.name] = said
        return
    for what, old, new in (
        ("risk", before.risk, said.risk),
        ("cost", before.cost, said.cost),
        ("undo", before.undo, said.undo),
    ):
        if old is not None and new is not None and old != new:
            message = f"`{said.name}` is declared elsewhere with {what} {old}"
            module.findings.error("conflict", action.name.span, message, "leave it out here, or say the same")
            return
    if said.step and not before.step and not module.shipped:
        message = f"`{said.name}` is declared elsewhere, and not as a step"
        mend = "leave `step` out: cooldowns and limits never bar a step, so this would loosen them"
        module.findings.error("conflict", action.name.span, message, mend)
        return
    found.actions[said.name] = replace(
        before,
        risk=said.risk if before.risk is None else before.risk,
        cost=said.cost if before.cost is None else before.cost,
        undo=before.undo or said.undo,
        step=before.step or said.step,
    )


def _check_undo(undo: tree.Ident, module: Module, found: Vocabulary) -> None:
    if undo.text not in found.actions and not module.may_define(undo.text):
        mend = did_you_mean(undo.text, found.actions)
        module.findings.error("unknown-name", undo.span, f"unknown action `{undo.text}`", mend)
