"""Prints data to stdout: JSON, a table in a terminal, tab-separated lines in a pipe. Must never print anything else,
nor a character of the data that a terminal would obey.

What is said about the data goes to stderr with `note`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Show", "brief", "inert"]

_OBEYED = {*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {ord("\n"), ord("\t")}
_NO_TEXT = {code: f"\\u{code:04x}" for code in range(0xDC80, 0xDD00)}
"""Bytes of a file's name that are no text, as they are shown, and as JSON writes them."""
_SHOWN = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _OBEYED} | _NO_TEXT
"""Control characters and those that turn the direction of text round, as they are shown instead."""
SHORT = 24
"""Cells up to this width are never broken: names, times, states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """How this call prints."""

    as_json: bool

    @property
    def is_terminal(self) -> bool:
        """Tell whether a person sees stdout."""
        return sys.stdout.isatty()

    def json(self, view: Mapping[str, Any]) -> None:
        """Print a view as JSON, with its schema version first."""
        click.echo(json.dumps({"schema": 1, **view}, indent=2, ensure_ascii=False).translate(_NO_TEXT))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, clip: bool = False) -> None:
        """Print rows under their columns; with `clip` a terminal shows one line a row, however long the last cell."""
        texts = [[brief(cell) for cell in row] for row in rows]
        if self.is_terminal:
            _print_rich(columns, texts, clip=clip)
        else:
            click.echo("\n".join("\t".join(row) for row in [[name.upper() for name in columns], *texts]))

    def pairs(self, pairs: Mapping[str, Any]) -> None:
        """Print names and values, one a line."""
        width = max(map(len, pairs)) if self.is_terminal else 0
        for name, value in pairs.items():
            click.echo(f"{name:<{width}}  {brief(value)}" if self.is_terminal else f"{name}\t{brief(value)}")

    def text(self, text: str) -> None:
        """Print text as it is."""
        click.echo(inert(text))

    def note(self, text: str) -> None:
        """Say something about the data, on stderr."""
        click.echo(inert(text), err=True)


def inert(text: str) -> str:
    """Take from a text whatever a terminal would obey instead of showing: names and reasons come from anywhere."""
    return text.translate(_SHOWN)


def brief(value: Any) -> str:
    """Write one value in a cell: `-` for nothing, a time without its fractions, at most two significant decimals."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"
    text = str(value)
    if len(text) >= 20 and text[4:5] == text[7:8] == "-" and text[10] == "T" and text.endswith("Z"):
        return text[:19].replace("T", " ") + "Z"
    return inert(" ".join(text.split()))


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], *, clip: bool) -> None:
    from rich.console import Console  # only for people: a pipe does not pay for it
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        short = all(len(row[index]) <= SHORT for row in rows)
        table.add_column(column.upper(), no_wrap=short or clip, overflow="ellipsis" if clip else "fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
