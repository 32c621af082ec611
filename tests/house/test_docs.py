"""Documentation that is checked against the program: what it says exists, and what exists is said."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from healerd.cli.exits import Exit
from healerd.cli.group import VERBS, cli
from healerd.client.looks import LOOKS
from healerd.daemon.app import RunExit
from healerd.daemon.control import Control
from healerd.daemon.mutations import MUTATIONS
from tests.house import reference

ROOT = Path(__file__).parents[2]
READMES = sorted(
    path for path in ROOT.rglob("README.md") if not {".venv", "node_modules"} & set(path.relative_to(ROOT).parts)
)
FENCE = re.compile(r"^```(\w*)(?! file=)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block with `file=NAME` is part of a worked example, which `tests/system/test_readme.py` runs as a whole."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fenced(*languages: str) -> Iterator[tuple[Path, str]]:
    for path in READMES:
        for language, text in FENCE.findall(path.read_text(encoding="utf-8")):
            if language in languages:
                yield path, text


def commands() -> Iterator[tuple[str, str]]:
    """Every call of healerd in a fenced shell block, by the file that shows it."""
    for path, text in fenced("sh", "bash", "console"):
        lines = (line.strip().removeprefix("$ ") for line in text.replace("\\\n", " ").splitlines())
        yield from ((name_of(path), line) for line in lines if line.startswith("healerd "))


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in (ROOT / "healerd").glob("*/__init__.py")), ids=name_of
)
def test_every_package_has_a_readme(folder: Path) -> None:
    """A newcomer finds in each folder what it does."""
    assert (folder / "README.md").stat().st_size > 200


@pytest.mark.parametrize("path", READMES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a README points at a file that is there."""
    targets = LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8")))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize(("path", "line"), list(commands()))
def test_shown_commands_exist(path: str, line: str) -> None:
    """Each command that a README shows names a verb and options that exist."""
    words = shlex.split(re.split(r"[#|>]", line, maxsplit=1)[0])[1:]
    context, command = click.Context(cli, info_name="healerd"), cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{path}: `{line}` names no verb"
        command, words = found, words[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    given = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert given <= known, f"{path}: `{line}` names an option that does not exist"


@pytest.mark.parametrize("path", sorted({path for path, _ in fenced("python")}), ids=name_of)
def test_shown_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python examples of a README run, one after another."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example"}
    for found, text in fenced("python"):
        if found == path:
            exec(compile(text, name_of(path), "exec"), namespace)  # the examples are ours


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
