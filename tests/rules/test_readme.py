"""The reference is true: every example in it runs."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd_rules import CODES, load_text, render
from healerd_rules.builtins import BUILTINS
from healerd_rules.codes import MENDS
from healerd_rules.mutation import check_mutants
from healerd_rules.testing import run_tests
from tests.rules.worlds import SCHEMA

README = Path(__file__).parents[2] / "rules" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```([^\n]+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
GOOD = [text for kind, text in BLOCKS if kind == "heal"]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
BAD = [(kind.split()[2], text) for kind, text in BLOCKS if kind.startswith("heal error")]


@pytest.mark.parametrize("text", GOOD)
def test_examples_load(text: str) -> None:
    """Each example of the reference loads without an error."""
    loaded = load_text(text, name="readme.heal", schema=SCHEMA)
    assert loaded.errors == (), render(loaded.diagnostics, loaded.sources)


@pytest.mark.parametrize("text", [text for text in GOOD if "\ntest " in text])
def test_example_tests_pass(text: str) -> None:
    """The test blocks of the reference pass, and notice every fault in the rules beside them."""
    loaded = load_text(text, name="readme.heal", schema=SCHEMA)
    assert loaded.ruleset is not None
    report = run_tests(loaded.ruleset, files=("readme.heal",))
    assert report.results
    assert report.failed == ()
    left = check_mutants(loaded, schema=SCHEMA, files=("readme.heal",), about=("readme.heal",)).survivors
    assert [fault.describe() for fault in left] == []


@pytest.mark.parametrize(("code", "text"), BAD, ids=[code for code, _ in BAD])
def test_faults_are_found(code: str, text: str, tmp_path: Path) -> None:
    """Each faulty example gives its finding, and no other code."""
    (tmp_path / "own_pack.heal").write_text("pack own\naction reboot\npermit gently: reboot when rows > 5\n")
    loaded = load_text(text, name=str(tmp_path / "readme.heal"), schema=SCHEMA)
    assert {found.code for found in loaded.diagnostics} == {code}


def test_every_code_and_function_is_documented() -> None:
    """The reference has a line and an example of each finding, as the program explains it, and names each function."""
    assert set(MENDS) == set(CODES)
    assert {code: mend.example for code, mend in MENDS.items() if mend.example} == {c: t.rstrip("\n") for c, t in BAD}
    assert {code for code, mend in MENDS.items() if not mend.example} == {"hidden-text", "too-large", "unreadable"}
    for code, meaning in CODES.items():
        assert f"| `{code}` | {meaning} | {MENDS[code].how.replace('|', chr(92) + '|')} |\n" in TEXT
    assert all(f"`{name}(" in TEXT for name in BUILTINS)


def run(code: str) -> str:
    """Run an example by itself, on the code under test."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=here).stdout


def test_the_python_example_runs() -> None:
    """The Python example runs and prints what the reference says."""
    part = re.search(r"^## 9\..*?^```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert part is not None
    shown = part[1]
    assert run(PYTHON[0]).strip() == shown.strip()


@pytest.mark.parametrize("code", PYTHON[1:], ids=range(1, len(PYTHON)))
def test_the_other_python_examples_hold(code: str) -> None:
    """What the other Python examples assert is so."""
    assert "assert" in code
    run(code)


def test_the_counterexample_is_the_one_that_is_shown() -> None:
    """The example of `verify` gives exactly the counterexample that follows it."""
    from healerd_rules.verify import verify

    part = TEXT[TEXT.index("### 8.3 verify and diff") :]
    (text, shown), *_ = re.findall(r"```heal\n(.*?)```\n\ngives\n\n```text\n(.*?)```", part, re.DOTALL)
    ruleset = load_text(text, name="readme.heal", schema=SCHEMA).ruleset
    assert ruleset is not None
    (check,) = verify(ruleset).failed
    assert "\n".join(check.lines()) == shown.strip()


def test_every_claim_is_documented() -> None:
    """The reference says what each claim proves."""
    from healerd_rules.verify import CLAIMS

    assert all(f"`{claim}`" in TEXT for claim in CLAIMS)


def test_the_editor_settings_are_sound() -> None:
    """The settings shown for editors parse, start the language server, and name the grammar that ships."""
    shown = {kind: text for kind, text in BLOCKS if kind in ("toml", "json", "lua")}
    helix = tomllib.loads(shown["toml"])
    assert [helix["language-server"]["healerd"][key] for key in ("command", "args")] == ["healerd", ["rules", "lsp"]]
    (grammar,) = json.loads(shown["json"])["contributes"]["grammars"]
    shipped = json.loads((README.parent / grammar["path"]).read_text(encoding="utf-8"))
    assert grammar["scopeName"] == shipped["scopeName"] == helix["language"][0]["scope"]
    assert '{ "healerd", "rules", "lsp" }' in shown["lua"]


def shown_commands() -> Iterator[tuple[str, str, str]]:
    """Each command with what it prints, and the rules above it, which it is about."""
    rules = ""
    for kind, text in BLOCKS:
        if kind == "heal":
            rules = text
        elif kind == "console":
            call, _, output = text.partition("\n")
            yield rules, call.removeprefix("$ healerd "), output


@pytest.mark.parametrize(("rules", "command", "output"), shown_commands(), ids=["explain", "test", "verify"])
def test_commands_print_what_is_shown(rules: str, command: str, output: str, tmp_path: Path) -> None:
    """A command, on the rules above it, prints what stands below it."""
    (tmp_path / "my.heal").write_text(rules, encoding="utf-8")
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in sys.path)}
    call = [sys.executable, "-m", "healerd", *shlex.split(command)]
    told = subprocess.run(call, capture_output=True, text=True, check=True, env=here, cwd=tmp_path).stdout
    assert told == output


def test_the_grammar_is_that_of_the_parser() -> None:
    """The grammar in the reference has every word and sign of the one that is run, and no other."""
    (shown,) = [text for kind, text in BLOCKS if kind == "ebnf"]
    run = (README.parent / "healerd_rules" / "grammar.lark").read_text(encoding="utf-8")
    rules = re.sub(r"^//.*", "", run.partition("OUTCOME.9")[0], flags=re.MULTILINE)
    closed = ["deny", "defer", "fires", "skips", "asks", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/"]
    assert set(re.findall(r"'([^']+)'", shown)) == set(re.findall(r'"([^"]+)"', rules)) | set(closed)


def test_the_verbs_of_the_reference_are_those_of_the_program() -> None:
    """Each verb of `healerd rules` has a line among the tools."""
    from healerd.cli.rules import SECTIONS

    part = TEXT[TEXT.index("### 8.1 All verbs") : TEXT.index("### 8.2 ")]
    assert set(SECTIONS["Verbs"]) <= set(re.findall(r"`([a-z]+)`", part))
