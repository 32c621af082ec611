"""Filters keep what a person asks for, and never stumble over what is typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_tui.filters import compile_filter

ROW = {"name": "churn-eu", "state": "DRIFT", "action": "retrain"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", True),
        ("churn", True),
        ("CHURN drift", True),
        ("churn fraud", False),
        ("!fraud", True),
        ("!churn", False),
        ("!", True),
        ("state=drift", True),
        ("state=ok", False),
        ("state!=ok", True),
        ("state!=drift", False),
        ("!state=ok", True),
        ("nothing=x", False),
        ("~chrn", True),
        ("~nrhc", False),
        ("!~chrn", False),
        ("=", False),
    ],
)
def test_filters_keep_what_they_say(text: str, kept: bool) -> None:
    """Words, negation, fields and fuzzy words mean what the help says."""
    assert compile_filter(text)(ROW) is kept


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab!=~ \x1b[\u0130", max_size=12), st.dictionaries(st.text(max_size=3), st.text(max_size=5)))
def test_no_text_breaks_a_filter(text: str, fields: dict[str, str]) -> None:
    """Whatever is typed is a filter, and says yes or no to every row."""
    assert compile_filter(text)(fields) in {True, False}


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc=~", min_size=1, max_size=6))
def test_a_word_or_its_negation_keeps_a_row(word: str) -> None:
    """A row is kept by a word or by its negation, never by both."""
    row = {"name": "abcab", "c": "ba"}
    assert compile_filter(word)(row) is not compile_filter(f"!{word}")(row) or word.startswith("=")
