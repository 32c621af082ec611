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
    _import_names(module, base)
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
    for said in own:
        module.ambiguous.pop(said, None)


def _import_names(module: Module, base: Module) -> None:
    """Take in what imports define; a name that two of them define is nobody's, in whatever order they stand."""
    taken: dict[str, Home] = {}
    for alias, imported in module.imports:
        prefix = f"{alias}." if alias else ""
        for name, home in imported.names.items():
            # what is of `base` is there anyway, and stands in the way of nobody's own
            if prefix or home.module is not base:
                before = taken.setdefault(prefix + name, home)
                if before != home:
                    places = (before.module.source.path, home.module.source.path)
                    module.ambiguous.setdefault(prefix + name, places)
        module.ambiguous.update({prefix + name: places for name, places in imported.ambiguous.items()})
    module.names.update(taken)
    for name in module.ambiguous:
        module.names.pop(name, None)


def _definitions(module: Module) -> Iterator[Definition]:
    for statement in module.statements:
        if isinstance(statement, tree.Const | tree.Let | tree.Signal | tree.Calendar | tree.ScopeDecl):
            yield statement
