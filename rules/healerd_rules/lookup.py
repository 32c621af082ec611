"""Answers what a word of a rule text means and where it is defined, and lists what a text defines.

It never guesses: a word that nothing defines has no answer.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from healerd_rules import tree
from healerd_rules.builtins import BUILTINS
from healerd_rules.context import Context, Place
from healerd_rules.core import Core
from healerd_rules.loading import Inspected
from healerd_rules.module import Home, Module
from healerd_rules.schema import STAGES, ActionDecl, FactDecl, Type
from healerd_rules.source import Source
from healerd_rules.sources import file_of, find_import
from healerd_rules.tokens import Kind, Token, tokens
from healerd_rules.tree import Ident, Span
from healerd_rules.words import MEANINGS

__all__ = ["VALUES", "Meaning", "Symbol", "Target", "define", "meaning", "named", "outline", "token_at"]

WRITTEN = {
    Type.RATIO: "a share, written `80%`",
    Type.POINTS: "a difference of two shares, written `5pp`",
    Type.NUMBER: "a number",
    Type.COUNT: "a whole number",
    Type.DURATION: "a time, written `300ms`, `30m`, `2h` or `7d`",
    Type.MONEY: "money, written `$40`",
    Type.BYTES: "a size, written `5MB`",
    Type.TIME: "a moment",
    Type.BOOL: "true or false",
    Type.TEXT: 'a text, written `"so"`',
    Type.WINDOWS: "a number of windows, written `3 windows`",
}
VALUES = {
    "confidence": "`confidence`: ratio\n\nhow sure the policy is that the chosen action beats doing nothing",
    "stage": f"`stage`: text\n\nhow far the pipeline is trusted: {', '.join(STAGES)}",
    "incident": "`incident`: bool\n\nwhether an incident is open on this pipeline",
}
SHOWN_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """Markdown about the word at `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where something is defined: a file's path, its text, and the place of the name in it."""

    path: str
    source: Source
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """What a text defines; `kind` is the keyword that defines it."""

    name: str
    kind: str
    span: Span
    name_span: Span


def token_at(source: Source, offset: int) -> tuple[Token, str] | None:
    """The token at or just before an offset, placed in the text, and what stands before it on its line."""
    line = bisect.bisect_right(source.line_starts, offset) - 1
    start = source.line_starts[line]
    text = source.text[start:].split("\n", 1)[0]
    for first, last, kind in reversed(list(tokens(text))):
        if first <= offset - start <= last:
            return Token(start + first, start + last, kind), text[:first]
    return None


def meaning(found: Inspected, offset: int) -> Meaning | None:
    """What the word at an offset means, with type and unit."""
    at = token_at(found.module.source, offset)
    if at is None:
        return None
    token, before = at
    word = found.module.source.text[token.start : token.end]
    said = _said(found, word, token.kind, before)
    return Meaning(span=Span(token.start, token.end), text=said) if said else None


def _said(found: Inspected, word: str, kind: Kind, before: str) -> str:
    if kind is Kind.FUNCTION:
        return _function(word)
    if kind in (Kind.STATEMENT, Kind.ANNOTATION):
        return MEANINGS.get(word, "")
    if before.rstrip().endswith("alarm(") and word in found.vocabulary.alarms:
        return f"alarm `{word}`: bool\n\nwhether it stands: the evidence crossed its budget's line"
    home = found.module.names.get(word)
    if home is not None:
        return _definition(found, home)
    if word in found.vocabulary.facts:
        return _fact(found.vocabulary.facts[word])
    if word in found.vocabulary.actions:
        return _action(found.vocabulary.actions[word])
    rule = next(iter(named(found, word)), None)
    if rule is not None:
        return _statement(*rule)
    if word in found.vocabulary.dimensions:
        return f"dimension `{word}`"
    return VALUES.get(word) or MEANINGS.get(word, "")


def _function(word: str) -> str:
    function = BUILTINS[word]
    result = "as its first argument" if function.result is None else function.result.value
    return f"`{word}({', '.join(function.arguments)})`: {result}\n\n{function.meaning}"


def _fact(fact: FactDecl) -> str:
    head = f"`{fact.name}`: {fact.type}" + (f" per {fact.per}" if fact.per else "")
    stale = f"unknown when older than {fact.stale_after}" if fact.stale_after else ""
    return "\n\n".join(part for part in (head, fact.meaning, WRITTEN[Type(fact.type)], stale) if part)


def _action(action: ActionDecl) -> str:
    parts = [
        f"risk {action.risk}" if action.risk is not None else "",
        f"cost {action.cost:g}" if action.cost is not None else "",
        f"undone by `{action.undo}`" if action.undo else "",
        "a step of a heal" if action.step else "",
    ]
    return "\n\n".join(
        part for part in (f"action `{action.name}`", action.meaning, ", ".join(part for part in parts if part)) if part
    )


def _definition(found: Inspected, home: Home) -> str:
    name = home.definition.name
    node = found.elaborator.named(home, name, Context(home.module, Place.PLAIN))
    kind = f"{node.type.value}: {WRITTEN[node.type]}" if isinstance(node, Core) else ""
    return "\n\n".join(part for part in (_statement(home.module, home.definition), kind) if part)


def _statement(module: Module, statement: tree.Statement) -> str:
    """The text of a statement, what its author wrote above it, and where it stands."""
    text = module.source.text[statement.span.start : statement.span.end]
    shown = "\n".join(text.split("\n")[:SHOWN_LINES])
    line, _ = module.source.place(statement.span.start)
    above = _above(module.source, line)
    return "\n\n".join(part for part in (f"```heal\n{shown}\n```", above, f"{module.source.path}:{line}") if part)


def _above(source: Source, line: int) -> str:
    """The comment that stands right above a line."""
    lines = source.text.split("\n")[: line - 1]
    said: list[str] = []
    while lines and lines[-1].startswith("#"):
        said.insert(0, lines.pop().lstrip("# ").rstrip())
    return " ".join(said)


def named(found: Inspected, word: str) -> Iterator[tuple[Module, tree.Rule | tree.Invariant]]:
    """The rules of that name, this file's first; a rule of a pack by its full name."""
    for module in (found.module, *found.loaded.modules):
        for statement in module.statements:
            if isinstance(statement, tree.Rule | tree.Invariant) and word in (
                module.rule_id(statement.name.text),
                statement.name.text if module is found.module else "",
            ):
                yield module, statement


def define(found: Inspected, offset: int) -> Target | None:
    """Where the word at an offset is defined: in this file, in one it imports, or in a shipped pack."""
    at = token_at(found.module.source, offset)
    if at is None:
        return None
    token, before = at
    word = found.module.source.text[token.start : token.end]
    if token.kind is Kind.STRING and before.split()[:1] == ["import"]:
        return _imported(found, word.strip('"'))
    home = found.module.names.get(word)
    if home is not None:
        return _target(home.module, home.definition.name)
    for module, statement in (*named(found, word), *_declared(found, word)):
        return _target(module, statement.name)
    return None


def _declared(found: Inspected, word: str) -> Iterator[tuple[Module, tree.Metric | tree.Action | tree.Dimension]]:
    for module in (found.module, *found.loaded.modules):
        for statement in module.statements:
            if isinstance(statement, tree.Metric | tree.Action | tree.Dimension) and statement.name.text == word:
                yield module, statement


def _target(module: Module, name: Ident) -> Target:
    return Target(path=str(file_of(module)), source=module.source, span=name.span)


def _imported(found: Inspected, target: str) -> Target | None:
    path = find_import(target, file_of(found.module).parent)
    return None if path is None else Target(path=str(path), source=Source.of("", ""), span=Span(0, 0))


def outline(module: Module) -> Iterator[Symbol]:
    """What a text defines, in order."""
    for statement in module.statements:
        body = statement.body if isinstance(statement, tree.Annotated) else statement
        if isinstance(body, tree.TestBlock):
            start = body.span.start
            title = Span(start, start + len("test"))
            yield Symbol(name=body.title or "test", kind="test", span=body.span, name_span=title)
        elif isinstance(body, tree.Rule):
            yield Symbol(name=body.name.text, kind=body.kind, span=statement.span, name_span=body.name.span)
        elif not isinstance(body, tree.Import | tree.Annotated):
            kind = type(body).__name__.removesuffix("Decl").lower()
            yield Symbol(name=body.name.text, kind=kind, span=statement.span, name_span=body.name.span)
