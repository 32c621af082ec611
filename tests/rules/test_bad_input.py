"""Bad input: bytes, sizes, depths, circles, odd names and hidden characters are findings, each in its place."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import fuzz_rules
from healerd_rules import Loaded, Schema, load, load_text, render
from healerd_rules.hidden import hidden_characters
from healerd_rules.words import RESERVED
from tests.rules.worlds import SCHEMA, codes


def load_bytes(folder: Path, content: bytes) -> Loaded:
    path = folder / "any.heal"
    path.write_bytes(content)
    return load(path, schema=SCHEMA)


def test_the_fuzzer_finds_nothing() -> None:
    """Three thousand damaged packs, examples and rules load or have findings inside them, and format stably."""
    found = fuzz_rules.run(inputs=3000, seed=7)
    assert found["first_faults"] == []
    assert found["loaded"], "some texts must survive their damage"


def test_the_fuzzer_sees_a_fault() -> None:
    """A finding outside its text, or a changed word, is a fault."""
    found = load_text("forbid f: nosuch", name="fuzz.heal", schema=Schema()).diagnostics[0]
    assert fuzz_rules.inside(found, ["forbid f: nosuch"])
    assert not fuzz_rules.inside(found, [""])
    assert fuzz_rules.words("let  a=1 # b ") == "leta=1# b"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_load_or_have_findings(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes at all load, or have findings; what is no UTF-8 is unreadable, and says at which byte."""
    loaded = load_bytes(tmp_path_factory.getbasetemp(), content)
    assert (loaded.ruleset is None) == bool(loaded.errors)
    if content.decode("utf-8", "replace").encode() != content:
        assert [found.code for found in loaded.errors] == ["unreadable"]
        at = int(loaded.errors[0].message.rpartition(" ")[2])
        assert content[:at].decode("utf-8").encode() == content[:at]


def test_a_file_of_ten_megabytes_is_refused_unread(tmp_path: Path) -> None:
    """A file far over the bound is refused by its size, without being read; the time is only a guard."""
    path = tmp_path / "big.heal"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 10_000_000)
    began = time.monotonic()
    loaded = load(path, schema=SCHEMA)
    assert [found.code for found in loaded.errors] == ["too-large"]
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="the system has no such device")
def test_a_device_without_end_is_refused() -> None:
    """What says that it is empty, and never ends, is read only up to the bound."""
    assert [found.code for found in load("/dev/zero", schema=SCHEMA).errors] == ["too-large"]


def test_a_text_just_over_the_bound_is_refused() -> None:
    """A text of one character more than a million is refused; its whole is never parsed."""
    assert codes("#" * 1_000_001) == ["too-large"]
    assert codes("#" * 1_000_000) == []


@pytest.mark.parametrize("opening", ["(", "not ", "-", "not (", "- ("])
@pytest.mark.parametrize("levels", [30, 3000])
def test_deep_nesting_is_a_finding_at_its_place(opening: str, levels: int) -> None:
    """Nesting past the bound is one finding, at the sign that passes it."""
    loaded = load_text(f"let x = {opening * levels}rows > 5", name="x.heal", schema=SCHEMA)
    assert [found.code for found in loaded.errors] == ["too-deep"]
    found = loaded.errors[0]
    assert (found.line, 8 < found.column < 8 + 21 * len(opening) + 1) == (1, True)


def test_circles_of_imports_are_found_in_the_file_that_closes_them(tmp_path: Path) -> None:
    """A circle of three files is one finding, at the import that closes it."""
    for name, target in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.heal").write_text(f'# {name}\nimport "{target}"\n')
    loaded = load(tmp_path / "a.heal", schema=SCHEMA)
    assert [(Path(f.path).name, f.line, f.column, f.code) for f in loaded.errors] == [("c.heal", 2, 1, "cycle")]


def test_an_unknown_pack_names_those_there_are() -> None:
    """An import that is neither file nor pack says where it looked and what there is."""
    found = load_text('\n  import "nosuch"', name="x.heal", schema=SCHEMA).errors[0]
    assert (found.code, found.line, found.column, found.end) == ("import", 2, 3, 18)
    assert "`base`" in found.help
    assert "`nosuch.heal` beside this file" in found.help


@pytest.mark.parametrize(
    "form", ["let {} = rows > 1", "signal {} = rows > 1", "const {} = 5", "metric {}: ratio", "action {}"]
)
@pytest.mark.parametrize("word", sorted(RESERVED))
def test_keywords_are_no_names(form: str, word: str) -> None:
    """A keyword used as a name is a finding at that name: reserved, or no statement at all."""
    found = load_text(form.format(word), name="x.heal", schema=SCHEMA).errors
    assert {each.code for each in found} <= {"reserved", "syntax"}
    assert found[0].column == form.index("{") + 1


@pytest.mark.parametrize("text", ["let a = rows > 1\nlet a = rows > 2", "signal a = incident\nlet a = incident"])
def test_a_name_defined_twice_points_at_the_second(text: str) -> None:
    """The second definition of a name is the finding, and names the line of the first."""
    found = load_text(text, name="x.heal", schema=SCHEMA).errors
    assert [(each.code, each.line, "line 1" in each.message) for each in found] == [("duplicate", 2, True)]


@pytest.mark.parametrize("name", ["größe", "İ", "名前", "a\u0301", "𝒙", "x²", "٣x", "e😀"])
def test_names_are_ascii(name: str) -> None:
    """A name with another letter than ASCII's is no statement, and the place is where that letter stands."""
    found = load_text(f"let {name} = rows > 1", name="x.heal", schema=SCHEMA).errors[0]
    first = next(at for at, char in enumerate(name) if not char.isascii())
    assert (found.code, found.column) == ("syntax", 5 + first)


@pytest.mark.parametrize("text", ["größe 名前 😀 \U0010ffff", "ا\u200fب", "\u200d👩\u200d💻"])
def test_strings_and_comments_hold_any_script(text: str) -> None:
    """Strings and comments may hold any script, with the joiners and marks it needs."""
    assert codes(f'# {text}\nforbid f: retrain\n  because "{text}"') == []


BLANK = ["\u00ad", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", "\U000e0061"]
HIDDEN = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\u2028", "\u200b"]


@pytest.mark.parametrize("char", [*HIDDEN, *BLANK, "\x1b", "\x00", "\x85", "\x7f"], ids=ascii)
@pytest.mark.parametrize("form", ["# a {} b", 'forbid f: retrain because "a {} b"', 'forbid f: retrain on tag "a{}b"'])
def test_hidden_characters_are_findings(char: str, form: str) -> None:
    """What reorders, hides or drives a terminal is an error at its place, and never printed."""
    loaded = load_text(f"\n{form.format(char)}", name="x.heal", schema=SCHEMA)
    found = loaded.errors[0]
    assert (found.code, found.line, found.column, found.end - found.column) == (
        "hidden-text",
        2,
        form.index("{") + 1,
        1,
    )
    assert f"U+{ord(char):04X}" in found.message
    assert list(hidden_characters(render(loaded.diagnostics, loaded.sources))) == []


def test_a_flood_of_hidden_characters_leaves_room_for_the_rest() -> None:
    """Of a thousand hidden characters five are said, and other faults still are."""
    found = codes("# " + "\u202e" * 1000 + "\nlet x = nosuch")
    assert found == ["hidden-text"] * 5 + ["unknown-name"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_columns_count_characters_in_any_file(end: str) -> None:
    """Lines and columns are right with any line end, after tabs and after characters of any width."""
    line = '\t\twhen incident_kind == "é😀" and nosuch > 1'
    text = end.join(["# 😀", "\tforbid f: retrain", line, ""])
    found = load_text(f"\ufeff{text}", name="x.heal", schema=SCHEMA).errors[0]
    assert (found.line, found.column, found.end) == (3, line.index("nosuch") + 1, line.index(" > 1") + 1)


@pytest.mark.parametrize("text", ["within10m", "elsedeny", "oflast", "perpipeline"])
def test_keywords_end_where_words_end(text: str) -> None:
    """Two words written as one are a fault, not the two words."""
    good = {
        "within10m": "require r: retrain veto within10m",
        "elsedeny": 'require r: retrain approval from "x" elsedeny',
        "oflast": "signal s = incident for 3 oflast 5 windows",
        "perpipeline": "cooldown c: retrain 1h perpipeline",
    }[text]
    assert codes(good) == ["syntax"]


def test_an_unclosed_string_does_not_swallow_the_next_rule() -> None:
    """A string that is not closed is a fault of its own line; the rules after it are read."""
    loaded = load_text('forbid f: retrain because "open\nforbid g: nosuch', name="x.heal", schema=SCHEMA)
    assert [(found.code, found.line) for found in loaded.errors] == [("syntax", 1), ("unknown-name", 2)]


LATE = {
    "type": "forbid f: retrain when p99 > 5%",
    "unknown-name": "forbid f: retrain when error_rat > 5%",
    "target": "propose p: any action",
    "unknown-policy": "permit p: retrain when rows > 5 if unknown fires",
    "duplicate": "forbid w0: retrain",
    "annotation": "@enforce(maybe)\nforbid f: retrain",
    "currency": "limit a: retrain at most €200 per 24h",
    "import": 'import "nosuch"',
    "syntax": "forbid f: retrain when rows = 5",
}


@pytest.mark.parametrize("code", LATE)
def test_no_number_of_warnings_hides_an_error(code: str) -> None:
    """An error is found behind any number of warnings, and a rule set that has one does not load."""
    warnings = "".join(f"forbid w{n}: retrain when error_rate > 20\n" for n in range(250))
    dollars = "limit d: retrain at most $200 per 24h\n" if code == "currency" else ""
    loaded = load_text(dollars + warnings + LATE[code], name="my.heal", schema=SCHEMA)
    assert loaded.ruleset is None
    assert [found.code for found in loaded.errors] == [code]
    assert len(loaded.diagnostics) == 201


def test_what_costs_too_much_is_refused_before_it_is_remembered() -> None:
    """A short text whose formula unfolds to millions of steps is a finding, inside a function over time too."""
    a, b = " + ".join(["rows"] * 80), " + ".join(["a"] * 60)
    text = f"let a = {a}\nlet b = {b}\nsignal s = avg({' + '.join(['b'] * 3000)}, 6h) > 5\n"
    began = time.process_time()
    assert set(codes(text)) == {"cost"}
    assert time.process_time() - began < 10
