"""The words of the language: keywords, what starts a statement, and hints for near misses.

It never parses; highlighting, the splitter and the checker all read the same tables.
"""

import difflib
from collections.abc import Iterable

STATEMENTS = tuple(
    "pack import const metric dimension action calendar scope let signal "  # noqa: SIM905
    "permit forbid require propose last notify cooldown limit invariant test".split()
)

KEYWORDS = frozenset(
    (
        " ".join(STATEMENTS) + " version as per stale after risk cost undo step tz pipeline tag tags or and not "
        "clears when unless if unknown because approval from within else veto resort priority severity repeat every "
        "on at most least concurrent of any for since in between is missing implies where true false now given "
        "advance did doing ago this expect before by"
    ).split()
)

# Words that only mean something in one place stay free as names there.
RESERVED = KEYWORDS - {
    "undo",
    "step",
    "version",
    "tags",
    "cost",
    "risk",
    "severity",
    "priority",
    "did",
    "doing",
    "this",
    "before",
}

BUILTIN_VALUES = ("confidence", "stage", "incident")

HINTS = {
    "=": "compare with `==`",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`, or `!=` between two values",
    "<>": "write `!=`",
    "minutes": "write the unit on the number: `30m`",
    "minute": "write the unit on the number: `1m`",
    "min": "write the unit on the number: `30m`",
    "hours": "write the unit on the number: `2h`",
    "hour": "write the unit on the number: `1h`",
    "days": "write the unit on the number: `7d`",
    "day": "write the unit on the number: `1d`",
    "seconds": "write the unit on the number: `30s`",
    "percent": "write `80%`",
    "%": "write `%` right after the number: `80%`",
    "if": "conditions start with `when` or `unless`",
    "deny": "write `forbid`",
    "allow": "write `permit`",
    "rule": "a rule starts with what it does: `forbid`, `permit`, `require`, `cooldown`, `limit`, `propose`",
    "'": 'strings stand in double quotes: `"text"`',
    ";": "statements need no `;`",
    "//": "comments start with `#`",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or an empty string when none is close."""
    found = difflib.get_close_matches(word[:60], list(known)[:5000], n=1, cutoff=0.7)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` when something is close, else an empty string."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""
