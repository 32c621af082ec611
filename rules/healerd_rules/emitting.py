"""Writes a rule set as the source of three functions over one row: both passes of the verdicts, and what is said.

It never runs them: the same source is compiled for single values and for columns, with other connectives and words.

    judge(r, c) -> (level per action), (seat per rule that acts)      second pass; c: a confidence per action
    free(r)     -> the same, each guard as lenient as any confidence makes it: the first pass
    speak(r)    -> (rails per signal), (proposal acts), (notification acts, notification is unknown)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from healerd_rules import core
from healerd_rules.program import (
    GUARDS,
    PROPOSING,
    ApprovalTerms,
    BoundTerms,
    CompiledRule,
    NotifyTerms,
    RestTerms,
    RuleSet,
    VetoTerms,
)
from healerd_rules.rails import FALSE, Form, Spot, Writer
from healerd_rules.rows import Layout, Slot, deferring, rule_labels
from healerd_rules.schema import ActionDecl, Type
from healerd_rules.verdicts import Level

__all__ = ["Seat", "Written", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One truth of the answer: that a rule acts on these actions.

    A rule has one seat, or one an action where they may differ: conditions on confidence, limits of money. `asks`
    marks the seat that says a `veto ... if unknown asks` rule does not know, and so asks for approval too.
    """

    rule: CompiledRule
    actions: tuple[str, ...]
    level: Level
    asks: bool = False


@dataclass(slots=True, eq=False)
class Written:
    """The source with what its answers stand for; `points` are confidences to be tried, each with its name."""

    source: str
    layout: Layout
    seats: tuple[Seat, ...]
    signals: tuple[str, ...]
    proposing: tuple[CompiledRule, ...]
    notifying: tuple[CompiledRule, ...]
    points: dict[tuple[float, ...], str]


def write(ruleset: RuleSet, form: Form) -> Written:
    """The source of a rule set in one form; the layout is the same in every form."""
    layout = Layout(tuple(action.name for action in ruleset.actions))
    labels = rule_labels(ruleset)
    shared = _shared((*ruleset.signals.values(), *(rule.condition for rule in ruleset.compiled)))
    points: dict[tuple[float, ...], str] = {}
    judging = _Judging(ruleset, Writer(layout, form, patient=False, shared=shared), labels, points, free=False)
    freeing = _Judging(ruleset, Writer(layout, form, patient=False, shared=shared), labels, points, free=True)
    judge, free = judging.function("judge(r, c)"), freeing.function("free(r)")
    speaking = Writer(layout, form, patient=True, shared=shared)
    speak = _speak(ruleset, speaking, labels)
    unpacked = f"    ({''.join(f's{number}, ' for number in range(len(layout.slots)))}) = r"
    source = "\n".join(
        line for head, *lines in (judge, free, speak) for line in (head, unpacked, *(f"    {text}" for text in lines))
    )
    return Written(
        source=source + "\n",
        layout=layout,
        seats=tuple(judging.seats),
        signals=tuple(ruleset.signals),
        proposing=tuple(rule for rule in ruleset.compiled if rule.kind in PROPOSING),
        notifying=tuple(rule for rule in ruleset.compiled if isinstance(rule.terms, NotifyTerms)),
        points=points,
    )


def _shared(nodes: Iterable[core.Core]) -> frozenset[int]:
    """The ids of the nodes that stand in more than one place: what is worth a variable of its own."""
    seen: set[int] = set()
    twice: set[int] = set()
    stack = list(nodes)
    while stack:
        top = stack.pop()
        if id(top) in seen:
            twice.add(id(top))
        else:
            seen.add(id(top))
            stack.extend(core.parts(top))
    return frozenset(twice)


@dataclass(slots=True, eq=False)
class _Judging:
    """Writes one pass; a seat per rule, or per rule and action where they differ."""

    ruleset: RuleSet
    writer: Writer
    labels: dict[int, str]
    points: dict[tuple[float, ...], str]
    free: bool
    seats: list[Seat] = field(default_factory=list)
    spot: Spot = field(default_factory=Spot)

    def function(self, head: str) -> list[str]:
        """The head and the lines."""
        lines = self.spot.lines
        if not self.free:
            lines.append(f"({''.join(f'c{number}, ' for number in range(len(self.ruleset.actions)))}) = c")
        spots = {
            action.name: Spot(lines, confidence=f"c{number}", outer=self.spot)
            for number, action in enumerate(self.ruleset.actions)
        }
        for number, rule in enumerate(self.ruleset.compiled):
            if rule.kind in GUARDS:
                self._rule(rule, self.labels[number], spots)
        levels = "".join(f"{self._level(action.name)}, " for action in self.ruleset.actions)
        seats = "".join(f"a{number}, " for number in range(len(self.seats)))
        return [f"def {head}:", *lines, f"return ({levels}), ({seats})"]

    def _level(self, action: str) -> str:
        """The strictest level of the seats that count, from announced to forbidden; a permit's seat bars when false."""
        form = self.writer.form
        found: dict[Level, list[str]] = {level: [] for level in Level if level}
        permits: list[str] = []
        for number, seat in enumerate(self.seats):
            if action not in seat.actions or seat.rule.enforcement == "advisory":
                continue
            (permits if seat.rule.kind == "permit" else found[seat.level]).append(f"a{number}")
        found[Level.FORBIDDEN].append(form.not_(form.any_of(permits)))
        return f"level({', '.join(form.any_of(names) for names in found.values())})"

    def _rule(self, rule: CompiledRule, label: str, spots: dict[str, Spot]) -> None:
        """Write the seats of one rule."""
        covered = [action for action in self.ruleset.actions if rule.covers(action.name)]
        names = tuple(action.name for action in covered)
        if isinstance(rule.terms, RestTerms | BoundTerms):
            self._deferrals(rule, label, [action for action in covered if not action.step])
        elif not self.writer.reads_confidence(rule.condition):
            self._consents(rule, label, [names], self.spot)
        elif self.free:
            self._consents(rule, label, [(name,) for name in names], self.spot)
        else:
            for name in names:
                self._consents(rule, label, [(name,)], spots[name])

    def _deferrals(self, rule: CompiledRule, label: str, actions: list[ActionDecl]) -> None:
        level = Level.APPROVAL_NEEDED if rule.enforcement == "soft" else Level.DEFERRED
        money = isinstance(rule.terms, BoundTerms) and rule.terms.kind == "money"
        groups = [[action] for action in actions] if money else [actions] if actions else []
        for group in groups:
            place = self.writer.layout.place(deferring(rule, label, group[0] if money else None))
            names = tuple(action.name for action in group)
            self._seat(f"s{place}", label, Seat(rule=rule, actions=names, level=level))

    def _consents(self, rule: CompiledRule, label: str, groups: list[tuple[str, ...]], spot: Spot) -> None:
        level = Level.FORBIDDEN
        if isinstance(rule.terms, ApprovalTerms) or rule.enforcement == "soft":
            level = Level.APPROVAL_NEEDED
        elif isinstance(rule.terms, VetoTerms):
            level = Level.ANNOUNCED
        weighed = self._weighed_freely if self.free and self.writer.reads_confidence(rule.condition) else self._weighed
        acting, unknown = weighed(rule, spot)
        asks = isinstance(rule.terms, VetoTerms) and rule.unknown == "asks"
        asking = unknown() if asks else FALSE
        for names in groups:
            acting = self._seat(acting, label, Seat(rule=rule, actions=names, level=level))
            if asks:
                seat = Seat(rule=rule, actions=names, level=Level.APPROVAL_NEEDED, asks=True)
                asking = self._seat(asking, label, seat)

    def _seat(self, text: str, label: str, seat: Seat) -> str:
        """A variable for a seat."""
        name = f"a{len(self.seats)}"
        said = self.writer.form.all_of([text, *_scope(seat.rule, label, self.writer.layout)])
        self.spot.lines.append(f"{name} = {said}")
        self.seats.append(seat)
        return name

    def _weighed(self, rule: CompiledRule, spot: Spot) -> tuple[str, Callable[[], str]]:
        """An expression that the rule acts, and one that it acts without its condition being known."""
        form = self.writer.form

        def unknown() -> str:
            return form.all_of(
                [form.not_(rail(rule.condition, spot)) for rail in (self.writer.true, self.writer.false)]
            )

        if rule.needs_truth:
            return self.writer.true(rule.condition, spot), unknown
        return form.not_(self.writer.false(rule.condition, spot)), unknown

    def _weighed_freely(self, rule: CompiledRule, spot: Spot) -> tuple[str, Callable[[], str]]:
        """The same over every confidence: a permit holds for some, a guard acts at all, what is known counts first."""
        form, points = self.writer.form, self._points(rule)

        def at(rail: Callable[[core.Core, Spot], str]) -> str:
            inner = Spot(confidence="c", outer=spot)
            text, name = rail(rule.condition, inner), self.writer.fresh("g")
            spot.lines.extend((f"def {name}(c):", *(f"    {line}" for line in (*inner.lines, f"return {text}"))))
            return name

        if rule.kind == "permit":
            return f"anywhere({at(self.writer.true)}, {points})", lambda: FALSE
        if rule.needs_truth:
            return f"everywhere({at(self.writer.true)}, {points})", lambda: FALSE
        never_false = form.not_(f"anywhere({at(self.writer.false)}, {points})")
        return never_false, lambda: form.all_of([never_false, form.not_(f"anywhere({at(self.writer.true)}, {points})")])

    def _points(self, rule: CompiledRule) -> str:
        """Confidences between which the condition cannot change; worked out now when all thresholds are constants."""
        found = list(dict.fromkeys(self.writer.thresholds(rule.condition, self.spot)))
        try:
            edges = sorted({0.0, 1.0, *(edge for edge in map(float, found) if 0 <= edge <= 1)})
        except ValueError:
            return f"points({', '.join(found)})"
        values = (*edges, *((low + high) / 2 for low, high in pairwise(edges)))
        return self.points.setdefault(values, f"P{len(self.points)}")


def _scope(rule: CompiledRule, label: str, layout: Layout) -> list[str]:
    if rule.scope is None:
        return []
    # a scope that nobody resolved counts as the stricter answer
    inside = rule.kind not in ("permit", *PROPOSING)
    slot = Slot(label=f"scope({label})", kind="scope", type=Type.BOOL, rule=rule, resting=inside)
    return [f"s{layout.place(slot)}"]


def _speak(ruleset: RuleSet, writer: Writer, labels: dict[int, str]) -> list[str]:
    spot = Spot()
    form = writer.form
    signals = [f"({writer.true(node, spot)}, {writer.false(node, spot)}), " for node in ruleset.signals.values()]
    proposals: list[str] = []
    notes: list[str] = []
    for number, rule in enumerate(ruleset.compiled):
        if rule.kind in GUARDS:
            continue
        said = writer.true(rule.condition, spot) if rule.needs_truth else form.not_(writer.false(rule.condition, spot))
        acting = form.all_of([said, *_scope(rule, labels[number], writer.layout)])
        if isinstance(rule.terms, NotifyTerms):
            known = (writer.true(rule.condition, spot), writer.false(rule.condition, spot))
            notes.append(f"({acting}, {form.not_(form.any_of(known))}), ")
        else:
            proposals.append(f"{acting}, ")
    result = f"return ({''.join(signals)}), ({''.join(proposals)}), ({''.join(notes)})"
    return ["def speak(r):", *spot.lines, result]
