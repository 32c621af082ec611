"""Formatting: one style, the same meaning, every comment in its place, and broken statements as they were."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules.formatting import format_text
from healerd_rules.layout import WIDTH
from healerd_rules.places import bare
from healerd_rules.source import Findings, Source
from healerd_rules.sources import PACKS
from healerd_rules.syntax import parse
from healerd_rules.tokens import Kind, tokens
from healerd_rules.words import STATEMENTS
from tests.rules import oracle
from tests.rules.test_files import texts

SHIPPED = sorted([*PACKS.glob("*.heal"), *(Path(__file__).parents[2] / "rules" / "examples").glob("*.heal")])
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in SHIPPED}


def meaning(text: str) -> Any:
    """What the statements say, with the number of those that do not parse."""
    source = Source.of("x.heal", text)
    findings = Findings(source)
    parsed = parse(source, findings)
    return bare(parsed.statements), len([found for found in findings.found if found.code != "hidden-text"])


def words(text: str, *kinds: Kind) -> list[str]:
    """The tokens of these kinds, in order; comments without blanks at their end."""
    clean = Source.of("x.heal", text).text
    return [clean[start:end].rstrip(" \t\f") for start, end, kind in tokens(clean) if kind in kinds]


def check_laws(text: str) -> str:
    once = format_text(text)
    assert format_text(once.text) == format_text(format_text(once.text).text)
    assert format_text(once.text).text == once.text
    assert meaning(once.text) == meaning(text)
    assert words(once.text, Kind.COMMENT, Kind.STRING) == words(text, Kind.COMMENT, Kind.STRING)
    assert "".join(words(once.text, *Kind)) == "".join(words(text, *Kind))
    return once.text


@pytest.mark.parametrize("name", TEXTS)
def test_what_ships_is_formatted(name: str) -> None:
    """The packs and the examples stand in the one style."""
    found = format_text(TEXTS[name])
    assert found.untouched == ()
    assert found.text == TEXTS[name]


noise = st.sampled_from(
    ["", "", "", " ", "  \t", "\n", "\r\n    ", "\n\n\n ", "  # so ", "\n# \u202fwhy \n\n   # é😀\t"]
)


@st.composite
def noisy(draw: st.DrawFn) -> str:
    """A sound rule set with blanks, line ends and comments strewn between its words."""
    text = draw(st.one_of(st.sampled_from(sorted(TEXTS.values())), oracle.rule_sets().map(oracle.render)))
    start = draw(st.sampled_from([0, *(at for at, char in enumerate(text) if char == "\n")][:-1] or [0]))
    strewn = draw(st.lists(noise, min_size=40, max_size=40))
    parts, end = [text[:start]], start
    for (first, last, kind), blank in zip(tokens(text[start:]), strewn, strict=False):
        word, gap = text[start + first : start + last], text[end : start + first]
        parts.append(_with(gap, blank, word, kind))
        parts.append(word)
        end = start + last
    return "".join([*parts, text[end:]])


def _with(gap: str, blank: str, word: str, kind: Kind) -> str:
    """The gap with noise in it, unless that would begin a statement or a line in a comment."""
    if kind is Kind.STATEMENT or "\n" in gap:
        return f"{blank}\n{gap}" if "#" in blank else gap
    if not gap and blank and kind is not Kind.PUNCTUATION:
        return gap
    if ("\n" in blank or "#" in blank) and (word in STATEMENTS or word[0] == "@" or word == "resort"):
        return gap
    return f"{gap}{blank}\n" if "#" in blank else gap + blank


@settings(max_examples=80, deadline=None, derandomize=True)
@given(noisy())
def test_a_noisy_rule_set_keeps_its_meaning_and_its_comments(text: str) -> None:
    """However a rule set is spaced and commented, formatting keeps its words, comments and meaning, and is stable."""
    assert meaning(text)[1] == 0
    check_laws(text)
    assert format_text(text).untouched == ()


@settings(max_examples=80, deadline=None, derandomize=True)
@given(oracle.rule_sets().map(oracle.render))
def test_generated_rule_sets_keep_their_meaning(text: str) -> None:
    """Formatting a generated rule set keeps its meaning, and leaves no line too long that could be broken."""
    assert max(map(len, check_laws(text).splitlines())) <= WIDTH


@settings(max_examples=200, deadline=None, derandomize=True)
@given(texts)
def test_any_text_is_formatted_or_left(text: str) -> None:
    """Any text at all gives a text with the same words, findings and meaning."""
    check_laws(text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(TEXTS.values())), st.integers(0, 3000), st.text(max_size=3))
def test_damaged_files_keep_what_is_broken(text: str, at: int, damage: str) -> None:
    """A file with some damage is formatted around it."""
    at %= len(text)
    check_laws(text[:at] + damage + text[at + 1 :])


def formatted(text: str) -> str:
    found = format_text(text)
    assert found.untouched == ()
    return found.text


def test_the_style() -> None:
    """A clause a line, set in by two; one blank between words; one empty line at most; annotations above."""
    text = (
        '\n\n\npack  x   version 1.0\r\n\n\n\n@enforce( soft )@owner("me") forbid f:retrain,rollback on tag "x"\n'
        '\twhen rows<5 and -rows>- 5 unless not(psi is missing)\n if unknown fires because "a  b"   '
    )
    assert formatted(text) == (
        "pack x version 1.0\n\n"
        '@enforce(soft) @owner("me")\n'
        'forbid f: retrain, rollback on tag "x"\n'
        "  when rows < 5 and -rows > -5\n"
        "  unless not (psi is missing)\n"
        "  if unknown fires\n"
        '  because "a  b"\n'
    )


def test_long_lines_are_broken_at_the_loosest_words() -> None:
    """A condition that does not fit breaks at `or`, then `and`, then inside parentheses, never in `between ... and`."""
    long = " and ".join(f"a_rather_long_name_{n} between 1 and 2" for n in range(4))
    assert formatted(f"forbid f: retrain when {long} or short > 1") == (
        "forbid f: retrain\n"
        "  when a_rather_long_name_0 between 1 and 2\n"
        "      and a_rather_long_name_1 between 1 and 2\n"
        "      and a_rather_long_name_2 between 1 and 2\n"
        "      and a_rather_long_name_3 between 1 and 2\n"
        "    or short > 1\n"
    )


def test_comments_stay_where_they_stand() -> None:
    """A comment behind code stays behind it, one on its own line stays above what follows, one set in stays with it."""
    text = "let a = rows > 5  # behind\n  # below\n\n# above\nforbid f: retrain  # head\n  # clause\n  when a\n"
    assert formatted(text) == text
    assert (
        formatted(
            text.replace("  #", "#").replace("\n# below", "\n    # below").replace("\n# clause", "\n      # clause")
        )
        == text
    )


def test_a_test_block_keeps_its_groups() -> None:
    """Steps stand one a line; an empty line between two groups stays, one at an end goes."""
    text = 'test "t" {\n\n on pipeline "a"\n\n\n given rows=5,psi[age]=0.3\n # c\n\n expect not s\n\n}\n'
    assert formatted(text) == (
        'test "t" {\n  on pipeline "a"\n\n  given rows = 5, psi[age] = 0.3\n  # c\n\n  expect not s\n}\n'
    )


def test_each_step_of_a_test_has_its_line() -> None:
    """Whatever a step begins with, it begins a line."""
    steps = ['on pipeline "p"', "at 2026-11-23 10:00", "given rows = 5", "did retrain 5m ago", "doing retrain for 5m"]
    steps += ["doing retrain in this incident", "advance 2 windows", "expect not allowed retrain"]
    told = check_laws(f'test "t" {{ {" ".join(steps)} }}')
    assert told.splitlines() == ['test "t" {', *(f"  {step}" for step in steps), "}"]


def test_broken_statements_stand_as_they_were() -> None:
    """A statement that does not parse keeps every character, and its line is told; those around it are formatted."""
    found = format_text("let  a=rows>5\n  forbid   f : retrain when (\n\n\n   when x\nlet  b=a")
    assert found.untouched == (2,)
    assert found.text == "let a = rows > 5\n  forbid   f : retrain when (\n\n\n   when x\nlet b = a\n"


def test_a_word_that_begins_statements_never_begins_a_line() -> None:
    """A name that looks like a statement stays on its line, where it means what it meant."""
    names = ", ".join(["limit", "scope", "metric", "cooldown"] * 6)
    text = f"permit p: {names}\nlet l = limit and {' and '.join(['abcdefghijkl > 5'] * 12)}\n"
    assert check_laws(text).count("\n") > 3
    assert format_text(text).untouched == ()


def test_a_date_in_a_sum_is_a_sum() -> None:
    """What is no date where it stands is formatted as what it is."""
    assert check_laws("let x = rows > 2026-11-23") == "let x = rows > 2026 - 11 - 23\n"


def test_empty_texts() -> None:
    """Nothing stays nothing, and comments alone stay comments."""
    assert format_text("").text == format_text("\n \n\t").text == ""
    assert format_text("\n\n # a\n\n\n# b").text == "# a\n\n# b\n"


def test_a_text_over_the_bound_comes_back() -> None:
    """A text longer than the language allows is not formatted."""
    text = "let  a = 1\n" * 100_001
    assert format_text(text).text == text
