"""What the documentation shows: its pages, their fenced blocks, and the commands in them.

A block says behind its language what it is. `file=NAME`: a file that the reader saves under that name. `needs=WHAT`: it
cannot run by itself, for WHAT must be there (a gateway, another machine, a person at a terminal); its form is checked.
`needs=daemon`: it is run while a daemon of the page's folder runs. Every other block of shell or Python on a page of
docs/ is run as it stands. A page may go on in the folder of another: `<!-- continues NAME.md -->`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from healerd.cli.group import cli

ROOT = Path(__file__).parents[2]
OUTSIDE = {".venv", "node_modules"}
READMES = sorted(path for path in ROOT.rglob("README.md") if not OUTSIDE & set(path.relative_to(ROOT).parts))
GUIDES = sorted(set((ROOT / "docs").glob("*.md")) - set(READMES))
PAGES = (*READMES, *GUIDES)
BLOCK = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
"""A fence, also within a list."""
INNER = re.compile(r"\$\(([^()]*)\)")
"""A command whose output is put in its place."""
SHELL = ("sh", "bash", "console")
OPERATORS = {"|", "||", "&", "&&", ";", "(", ")"}
REDIRECTIONS = {"<", ">", ">>"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block; `marks` are the words NAME=VALUE behind its language."""

    page: Path
    line: int
    language: str
    marks: Mapping[str, str]
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{name_of(self.page)}:{self.line}"


def name_of(path: Path) -> str:
    """Name a file from the root of the checkout."""
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        words = found[1].split()
        marks = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page=page, line=line, language=words[0] if words else "", marks=marks, text=found[2])


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings in links to them, as they are shown on the web."""
    titles = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def commands(block: Block) -> Iterator[list[str]]:
    """Each command of a shell block as its words, without redirections; those inside `$(...)` too."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        yield from _commands(INNER.sub("1", line))
        for inner in INNER.findall(line):
            yield from _commands(inner)


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in lexer:
        if skip or token in REDIRECTIONS:
            skip = token in REDIRECTIONS
        elif token in OPERATORS:
            yield from filter(None, [words])
            words = []
        else:
            words.append(token)
    yield from filter(None, [words])


def parse(words: list[str]) -> None:
    """Parse a call of healerd with the program's own parser, without running it. Raises click.UsageError.

    Files that are named need not be there: a page may speak of those of its reader.
    """
    context, command = click.Context(cli, info_name="healerd"), cli
    left = words[1:]
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        found = command.get_command(context, left[0])
        if found is None:
            raise click.UsageError(f"no verb `{left[0]}`")
        context = click.Context(found, parent=context, info_name=left[0])
        command, left = found, left[1:]
    if not {"--help", "-h", "--version"} & set(left):
        try:
            command.make_context(words[0], left, parent=context.parent)
        except click.BadParameter as error:
            if not error.message.endswith("does not exist."):
                raise
