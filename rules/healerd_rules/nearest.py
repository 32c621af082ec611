"""The nearest change of facts that would turn a verdict round: the fewest facts, each moved as little as shows.

It never claims what was not evaluated: every answer is a verdict that the rules gave on the changed facts.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from healerd_rules import core
from healerd_rules.edits import Edit, Search
from healerd_rules.evaluation import Free, Moment, Sureness, advance, applies, judge, restriction
from healerd_rules.inputs import Inputs, SignalState, Value, known, spoken
from healerd_rules.program import BoundTerms, CompiledRule, RestTerms, RuleSet
from healerd_rules.quantities import show
from healerd_rules.schema import ActionDecl, Type
from healerd_rules.verdicts import Level, Verdict

MAX_CHANGES = 8
MAX_EVALUATIONS = 600
MAX_WINDOWS = 100
WOULD = {
    Level.ALLOWED: "be allowed",
    Level.ANNOUNCED: "be announced",
    Level.APPROVAL_NEEDED: "need approval",
    Level.DEFERRED: "be deferred",
    Level.FORBIDDEN: "be forbidden",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that would have to be otherwise: `tried` is the value it was evaluated with, `before` what it is."""

    name: str
    op: str
    bound: Value
    before: tuple[Value, ...]
    tried: Value
    unit: str

    def describe(self) -> str:
        """The change as people would say it: `rows >= 5000 (now 120, tried with 5000)`."""
        unknown = all(value is None for value in self.before)
        notes = [] if unknown else ["now " + ", ".join(show(value, self.unit) for value in self.before)]
        if self.unit == Type.BOOL:
            was = " known and" if unknown else ""
            condition = f"{self.name} were{was} {show(self.tried, self.unit)}"
        else:
            were = " were known and" if unknown else ""
            condition = f"{self.name}{were} {self.op} {show(self.bound, self.unit)}"
            if self.unit != Type.TEXT:
                notes.append(f"tried with {show(self.tried, self.unit)}")
        return f"{condition} ({', '.join(notes)})" if notes else condition

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "name": self.name,
            "op": self.op,
            "bound": spoken(self.bound),
            "before": [spoken(value) for value in self.before],
            "tried": spoken(self.tried),
            "unit": self.unit,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The verdict that the rules give once the changes hold; after `wait_s` with them, at the moment `at`."""

    verdict: Verdict
    changes: tuple[Change, ...]
    wait_s: float
    at: dt.datetime

    def prose(self) -> str:
        """The claim in one line."""
        would = f"would {WOULD[self.verdict.level]}"
        if self.wait_s:
            would += f" in {show(self.wait_s, 'duration')}, at {self.at.isoformat(timespec='minutes')},"
        if not self.changes:
            return f"{would} with all facts as they are"
        return f"{would} if {' and '.join(change.describe() for change in self.changes)}"

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "level": self.verdict.level.name.lower(),
            "changes": [change.to_json() for change in self.changes],
            "wait_s": self.wait_s,
            "at": self.at.isoformat(),
        }


def nearest(ruleset: RuleSet, inputs: Inputs, state: SignalState, action: ActionDecl, sure: Sureness) -> Nearest | None:
    """The smallest change found that makes the verdict freer, or where the action runs by itself, that stops it.

    None when there is none within eight facts; that is no proof that there is none.
    """
    hunt = _Hunt(ruleset, inputs, state, action, sure, _texts(ruleset))
    level = hunt.verdict(_Trial()).level
    if level <= Level.ANNOUNCED:
        return hunt.stricter()
    for goal in (Level.ALLOWED, Level.ANNOUNCED, Level.APPROVAL_NEEDED):
        found = hunt.freer(goal) if goal < level else None
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Trial:
    """Some edits at once, the newest of each fact, and how long they have held."""

    edits: tuple[Edit, ...] = ()
    wait_s: float = 0.0

    def plus(self, edit: Edit) -> "_Trial":
        """Waiting adds up; windows in which facts hold run side by side."""
        if edit.kind == "wait":
            return _Trial(self.edits, self.wait_s + edit.wait_s)
        others = tuple(one for one in self.edits if (one.kind, one.name) != (edit.kind, edit.name))
        return _Trial((*others, edit), max(self.wait_s, edit.wait_s))


@dataclass(slots=True)
class _Hunt:
    ruleset: RuleSet
    inputs: Inputs
    state: SignalState
    action: ActionDecl
    sure: Sureness
    texts: Mapping[str, tuple[str, ...]]
    evaluations: int = 0
    _moments: dict[_Trial, Moment] = field(default_factory=dict)
    _tried: dict[_Trial, int] = field(default_factory=dict)

    # trying ------------------------------------------------------------------

    def moment(self, trial: _Trial) -> Moment:
        """The rules on the changed facts, each window of the wait closed with them."""
        if trial not in self._moments:
            inputs, state = _changed(self.inputs, trial.edits), self.state
            for number in range(1, int(trial.wait_s // inputs.window_s) + 1):
                now = inputs.now + dt.timedelta(seconds=number * inputs.window_s)
                state = advance(self.ruleset, replace(inputs, now=now), state)
            now = inputs.now + dt.timedelta(seconds=trial.wait_s)
            self._moments[trial] = Moment(self.ruleset, replace(inputs, now=now), state)
        return self._moments[trial]

    def confidence(self, trial: _Trial) -> Sureness:
        """The confidence that the trial gives; the first pass keeps it free."""
        found = [edit.value for edit in trial.edits if edit.kind == "confidence"]
        return float(found[0]) if found and isinstance(found[0], int | float) else self.sure

    def verdict(self, trial: _Trial) -> Verdict:
        """What the rules say to it."""
        self.evaluations += 1
        return judge(self.moment(trial), self.action, self.confidence(trial))

    # freer -------------------------------------------------------------------

    def freer(self, goal: Level) -> Nearest | None:
        """The fewest edits that bring the verdict down to the goal."""
        self.evaluations = 0
        for most in range(1, MAX_CHANGES + 1):
            self._tried.clear()
            found = self._freed(_Trial(), goal, most)
            if found is not None:
                return self._told(self._sooner(found, goal))
        return None

    def _freed(self, trial: _Trial, goal: Level, left: int) -> _Trial | None:
        """Mend one thing that bars the way, in each way it could be mended, and go on with the rest.

        Moving a fact further that is already moved costs nothing more; what was tried before is not tried again.
        """
        if self.evaluations > MAX_EVALUATIONS or self._tried.get(trial, -1) >= left:
            return None
        self._tried[trial] = left
        if self.verdict(trial).level <= goal:
            return trial
        for edit in self._edits(trial, goal):
            more = trial.plus(edit)
            price = len(more.edits) - len(trial.edits) if edit.kind != "wait" else 1
            if price <= left and more.wait_s <= MAX_WINDOWS * self.inputs.window_s:
                found = self._freed(more, goal, left - price)
                if found is not None:
                    return found
        return None

    def _edits(self, trial: _Trial, goal: Level) -> list[Edit]:
        """Edits of one rule that bars the goal, the one with the fewest; of all permits when none holds."""
        moment, sure = self.moment(trial), self.confidence(trial)
        choices: list[list[Edit]] = []
        rules = self._rules(moment)
        permits = [rule for rule in rules if rule.kind == "permit"]
        if not any(moment.weigh(rule, sure).acts for rule in permits):
            choices.append([edit for rule in permits for edit in self._of(rule, moment, sure, want=True)])
        for rule in rules:
            if rule.kind == "permit":
                continue
            verdict = restriction(rule, moment, self.action, sure)
            if verdict.level <= goal:
                continue
            if isinstance(rule.terms, RestTerms | BoundTerms):
                until = verdict.deferred_until
                waits = [] if until is None else [(until - moment.inputs.now).total_seconds()]
                choices.append([Edit(kind="wait", wait_s=wait) for wait in waits])
            else:
                choices.append(list(self._of(rule, moment, sure, want=False)))
        return min(choices, key=len, default=[])

    def _rules(self, moment: Moment) -> list[CompiledRule]:
        about = ("permit", "forbid", "require", "cooldown", "limit")
        return [
            rule
            for rule in self.ruleset.compiled
            if rule.kind in about and rule.covers(self.action.name) and applies(rule, moment.inputs)
        ]

    def _of(self, rule: CompiledRule, moment: Moment, sure: Sureness, *, want: bool) -> Iterator[Edit]:
        confidence = None if isinstance(sure, Free) else sure
        search = Search(moment.inputs, moment.state.strict, confidence, self.texts)
        for edit in search.edits(rule.condition, want=want):
            if not (edit.kind == "confidence" and isinstance(self.sure, Free)):
                yield edit

    def _sooner(self, trial: _Trial, goal: Level) -> _Trial:
        """The same edits after fewer windows, where that is enough."""
        for number in range(int(trial.wait_s // self.inputs.window_s) + 1):
            earlier = replace(trial, wait_s=number * self.inputs.window_s)
            if earlier.wait_s < trial.wait_s and self.verdict(earlier).level <= goal:
                return earlier
        return trial

    # stricter ------------------------------------------------------------------

    def stricter(self) -> Nearest | None:
        """The single edit nearest to how things are that would take the action out of its own hands."""
        start = self.moment(_Trial())
        found: list[tuple[float, float, int, _Trial]] = []
        for rule in self._rules(start):
            if isinstance(rule.terms, RestTerms | BoundTerms):
                continue
            for edit in self._of(rule, start, self.sure, want=rule.kind != "permit"):
                trial = _Trial().plus(edit)
                if trial.wait_s > MAX_WINDOWS * self.inputs.window_s or self.evaluations > MAX_EVALUATIONS:
                    continue
                if self.verdict(trial).level > Level.ANNOUNCED:
                    found.append((trial.wait_s, self._distance(edit), len(found), trial))
        return self._told(min(found)[3]) if found else None

    def _distance(self, edit: Edit) -> float:
        """How far a number moves, relative to its size; a word or a truth moves farther than any number."""
        if edit.kind == "wait":
            return 0.0
        before = self._before(edit)
        if len(before) != 1 or isinstance(edit.value, bool | str):
            return 3.0
        (value,) = before
        if not isinstance(value, int | float) or not isinstance(edit.value, int | float):
            return 2.0
        size = abs(value) + abs(edit.value)
        return abs(value - edit.value) / size if size else 0.0

    # telling -------------------------------------------------------------------

    def _told(self, trial: _Trial) -> Nearest:
        moment = self.moment(trial)
        return Nearest(
            verdict=judge(moment, self.action, self.confidence(trial)),
            changes=tuple(self._change(edit) for edit in trial.edits),
            wait_s=trial.wait_s,
            at=moment.inputs.now,
        )

    def _change(self, edit: Edit) -> Change:
        name = f"alarm({edit.name})" if edit.kind == "alarm" else edit.name
        if edit.members:
            name = ", ".join(f"{edit.name}[{member}]" for member in edit.members)
        return Change(
            name=name, op=edit.op, bound=edit.bound, before=self._before(edit), tried=edit.value, unit=edit.unit
        )

    def _before(self, edit: Edit) -> tuple[Value, ...]:
        inputs = self.inputs
        match edit.kind:
            case "alarm":
                return (inputs.alarms.get(edit.name),)
            case "confidence":
                return (None if isinstance(self.sure, Free) else self.sure,)
            case "stage" | "incident":
                return (inputs.stage if edit.kind == "stage" else inputs.incident,)
            case _:
                measured, kind = inputs.facts.get(edit.name), Type(edit.unit)
                if not edit.members:
                    return (known(measured, kind),)
                values = measured if isinstance(measured, Mapping) else {}
                return tuple(known(values.get(member), kind) for member in edit.members)


def _changed(inputs: Inputs, edits: tuple[Edit, ...]) -> Inputs:
    """The inputs with the edits made."""
    for edit in edits:
        match edit.kind:
            case "fact":
                inputs = replace(inputs, facts={**inputs.facts, edit.name: _value(inputs, edit)})
            case "alarm":
                inputs = replace(inputs, alarms={**inputs.alarms, edit.name: edit.value is True})
            case "stage":
                inputs = replace(inputs, stage=str(edit.value))
            case "incident":
                inputs = replace(inputs, incident=edit.value is True)
    return inputs


def _value(inputs: Inputs, edit: Edit) -> Value | Mapping[str, float | None]:
    if not edit.members:
        return edit.value
    measured = inputs.facts.get(edit.name)
    number = float(edit.value) if isinstance(edit.value, int | float) else None
    return {**(measured if isinstance(measured, Mapping) else {}), **dict.fromkeys(edit.members, number)}


def _texts(ruleset: RuleSet) -> dict[str, tuple[str, ...]]:
    """The words that rules compare each fact with: the only values known of a text."""
    found: dict[str, set[str]] = {}
    for rule in ruleset.compiled:
        for part in core.distinct(rule.condition):
            if isinstance(part, core.Compare) and isinstance(part.left, core.Fact):
                word = part.right.value if isinstance(part.right, core.Const) else None
                if isinstance(word, str):
                    found.setdefault(part.left.name, set()).add(word)
    return {name: tuple(sorted(words)) for name, words in found.items()}
