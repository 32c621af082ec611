"""Gives each module the names that can be said in it: its own, those it imports, and those of `base`.

It never looks into expressions.
"""

from collections.abc import Iterator

from healerd_rules import tree
from healerd_rules.module import Definition, Home, Module
from healerd_rules.vocabulary import usable


def give_names(module: Module, base: Module) -> None:
    """Fill `module.names`; own names win over imported ones, those over `base`; imports come first in time."""
    if module is not base:
        module.names.update(base.names)
    for alias, imported in module.imports:
        prefix = f"{alias}." if alias else ""
        module.names.update({prefix + name: home for name, home in imported.names.items()})
    own: dict[str, Home] = {}
    for definition in _definitions(module):
        name = definition.name
        if not usable(name, module):
            continue
        if name.text in own:
            line, _ = module.source.place(own[name.text].definition.name.span.start)
            module.findings.error("duplicate", name.span, f"`{name.text}` is already defined in line {line}")
            continue
        own[name.text] = Home(definition, module)
    module.names.update(own)


def _definitions(module: Module) -> Iterator[Definition]:
    for statement in module.statements:
        if isinstance(statement, tree.Const | tree.Let | tree.Signal | tree.Calendar | tree.ScopeDecl):
            yield statement
