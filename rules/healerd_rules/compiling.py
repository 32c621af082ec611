"""The compiled engines: a rule set as generated Python functions, for one pipeline or for columns of many.

It never decides in the daemon and never explains: there the tree walker (`evaluate`) does, with which every engine here
must agree. It imports numpy, so the package's own names leave it out: `from healerd_rules.compiling import ...`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd_rules.columns import COLUMN_WORDS, Table, make_table, stack
from healerd_rules.emitting import Seat, Written, write
from healerd_rules.evaluation import OPERATORS, Proposal, ranked
from healerd_rules.inputs import Truth
from healerd_rules.program import ApprovalTerms, CompiledRule, RuleSet, VetoTerms
from healerd_rules.rails import COLUMNS, SCALAR
from healerd_rules.rows import NAN, Layout, Row, Slot, row_of
from healerd_rules.scalars import SCALAR_WORDS
from healerd_rules.verdicts import Approval

__all__ = [
    "Answer",
    "Answers",
    "Columns",
    "Layout",
    "Row",
    "Said",
    "Scalar",
    "Seat",
    "Slot",
    "Table",
    "compile_columns",
    "compile_scalar",
    "make_table",
    "row_of",
    "stack",
]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdicts on one row: a level per action, and for each seat whether its rule acts."""

    levels: tuple[int, ...]
    acts: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The verdicts on a table: levels int8 [rows, actions], and a bool column [rows] for each seat."""

    levels: npt.NDArray[np.int8]
    acts: tuple[Bools, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a rule set says besides verdicts: signals, proposals best first, and the rules that notify.

    A notification comes with whether its condition is unknown.
    """

    signals: Mapping[str, Truth]
    proposals: tuple[Proposal, ...]
    notifications: tuple[tuple[CompiledRule, bool], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One rule set compiled for single rows, as `row_of(layout, inputs, state)` makes them.

    `judge(row, confidences)` and `free(row)` are the generated functions themselves, for loops that must be fast:
    confidences in the order of `layout.actions`, each in [0, 1] or NaN, and back come levels and seats.
    """

    ruleset: RuleSet
    written: Written = field(repr=False)
    judge: Callable[[Row, Sequence[float]], tuple[tuple[int, ...], tuple[bool, ...]]]
    free: Callable[[Row], tuple[tuple[int, ...], tuple[bool, ...]]]
    speak: Callable[[Row], tuple[Any, Any, Any]]

    @property
    def layout(self) -> Layout:
        """What a row holds, in order."""
        return self.written.layout

    @property
    def seats(self) -> tuple[Seat, ...]:
        """What each place of `acts` stands for."""
        return self.written.seats

    def verdicts(self, row: Row, confidence: Mapping[str, float | None] | None) -> Answer:
        """The verdicts: None is the first pass, a mapping the second, in which what it leaves out is unknown."""
        if confidence is None:
            return Answer(*self.free(row))
        known = (confidence.get(action) for action in self.layout.actions)
        return Answer(*self.judge(row, [c if c is not None and 0 <= c <= 1 else NAN for c in known]))

    def say(self, row: Row) -> Said:
        """Signals, proposals and notifications."""
        return _said(self.ruleset, self.written, *self.speak(row))

    def acting(self, answer: Answer, action: str) -> tuple[CompiledRule, ...]:
        """The guards that act on an action, advisory ones included; a permit is named nowhere."""
        return tuple(seat.rule for seat in self._sitting(answer, action) if not seat.asks)

    def veto_within_s(self, answer: Answer, action: str) -> float | None:
        """The longest veto window; None when nobody needs to be told."""
        windows = (veto_s(seat) for seat in self._sitting(answer, action))
        return max((window for window in windows if window is not None), default=None)

    def approvals(self, answer: Answer, action: str) -> frozenset[Approval]:
        """Every approval that is needed."""
        found = (approval(seat) for seat in self._sitting(answer, action))
        return frozenset(one for one in found if one is not None)

    def _sitting(self, answer: Answer, action: str) -> list[Seat]:
        pairs = zip(self.seats, answer.acts, strict=True)
        return [seat for seat, acts in pairs if acts and action in seat.actions and seat.rule.kind != "permit"]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One rule set compiled for tables, as `stack(layout, rows)` or `make_table(layout, columns, rows=n)` make them."""

    ruleset: RuleSet
    written: Written = field(repr=False)
    _judge: Callable[..., Any] = field(repr=False)
    _free: Callable[..., Any] = field(repr=False)
    _speak: Callable[..., Any] = field(repr=False)

    @property
    def layout(self) -> Layout:
        """What a table holds, in order."""
        return self.written.layout

    @property
    def seats(self) -> tuple[Seat, ...]:
        """What each column of `acts` stands for."""
        return self.written.seats

    def verdicts(self, table: Table, confidence: npt.NDArray[np.float64] | None) -> Answers:
        """The verdicts on all rows: None is the first pass, an array [rows, actions] with NaN the second.

        An array whose columns lie together in memory (order F) is read without a copy.
        """
        with np.errstate(all="ignore"):  # what overflows becomes unknown, as it should
            if confidence is None:
                levels, acts = self._free(table.values)
            else:
                levels, acts = self._judge(table.values, tuple(_within(confidence)))
        held = np.empty((len(self.layout.actions), table.rows), dtype=np.int8)
        for number, level in enumerate(levels):
            held[number] = level
        return Answers(held.T, tuple(_column(truth, table.rows) for truth in acts))

    def say(self, table: Table) -> list[Said]:
        """Signals, proposals and notifications of each row."""
        with np.errstate(all="ignore"):
            signals, proposals, notes = self._speak(table.values)
        columns = [_column(x, table.rows).tolist() for x in (*_paired(signals), *proposals, *_paired(notes))]
        ends = 2 * len(signals), 2 * len(signals) + len(proposals)
        rows = zip(*columns, strict=True) if columns else [()] * table.rows
        return [
            _said(self.ruleset, self.written, _pairs(row[: ends[0]]), row[ends[0] : ends[1]], _pairs(row[ends[1] :]))
            for row in rows
        ]

    def acting(self, answers: Answers, action: str) -> list[tuple[CompiledRule, Bools]]:
        """For each guard of an action the rows on which it acts, advisory ones included."""
        pairs = zip(self.seats, answers.acts, strict=True)
        wanted = ((s, column) for s, column in pairs if action in s.actions and s.rule.kind != "permit" and not s.asks)
        return [(seat.rule, column) for seat, column in wanted]

    def veto_within_s(self, answers: Answers, action: str) -> npt.NDArray[np.float64]:
        """The longest veto window of each row; NaN when nobody needs to be told."""
        longest = np.full(answers.levels.shape[0], math.nan)
        for seat, column in zip(self.seats, answers.acts, strict=True):
            window = veto_s(seat)
            if window is not None and action in seat.actions:
                longest = np.where(column, np.fmax(longest, window), longest)
        return longest


def compile_scalar(ruleset: RuleSet) -> Scalar:
    """Compile a rule set for one pipeline at a time."""
    written = write(ruleset, SCALAR)
    points = {name: (*values, NAN) for values, name in written.points.items()}
    return Scalar(ruleset, written, *_functions(written, {**SCALAR_WORDS, **points}))


def compile_columns(ruleset: RuleSet) -> Columns:
    """Compile a rule set for many pipelines at once."""
    written = write(ruleset, COLUMNS)
    points = {name: tuple(map(np.float64, (*values, NAN))) for values, name in written.points.items()}
    return Columns(ruleset, written, *_functions(written, {**COLUMN_WORDS, **points}))


def _column(truth: Any, rows: int) -> Bools:
    """A truth for every row, also where one holds for all."""
    return truth if np.shape(truth) == (rows,) else np.broadcast_to(truth, (rows,))


def _within(confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A row per action; what lies outside [0, 1] is unknown."""
    wide = np.ascontiguousarray(confidence.T)
    outside = (wide < 0) | (wide > 1)
    return np.where(outside, math.nan, wide) if outside.any() else wide


def _functions(written: Written, words: dict[str, Any]) -> tuple[Any, Any, Any]:
    exec(compile(written.source, "<rules>", "exec"), words)  # noqa: S102 - our own source: names and numbers, no rule text
    return words["judge"], words["free"], words["speak"]


def _said(ruleset: RuleSet, written: Written, signals: Any, proposals: Any, notes: Any) -> Said:
    acting = [rule for rule, acts in zip(written.proposing, proposals, strict=True) if acts]
    rails = zip(written.signals, signals, strict=True)
    return Said(
        signals={name: True if true else False if false else None for name, (true, false) in rails},
        proposals=ranked(ruleset, acting),
        notifications=tuple(
            (rule, unknown) for rule, (acts, unknown) in zip(written.notifying, notes, strict=True) if acts
        ),
    )


def _paired(pairs: Sequence[tuple[Any, Any]]) -> list[Any]:
    return [column for pair in pairs for column in pair]


def _pairs(flat: Sequence[bool]) -> list[tuple[bool, bool]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def veto_s(seat: Seat) -> float | None:
    """The veto window that a seat brings, if it counts."""
    rule = seat.rule
    if seat.asks or rule.enforcement == "advisory" or not isinstance(rule.terms, VetoTerms):
        return None
    return rule.terms.within_s


def approval(seat: Seat) -> Approval | None:
    """The approval that a seat asks for, if it counts."""
    rule, terms = seat.rule, seat.rule.terms
    if rule.enforcement == "advisory":
        return None
    if isinstance(terms, ApprovalTerms):
        return Approval(role=terms.role, within_s=terms.within_s, otherwise=terms.otherwise, rule=rule.id)
    return Approval(role=OPERATORS, rule=rule.id) if seat.asks or rule.enforcement == "soft" else None
