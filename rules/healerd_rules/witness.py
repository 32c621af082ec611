"""Turns a model of the solver into inputs that the evaluator takes, makes them small, and shows them in plain units.

It never decides what a counterexample proves: the evaluator judges the inputs, whatever the solver said.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from healerd_rules import core
from healerd_rules.calendars import CalendarSpec, contains
from healerd_rules.evaluation import Moment, judge, sureness
from healerd_rules.inputs import ActionRecord, FactValue, Inputs, Memory, SignalState, Truth, Value
from healerd_rules.program import BoundTerms, RestTerms, RuleSet
from healerd_rules.proofs import Shown
from healerd_rules.quantities import show
from healerd_rules.schema import Type
from healerd_rules.smt import World
from healerd_rules.terms import Bit, Key, Quantity, Rails, Thing
from healerd_rules.verdicts import Verdict

# A working day at noon, from which a counterexample's time is counted.
NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
WINDOW_S = 1800.0
FLEET = 10
# What bars does so at the end of its time, when shorter ones no longer do.
LATE = 0.9
MISSING = "missing"
ALWAYS = ("confidence", "stage", "incident")
LONG_AGO_S = 100 * 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment as the evaluator takes it."""

    inputs: Inputs
    state: SignalState
    confidence: float | None


Moments = tuple[Scene, ...]


def verdict_on(ruleset: RuleSet, moment: Scene, action: str) -> Verdict:
    """What the evaluator says about an action then."""
    declared = next(known for known in ruleset.actions if known.name == action)
    sure = sureness({action: moment.confidence}, action)
    return judge(Moment(ruleset, moment.inputs, moment.state), declared, sure)


# from the model ------------------------------------------------------------------


def scene(world: World, model: Any, ruleset: RuleSet, *, by_model: bool = False) -> Scene:
    """The moment of a model; its time is one that lies in the calendars as the model has it, or the model's own.

    What no file prices is taken for free: the configuration may say so, and a limit of money then bars by its log.
    """
    things = {**(world.twin.things if world.twin else {}), **world.things}
    reading = _Reading(ruleset, world, model, things)
    now = reading.now(by_model=by_model)
    pipeline, tags = _place(reading)
    incident = reading.truth(("incident",)) if ("incident",) in things else None
    inputs = Inputs(
        pipeline=pipeline,
        tags=tags,
        now=now,
        window_s=WINDOW_S,
        stage=reading.text(("stage",)) if ("stage",) in things else None,
        incident=incident,
        facts=reading.facts(),
        alarms={key[1]: reading.truth(key) for key in things if key[0] == "alarm"},
        log=tuple(_records(reading, ruleset, pipeline, now)),
        pipelines=FLEET,
        prices={action.name: 0.0 for action in ruleset.actions if action.cost is None},
        incident_id=None if any(_undecided(reading, key) for key in things) else "i1",
        members=reading.members(),
    )
    return Scene(inputs=inputs, state=reading.state(), confidence=reading.confidence())


@dataclass(frozen=True, slots=True)
class _Reading:
    """A model, read back as values."""

    ruleset: RuleSet
    world: World
    model: Any
    things: Mapping[Key, Thing]

    def bit(self, bit: Bit) -> bool:
        return bit if isinstance(bit, bool) else bool(self.model.eval(bit, model_completion=True))

    def truth(self, key: Key) -> Truth:
        thing = self.things[key]
        assert isinstance(thing, Rails), "a truth"
        return True if self.bit(thing.t) else False if self.bit(thing.f) else None

    def number(self, key: Key) -> float | None:
        thing = self.things[key]
        assert isinstance(thing, Quantity), "a number"
        if not self.bit(thing.known):
            return None
        if self.bit(thing.endless):
            return float("inf")
        return float(self.model.eval(thing.value, model_completion=True).as_fraction())

    def text(self, key: Key) -> str | None:
        thing = self.things[key]
        assert isinstance(thing, Quantity), "a text"
        known = self.bit(thing.known)
        return self.world.texts.text(self.model.eval(thing.value, model_completion=True).as_long()) if known else None

    def value(self, key: Key, kind: Type) -> Value:
        return self.truth(key) if kind is Type.BOOL else self.text(key) if kind is Type.TEXT else self.number(key)

    def confidence(self) -> float | None:
        return self.number(("confidence",)) if ("confidence",) in self.things else None

    def facts(self) -> dict[str, FactValue]:
        facts: dict[str, Any] = {}
        for key in self.things:
            if key[0] == "fact" and key[3] is None:
                facts[key[1]] = self.value(key, key[2])
            elif key[0] == "fact":
                dimension = next(fact.per for fact in self.ruleset.facts if fact.name == plain_name(key[1]))
                there = ("present", dimension, key[3])
                if there not in self.things or self.truth(there):
                    facts.setdefault(key[1], {})[key[3]] = self.value(key, key[2])
        return {name: self._named(value) if isinstance(value, dict) else value for name, value in facts.items()}

    def _named(self, values: Mapping[int, float | None]) -> dict[str, float | None]:
        return {member_name(place): value for place, value in values.items()}

    def members(self) -> dict[str, tuple[str, ...]]:
        there: dict[str, list[str]] = {}
        for key in self.things:
            if key[0] == "present":
                found = there.setdefault(key[1], [])
                if self.truth(key):
                    found.append(member_name(key[2]))
        return {dimension: tuple(names) for dimension, names in there.items()}

    def state(self) -> SignalState:
        memories: dict[bool, dict[str, Memory]] = {True: {}, False: {}}
        for key in self.things:
            if key[0] == "memory":
                _, patient, name, bound = key
                node = self.world.nodes[key]
                members = "".join(f"[{member_name(place)}]" for _, place in bound)
                memories[patient][name + members] = Memory((), self.value(key, node.type))
        return SignalState(patient=memories[True], strict=memories[False])

    def now(self, *, by_model: bool) -> dt.datetime:
        if by_model and ("now",) in self.things:
            seconds = self.number(("now",)) or 0.0
            return dt.datetime.fromtimestamp(min(max(seconds, 0.0), 4e9), dt.UTC)
        wanted = {
            key[1]: self.truth(key) for key in self.things if key[0] == "calendar" and isinstance(key[2], core.Builtin)
        }
        fits = (m for m in _times(wanted) if all(contains(spec, m) is inside for spec, inside in wanted.items()))
        return next(fits, NOON)


def plain_name(fact: str) -> str:
    """The metric of `baseline(metric)`."""
    return fact.removeprefix("baseline(").removesuffix(")")


def member_name(place: int) -> str:
    """What a member is called in a counterexample."""
    return f"m{place + 1}"


def _times(calendars: Mapping[CalendarSpec, Truth]) -> Iterator[dt.datetime]:
    """Noon, every hour of a week, and the same around the dates that calendars name."""
    yield NOON
    dates = {day for spec in calendars for part in spec.parts for day in (part.first_date, part.last_date) if day}
    starts = [NOON, *(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) for day in sorted(dates))]
    for start in starts:
        yield from (start + dt.timedelta(hours=hours) for hours in range(-48, 24 * 8))


def _place(reading: _Reading) -> tuple[str, tuple[str, ...]]:
    """A pipeline name that matches the patterns as the model has it, if one is found, and the tags."""
    wanted = {key[2]: bool(reading.truth(key)) for key in reading.things if key[:2] == ("scope", "pipeline")}
    tags = tuple(key[2] for key in reading.things if key[:2] == ("scope", "tag") and reading.truth(key))
    plain = [glob.replace("*", "x").replace("?", "x") for glob in wanted]
    mixed = [one.replace("*", other) for one in wanted for other in plain]
    fits = (n for n in ("example", *plain, *mixed) if all(fnmatchcase(n, g) is on for g, on in wanted.items()))
    return next(fits, "example"), tags


def _undecided(reading: _Reading, key: Key) -> bool:
    return key[0] == "did" and reading.truth(key) is None


def _records(reading: _Reading, ruleset: RuleSet, pipeline: str, now: dt.datetime) -> Iterator[ActionRecord]:
    """A log with the ages that the model has, and in which what bars does bar."""
    ages = {key[1]: reading.number(key) for key in reading.things if key[0] == "age"}
    done = {key[1]: reading.truth(key) for key in reading.things if key[0] == "did"}
    for action, age in ages.items():
        if age is not None and age < LONG_AGO_S:
            incident = {True: "i1", False: "i0"}.get(bool(done.get(action)))
            yield _record(action, pipeline, now, ended_s=age, incident=incident)
    names = [action.name for action in ruleset.actions]
    for key in reading.things:
        if key[0] == "bars" and reading.truth(key):
            yield from _barring(key, names, pipeline, now)


def _barring(key: Key, names: list[str], pipeline: str, now: dt.datetime) -> Iterator[ActionRecord]:
    _, counted, terms, _ = key
    action = min(counted or names)
    if isinstance(terms, RestTerms):
        yield _record(action, pipeline, now, ended_s=LATE * (terms.length_s or terms.windows * WINDOW_S))
        return
    assert isinstance(terms, BoundTerms), "cooldowns and limits bar"
    period_s = terms.period_s or terms.windows * WINDOW_S
    for count in range(min(100, max(1, int(terms.amount * (FLEET if terms.share else 1))))):
        if terms.kind == "fleet":
            yield _record(action, f"other{count}", now, ended_s=LATE * period_s)
        elif terms.kind == "concurrent":
            yield _record(action, pipeline, now, ended_s=None)
        else:
            yield _record(action, pipeline, now, ended_s=LATE * period_s)


def _record(
    action: str, pipeline: str, now: dt.datetime, *, ended_s: float | None, incident: str | None = None
) -> ActionRecord:
    ended = None if ended_s is None else now - dt.timedelta(seconds=ended_s)
    return ActionRecord(
        action=action,
        pipeline=pipeline,
        started_at=(ended or now) - dt.timedelta(seconds=1),
        ended_at=ended,
        incident_id=incident,
    )


# making it small -----------------------------------------------------------------


def reduced(moments: Moments, confirms: Callable[[Moments], bool]) -> Moments:
    """The same counterexample with what does not matter to it taken away, one thing at a time."""
    for change in _simpler(moments):
        simpler = tuple(change(moment) for moment in moments)
        if simpler != moments and confirms(simpler):
            moments = simpler
    return _shown_again(moments, confirms)


def _simpler(moments: Moments) -> Iterator[Callable[[Scene], Scene]]:
    yield lambda moment: _with(moment, log=())
    for field in ("facts", "alarms"):
        names = sorted({name for moment in moments for name in getattr(moment.inputs, field)})
        yield from (partial(_hiding, field=field, name=name) for name in names)
    for tag in sorted({tag for moment in moments for tag in moment.inputs.tags}):
        yield partial(_untagged, tag=tag)
    yield lambda moment: _with(moment, pipeline="example", log=())
    yield lambda moment: replace(moment, state=replace(moment.state, patient={}))
    for key in sorted({key for moment in moments for key in moment.state.strict}):
        yield partial(_forgetting, key=key)


def _hiding(moment: Scene, field: str, name: str) -> Scene:
    return _with(moment, **{field: _without(getattr(moment.inputs, field), name)})


def _untagged(moment: Scene, tag: str) -> Scene:
    return _with(moment, tags=tuple(other for other in moment.inputs.tags if other != tag))


def _forgetting(moment: Scene, key: str) -> Scene:
    return replace(moment, state=replace(moment.state, strict=_without(moment.state.strict, key)))


def _shown_again(moments: Moments, confirms: Callable[[Moments], bool]) -> Moments:
    """Of two views, the one that sees less is shown again all that it need not miss."""
    if len(moments) < 2 or moments[0].inputs.log != moments[1].inputs.log:
        return moments
    full, less = moments
    for name in sorted(full.inputs.facts):
        facts = {**less.inputs.facts, name: full.inputs.facts[name]}
        again = _with(less, facts=facts)
        if confirms((full, again)):
            less = again
    for change in ("stage", "incident", "incident_id", "alarms"):
        again = _with(less, **{change: getattr(full.inputs, change)})
        if confirms((full, again)):
            less = again
    again = replace(less, confidence=full.confidence)
    return (full, again if confirms((full, again)) else less)


def _with(moment: Scene, **changes: Any) -> Scene:
    return replace(moment, inputs=replace(moment.inputs, **changes))


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


# showing it ------------------------------------------------------------------------


def shown(moment: Scene, ruleset: RuleSet, title: str, verdicts: Mapping[str, str], among: Moments = ()) -> Shown:
    """The moment in the units people write; what is not named is unknown, false or never happened.

    What is unknown is named where another moment `among` those it is shown with knows it.
    """
    told = {name for other in among for name, value in _facts(other, ruleset) if value != MISSING}
    kept = {n: v for n, v in _facts(moment, ruleset) if v != MISSING or n in told or n in ALWAYS or "[" in n}
    return Shown(title=title, facts=kept, verdicts=verdicts)


def _facts(moment: Scene, ruleset: RuleSet) -> Iterator[tuple[str, str]]:
    given = moment.inputs
    yield "confidence", _show(moment.confidence, "ratio")
    yield "stage", given.stage or MISSING
    yield "incident", _show(given.incident, "bool")
    if given.pipeline != "example":
        yield "pipeline", f'"{given.pipeline}"'
    if given.tags:
        yield "tags", ", ".join(given.tags)
    if given.now != NOON:
        yield "now", given.now.strftime("%a %Y-%m-%d %H:%M UTC")
    units = {fact.name: fact.type for fact in ruleset.facts}
    units |= {f"confidence({action.name})": "ratio" for action in ruleset.actions}
    for name, value in sorted(given.facts.items()):
        unit = units.get(name) or units.get(plain_name(name), "number")
        if isinstance(value, Mapping):
            yield from ((f"{name}[{member}]", _show(one, unit)) for member, one in value.items())
        else:
            yield name, _show(value, unit)
    yield from ((f"alarm({name})", _show(value, "bool")) for name, value in sorted(given.alarms.items()))
    for record in given.log:
        ended = record.ended_at
        ago = "still open" if ended is None else f"ended {show((given.now - ended).total_seconds(), 'duration')} ago"
        yield f"{record.action} on {record.pipeline}", ago


def _show(value: Value, unit: str) -> str:
    return MISSING if value is None else show(value, unit)


def assumptions(moments: Moments, texts: Mapping[str, str]) -> tuple[str, ...]:
    """What was taken to be remembered, in words."""
    said = []
    for moment in moments:
        for key, memory in {**moment.state.patient, **moment.state.strict}.items():
            name = key.split("[")[0]
            if memory.reading is not None and name in texts:
                said.append(f"`{texts[name]}` reads {str(memory.reading).lower()}")
    return tuple(dict.fromkeys(said))
