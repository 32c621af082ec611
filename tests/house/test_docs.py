"""Documentation that is checked against the program: what it says exists, and what exists is said."""

import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from healerd.cli.exits import Exit
from healerd.cli.group import VERBS, cli
from healerd.client.looks import LOOKS
from healerd.config import parse_config
from healerd.daemon.app import RunExit
from healerd.daemon.control import Control
from healerd.daemon.mutations import MUTATIONS
from healerd.decision import SCHEMA
from healerd_rules import load_text, render
from tests.house import pages, reference
from tests.house.pages import PAGES, ROOT, SHELL, Block, name_of

BLOCKS = [block for page in PAGES for block in pages.blocks(page)]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
OWN_TESTS = {"rules/README.md"}
"""Pages whose rules and examples are run by tests of their own, with facts of their own."""
NEEDS = {"daemon", "record", "gateway", "mlflow", "systemd", "cloud", "terminal", "network", "minutes"}
"""What a block may need that a test does not have at hand."""
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
KNOWN = {
    ".", "aws", "cat", "cd", "cp", "curl", "cut", "docker", "echo", "eval", "exit", "export", "git", "grep", "ln",
    "groupadd", "head", "journalctl", "jq", "kill", "kubectl", "ls", "mkdir", "mlflow", "pip", "pipx", "printf",
    "python3", "rm", "roll-out", "rolled-out", "sha256sum", "sleep", "ssh", "sudo", "systemctl", "tail", "test",
    "true", "useradd", "uv", "wait",
}  # fmt: skip
"""Commands that a reader has from elsewhere."""


def fenced(*languages: str) -> Iterator[Block]:
    yield from (block for block in BLOCKS if block.language in languages)


def settings_of(block: Block) -> str:
    """A table of the configuration as a whole one: a pipeline of which only a part is shown gets a source."""
    tree = tomllib.loads(block.text)
    bare = [name for name, table in tree.get("pipeline", {}).items() if "source" not in table]
    return "".join(f"[pipeline.{name}.source]\npath = 'served.csv'\n" for name in bare)


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in (ROOT / "healerd").glob("*/__init__.py")), ids=name_of
)
def test_every_package_has_a_readme(folder: Path) -> None:
    """A newcomer finds in each folder what it does."""
    assert (folder / "README.md").stat().st_size > 200


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page points at a file that is there."""
    targets = LINK.findall(pages.prose(page))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    """Every link to a heading names one that is there, in the page itself or in another."""
    wrong = []
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", pages.prose(page)):
        there = (page.parent / target).resolve() if target else page
        if there.suffix == ".md" and heading not in pages.anchors(there):
            wrong.append(f"{target}#{heading}")
    assert wrong == []


@pytest.mark.parametrize("block", list(fenced(*SHELL)), ids=lambda block: block.place)
def test_shown_commands_exist(block: Block) -> None:
    """Each command that a page shows is known; the program itself parses its verb, options and arguments."""
    assert set(block.marks) <= {"needs"}, block.place
    assert block.marks.get("needs", "daemon") in NEEDS, f"{block.place}: needs what?"
    for place, *rest in pages.commands(block):
        words = [place.rpartition("/")[2], *rest]
        said = f"{block.place}: `{' '.join(words)}`"
        if words[0] == "healerd":
            try:
                pages.parse(words)
            except click.UsageError as error:
                pytest.fail(f"{said}: {error.format_message()}")
        elif words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= TARGETS, said
        elif words[0] == "python":
            assert words[1] != "-m" or find_spec(words[2]) is not None, said
        else:
            assert words[0] in KNOWN or "=" in words[0], said


def test_commands_are_found_wherever_they_stand() -> None:
    """Pipes, redirections, comments, quotes and substitutions do not hide a command, nor make one of an argument."""
    lines = ["healerd inbox | tail -n +2 > out  # a comment", 'eval "$(healerd completion bash)"']
    text = "\n".join([*lines, 'healerd pause a --reason "x | y"'])
    block = Block(page=ROOT / "README.md", line=1, language="sh", marks={}, text=text)
    assert list(pages.commands(block)) == [
        ["healerd", "inbox"],
        ["tail", "-n", "+2"],
        ["eval", "1"],
        ["healerd", "completion", "bash"],
        ["healerd", "pause", "a", "--reason", "x | y"],
    ]


@pytest.mark.parametrize(
    "words", ["healerd nonsense", "healerd status --nonsense", "healerd resolve x", "healerd detect --loss"]
)
def test_a_wrong_command_is_found(words: str) -> None:
    """A verb, an option or an argument that the program does not take turns the documentation red."""
    with pytest.raises(click.UsageError):
        pages.parse(words.split())


@pytest.mark.parametrize("block", list(fenced("toml")), ids=lambda block: block.place)
def test_shown_settings_are_settings(block: Block) -> None:
    """Each table of TOML that a page shows is a configuration, or part of one: every key known, every value fitting."""
    tree = tomllib.loads(block.text)
    if block.marks.get("of", "healerd") == "healerd" and name_of(block.page) not in OWN_TESTS:
        assert parse_config(settings_of(block) + block.text, path=Path("healerd.toml")).folder
    assert tree


@pytest.mark.parametrize(
    "block",
    [block for block in fenced("heal") if name_of(block.page) not in OWN_TESTS],
    ids=lambda block: block.place,
)
def test_shown_rules_load(block: Block) -> None:
    """Each rule file that a page shows loads against healerd's own facts and actions."""
    loaded = load_text(block.text, name=name_of(block.page), schema=SCHEMA)
    assert loaded.errors == (), render(loaded.diagnostics, loaded.sources)


@pytest.mark.parametrize(
    "path", [path for path in pages.READMES if any(block.page == path for block in fenced("python"))], ids=name_of
)
def test_shown_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python examples of a README run, one after another."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example"}
    for block in fenced("python"):
        if block.page == path and not block.marks:
            exec(compile(block.text, name_of(path), "exec"), namespace)  # the examples are ours


def test_the_reference_of_verbs_is_that_of_the_program() -> None:
    """Every verb, argument and option stands in the README of the command line, as the program says it."""
    assert reference.written() == reference.reference(), "run `python -m tests.house.reference`"


def test_exit_codes_are_documented() -> None:
    """Every exit code stands in the README of the command line with its name, and those of `run` as well."""
    text = reference.README.read_text(encoding="utf-8")
    for code in Exit:
        assert re.search(rf"^\| {code.value} \| {code.name.lower().replace('_', ' ')} \|", text, re.MULTILINE), code
    for run_code in RunExit:
        assert re.search(rf"\b{run_code.value}\b [a-z]", text), run_code


def test_the_control_api_is_documented() -> None:
    """Every path of the control API stands in the README of the daemon, with the role it needs."""
    text = (ROOT / "healerd" / "daemon" / "README.md").read_text(encoding="utf-8")
    paths = {
        mutation.path.replace("{on}", "{id}" if "intents" in mutation.path else "{name}") for mutation in MUTATIONS
    }
    looks = {look.path for look in LOOKS} | {"/v1/events"}
    assert Control.app is not None
    assert {path for path in paths | looks if f"`{path}`" not in text} == set()


def test_every_verb_is_in_the_architecture() -> None:
    """The table of verbs and the list in the command line's help are one."""
    assert list(VERBS) == list(cli.list_commands(click.Context(cli)))
