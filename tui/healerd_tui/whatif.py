"""The numbers of a rule, another number in their place, and the words for what would follow.

Pure: it must never change a text in place, nor call a change good or bad that was not proven.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healerd.errors import ControlError
from healerd_rules.tokens import Kind, tokens
from healerd_tui.formats import say_count
from healerd_tui.inert import pad, show, wrap
from healerd_tui.view import Line

__all__ = ["Spot", "edited", "found_lines", "numbers_of", "write_draft"]

Json = Mapping[str, Any]
LISTED = 8
"""Changed decisions that are listed."""
ROLES = {"newly forbidden": "drift", "newly automatic": "failed"}


@dataclass(frozen=True, slots=True)
class Spot:
    """A number of a rule file: where it stands, and how it is written, unit included."""

    line: int
    start: int
    text: str


def numbers_of(text: str, line: int) -> tuple[Spot, ...]:
    """List the numbers of the rule that begins on a line, then those of the constants that it names."""
    lines = text.splitlines()
    rule = list(range(line, _end(lines, line)))
    named = {lines[n - 1][t.start : t.end] for n in rule for t in tokens(lines[n - 1]) if t.kind is Kind.NAME}
    consts = [n for n, each in enumerate(lines, 1) if (m := re.match(r"\s*const\s+(\w+)", each)) and m[1] in named]
    return tuple(
        Spot(number, token.start, lines[number - 1][token.start : token.end])
        for number in (*rule, *consts)
        for token in tokens(lines[number - 1])
        if token.kind is Kind.NUMBER
    )


def edited(text: str, spot: Spot, value: str) -> str:
    """Give the text with another number in that place; everything else stays, to the letter."""
    lines = text.splitlines(keepends=True)
    was = lines[spot.line - 1]
    lines[spot.line - 1] = was[: spot.start] + value + was[spot.start + len(spot.text) :]
    return "".join(lines)


def found_lines(view: Json, *, cells: int) -> tuple[Line, ...]:
    """Write what a trial came to, in lines of at most `cells` cells."""
    return tuple(_lines(view, cells))


def write_draft(text: str, name: str, folder: Path) -> Path:
    """Write the text as a new file. Raises ControlError; never overwrites one."""
    path = folder / name
    if path.suffix != ".heal" or path.name != name:
        raise ControlError(f"`{name}` is no name for a rule file in this folder; write one such as `draft.heal`")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ControlError(f"`{name}` is there already; choose another name") from None
    except OSError as error:
        raise ControlError(f"`{name}` could not be written: {error.strerror}") from None
    return path


def _end(lines: Sequence[str], line: int) -> int:
    """Number of the first line after a rule: where the next statement, annotation or comment begins at the margin."""
    for number in range(line + 1, len(lines) + 1):
        each = lines[number - 1]
        if each and not each[0].isspace():
            return number
    return len(lines) + 1


def _lines(view: Json, cells: int) -> Iterator[Line]:
    if view["findings"]:
        for each in str(view["findings"]).splitlines():
            yield ((show(each)[:cells], "failed"),)
        return
    if view["reproduced"]["problem"]:
        yield (("the record does not reproduce, so nothing is concluded: see `healerd replay`", "failed"),)
        return
    changed = view["changed"]
    yield (
        (f"{say_count(view['decisions'])} decisions, ", ""),
        (f"{say_count(changed['count'])} would have been others", "strong"),
        ("; nothing is changed", "quiet"),
    )
    for pair in changed["pairs"][:LISTED]:
        words = f"{pair['from']} → {pair['to']}"
        count = pad(say_count(pair["count"]), 6, align="right")
        yield ((count, "strong"), (f"  {pad(pair['kind'], 20)}", ROLES.get(pair["kind"], "")), (show(words), ""))
    if changed["count"]:
        yield from _known(view, cells)


def _known(view: Json, cells: int) -> Iterator[Line]:
    evidence = view["evidence"]
    words = (
        f"of these {evidence['randomised']} with a randomised outcome, {evidence['overridden']} overridden by a "
        f"person, {evidence['none']} without evidence; verdict: {view['verdict']} ({view['why']})"
    )
    for line in wrap(words, cells):
        yield ((line, "quiet"),)
    yield ()
    for one in view["changed"]["listed"][:LISTED]:
        when = str(one["at"])[:16].replace("T", " ")
        assumed = "  (targets assumed)" if one["assumed"] else ""
        yield ((f"{when}  ", "quiet"), (show(f"{one['from']} → {one['to']}{assumed}")[: cells - 18], ""))
    more = view["changed"]["count"] - LISTED
    if more > 0:
        yield ((f"and {say_count(more)} more; `healerd backtest --rules FILE` shows all", "quiet"),)
