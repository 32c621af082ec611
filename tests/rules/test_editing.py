"""What editors ask: positions in any encoding, meanings, definitions, completions and outlines, without a protocol."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules import Schema
from healerd_rules.builtins import BUILTINS
from healerd_rules.completion import complete
from healerd_rules.loading import Inspected, inspect
from healerd_rules.lookup import define, meaning, outline
from healerd_rules.positions import edited, offset_at, position_at
from healerd_rules.source import Source
from healerd_rules.sources import PACKS
from healerd_rules.syntax import kept_statement
from healerd_rules.words import MEANINGS, STATEMENTS
from tests.rules.test_files import texts
from tests.rules.worlds import SCHEMA

ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


def look(text: str, *, name: str = "x.heal", schema: Schema = SCHEMA) -> Inspected:
    return inspect(text, name=name, schema=schema)


def cursor(text: str) -> tuple[str, int]:
    """The text without its `|`, and where that stood."""
    return text.replace("|", ""), text.index("|")


# positions -----------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("aé中😀\u2028\n"), max_size=12))
def test_positions_count_as_the_encoding_does(encoding: str, text: str) -> None:
    """Every offset has the position that its line's bytes give, and comes back from it."""
    source = Source.of("x", text)
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    for offset in range(len(text) + 1):
        line, units = position_at(source, offset, encoding)
        before = text[:offset].split("\n")
        assert (line, units) == (len(before) - 1, len(before[-1].encode(ENCODINGS[encoding])) // width)
        assert offset_at(source, (line, units), encoding) == offset


def test_positions_outside_are_brought_inside() -> None:
    """A position past a line's end is that end, one past the text is the text's end, half a character is its start."""
    source = Source.of("x", "a😀b\ncd")
    assert [offset_at(source, place) for place in ((0, 99), (1, 99), (7, 0), (0, 2))] == [3, 6, 6, 1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text("ab😀\n", max_size=10), st.text("xé😀\n", max_size=4), st.data())
def test_an_edit_replaces_what_it_says(text: str, new: str, data: st.DataObject) -> None:
    """An edit between two positions leaves what stands before and after."""
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    source = Source.of("x", text)
    after = edited(source, position_at(source, first), position_at(source, last), new)
    assert after.text == text[:first] + new + text[last:]


# meanings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("forbid f: retrain when ro|ws < 5", ["`rows`: count", "a whole number"]),
        ("forbid f: retrain when p99| > 5s", ["`p99`: duration", "`300ms`"]),
        ("forbid f: retrain when any feature where (|psi > 1)", ["`psi`: number per feature"]),
        ("forbid f: re|train", ["action `retrain`", "risk 3, cost 40, undone by `undo`"]),
        ("forbid f: retrain when ag|e(retrain) < 5h", ["`age(action)`: duration", BUILTINS["age"].meaning]),
        ("forbid f: retrain when alarm(ha|rm)", ["alarm `harm`: bool"]),
        ("forbid f: retrain when confi|dence < 1", ["`confidence`: ratio"]),
        ("forb|id f: retrain", [MEANINGS["forbid"]]),
        ("@enf|orce(soft)\nforbid f: retrain", ["`soft`"]),
        (
            "# too few\nlet few = rows < 5\nforbid f: retrain when f|ew",
            ["let few = rows < 5", "too few", "x.heal:2", "bool"],
        ),
        ("const MUCH = 80%\nforbid f: retrain when error_rate > MU|CH", ["const MUCH = 80%", "ratio: a share"]),
        (
            'import "drift" as d\nforbid f: retrain when d.coll|apse',
            ["signal collapse", "drift.heal:", "true or false"],
        ),
        (
            'forbid g: retrain\n  because "so"\ntest "t" {\n expect forbidden retrain by g|\n}',
            ['because "so"', "x.heal:1"],
        ),
    ],
)
def test_a_word_says_what_it_means(text: str, said: list[str]) -> None:
    """A word tells its type, its unit and what its author or the host says about it."""
    text, offset = cursor(text)
    found = meaning(look(text), offset)
    assert found is not None
    assert [part for part in said if part not in found.text] == []
    assert found.span.start <= offset <= found.span.end


@pytest.mark.parametrize(
    "text", ["forbid f: retrain when nos|uch", "# com|ment", "|", "let x = 5| > 3", 'let x = "te|xt" == "t"']
)
def test_what_is_not_known_has_no_meaning(text: str) -> None:
    """Unknown names, comments, numbers and texts say nothing."""
    text, offset = cursor(text)
    assert meaning(look(text), offset) is None


def test_every_statement_has_a_meaning() -> None:
    """No keyword that begins a statement is left without a word about it."""
    assert set(STATEMENTS) <= set(MEANINGS)


# definitions ---------------------------------------------------------------------


def test_definitions_are_found_across_files(tmp_path: Path) -> None:
    """A name leads to its definition in this file, in an imported one, and in a shipped pack; an import to its file."""
    (tmp_path / "lib.heal").write_text("# 😀\nlet many = rows > 5\nmetric extra: ratio\n")
    text = (
        'import "lib" as l\nimport "default"\nlet here = l.many and extra > 5% and harm\nforbid f: retrain when here\n'
    )
    found = look(text, name=str(tmp_path / "x.heal"))

    def leads(word: str) -> tuple[str, str]:
        target = define(found, text.rindex(word) + 1)
        assert target is not None
        line, _ = target.source.place(target.span.start)
        return target.path, f"{line}:{target.source.text[target.span.start : target.span.end]}"

    assert leads("here") == (str(tmp_path / "x.heal"), "3:here")
    assert leads("l.many") == (str(tmp_path / "lib.heal"), "2:many")
    assert leads("extra") == (str(tmp_path / "lib.heal"), "3:extra")
    assert leads("harm")[0] == str(PACKS / "default.heal")
    assert leads("retrain")[0] == str(PACKS / "base.heal")
    assert leads('"lib"') == (str(tmp_path / "lib.heal"), "1:")
    assert define(found, text.index("forbid")) is None


# completions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        ("|", ["forbid", "last resort", "test"], ["rows"]),
        ("forbid a: retrain\nfo|", ["forbid"], ["rows", "and"]),
        ("forbid f: |", ["retrain", "any action"], ["rows", "when"]),
        ("forbid f: retrain, |", ["rollback"], ["rows"]),
        ("forbid f: retrain |", ["when", "unless", "because"], ["rows", "severity"]),
        ("propose p: retrain |", ["severity", "priority"], ["rows"]),
        ("forbid f: retrain when |", ["rows", "age", "confidence", "mine", "not"], ["retrain", "when"]),
        ("forbid f: retrain when rows > 5 and mi|", ["mine", "missing_rate"], ["retrain"]),
        ("forbid f: retrain when alarm(|", ["harm", "drift"], ["rows"]),
        ("forbid f: retrain when age(|", ["retrain"], ["rows"]),
        ("forbid f: retrain when avg(|", ["rows"], ["retrain"]),
        ("forbid f: retrain when rows > 5|", ["5%", "5m", "5 windows"], ["rows"]),
        ("forbid f: retrain when stage == |", ['"live"'], ["rows"]),
        ('forbid f: retrain when stage == "l|', ["live"], ['"live"']),
        ("forbid f: retrain when any |", ["feature"], ["rows"]),
        ("forbid f: retrain when now in |", ["office"], ["rows", "mine"]),
        ("forbid f: retrain on |", ["tier1", "pipeline", "tag"], ["office"]),
        ("forbid f: retrain when rows > 5 if |", ["unknown"], ["rows"]),
        ("permit f: retrain when rows > 5 if unknown |", ["skips"], ["fires"]),
        ("propose p: retrain when incident severity |", ["critical"], ["rows"]),
        ('require r: retrain approval from "|', ["operators", "boss"], ["retrain"]),
        ("require r: retrain approval from |", ['"boss"'], ["retrain"]),
        ('forbid f: retrain on tag "|', ["t1"], ["operators"]),
        ('import "|', ["base", "default", "drift"], ["rows"]),
        ("metric m: |", ["ratio", "duration"], ["retrain"]),
        ("metric m: ratio per |", ["feature"], ["team"]),
        ("@|", ["@enforce", "@owner"], ["rows"]),
        ("@enforce(|", ["hard", "soft"], ["rows"]),
        ('test "t" {\n  ex|', ["expect", "given"], ["forbid"]),
        ('test "t" {\n  expect forbidden retrain by |', ["earlier", "base.settle"], ["rows"]),
    ],
)
def test_completions_fit_their_place(text: str, offered: list[str], not_offered: list[str]) -> None:
    """What is offered is what may stand there, and not what may not."""
    known = (
        'let mine = rows > 5\ncalendar office = 09:00..18:00\nscope tier1 = tag "t1"\n'
        'require earlier: retrain approval from "boss"\n'
    )
    text, offset = cursor(known + text)
    labels = [one.label for one in complete(look(text), offset)]
    assert set(offered) <= set(labels)
    assert set(not_offered) & set(labels) == set()
    assert len(labels) == len(set(labels))


def test_a_completion_replaces_the_word_that_is_being_written() -> None:
    """The replaced text begins where the unfinished word does, after the quote of a text."""
    text, offset = cursor("forbid f: retrain when ro|")
    assert {one.start for one in complete(look(text), offset)} == {text.index("ro", 20)}
    text, offset = cursor('import "ba|')
    assert {one.start for one in complete(look(text), offset)} == {text.index("ba")}


def test_comments_complete_nothing() -> None:
    """Nothing is offered inside a comment."""
    text, offset = cursor("forbid f: retrain  # when |")
    assert complete(look(text), offset) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts, st.integers(0, 200))
def test_any_place_of_any_text_can_be_asked_about(text: str, offset: int) -> None:
    """Meaning, definition and completion never raise, wherever the cursor stands in whatever text."""
    found = look(text)
    offset = min(offset, len(found.module.source.text))
    meaning(found, offset)
    define(found, offset)
    complete(found, offset)
    assert all(one.span.start <= one.name_span.start <= one.span.end for one in outline(found.module))


def test_the_outline_names_what_is_defined() -> None:
    """The outline lists definitions, rules and tests in order, with their kinds and places."""
    text = 'pack p\nimport "default"\nlet a = rows > 5\n@enforce(soft)\nforbid f: retrain when a\ntest "t" {\n}\n'
    found = list(outline(look(text).module))
    assert [(one.name, one.kind) for one in found] == [("p", "pack"), ("a", "let"), ("f", "forbid"), ("t", "test")]
    assert [text[one.name_span.start : one.name_span.end] for one in found] == ["p", "a", "f", "test"]


def test_a_keystroke_parses_one_statement() -> None:
    """In a file of a thousand rules, a keystroke parses the statement it changes and no other, and finds the same."""
    rules = [f"forbid rule_{n}: retrain\n  when rows < {n} and nosuch_{n % 7} > 1\n" for n in range(1000)]
    look("".join(rules))
    before = kept_statement.cache_info().misses
    for text in ("nosuch_x", "nosuch_xy", "rows"):
        rules[500] = f"forbid rule_500: retrain\n  when {text} > 1\n"
        found = look("".join(rules)).loaded.diagnostics
    assert kept_statement.cache_info().misses == before + 3
    kept_statement.cache_clear()
    assert look("".join(rules)).loaded.diagnostics == found
    assert kept_statement.cache_info().misses == 1000


def test_a_draft_stands_for_its_file(tmp_path: Path) -> None:
    """An imported file is read as its draft has it; a shipped pack is what ships, whatever a draft says."""
    (tmp_path / "lib.heal").write_text("let a = 1 > 2\n")
    drafts = {str(tmp_path / "lib.heal"): "let b = rows > 5\n", str(PACKS / "base.heal"): "nonsense ("}
    text = 'import "lib"\nforbid f: retrain when b\n'
    assert inspect(text, name=str(tmp_path / "x.heal"), schema=SCHEMA, drafts=drafts).loaded.errors == ()
