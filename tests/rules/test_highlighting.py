"""Colours: one table of words, told apart the same way for the terminal, Pygments and TextMate."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.token import Comment, Error, Keyword, Name, Number, String

from healerd_rules.highlight import STYLES, HealLexer
from healerd_rules.syntax import parser
from healerd_rules.textmate import SCOPES, textmate
from healerd_rules.tokens import Kind, tokens
from healerd_rules.words import BUILTIN_VALUES, CLOSED, KEYWORDS
from tests.rules.test_files import texts
from tests.rules.test_formatting import TEXTS
from tests.rules.textmate import GRAMMAR


def test_the_tables_hold_the_words_of_the_grammar() -> None:
    """Every word that the grammar fixes stands in one of the tables, and the tables hold no other keyword."""
    patterns = [str(terminal.pattern.value) for terminal in parser().terminals]
    fixed = {pattern.partition("(")[0] for pattern in patterns if pattern.partition("(")[0].isalpha()}
    assert fixed <= KEYWORDS | set(BUILTIN_VALUES)
    closed = {word for pattern in patterns if pattern.startswith("(") for word in re.findall(r"[a-z_]{4,}", pattern)}
    assert closed <= CLOSED
    assert KEYWORDS - fixed == set()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(texts, st.text(st.sampled_from('"\\#@\n a.9%é$'), max_size=30)))
def test_tokens_cover_any_text(text: str) -> None:
    """Tokens stand in order, are never empty, and leave nothing but white space between them."""
    at = 0
    for start, end, _ in tokens(text):
        assert text[at:start].strip() == ""
        assert at <= start < end
        at = end
    assert text[at:].strip() == ""


@pytest.mark.parametrize("name", TEXTS)
def test_sound_files_have_no_error_token(name: str) -> None:
    """In a file that loads, no token is an error."""
    assert Kind.ERROR not in {kind for _, _, kind in tokens(TEXTS[name])}


def kinds(text: str) -> list[tuple[str, Kind]]:
    return [(text[start:end], kind) for start, end, kind in tokens(text)]


def test_what_words_are() -> None:
    """A keyword begins a statement only at the start of a line, and a function only stands before a parenthesis."""
    assert kinds('@enforce(soft)\n  forbid f.x: any action when age(promote) < 1.5h and stage == "li') == [
        ("@enforce", Kind.ANNOTATION),
        ("(", Kind.PUNCTUATION),
        ("soft", Kind.CLOSED),
        (")", Kind.PUNCTUATION),
        ("forbid", Kind.STATEMENT),
        ("f.x", Kind.NAME),
        (":", Kind.PUNCTUATION),
        ("any", Kind.KEYWORD),
        ("action", Kind.KEYWORD),
        ("when", Kind.KEYWORD),
        ("age", Kind.FUNCTION),
        ("(", Kind.PUNCTUATION),
        ("promote", Kind.NAME),
        (")", Kind.PUNCTUATION),
        ("<", Kind.OPERATOR),
        ("1.5h", Kind.NUMBER),
        ("and", Kind.KEYWORD),
        ("stage", Kind.BUILTIN),
        ("==", Kind.OPERATOR),
        ('"li', Kind.ERROR),
    ]


def test_pygments_gives_back_the_text_in_colours() -> None:
    """The lexer loses no character, and colours each kind of word by its style."""
    text = 'metric m: ratio\n\nlet a = m > 5%  # why\nforbid f: retrain because "x" ?'
    found = [(kind, word) for _, kind, word in HealLexer().get_tokens_unprocessed(text)]
    assert "".join(word for _, word in found) == text
    shown = {word: kind for kind, word in found}
    assert (shown["metric"], shown["ratio"], shown["m"]) == (Keyword.Declaration, Keyword.Type, Name)
    assert (shown["5%"], shown["# why"], shown['"x"'], shown["?"]) == (Number, Comment.Single, String, Error)
    assert set(STYLES) == set(SCOPES) == set(Kind)


def test_pygments_finds_the_lexer() -> None:
    """The entry point in pyproject.toml leads to the lexer, whose names are `heal` and `*.heal`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["pygments.lexers"]["heal"].partition(":")
    assert getattr(import_module(module), name) is HealLexer
    assert (HealLexer.aliases, HealLexer.filenames) == (("heal",), ("*.heal",))


def test_the_textmate_grammar_is_that_of_the_table() -> None:
    """The grammar that ships is what the tables make; `python -m tests.rules.textmate` writes it."""
    assert GRAMMAR.read_text(encoding="utf-8") == textmate()


@pytest.mark.parametrize("name", TEXTS)
def test_the_textmate_grammar_colours_as_the_tokens_do(name: str) -> None:
    """Read as TextMate reads it, line by line and first match first, the grammar gives the kinds of the tokens."""
    import json

    rules = [(re.compile(rule["match"]), rule["name"]) for rule in json.loads(textmate())["patterns"]]
    for line in TEXTS[name].split("\n"):
        at, found = 0, []
        while at < len(line):
            matches = [
                (match.start(), order) for order, (rule, _) in enumerate(rules) if (match := rule.search(line, at))
            ]
            if not matches:
                break
            start, order = min(matches)
            match = rules[order][0].search(line, at)
            assert match is not None
            found.append((match[0].strip(), rules[order][1]))
            at = max(match.end(), start + 1)
        wanted = [(line[start:end], f"{SCOPES[kind]}.heal") for start, end, kind in tokens(line)]
        assert found == wanted


def test_colours_cost_nothing_until_wanted() -> None:
    """`import healerd_rules` and its tokens load neither Pygments nor the protocol of editors."""
    code = "import sys, healerd_rules.tokens; sys.exit(bool({'pygments', 'pygls', 'lark'} & set(sys.modules)))"
    rules = Path(__file__).parents[2] / "rules"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=rules).returncode == 0
