"""The cooldown: no two heals start on one pipeline within 30 minutes, proved over the action log's own update rule.

It never trusts a metric with time: only what the log says of starts and ends is known, facts may come back wrong.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import z3

from healerd_rules.explanation import describe
from healerd_rules.inputs import ActionRecord
from healerd_rules.judging import Judging
from healerd_rules.program import BoundTerms, RestTerms, RuleSet
from healerd_rules.proofs import Check, Counterexample, Status
from healerd_rules.proving import Prover, Provers, remembered, simplest, wishes
from healerd_rules.schema import ActionDecl
from healerd_rules.smt import Log, Texts, World
from healerd_rules.terms import Bit, Quantity, conj, disj, neg
from healerd_rules.verdicts import Level
from healerd_rules.witness import NOON, WINDOW_S, Scene, assumptions, scene, shown, verdict_on

# The cooldown of `base`, which a file may lengthen and never shorten (SAFETY S10).
COOLDOWN_S = 1800.0
WINDOWS = 4


@dataclass(slots=True)
class AnyLog(Log):
    """Any log at all, as far as the newest start of each action goes: how long ago it started and ended, or not yet.

    Older records could only bar more, so leaving them out proves no less.
    """

    actions: tuple[str, ...]

    def ran(self, action: str) -> Bit:
        """Whether the action ever started here."""
        return z3.Bool(f"log!{action}!ran")

    def open(self, action: str) -> Bit:
        """Whether its newest start has not ended."""
        return z3.Bool(f"log!{action}!open")

    def started(self, action: str) -> Any:
        """Seconds since its newest start."""
        return z3.Real(f"log!{action}!started")

    def ended(self, action: str) -> Any:
        """Seconds since that one ended."""
        return z3.Real(f"log!{action}!ended")

    def age(self, action: str) -> Quantity:
        """Time since the action ended here; another record may have ended later."""
        return Quantity(z3.Real(f"log!{action}!age"), True, z3.Not(self.ran(action)))

    def sides(self) -> Iterator[Bit]:
        """What is true of every log: an end comes after its start, an open action has age zero."""
        for action in self.actions:
            age, ended = self.age(action).value, self.ended(action)
            yield z3.And(ended >= 0, ended <= self.started(action), age >= 0, z3.Or(self.open(action), age <= ended))
            yield z3.Implies(self.open(action), age == 0)

    def bars(self, terms: RestTerms | BoundTerms, counted: frozenset[str] | None) -> Bit | None:
        """Cooldowns, and limits of one open action, are what the log makes them; other limits are left free."""
        return _bars(
            terms,
            disj(conj((self.ran(a), self.open(a))) for a in _counted(self.actions, counted)),
            lambda length: disj(
                conj((self.ran(a), disj((self.open(a), self.ended(a) < length))))
                for a in _counted(self.actions, counted)
            ),
        )


@dataclass(slots=True)
class Told(Log):
    """A log from the very beginning: what was started in each earlier moment, if anything."""

    starts: list[tuple[Mapping[str, Bit], Any]]
    now: Any

    def age(self, action: str) -> Quantity:
        """Time since the newest end."""
        age: Any = z3.RealVal(0)
        ran = disj(chosen.get(action, False) for chosen, _ in self.starts)
        for chosen, end in self.starts:
            mine = chosen.get(action, False)
            if mine is not False:
                age = z3.If(mine, z3.If(end > self.now, z3.RealVal(0), self.now - end), age)
        return Quantity(age, True, neg(ran))

    def bars(self, terms: RestTerms | BoundTerms, counted: frozenset[str] | None) -> Bit | None:
        """What the moments before make of it."""
        mine = [(disj(c[a] for a in _counted(tuple(c), counted)), end) for c, end in self.starts]
        return _bars(
            terms,
            disj(conj((chosen, end > self.now)) for chosen, end in mine),
            lambda length: disj(conj((chosen, self.now < end + length)) for chosen, end in mine),
        )


def _bars(terms: RestTerms | BoundTerms, open_: Bit, resting: Any) -> Bit | None:
    if terms.per not in (None, "pipeline"):
        return None
    if isinstance(terms, RestTerms):
        return resting(_term(terms.length_s or terms.windows * WINDOW_S))
    return open_ if terms.kind == "concurrent" and terms.amount == 1 else None


def _term(seconds: float) -> Any:
    return z3.RealVal(str(seconds))


def _counted(actions: Iterable[str], counted: frozenset[str] | None) -> list[str]:
    return [action for action in actions if counted is None or action in counted]


def cooldown(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """One step of induction: whatever the log, no heal may start while another started less than 30 minutes ago.

    Since every log in which no two did is kept so by the step, none ever is otherwise. Where the step fails, up to
    four windows from an empty log are unrolled for a history that a person can read.
    """
    hard = provers.ruleset
    heals = tuple(action for action in ruleset.actions if not action.step)
    prover, log = _with_any_log(hard, provers.timeout_s)
    for action in heals:
        recent = disj(conj((log.ran(b.name), log.started(b.name) < _term(COOLDOWN_S))) for b in heals)
        barring = {
            effect.rule.id: neg(effect.when)
            for effect in prover.judging.effects(action)
            if effect.level >= Level.DEFERRED
        }
        answer = prover.ask((recent, prover.judging.permitted(action)), barring)
        if answer.found is False:
            yield Check(claim="cooldown", about=action.name, status=Status.PROVED, needs=answer.core)
            continue
        if answer.found is None:
            yield Check(claim="cooldown", about=action.name, status=Status.UNKNOWN, says="the time ran out")
            continue
        history, confirmed = _unrolled(hard, action, heals, provers.timeout_s)
        yield Check(
            claim="cooldown",
            about=action.name,
            status=Status.REFUTED if confirmed else Status.ASSUMED,
            says="may start within 30 minutes of another heal",
            counterexample=history,
        )


def _with_any_log(hard: RuleSet, timeout_s: float) -> tuple[Prover, AnyLog]:
    prover = Prover(hard, timeout_s, None)
    log = AnyLog(tuple(action.name for action in hard.actions))
    prover.worlds[0].log = log
    prover.worlds[0].sides.extend(log.sides())
    return prover, log


# a history -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    """One moment of an unrolling: when, what may start, and when that ends."""

    judging: Judging
    at: Any
    chosen: Mapping[str, Bit]
    end: Any


def _unrolled(
    hard: RuleSet, last: ActionDecl, heals: tuple[ActionDecl, ...], timeout_s: float
) -> tuple[Counterexample | None, bool]:
    """The shortest history from an empty log that ends in `last` too soon after another heal."""
    solver = z3.SimpleSolver()
    solver.set("timeout", max(1, int(timeout_s * 1000)))
    steps: list[_Step] = []
    for place in range(WINDOWS):
        step = _step(hard, steps, place, heals)
        steps.append(step)
        solver.add(*_lawful(step, steps[:-1], heals))
        if place == 0:
            continue
        solver.push()
        before = steps[-2]
        soon = step.at - before.at < _term(COOLDOWN_S)
        solver.add(step.chosen[last.name], disj(before.chosen.values()), soon)
        said = solver.check()
        if said == z3.sat:
            return _history(hard, steps, simplest(solver, [], _wishes(steps)), heals)
        solver.pop()
    return None, False


def _wishes(steps: list[_Step]) -> Iterator[Bit]:
    """Ten minutes apart, each over at once."""
    for before, step in pairwise(steps):
        yield step.at == before.at + 600
    yield from (step.end == step.at for step in steps)
    for step in steps:
        yield from wishes(step.judging.world)


def _step(hard: RuleSet, before: list[_Step], place: int, heals: tuple[ActionDecl, ...]) -> _Step:
    texts = before[0].judging.world.texts if before else Texts()
    at = z3.Real(f"at{place}")
    world = World(f"step{place}!", 3, texts)
    world.log = Told([(step.chosen, step.end) for step in before], at)
    chosen = {action.name: z3.Bool(f"start{place}!{action.name}") for action in heals}
    return _Step(Judging(hard, world), at, chosen, z3.Real(f"end{place}"))


def _lawful(step: _Step, before: list[_Step], heals: tuple[ActionDecl, ...]) -> Iterator[Bit]:
    """Time goes on, at most one action starts, it ends after it starts, and the rules do not bar it."""
    yield step.at > before[-1].at if before else step.at == 0
    yield step.end >= step.at
    yield z3.AtMost(*step.chosen.values(), 1)
    for action in heals:
        allowed = neg(step.judging.at_least(action, Level.DEFERRED))
        yield z3.Implies(step.chosen[action.name], z3.BoolVal(allowed) if isinstance(allowed, bool) else allowed)
    yield from (side for side in step.judging.world.sides if not isinstance(side, bool))


def _history(
    hard: RuleSet, steps: list[_Step], model: Any, heals: tuple[ActionDecl, ...]
) -> tuple[Counterexample, bool]:
    """The moments in which something starts, and whether the evaluator lets each of them start."""
    told, scenes, log, confirmed = [], [], list[ActionRecord](), True
    for step in steps:
        started = next((a.name for a in heals if z3.is_true(model.eval(step.chosen[a.name], True))), None)
        if started is None:
            continue
        moment, end = _moment(hard, step, model, tuple(log))
        verdict = verdict_on(hard, moment, started)
        confirmed = confirmed and verdict.level <= Level.APPROVAL_NEEDED
        minutes = (moment.inputs.now - NOON).total_seconds() / 60
        title = f"{started} starts at +{minutes:.3g}m"
        told.append(shown(moment, hard, title, {started: describe(verdict)}))
        scenes.append(moment)
        log.append(
            ActionRecord(action=started, pipeline=moment.inputs.pipeline, started_at=moment.inputs.now, ended_at=end)
        )
    texts = {name: text for step in steps for name, text in remembered(step.judging.world)}
    return Counterexample(
        moments=tuple(told), confirmed=confirmed, assumes=assumptions(tuple(scenes), texts)
    ), confirmed


def _moment(hard: RuleSet, step: _Step, model: Any, log: tuple[ActionRecord, ...]) -> tuple[Scene, dt.datetime]:
    found = scene(step.judging.world, model, hard)
    now, end = (NOON + dt.timedelta(seconds=_seconds(model, at)) for at in (step.at, step.end))
    known = tuple(r if r.ended_at is None or r.ended_at <= now else _still_open(r) for r in log)
    return replace(found, inputs=replace(found.inputs, now=now, log=known)), end


def _still_open(record: ActionRecord) -> ActionRecord:
    return replace(record, ended_at=None)


def _seconds(model: Any, at: Any) -> float:
    return float(model.eval(at, model_completion=True).as_fraction())
