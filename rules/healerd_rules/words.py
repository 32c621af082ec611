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

# Words of closed lists, each known only where one of its list may stand; elsewhere they are free as names.
CLOSED = frozenset(
    "deny defer fires skips asks allowed announced forbidden approval_needed deferred proposed mon tue wed thu fri "  # noqa: SIM905
    "sat sun window windows hard soft advisory low medium high critical".split()
)
UNITS = ("%", "pp", "ms", "s", "m", "h", "d", "w", "KB", "MB", "GB")

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


# What a keyword at the start of a statement, or an annotation, says.
MEANINGS = {
    "pack": "names this file as a pack that others import; its rules are called `pack.rule` in verdicts",
    "import": "brings in the rules and names of a file beside this one, or of a shipped pack",
    "const": "a value with a name",
    "metric": "declares a value that is measured",
    "dimension": "declares what values are measured per, such as features",
    "action": "declares something that may be done",
    "calendar": "moments with a name, for `now in ...`",
    "scope": "pipelines with a name, for `on ...`",
    "let": "a formula with a name",
    "signal": "a truth with a name, shown to people; with `clears when` it has a memory",
    "permit": "allows actions where its condition is definitely true; without a permit nothing is allowed",
    "forbid": "bars actions unless its condition is definitely false; it beats every permit",
    "require": "asks for an approval, or announces and waits for a veto, unless its condition is definitely false",
    "propose": "asks for an action where its condition is definitely true; guards decide whether it may run",
    "last": "`last resort`: a proposal that is ranked after every other",
    "notify": "sends a message where its condition is true or unknown",
    "cooldown": "the least time from the end of one action to the start of the next",
    "limit": "how often, how much or how many at once",
    "invariant": "what must hold of the rules, whatever is measured",
    "test": "a story with what the rules must make of it",
    "@enforce": "`hard`; `soft`: a person may let it pass; `advisory`: named in the verdict, and never counts",
    "@owner": "who answers for the rule",
    "@ticket": "where the rule was asked for",
    "when": "the rule is about moments at which this holds",
    "unless": "the rule is about moments at which this does not hold",
    "because": "the reason, shown with every verdict that the rule has a part in",
    "unknown": "`if unknown`: what the rule does when its condition is neither true nor false",
    "now": "the moment of the decision",
    "missing": "`is missing`: whether a value is unknown",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or an empty string when none is close."""
    found = difflib.get_close_matches(word[:60], list(known)[:5000], n=1, cutoff=0.7)
    return found[0] if found else ""


def letters_apart(one: str, other: str) -> int:
    """How many letters of the longer word are not also the other's, in that order."""
    blocks = difflib.SequenceMatcher(a=one[:60], b=other[:60], autojunk=False).get_matching_blocks()
    return max(len(one), len(other)) - sum(block.size for block in blocks)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` when something is close, else an empty string."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""
