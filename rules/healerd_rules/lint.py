"""Findings that need several rules, or that are warnings: what cannot matter, and what would loosen a pack.

It never changes a rule.
"""

from collections.abc import Iterator

from healerd_rules import core, tree
from healerd_rules.module import Module
from healerd_rules.program import CompiledRule

READS = (core.Fact, core.Confidence, core.Builtin, core.Ask, core.InCalendar)
RAW_STATISTICS = ("ks", "ks_p", "psi", "z_score")


def lint(modules: list[Module], rules: list[CompiledRule]) -> None:
    """Report in the files of the rules."""
    _currencies(modules)
    by_place = {(rule.path, rule.line, rule.name): rule for rule in rules}
    for module in modules:
        for statement in module.statements:
            if isinstance(statement, tree.Rule):
                line, _ = module.source.place(statement.name.span.start)
                rule = by_place.get((module.source.path, line, statement.name.text))
                if rule is not None:
                    _vacuous(statement, rule, module)
                    _raw(statement, rule, module)
                    _extra_permit(statement, rule, module, modules, rules)


def _vacuous(statement: tree.Rule, rule: CompiledRule, module: Module) -> None:
    if statement.conds and not core.mentions(rule.condition, READS):
        message = f"the condition of `{rule.name}` never changes"
        module.findings.warning("vacuous", statement.conds[0].span, message, "compare something measured, or drop it")


def _raw(statement: tree.Rule, rule: CompiledRule, module: Module) -> None:
    if rule.kind != "propose":
        return
    raw = sorted(
        {part.name for part in core.distinct(rule.condition) if isinstance(part, core.Fact)} & set(RAW_STATISTICS)
    )
    if raw:
        message = f"`{rule.name}` stands on `{raw[0]}`, which has no false-alarm budget"
        mend = "propose from an alarm, such as `alarm(drift)`"
        module.findings.warning("raw-statistic", statement.name.span, message, mend)


def _extra_permit(
    statement: tree.Rule, rule: CompiledRule, module: Module, modules: list[Module], rules: list[CompiledRule]
) -> None:
    if rule.kind != "permit" or module.shipped:
        return
    packs = {m.source.path for m in modules if m.pack and m is not module}
    for other in rules:
        if other.kind == "permit" and other.path in packs and _overlap(rule, other):
            which = f"`{other.id}` already permits `{_overlap(rule, other)}`"
            if other.condition == core.TRUE and other.scope is None:
                mend = "to tighten, write a `forbid` with `unless`"
                module.findings.warning("no-effect", statement.name.span, f"{which}: this changes nothing", mend)
            else:
                mend = "packs may only be tightened: write a `forbid`, or change the pack"
                module.findings.error("permit", statement.name.span, f"{which} on its own terms", mend)
            return


def _overlap(a: CompiledRule, b: CompiledRule) -> str:
    if a.actions is None or b.actions is None:
        return min(a.actions or b.actions or {"any action"})
    return min(a.actions & b.actions, default="")


def _currencies(modules: list[Module]) -> None:
    found = [(module, quantity) for module in modules for quantity in _quantities(module) if quantity.currency]
    for module, quantity in found[1:]:
        first = found[0][1].currency
        if quantity.currency != first:
            message = f"`{quantity.currency}` beside `{first}`: nothing here knows a rate of exchange"
            module.findings.error("currency", quantity.span, message, "use one currency in all files")


def _quantities(module: Module) -> Iterator[tree.Quantity]:
    """Every literal of a module, found without knowing the shape of statements."""
    stack: list[object] = list(module.statements)
    while stack:
        top = stack.pop()
        if isinstance(top, tree.Quantity):
            yield top
        elif isinstance(top, tuple):
            stack.extend(top)
        elif hasattr(top, "__dataclass_fields__"):
            stack.extend(getattr(top, name) for name in top.__dataclass_fields__)
