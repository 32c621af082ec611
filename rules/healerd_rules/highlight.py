"""Colours for the language in everything that uses Pygments: entry point `heal` of `pygments.lexers`.

It never decides what a word is, `tokens.py` does; nothing imports it but Pygments, so that nothing else pays for that.
"""

from collections.abc import Iterator
from typing import Any

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Text

from healerd_rules.tokens import Kind, tokens

__all__ = ["HealLexer"]

STYLES: dict[Kind, Any] = {
    Kind.STATEMENT: Keyword.Declaration,
    Kind.KEYWORD: Keyword,
    Kind.CLOSED: Keyword.Constant,
    Kind.TYPE: Keyword.Type,
    Kind.FUNCTION: Name.Function,
    Kind.BUILTIN: Name.Builtin,
    Kind.NAME: Name,
    Kind.ANNOTATION: Name.Decorator,
    Kind.NUMBER: Number,
    Kind.TIME: Number,
    Kind.STRING: String,
    Kind.COMMENT: Comment.Single,
    Kind.OPERATOR: Operator,
    Kind.PUNCTUATION: Punctuation,
    Kind.ERROR: Error,
}


class HealLexer(Lexer):  # type: ignore[misc]  # Pygments ships no types
    """The rule language of healerd."""

    name = "healerd rules"
    aliases = ("heal",)
    filenames = ("*.heal",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Every stretch of the text with its style, blanks included."""
        at = 0
        for token in tokens(text):
            if token.start > at:
                yield at, Text.Whitespace, text[at : token.start]
            yield token.start, STYLES[token.kind], text[token.start : token.end]
            at = token.end
        if at < len(text):
            yield at, Text.Whitespace, text[at:]
