"""The TextMate grammar of the language, for editors that colour by one, made from the tables of `tokens.py`.

It never holds a word of its own; `rules/healerd.tmLanguage.json` is what it makes, and a test compares.
"""

import json
from collections.abc import Iterable

from healerd_rules.builtins import BUILTINS
from healerd_rules.schema import METRIC_TYPES
from healerd_rules.tokens import PATTERNS, Kind
from healerd_rules.words import BUILTIN_VALUES, CLOSED, KEYWORDS, STATEMENTS

__all__ = ["textmate"]

SCOPES = {
    Kind.STATEMENT: "keyword.other.statement",
    Kind.KEYWORD: "keyword.control",
    Kind.CLOSED: "constant.language",
    Kind.TYPE: "storage.type",
    Kind.FUNCTION: "support.function",
    Kind.BUILTIN: "variable.language",
    Kind.NAME: "variable.other",
    Kind.ANNOTATION: "entity.name.function.decorator",
    Kind.NUMBER: "constant.numeric",
    Kind.TIME: "constant.numeric.time",
    Kind.STRING: "string.quoted.double",
    Kind.COMMENT: "comment.line.number-sign",
    Kind.OPERATOR: "keyword.operator",
    Kind.PUNCTUATION: "punctuation",
    Kind.ERROR: "invalid.illegal",
}


def textmate() -> str:
    """The grammar as JSON."""
    patterns = [_pattern(kind, match) for kind, match in _matches()]
    grammar = {
        "name": "healerd rules",
        "scopeName": "source.heal",
        "fileTypes": ["heal"],
        "patterns": patterns,
    }
    return json.dumps(grammar, indent=2, ensure_ascii=False) + "\n"


def _matches() -> Iterable[tuple[Kind, str]]:
    for kind, match in PATTERNS:
        if kind is Kind.NAME:
            yield Kind.STATEMENT, rf"^\s*{_any(STATEMENTS)}"
            yield Kind.FUNCTION, rf"{_any(BUILTINS)}(?=\s*\()"
            yield Kind.KEYWORD, _any(KEYWORDS)
            yield Kind.CLOSED, _any(CLOSED)
            yield Kind.BUILTIN, _any(BUILTIN_VALUES)
            yield Kind.TYPE, _any(METRIC_TYPES)
        yield kind, match


def _any(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(sorted(words))})\b(?!\.\w)"


def _pattern(kind: Kind, match: str) -> dict[str, str]:
    return {"name": f"{SCOPES[kind]}.heal", "match": match}
