"""The page about installing: what it names exists, and what a release is made of stands in it."""

import re
import shlex

import click
import pytest

from healerd.cli.group import cli
from tests.release.building import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
SHOWN = [
    line.strip()
    for block in re.findall(r"^```sh[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
VERBS = [line for line in SHOWN if re.match(r"(\S*/)?healerd ", line)]


@pytest.mark.parametrize("line", VERBS)
def test_shown_verbs_exist(line: str) -> None:
    """Each call of healerd on the page names a verb, and options that it has."""
    words = shlex.split(line)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, line
        command, words = found, words[1:]
    known = {name for each in command.params for name in each.opts}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def test_shown_targets_and_files_exist() -> None:
    """Each target of make is one, each lock that is named is there, and each link leads somewhere."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {line.split()[1] for line in SHOWN if line.startswith("make ")}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert (ROOT / "requirements.lock").exists()
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_what_a_release_consists_of_is_said() -> None:
    """Every file of a release and every extra of the package stands on the page."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(
        r"^(\w+) = \[", pyproject.partition("[project.optional-dependencies]")[2].partition("\n[")[0], re.MULTILINE
    )
    assert len(extras) == 6
    for name in ("SHA256SUMS", "healerd.cdx.json", "constraints.txt", *extras):
        assert f"`{name}`" in PAGE, name
