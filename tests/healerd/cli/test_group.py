"""The table of verbs as a whole: help, short helps, and what must not be imported."""

import ast
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import healerd.cli
from healerd.cli.exits import Exit
from healerd.cli.group import VERBS, cli, invoke
from healerd.errors import HealerdError
from tests.served import Served

HEAVY = {
    "apscheduler", "cryptography", "duckdb", "healerd.store", "healerd_rules", "httpx", "lark", "numpy", "rich",
    "prometheus_client", "apprise", "scipy", "sklearn", "sqlite3", "sqlite_utils", "starlette", "textual", "uvicorn",
}  # fmt: skip


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb with its verbs, by the words that call it."""
    for verb in VERBS:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        yield verb, command
        if isinstance(command, click.Group):
            inner = click.Context(command)
            for name in command.list_commands(inner):
                each = command.get_command(inner, name)
                assert each is not None
                yield f"{verb} {name}", each


COMMANDS = dict(commands())


def options_of(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if isinstance(parameter, click.Option)}


@pytest.mark.parametrize("verb", VERBS)
def test_the_short_help_in_the_table_is_that_of_the_verb(verb: str) -> None:
    """The list of verbs is printed without importing them, and yet says what each says of itself."""
    command = COMMANDS[verb]
    assert command.help is not None
    assert VERBS[verb][1] == command.help.split(": ")[0].rstrip(".") + "."
    assert command.name == verb


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help_for_everything(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb prints its help, and each of its options says what it does."""
    assert invoke([*verb.split(), "--help"]) == Exit.OK
    printed = capsys.readouterr().out
    for option in (each for each in COMMANDS[verb].params if isinstance(each, click.Option)):
        assert option.help, f"{verb} {option.opts} has no help"
        assert option.opts[0] in printed


LOOKS_AT_A_DAEMON = [
    "status", "watch", "inbox", "review", "trace list", "trace show", "approve", "veto", "resolve", "propose", "pause",
    "resume", "stop-all", "policy status", "policy promote", "policy demote", "audit verify", "doctor",
]  # fmt: skip


@pytest.mark.parametrize("verb", LOOKS_AT_A_DAEMON)
def test_verbs_that_need_a_daemon_take_the_same_options(verb: str) -> None:
    """Every verb about a running healerd takes --state, --config and --json."""
    assert {"--state", "--config", "--json"} <= options_of(COMMANDS[verb])


def test_every_verb_takes_json() -> None:
    """What a verb prints, a program can read; `rules lsp` speaks a protocol of its own."""
    without = {verb for verb, command in COMMANDS.items() if "--json" not in options_of(command)}
    groups = {"trace", "policy", "rules", "audit", "reference", "service", "deploy", "source", "labels"}
    assert without == {*groups, "rules lsp", "run", "serve", "completion", "tui"}


def test_changes_take_a_reason() -> None:
    """Every verb that changes something takes a reason, and no other does."""
    with_reason = {verb for verb, command in COMMANDS.items() if "--reason" in options_of(command)}
    changes = {
        "approve",
        "veto",
        "resolve",
        "propose",
        "pause",
        "resume",
        "stop-all",
        "policy promote",
        "policy demote",
    }
    changes |= {"reference accept", "audit erase", "audit prune", "restore", "prune"}
    assert with_reason == changes


def test_changes_can_be_rehearsed() -> None:
    """Every verb that changes something that is kept takes --dry-run, whether it needs a reason or not."""
    changes = {verb for verb, command in COMMANDS.items() if "--reason" in options_of(command)}
    changes |= {"audit anchor", "audit key", "backup", "service install", "service uninstall"}
    changes |= {"deploy render", "deploy monitoring", "doctor"}
    assert {verb for verb in changes if "--dry-run" not in options_of(COMMANDS[verb])} == set()


def test_exit_codes_of_errors_are_in_the_table() -> None:
    """Every exception that healerd names ends a verb with a documented code."""
    found = {HealerdError}
    while more := {sub for each in found for sub in each.__subclasses__()} - found:
        found |= more
    assert {each.exit_code for each in found} <= set(Exit)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["version"], ["status", "--state", "{state}"], ["inbox", "--state", "{state}", "--json"]],
    ids=lambda arguments: arguments[0],
)
def test_the_quick_verbs_import_nothing_heavy(daemon: Served, arguments: list[str]) -> None:
    """What a person types all day starts without numpy, SQLite, the rule language or any other big library."""
    words = [word.format(state=daemon.state) for word in arguments]
    told = run("-X", "importtime", "-m", "healerd", *words)
    assert told.returncode == 0, told.stderr
    imported = {line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.startswith("import time:")}
    assert "healerd.cli.group" in imported
    assert not imported & HEAVY


def test_completion_imports_nothing_heavy() -> None:
    """A shell that completes a verb does not wait for big libraries."""
    told = run(
        "-X",
        "importtime",
        "-m",
        "healerd",
        env={"_HEALERD_COMPLETE": "bash_complete", "COMP_WORDS": "healerd st", "COMP_CWORD": "1"},
    )
    imported = {line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & HEAVY


def test_status_starts_within_its_budget(daemon: Served) -> None:
    """`healerd status` costs less than four bare starts of Python with click, whatever the machine."""
    bare = min(cpu_s("-c", "import click") for _ in range(5))
    status = min(cpu_s("-m", "healerd", "status", "--state", str(daemon.state)) for _ in range(5))
    assert status < 4 * bare


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["version"], 0),
        (["nonsense"], 2),
        (["status", "--state", "/nowhere"], 3),
        (["run", "--nonsense"], 64),
        (["run", "--config", "/nowhere.toml"], 78),
    ],
)
def test_exit_codes_reach_the_shell(arguments: list[str], code: int) -> None:
    """The process itself ends with the documented code."""
    assert run("-m", "healerd", *arguments).returncode == code


def test_a_closed_pipe_is_no_error() -> None:
    """`healerd --help | head -1` ends quietly."""
    told = subprocess.run(
        f"{sys.executable} -m healerd --help | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")


def test_a_pipe_that_closes_within_a_verb_is_no_error() -> None:
    """Whoever reads only the head of a long output ends the verb with 0, as after a short one."""
    long = "import sys; from healerd.cli import about, group; about.__version__ = '9' * 2**20; "
    told = subprocess.run(
        f"{sys.executable} -c \"{long}sys.exit(group.invoke(['version']))\" | head -c 1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")


def test_a_full_disk_is_a_message() -> None:
    """Output that finds no room ends a verb with the reason, and without a traceback."""
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "healerd", "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (told.returncode, told.stderr) == (Exit.FAILED, "healerd: No space left on device\n")


def test_a_place_that_is_not_there_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system refuses ends a verb with the path and the reason, and without a traceback."""
    table, out = tmp_path / "table.csv", tmp_path / "no" / "table.reference"
    table.write_text("time,x\n" + "".join(f"2026-01-{day:02},{day % 3}\n" for day in range(1, 31)))
    assert invoke(["reference", "fit", str(table), "--time", "time", "--out", str(out)]) == Exit.FAILED
    assert f"`{out}`: No such file or directory" in capsys.readouterr().err


def test_no_verb_imports_another_at_the_top() -> None:
    """Modules of verbs stand beside each other: what they share lies in options, show, exits and words."""
    shared = {"crew", "options", "show", "exits", "group", "evidence"}
    folder = Path(healerd.cli.__file__).parent
    verbs = {path.stem for path in folder.glob("*.py")} - shared - {"__init__"}
    for name in verbs:
        tree = ast.parse((folder / f"{name}.py").read_text())
        imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not {f"healerd.cli.{other}" for other in verbs} & imported, name


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})


def cpu_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode == 0, told.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
