"""Plays a test block: a clock, windows of 30 minutes, and what is measured in each until it changes.

It never judges; it gives the inputs and the memory of each moment, and says when one is to be looked at.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from healerd_rules import core
from healerd_rules.evaluation import advance
from healerd_rules.inputs import ActionRecord, FactValue, Inputs, SignalState
from healerd_rules.program import RuleSet
from healerd_rules.script import Done, Expected, Given, Moment, Pass, Said, Script, Where

WINDOW_S = 1800.0
START = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
"""Where a test without `at` starts: a Monday at noon."""
MAX_WINDOWS = 2_000
"""Some forty days; each costs a millisecond or two."""
INCIDENT, OTHER_INCIDENT = "the open incident", "an incident before"

Look = Callable[[Inputs, SignalState], object]


@dataclass(slots=True)
class Player:
    """One test as it runs. `look` is called for every window that closes.

    What is given belongs to the window that is open: an expectation right after it sees that window as if it closed
    now, and the next `advance` closes it. So `given`, then `advance 3 windows`, is three windows.
    """

    ruleset: RuleSet
    look: Look
    now: dt.datetime = START
    start: dt.datetime = START
    closed: int = 0
    pipeline: str = "example"
    tags: tuple[str, ...] = ()
    confidence: float | None = None
    facts: dict[str, FactValue] = field(default_factory=dict)
    alarms: dict[str, bool | None] = field(default_factory=dict)
    builtins: dict[str, object] = field(default_factory=lambda: {"stage": "live", "incident": True, "pipelines": 1})
    log: list[ActionRecord] = field(default_factory=list)
    state: SignalState = field(default_factory=SignalState)
    _open: bool = True

    def inputs(self) -> Inputs:
        """What the rules may know now."""
        stage, incident, pipelines = (self.builtins[name] for name in ("stage", "incident", "pipelines"))
        return Inputs(
            pipeline=self.pipeline,
            tags=self.tags,
            now=self.now,
            window_s=WINDOW_S,
            stage=stage if isinstance(stage, str) else None,
            incident=incident if isinstance(incident, bool) else None,
            facts=dict(self.facts),
            alarms=dict(self.alarms),
            log=tuple(self.log),
            pipelines=int(pipelines) if isinstance(pipelines, int | float) and pipelines >= 1 else 1,
            incident_id=INCIDENT if incident is True else None,
        )

    def seen(self) -> tuple[Inputs, SignalState]:
        """The moment that an expectation sees."""
        inputs = self.inputs()
        return inputs, advance(self.ruleset, inputs, self.state) if self._open else self.state

    def step(self, said: Said) -> str:
        """Do what a step says; a text when it cannot be done. Expectations are left to the caller."""
        match said:
            case Where():
                self.pipeline, self.tags, self._open = said.pipeline, said.tags, True
            case Moment():
                return self._at(dt.datetime.fromtimestamp(said.at_s, dt.UTC))
            case Given():
                self._given(said)
            case Pass():
                length = said.seconds or said.windows * WINDOW_S
                return self._until(self.now + dt.timedelta(seconds=length))
            case Done():
                self.log.append(self._record(said))
            case Expected():
                pass
            case _:
                assert_never(said)
        return ""

    def _at(self, moment: dt.datetime) -> str:
        """Before any time has passed, where the test starts; later, on to that moment."""
        if self.now == self.start:
            if self.log:
                return "`at` stands before `did` and `doing`, which count from it"
            self.now = self.start = moment
            return ""
        if moment < self.now:
            return f"it is already {self.now:%Y-%m-%d %H:%M}"
        return self._until(moment)

    def _until(self, moment: dt.datetime) -> str:
        """Move the clock, and close each window that ends on the way."""
        while (end := self.start + dt.timedelta(seconds=WINDOW_S * (self.closed + 1))) <= moment:
            if self.closed >= MAX_WINDOWS:
                return f"a test has at most {MAX_WINDOWS} windows"
            self.now, self.closed, self._open = end, self.closed + 1, False
            inputs = self.inputs()
            self.state = advance(self.ruleset, inputs, self.state)
            self.look(inputs, self.state)
        self.now = moment
        return ""

    def _given(self, given: Given) -> None:
        self._open = True
        if given.kind == "fact" and given.member is not None:
            members = self.facts.get(given.name)
            known = members if isinstance(members, Mapping) else {}
            number = given.value if isinstance(given.value, int | float) else None
            self.facts[given.name] = {**known, given.member: number}
        elif given.kind == "fact":
            self.facts[given.name] = given.value
        elif given.kind == "alarm":
            self.alarms[given.name] = given.value if isinstance(given.value, bool) else None
        elif given.kind == "confidence":
            self.confidence = float(given.value) if isinstance(given.value, int | float) else None
        else:
            self.builtins[given.kind] = given.value

    def _record(self, done: Done) -> ActionRecord:
        began = self.now - dt.timedelta(seconds=done.ago_s)
        costs = {action.name: action.cost for action in self.ruleset.actions}
        return ActionRecord(
            action=done.action,
            pipeline=self.pipeline if done.pipeline is None else done.pipeline,
            tags=self.tags if done.pipeline is None else done.tags,
            started_at=began,
            ended_at=None if done.is_open else began,
            cost=costs[done.action],
            incident_id=INCIDENT if done.in_incident or done.is_open else OTHER_INCIDENT,
        )


def remembering(ruleset: RuleSet, script: Script) -> RuleSet:
    """The rule set that also remembers what invariants and this test's expectations need of past windows."""
    expected = [step.said.node for step in script.steps if isinstance(step.said, Expected)]
    nodes = [*(node for _, node in ruleset.invariants), *(node for node in expected if node is not None)]
    extra = {f" {n}": node for n, node in enumerate(nodes) if core.mentions(node, core.Remembered)}
    return replace(ruleset, signals={**ruleset.signals, **extra}) if extra else ruleset
