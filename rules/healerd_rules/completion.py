"""Offers what may stand at a place in a rule text, by the words before it.

It never judges: what it offers need not load, and what it leaves out may.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from healerd_rules import tree
from healerd_rules.builtins import BUILTINS
from healerd_rules.loading import Inspected
from healerd_rules.lookup import VALUES
from healerd_rules.rulecheck import ANNOTATIONS, ENFORCEMENTS, POLICIES
from healerd_rules.schema import METRIC_TYPES, SEVERITIES, STAGES
from healerd_rules.source import Source
from healerd_rules.sources import file_of, importable
from healerd_rules.split import split
from healerd_rules.tokens import Kind, tokens
from healerd_rules.words import MEANINGS, STATEMENTS, UNITS

__all__ = ["Completion", "complete"]

EXPRESSION_BEFORE = frozenset("when unless and or not implies ( = == != < <= > >= + - * / , since".split())  # noqa: SIM905
CONNECTIVES = ("and", "or", "implies", "for", "within last", "since", "between", "is missing", "in")
RANKED = ("when", "unless", "if unknown", "priority", "severity", "because")
GUARDED = ("when", "unless", "if unknown", "because")
CLAUSES: dict[str, tuple[str, ...]] = {
    "permit": GUARDED,
    "forbid": GUARDED,
    "require": ("approval from", "veto within", *GUARDED),
    "propose": RANKED,
    "last": GUARDED,
    "notify": ("when", "unless", "repeat every", "because"),
    "signal": ("clears when", "because"),
    "cooldown": ("per", "after", "because"),
    "limit": ("at most", "per", "concurrent", "because"),
    "invariant": ("because",),
    "metric": ("per", "stale after"),
    "action": ("risk", "cost", "undo", "step"),
    "calendar": ("tz",),
    "test": ("on pipeline", "at", "given", "advance", "did", "expect"),
}
HEADED = frozenset({"permit", "forbid", "require", "propose", "last", "cooldown", "limit"})
GROUPS = ("pipeline", "team", "cluster")
FOLLOWS: dict[str, tuple[str, ...]] = {
    "if": ("unknown",),
    "else": ("deny", "defer"),
    "approval": ("from",),
    "veto": ("within",),
    "clears": ("when",),
    "repeat": ("every",),
    "last": ("resort",),
    "stale": ("after",),
    "is": ("missing",),
    "where": ("(",),
    "expect": ("not", "allowed", "announced", "approval_needed", "deferred", "forbidden", "proposed", "notify"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What may be put in the place of the text from `start` to where the cursor stands."""

    label: str
    kind: str
    start: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Before:
    """What stands before the cursor: whole words, the one being written, and where that begins."""

    words: tuple[str, ...]
    kinds: tuple[Kind, ...]
    prefix: str
    start: int
    line_start: bool

    def word(self, back: int = 1) -> str:
        """The word that many before the one being written."""
        return self.words[-back] if len(self.words) >= back else ""

    @property
    def statement(self) -> str:
        """The keyword of the statement."""
        return next((word for word, kind in zip(self.words, self.kinds, strict=True) if kind is Kind.STATEMENT), "")

    @property
    def in_head(self) -> bool:
        """Whether the names of actions stand here: after the colon of a rule, before anything else but more names."""
        if self.statement not in HEADED or ":" not in self.words:
            return False
        after = self.words[len(self.words) - self.words[::-1].index(":") :]
        return after[-1:] in ((), (",",)) and not {"when", "unless", "on", "(", "because"} & set(after)


def complete(found: Inspected, offset: int) -> list[Completion]:
    """What may stand at an offset, in no order; nothing in a comment."""
    before = _before(found.module.source, offset)
    if before is None:
        return []
    quoted = before.prefix.startswith('"')
    offers = dict.fromkeys(_quoted(found, before) if quoted else _offers(found, before))
    return [
        Completion(label=label, kind=kind, start=before.start + quoted, detail=_detail(found, label, kind))
        for label, kind in offers
    ]


def _before(source: Source, offset: int) -> _Before | None:
    pieces = [piece.span.start for piece in split(source) if piece.span.start < offset]
    start = pieces[-1] if pieces else 0
    text = source.text[start:offset]
    line = text.rpartition("\n")[2]
    found = list(tokens(text))
    prefix, at = "", len(text)
    if found and found[-1].end == len(text) and _is_open(text[found[-1].start :], found[-1].kind):
        last = found.pop()
        prefix, at = text[last.start :], last.start
        if last.kind is Kind.COMMENT:
            return None
    words = tuple(text[first:last] for first, last, _ in found)
    return _Before(words, tuple(kind for _, _, kind in found), prefix, start + at, line == prefix)


def _is_open(word: str, kind: Kind) -> bool:
    """Whether the last word is still being written."""
    if kind is Kind.ERROR:
        return word.startswith('"') or word == "@"
    return kind not in (Kind.STRING, Kind.OPERATOR, Kind.PUNCTUATION, Kind.TIME)


Offer = tuple[str, str]


def _offers(found: Inspected, before: _Before) -> Iterable[Offer]:
    if re.fullmatch(r"[$€£]?[0-9.]+[a-zA-Z%]*", before.prefix):
        number = re.match(r"[0-9.]*", before.prefix)
        return _as("unit", [f"{number[0]}{unit}" for unit in UNITS] + [f"{number[0]} windows"] if number else [])
    if before.prefix.startswith("@"):
        return _as("annotation", (f"@{name}" for name in ANNOTATIONS))
    if not before.words or (before.line_start and before.statement != "test"):
        return _as("statement", ("last resort" if word == "last" else word for word in STATEMENTS))
    special = _special(found, before)
    if special is not None:
        return special
    if before.word() in FOLLOWS:
        signals = (name for name, kind in _names(found) if kind == "signal")
        extra = _as("signal", signals) if before.word() == "expect" else ()
        return [*_as("keyword", FOLLOWS[before.word()]), *extra]
    if before.word() in EXPRESSION_BEFORE or before.word() == "between":
        return _values(found)
    clauses = CLAUSES.get(before.statement, ())
    return _as("keyword", clauses if before.statement in ("metric", "action", "test") else (*clauses, *CONNECTIVES))


def _special(found: Inspected, before: _Before) -> Iterable[Offer] | None:
    """Where one kind of thing stands: the kinds of arguments, actions, dimensions, calendars, scopes."""
    word, earlier = before.word(), before.word(2)
    if word == "(" and earlier in ("alarm", "@enforce"):
        return _as("alarm", found.vocabulary.alarms) if earlier == "alarm" else _as("keyword", ENFORCEMENTS)
    if word == "(" and earlier in BUILTINS and BUILTINS[earlier].arguments[0] in ("action", "metric"):
        return _actions(found) if BUILTINS[earlier].arguments[0] == "action" else _facts(found)
    if before.in_head or (word, before.statement) in {("undo", "action"), ("after", "cooldown"), ("did", "test")}:
        return [*_actions(found), *(_as("keyword", ["any action"]) if word == ":" else ())]
    if word == ":" and before.statement == "metric":
        return _as("type", METRIC_TYPES)
    if word in ("==", "!=") and earlier == "stage":
        return _as("value", (f'"{stage}"' for stage in STAGES))
    if word == "unknown":
        kind = "last resort" if before.statement == "last" else before.statement
        return _as("keyword", POLICIES.get(kind, ()))
    return _by_word(found, before)


def _by_word(found: Inspected, before: _Before) -> Iterable[Offer] | None:
    word = before.word()
    dimensions = sorted(found.vocabulary.dimensions)
    if word in ("any", "every", "of"):
        extra = ["action"] if word == "any" and before.word(2) == ":" else ["pipelines"] if word == "of" else []
        return _as("dimension", (*dimensions, *extra))
    table: dict[str, Callable[[], Iterable[Offer]]] = {
        "severity": lambda: _as("keyword", SEVERITIES),
        "per": lambda: _as("dimension", dimensions if before.statement == "metric" else GROUPS),
        "in": lambda: (offer for offer in _names(found) if offer[1] == "calendar"),
        "on": lambda: [*_scopes(found), *_as("keyword", ("pipeline", "tag", "not"))],
        "by": lambda: _as("rule", _rules(found)),
        **{key: lambda: ((f'"{text}"', kind) for text, kind in _quoted(found, before)) for key in QUOTED},
    }
    return table[word]() if word in table else None


QUOTED = ("from", "tag", "tags", "import", "pipeline")


def _quoted(found: Inspected, before: _Before) -> Iterable[Offer]:
    """Texts that were written in such a place before: roles, tags, pipelines; stages; what can be imported."""
    word = before.word()
    if word == "import":
        return _as("file", importable(file_of(found.module).parent))
    if word in ("==", "!=") and before.word(2) == "stage":
        return _as("value", STAGES)
    places = {"from": r"from", "tag": r"tags?", "tags": r"tags?", "pipeline": r"pipeline", ":": r"notify\s+\w+\s*:"}
    if word not in places:
        return ()
    seen = re.compile(rf'\b{places[word]}\s*"([^"\\\n]+)"')
    texts = {text for module in found.loaded.modules for text in seen.findall(module.source.text)}
    return _as("text", sorted(texts - {before.prefix.strip('"')}))


def _as(kind: str, labels: Iterable[str]) -> Iterator[Offer]:
    return ((label, kind) for label in labels)


def _values(found: Inspected) -> Iterator[Offer]:
    yield from _facts(found)
    yield from (offer for offer in _names(found) if offer[1] in ("const", "let", "signal"))
    yield from _as("function", BUILTINS)
    yield from _as("builtin", VALUES)
    yield from _as("keyword", ("not", "any", "every", "at least", "at most", "now", "true", "false"))


def _facts(found: Inspected) -> Iterator[Offer]:
    return _as("fact", found.vocabulary.facts)


def _actions(found: Inspected) -> Iterator[Offer]:
    return _as("action", found.vocabulary.actions)


def _names(found: Inspected) -> Iterator[Offer]:
    for name, home in found.module.names.items():
        yield name, type(home.definition).__name__.removesuffix("Decl").lower()


def _scopes(found: Inspected) -> Iterator[Offer]:
    return (offer for offer in _names(found) if offer[1] == "scope")


def _rules(found: Inspected) -> Iterator[str]:
    for module in found.loaded.modules:
        for statement in module.statements:
            if isinstance(statement, tree.Rule):
                own = module is found.module
                yield statement.name.text if own else module.rule_id(statement.name.text)


def _detail(found: Inspected, label: str, kind: str) -> str:
    if kind == "fact":
        fact = found.vocabulary.facts[label]
        return f"{fact.type}{f' per {fact.per}' if fact.per else ''}{f': {fact.meaning}' if fact.meaning else ''}"
    if kind == "action":
        return found.vocabulary.actions[label].meaning
    if kind == "function":
        return f"({', '.join(BUILTINS[label].arguments)}): {BUILTINS[label].meaning}"
    return MEANINGS.get("last" if label == "last resort" else label, "")
