"""Files: examples, imports, findings about any text, and what loading costs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules import CODES, Diagnostic, Schema, Severity, load, load_text, render
from healerd_rules.words import KEYWORDS
from tests.rules.worlds import SCHEMA, codes, rules

EXAMPLES = sorted((Path(__file__).parents[2] / "rules" / "examples").glob("*.heal"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_load(path: Path) -> None:
    """Each example file loads alone, with nothing from the host, and has no error."""
    loaded = load(path, schema=Schema())
    assert loaded.ruleset is not None, render(loaded.diagnostics, loaded.sources)


def test_there_are_eight_examples() -> None:
    """None of the example files is left out."""
    assert len(EXAMPLES) == 8


def inside(found: Diagnostic, text: str) -> bool:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return 1 <= found.line <= len(lines) and 1 <= found.column <= found.end - 1 <= len(lines[found.line - 1]) + 1


words = st.sampled_from(
    [
        *sorted(KEYWORDS),
        "retrain",
        "x",
        "80%",
        "3",
        "2h",
        "$4",
        '"t"',
        "(",
        ")",
        ":",
        ",",
        "=",
        "<",
        "#",
        "\n",
        "{",
        "}",
        "@",
        "[",
        "é",
        "\t",
        "..",
        "rows",
        "psi",
        "feature",
    ]
)
texts = st.one_of(st.text(max_size=200), st.lists(words, max_size=30).map(" ".join))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(texts)
def test_any_text_loads_or_has_findings_inside_it(text: str) -> None:
    """Any text either loads or gets findings, each with a place inside the text; never an exception."""
    loaded = load_text(text, name="any.heal", schema=SCHEMA)
    assert (loaded.ruleset is None) == bool(loaded.errors)
    assert all(inside(found, text) for found in loaded.diagnostics)
    assert all(found.code in CODES for found in loaded.diagnostics)
    assert render(loaded.diagnostics, loaded.sources).count("[") >= len(loaded.diagnostics)


def mangle(text: str, at: int, how: str) -> str:
    at %= max(1, len(text))
    return {
        "cut": text[:at],
        "drop": text[:at] + text[at + 1 :],
        "insert": text[:at] + ")" + text[at:],
        "double": text + text[at:],
    }[how]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(EXAMPLES), st.integers(0, 5000), st.sampled_from(["cut", "drop", "insert", "double"]))
def test_mangled_examples_never_raise(path: Path, at: int, how: str) -> None:
    """Example files with a small damage load or get findings, never an exception."""
    text = mangle(path.read_text(), at, how)
    loaded = load_text(text, name=str(path.with_name("mangled.heal")), schema=Schema())
    assert (loaded.ruleset is None) == bool(loaded.errors)


HUGE = {
    "garbage": "x?§\x00" * 250_000,
    "one line": "forbid a: retrain when " + "rows > 1 and " * 80_000,
    "many errors": "forbid ?\n" * 100_000,
    "brackets": "let x = " + "(" * 500_000,
    "nots": "let x = " + "not " * 200_000 + "true",
    "minuses": "let x = " + "-" * 900_000 + "1",
    "too large": "# comment\n" * 200_000,
    "digits": "let x = " + "9" * 900_000,
    "digits in a bound": "limit l: retrain at most " + "9" * 5000 + " concurrent",
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_texts_are_refused_in_time(name: str) -> None:
    """A megabyte of nonsense is refused with few findings; none is an exception or a hang."""
    loaded = load_text(HUGE[name], name="huge.heal", schema=SCHEMA)
    assert loaded.ruleset is None
    assert 1 <= len(loaded.diagnostics) <= 200


def test_definitions_nested_too_deeply_are_findings() -> None:
    """A chain of a thousand lets, and one that doubles at each step, are findings."""
    chain = "let a0 = rows > 1\n" + "".join(f"let a{n} = not a{n - 1}\n" for n in range(1, 1000))
    backward = "".join(f"let b{n} = not b{n + 1}\n" for n in range(1000)) + "let b1000 = rows > 1\n"
    double = "let a0 = rows > 1\n" + "".join(f"let a{n} = a{n - 1} and a{n - 1}\n" for n in range(1, 40))
    sums = "let a0 = rows + 1\n" + "".join(f"let a{n} = a{n - 1} + 1\n" for n in range(1, 1000))
    scopes = 'scope s0 = tag "a"\n' + "".join(f"scope s{n} = not s{n - 1}\n" for n in range(1, 1000))
    assert set(codes(chain)) == set(codes(backward)) == set(codes(sums)) == {"too-deep"}
    assert set(codes(double)) == {"cost"}
    assert "cycle" in codes(scopes)


def test_line_ends_and_tabs() -> None:
    """CRLF, lone CR, a byte order mark and tabs are read; the caret stands under the place."""
    text = "\ufefflet a = rows > 1\r\n\tlet b = nosuch > 1\r\n"
    loaded = load_text(text, name="t.heal", schema=SCHEMA)
    assert [(f.line, f.column, f.end) for f in loaded.diagnostics] == [(2, 10, 16)]
    assert "2 | \tlet b = nosuch > 1\n  | \t        ^^^^^^" in render(loaded.diagnostics, loaded.sources)


def test_all_errors_are_reported_at_once() -> None:
    """Errors of syntax, names and types in one file come out in one run, in order."""
    text = (
        "forbid a: retrain when rows > 5%\nforbid b retrain\nlet c = nosuch\n"
        "fobid d: retrain\npropose e: retrain when psi > 1\n"
    )
    loaded = load_text(text, name="t.heal", schema=SCHEMA)
    assert [(f.line, f.code) for f in loaded.errors] == [
        (1, "type"),
        (2, "syntax"),
        (3, "unknown-name"),
        (4, "syntax"),
        (5, "dimension"),
    ]


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("forbid a: retrain when rows < 5%", "compare and add values of one kind"),
        ("forbid a: retrain when qqqqq", "declare it with `metric`, `let` or `signal`"),
        ("limit f: retrain at most 2 per", "expected a value"),
        ("forbid a: retrain when rows >", "expected a value"),
    ],
)
def test_every_finding_says_how_to_mend_it(text: str, mend: str) -> None:
    """Where nothing closer is known, a finding carries the mend of its code, or what kind of word is missing."""
    (found,) = load_text(text, name="my.heal", schema=SCHEMA).errors
    assert mend in found.help


def test_a_broken_definition_is_reported_once() -> None:
    """A name whose definition does not parse is not reported again where it is used."""
    assert codes("let a = rows >\nforbid f: retrain when a") == ["syntax"]


def test_findings_as_json() -> None:
    """A finding is a JSON object with its place and its mend."""
    found = load_text("let a = acuracy > 1", name="t.heal", schema=SCHEMA).diagnostics[0]
    assert json.loads(json.dumps(found.to_json())) == {
        "code": "unknown-name",
        "severity": "error",
        "path": "t.heal",
        "line": 1,
        "column": 9,
        "end": 16,
        "message": "unknown name `acuracy`",
        "help": "mend the spelling, import the file that defines it, or declare it with `metric`, `let` or `signal`",
    }


# imports -------------------------------------------------------------------------


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.heal").write_text(text)


def test_imports_are_found_beside_the_file(tmp_path: Path) -> None:
    """A file beside the importing one wins over a pack; a number before its name does not matter."""
    write(tmp_path, main='import "lib" as l\nforbid f: retrain when l.many\n', **{"01_lib": "let many = rows > 5\n"})
    loaded = load(tmp_path / "main.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, render(loaded.diagnostics, loaded.sources)
    assert loaded.diagnostics == ()


def test_a_local_base_does_not_replace_the_shipped_one(tmp_path: Path) -> None:
    """Whatever a file calls itself, the shipped guards stay in the rule set."""
    write(tmp_path, main='import "base"\n', base="pack mine\npermit all: any action\n")
    loaded = load(tmp_path / "main.heal", schema=SCHEMA)
    assert loaded.ruleset is not None
    assert {"base.confidence_gate", "mine.all"} <= {rule.name for rule in loaded.ruleset.rules}


def test_no_file_takes_the_name_of_a_shipped_pack(tmp_path: Path) -> None:
    """A verdict that names `base.settle` means the shipped rule: no other file may be called so."""
    (tmp_path / "own.heal").write_text("pack base version 2.0\nforbid settle: retrain\n")
    (found,) = load(tmp_path / "own.heal", schema=SCHEMA).errors
    assert (found.code, found.line, found.column) == ("duplicate", 1, 6)


@pytest.mark.parametrize("action", ["retrain", "rollback"])
def test_s10_no_file_makes_a_heal_a_step(action: str) -> None:
    """Cooldowns and limits never bar a step, so an action that others declared without it stays a heal."""
    assert codes(f"action {action} step") == ["conflict"]
    assert codes("action promote step\naction reboot step") == []
    assert codes("action reboot\naction reboot step") == ["conflict"]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"main": 'import "other"', "other": 'import "main"'}, "cycle"),
        ({"main": 'import "main"'}, "cycle"),
        ({"main": 'import "nosuch"'}, "import"),
        ({"main": 'import "defualt"'}, "import"),
        ({"main": 'import ""'}, "import"),
        ({"main": 'import "/etc/passwd"'}, "import"),
        ({"main": "".join(f'import "m{n}"\n' for n in range(2)), "m0": "let x = rows >", "m1": ""}, "syntax"),
        ({"main": 'import "m0"', **{f"m{n}": f'import "m{n + 1}"' for n in range(60)}}, "too-deep"),
    ],
)
def test_bad_imports_are_findings(tmp_path: Path, files: dict[str, str], code: str) -> None:
    """Circles, missing files and too long chains are findings in the file that imports."""
    write(tmp_path, **files)
    loaded = load(tmp_path / "main.heal", schema=SCHEMA)
    assert loaded.ruleset is None
    assert code in {found.code for found in loaded.errors}


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are findings."""
    (tmp_path / "bytes.heal").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "nosuch.heal", tmp_path, tmp_path / "bytes.heal", "nul\0.heal"):
        loaded = load(path, schema=SCHEMA)
        assert [found.code for found in loaded.errors] == ["unreadable"]


def test_the_identity_follows_the_texts(tmp_path: Path) -> None:
    """The id is the same wherever the files lie, and changes with any of the texts."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, main='import "lib"\n', lib="let many = rows > 5\n")
    ids = {load(tmp_path / name / "main.heal", schema=SCHEMA).ruleset.id for name in ("a", "b")}  # type: ignore[union-attr]
    write(tmp_path / "b", lib="let many = rows > 6\n")
    changed = load(tmp_path / "b" / "main.heal", schema=SCHEMA).ruleset
    assert len(ids) == 1
    assert changed is not None
    assert changed.id not in ids


FORBIDS = "forbid f: retrain when a.bound\nforbid g: rollback when {}bound\n"


@pytest.mark.parametrize(
    "files",
    [
        {"main": 'import "a" as a\nimport "b" as b\n' + FORBIDS.format("b.")},
        {"main": 'import "a" as a\nimport "b"\n' + FORBIDS.format("")},
        {
            "main": 'import "c"\nimport "d"\n',
            "c": 'import "a"\nforbid f: retrain when bound\n',
            "d": 'import "b"\nforbid g: rollback when bound\n',
        },
    ],
    ids=["named", "one is named", "unnamed behind two files"],
)
def test_the_identity_tells_which_file_is_imported_where(tmp_path: Path, files: dict[str, str]) -> None:
    """Two imported files with each other's text are another rule set."""
    few, many = "let bound = rows < 10\n", "let bound = rows < 5000\n"
    ids = set()
    for a, b in ((few, many), (many, few)):
        write(tmp_path, **files, a=a, b=b)
        ids.add(load(tmp_path / "main.heal", schema=SCHEMA).ruleset.id)  # type: ignore[union-attr]
    assert len(ids) == 2


def _hashed(*texts: str) -> str:
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(text.encode()).digest() for text in texts))).hexdigest()


def test_several_files_are_one_rule_set(tmp_path: Path) -> None:
    """Files loaded together share the vocabulary and add up their guards."""
    write(tmp_path, a="forbid a: retrain", b="forbid b: retrain")
    loaded = load([tmp_path / "a.heal", tmp_path / "b.heal"], schema=SCHEMA)
    assert loaded.ruleset is not None
    assert {"a", "b"} <= {rule.name for rule in loaded.ruleset.rules}


def test_rules_tell_about_themselves() -> None:
    """Each rule tells its name, place, owner, reason and text."""
    text = '\n@owner("ml") @ticket("T-1")\nforbid f: retrain\n  when rows < 5\n  because "too few"\n'
    info = next(rule for rule in rules(text).rules if rule.name == "f")
    assert (info.kind, info.actions, info.path, info.line) == ("forbid", ("retrain",), "my.heal", 3)
    assert (info.owner, info.ticket, info.because, info.enforcement) == ("ml", "T-1", "too few", "hard")
    assert info.text.startswith("@owner")
    assert info.text.endswith('"too few"')


def test_importing_the_language_does_not_load_the_parser() -> None:
    """`import healerd_rules` is cheap: lark is loaded only when something is parsed."""
    code = "import sys, healerd_rules; sys.exit('lark' in sys.modules)"
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=here).returncode == 0


def test_the_grammar_has_no_hidden_conflicts() -> None:
    """The grammar holds in lark's strict mode, which resolves nothing silently."""
    from lark import Lark

    from healerd_rules.syntax import GRAMMAR

    assert Lark(GRAMMAR.read_text(), parser="lalr", lexer="contextual", strict=True)


def test_no_two_rules_have_one_name_in_verdicts(tmp_path: Path) -> None:
    """A rule's name in another file is a finding there, unless a pack's name tells the two apart."""
    (tmp_path / "ops.heal").write_text("cooldown caution: any action 2h per pipeline\n")
    (tmp_path / "team.heal").write_text('import "ops"\nrequire caution: rollback approval from "ml-oncall"\n')
    (found,) = load(tmp_path / "team.heal", schema=SCHEMA).errors
    assert (found.code, found.line, "ops.heal:1" in found.message) == ("duplicate", 2, True)
    both = load([tmp_path / "ops.heal", tmp_path / "team.heal"], schema=SCHEMA)
    assert [each.code for each in both.errors] == ["duplicate"]
    (tmp_path / "ops.heal").write_text("pack ops version 1.0\ncooldown caution: any action 2h per pipeline\n")
    assert load(tmp_path / "team.heal", schema=SCHEMA).errors == ()


@pytest.mark.parametrize("name", ["healerd", "healerd.more"])
def test_no_file_names_its_rules_like_the_guards_of_the_host(name: str) -> None:
    """What begins with `healerd` in a verdict is the host's."""
    assert codes(f"pack {name} version 1.0\nforbid open_intent: retrain when rows < 5\n") == ["reserved"]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_name_that_two_imports_define_is_a_finding_where_it_is_used(tmp_path: Path, order: tuple[str, str]) -> None:
    """No order of imports chooses between two definitions of a name: it is said which, or not used."""
    (tmp_path / "a.heal").write_text('let few = rows < 100\nscope s = pipeline "a"\nconst COOLDOWN = 5m\n')
    (tmp_path / "b.heal").write_text('let few = rows < 5000\nscope s = pipeline "b"\n')
    imports = "".join(f'import "{name}"\n' for name in order)

    def findings(rule: str, above: str = "") -> list[str]:
        (tmp_path / "my.heal").write_text(imports + above + rule)
        return [found.code for found in load(tmp_path / "my.heal", schema=SCHEMA).diagnostics]

    assert findings("forbid f: retrain when few") == ["duplicate"]
    assert findings("forbid f: retrain on s") == ["duplicate"]
    assert findings("forbid f: retrain when rows < 5") == []
    assert findings("forbid f: retrain when few", above="let few = rows < 7\n") == []
    assert findings("forbid f: retrain when x.few", above='import "a" as x\n') == []
    assert findings("cooldown c: retrain COOLDOWN") == []
    (tmp_path / "over.heal").write_text('import "my"\nforbid g: rollback when few\n')
    assert findings("forbid f: retrain when rows < 5") == []
    assert [found.code for found in load(tmp_path / "over.heal", schema=SCHEMA).diagnostics] == ["duplicate"]


def test_a_path_to_another_place_never_means_a_shipped_pack(tmp_path: Path) -> None:
    """A pack is imported by its bare name, or as `packs/NAME`; a file that is not there is a finding."""
    name = str(tmp_path / "my.heal")
    for target, expected in (("cautious", []), ("packs/cautious", []), ("shared/cautious", ["import"])):
        assert [found.code for found in load_text(f'import "{target}"', name=name, schema=SCHEMA).errors] == expected


@pytest.mark.parametrize("rule", ["cooldown c: retrain 6h per {}", "limit c: retrain at most 2 per 24h per {}"])
def test_a_group_that_is_nearly_the_pipeline_is_a_finding(rule: str) -> None:
    """`per pipline` would count the whole fleet."""
    assert codes(rule.format("pipline")) == ["unknown-name"]
    assert codes(rule.format("pipeline")) == codes(rule.format("team")) == []
    (found,) = load_text(rule.format("pipeline_group"), name="my.heal", schema=SCHEMA).diagnostics
    assert (found.code, found.severity) == ("unknown-name", Severity.WARNING)
