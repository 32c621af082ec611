"""Where two rule sets can differ at all: the rules that only one of them has, compiled for columns of many windows.

Must never call a window the same when a rule that differs acts in it: what is found the same here is not decided again.
A decision depends on rules through those that act, so where none that differs acts, under either set, it stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from healerd.client.backtest.recorded import Brief
from healerd_rules import Inputs, RuleSet, SignalState, core
from healerd_rules.compiling import Columns, Table, compile_columns, row_of, stack
from healerd_rules.program import PROPOSING, BoundTerms, CompiledRule, RestTerms

__all__ = ["Contrast", "contrast"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The rules that only one set has; None where it has none. Compiled apart, they cost what the difference costs."""

    guards: Columns | None
    proposals: Columns | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What differs from `old` to `new`.

    `always`: a guard differs that reads what a column does not hold here (confidence, the action log), so every window
    with an incident is decided again. `proposes`: incidents may open or close otherwise, so quiet windows count too.
    `remembers`: the new rules keep what the old ones did not, so their memory is walked along each pipeline.
    `memory` moves along what is new in it, and nothing else. `reads_log`: what proposes, or is remembered, reads the
    action log, so every window is read whole.
    """

    old: RuleSet
    new: RuleSet
    names: frozenset[str]
    always: bool
    proposes: bool
    remembers: bool
    reads_log: bool
    memory: RuleSet
    sides: tuple[Side, ...]

    @property
    def same(self) -> bool:
        """Whether both sets give every answer alike."""
        return not self.names and not self.always

    @property
    def quiet_counts(self) -> bool:
        """Whether windows without an incident have to be read."""
        return self.proposes or self.remembers

    def inputs(self, row: Brief) -> Inputs:
        """Give the rules that differ what they may know of a window, but for the action log."""
        seen = row.trace.situation
        return Inputs(
            pipeline=row.pipeline,
            tags=seen.tags,
            now=seen.now,
            window_s=seen.window_s,
            stage=seen.stage.value,
            incident=seen.open,
            incident_id=seen.incident.id if seen.open and seen.incident else None,
            facts=row.trace.facts,
            alarms=row.trace.alarms,
        )

    def touched(self, rows: Sequence[Brief], states: Sequence[SignalState]) -> Bools:
        """Tell for each row whether a rule that differs acts, proposals included; `states` are the new memories."""
        found = np.full(len(rows), self.reads_log, dtype=np.bool_)
        if not rows or self.reads_log:
            return found
        busy = np.array([not row.quiet for row in rows])
        if self.always:
            found |= busy
        inputs = [self.inputs(row) for row in rows]
        olds = [row.trace.situation.signals for row in rows]
        for side, memories in zip(self.sides, (olds, states), strict=True):
            found |= _acts(side, inputs, memories, busy)
        return found


def contrast(old: RuleSet, new: RuleSet) -> Contrast:
    """Compare two sets, rule by rule, by what they mean."""
    before, after = _rules(old), _rules(new)
    mine = [rule for plain, rule in before if plain not in [each for each, _ in after]]
    yours = [rule for plain, rule in after if plain not in [each for each, _ in before]]
    differing = [*mine, *yours]
    ranks = old.actions != new.actions
    spoken = [rule for rule in differing if rule.kind in PROPOSING]
    known = memory_keys(old)
    fresh = {n.key: n for n in _nodes(new) if isinstance(n, core.Remembered) and n.key not in known}
    return Contrast(
        old=old,
        new=new,
        names=frozenset(rule.id for rule in differing),
        always=ranks or any(_reads_more(rule) for rule in differing),
        proposes=bool(spoken),
        remembers=bool(fresh),
        reads_log=any(map(_asks_log, (*fresh.values(), *(rule.condition for rule in spoken)))),
        memory=replace(new, signals=fresh, compiled=()),
        sides=(_side(old, mine), _side(new, yours)),
    )


def memory_keys(ruleset: RuleSet) -> frozenset[str]:
    """Name what a rule set remembers: a key changes exactly when its meaning does."""
    return frozenset(node.key for node in _nodes(ruleset) if isinstance(node, core.Remembered))


def _nodes(ruleset: RuleSet) -> Iterator[core.Core]:
    for node in (*ruleset.signals.values(), *(rule.condition for rule in ruleset.compiled)):
        yield from core.distinct(node)


def _rules(ruleset: RuleSet) -> list[tuple[CompiledRule, CompiledRule]]:
    """Each rule without what does not change an answer, beside itself."""
    return [
        (replace(rule, because="", owner="", ticket="", path="", line=0, text=""), rule) for rule in ruleset.compiled
    ]


def _reads_more(rule: CompiledRule) -> bool:
    """Tell whether a rule stands on more than facts, alarms, time, stage and memory."""
    if rule.kind == "notify":
        return False
    if isinstance(rule.terms, RestTerms | BoundTerms):
        return True
    return core.mentions(rule.condition, core.Confidence) or _asks_log(rule.condition)


def _asks_log(node: core.Core) -> bool:
    """Tell whether it reads the action log: what an alarm says stands in the trace."""
    return any(isinstance(part, core.Ask) and part.function != "alarm" for part in core.distinct(node))


def _side(ruleset: RuleSet, rules: Sequence[CompiledRule]) -> Side:
    """Compile the rules of one side; notifications change no decision."""
    judged = [rule for rule in rules if rule.kind not in ("notify", *PROPOSING) and not _reads_more(rule)]
    spoken = [rule for rule in rules if rule.kind in PROPOSING]
    return Side(guards=_compiled(ruleset, judged), proposals=_compiled(ruleset, spoken))


def _compiled(ruleset: RuleSet, rules: Sequence[CompiledRule]) -> Columns | None:
    if not rules:
        return None
    return compile_columns(replace(ruleset, compiled=tuple(rules), signals={}, lets={}, invariants=(), tests=()))


def _acts(side: Side, inputs: Sequence[Inputs], memories: Sequence[SignalState], busy: Bools) -> Bools:
    """On which rows a rule of this side acts, in a first pass, or proposes; guards bar nothing in a quiet window."""
    found = np.zeros(len(inputs), dtype=np.bool_)
    if side.guards is not None and busy.any():
        table = _table(side.guards, inputs, memories)
        for column in side.guards.verdicts(table, None).acts:
            found |= column & busy
    if side.proposals is not None:
        said = side.proposals.say(_table(side.proposals, inputs, memories))
        found |= np.array([bool(each.proposals) for each in said])
    return found


def _table(columns: Columns, inputs: Sequence[Inputs], memories: Sequence[SignalState]) -> Table:
    layout = columns.layout
    pairs = zip(inputs, memories, strict=True)
    return stack(layout, [row_of(layout, one, state) for one, state in pairs])
