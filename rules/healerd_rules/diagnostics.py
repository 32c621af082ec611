"""Findings about rule texts: each with a code, a place, a message and a mend, and how they are shown.

It never decides what is wrong with a text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from healerd_rules.hidden import visible


class Severity(StrEnum):
    """An error keeps a rule set from loading, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


CODES: dict[str, str] = {
    "annotation": "an `@annotation` that does not exist, or does not fit the rule",
    "confidence": "`confidence` where it has no meaning: only guards and invariants may compare it",
    "conflict": "a metric or action declared twice with different properties",
    "cost": "a rule too large to evaluate at every window",
    "currency": "two currencies in one rule set",
    "cycle": "a definition that needs itself, or files that import each other",
    "dimension": "a measurement per member outside a quantifier, or a quantifier over the wrong thing",
    "duplicate": "a name defined twice",
    "hidden-text": "a character that nobody sees and that can make a line read otherwise than it loads",
    "import": "an imported file or pack that cannot be found",
    "no-effect": "warning: a rule that cannot change any verdict",
    "permit": "a permit that would loosen what an imported pack guards",
    "price": "warning: a limit on money over an action whose price no file says",
    "raw-statistic": "warning: a proposal that stands on a statistic without a false-alarm budget",
    "reserved": "a keyword or a built-in name used as a name",
    "scale": "warning: a ratio compared with a number above one",
    "syntax": "text that is not a statement of the language",
    "target": "a rule that names no action, or one it cannot apply to",
    "too-deep": "an expression nested too deeply",
    "too-large": "a file of more than a million characters",
    "type": "values of different types compared or combined",
    "unit": "a quantity of the wrong unit",
    "unknown-name": "a name that nothing defines",
    "unknown-policy": "an `if unknown` that would loosen the rule it stands in",
    "unreadable": "a file that cannot be read as UTF-8 text",
    "vacuous": "warning: a condition that never changes",
    "value": "a literal outside its range",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding. `line` and `column` count from 1, `column` and `end` in characters; `end` is exclusive."""

    code: str
    severity: Severity
    path: str
    line: int
    column: int
    end: int
    message: str
    help: str = ""

    def to_json(self) -> dict[str, str | int]:
        """The finding as a JSON object."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end": self.end,
            "message": self.message,
            "help": self.help,
        }


def render(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """All findings as text, each with the line it is about and a caret under the place."""
    lines = {path: text.split("\n") for path, text in sources.items()}
    return "\n\n".join(_render_one(found, lines.get(found.path, [])) for found in diagnostics)


def _render_one(found: Diagnostic, lines: list[str]) -> str:
    head = f"{found.severity.value}[{found.code}]: {found.message}"
    place = f"  --> {found.path}:{found.line}:{found.column}"
    parts = [head, place, *_excerpt(found, lines)]
    if found.help:
        parts.append(f"  help: {found.help}")
    return visible("\n".join(parts))


def _excerpt(found: Diagnostic, lines: list[str]) -> list[str]:
    if not 1 <= found.line <= len(lines) or not lines[found.line - 1].strip():
        return []
    shown, column, end = _crop(lines[found.line - 1], found.column - 1, found.end - 1)
    number = str(found.line)
    pad = "".join("\t" if char == "\t" else " " for char in shown[:column])
    return [f"{number} | {shown}", f"{' ' * len(number)} | {pad}{'^' * max(1, end - column)}"]


def _crop(line: str, column: int, end: int, *, width: int = 140) -> tuple[str, int, int]:
    """The part of a long line around the place, so that a megabyte on one line stays readable."""
    if len(line) <= width:
        return line, column, min(end, len(line))
    start = max(0, column - width // 2)
    return line[start : start + width], column - start, min(end - start, width)
