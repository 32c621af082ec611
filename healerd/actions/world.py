"""What an action is, and what it may see and touch. Must never decide whether an action should be taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from healerd.actions.registry import Registry
from healerd.actions.shadows import Shadows
from healerd.actions.worker import Worker
from healerd.columns import Column, Predictions, window_starts
from healerd.config import PipelineSettings
from healerd.model import Intent, Quality

__all__ = ["Effect", "Heal", "Observation", "Plan", "Refusal", "Seen", "Step", "World"]

Rows = Callable[[datetime, datetime], Predictions]
"""Gives the predictions of [start, end), with the labels that are known by now."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """One pipeline at one moment: its settings, registry and worker, and its rows as known at `now`.

    `quality` is the verdict on the newest closed window, unknown until it has been judged; `current` tells whether it
    has been: nothing starts on what was seen before. `trusted` tells by the start of a window whether its data was
    good: rows of other windows neither train nor judge.
    """

    pipeline: str
    settings: PipelineSettings
    registry: Registry
    worker: Worker
    now: datetime
    quality: Quality
    rows: Rows
    trusted: Callable[[datetime], bool]
    current: bool = True
    shadows: Shadows = field(default_factory=Shadows)

    @property
    def data_flaw(self) -> str:
        """Why nothing that trusts the newest rows may start; empty when their data is known to be good."""
        return "" if self.quality is Quality.GOOD else f"the newest window's data is {self.quality}, not good"

    def outputs(self, names: Sequence[str], rows: Predictions) -> Mapping[str, Column | None]:
        """Let versions predict rows that were served, in shadow; every output is missing of one that raised.

        None for one of which nothing is known: it was too slow, or was killed.

        Raises RegistryAway when a model could not be had.
        """
        windows = window_starts(rows.at, self.settings.window)
        return self.shadows.outputs(self.worker, self.registry, names, rows, windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an action would do now: the version it aims at, the one it would replace, and what it must remember."""

    action: str
    target: str | None
    current: str | None
    args: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an action cannot be done now: a no, not a failure."""

    action: str
    reason: str


class Seen(StrEnum):
    """What the world answers when asked whether an intent has had its effect. `unknown` is not `absent`."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of an effect; `version` is what it made or made active, `at` when."""

    seen: Seen
    version: str | None = None
    at: datetime | None = None
    reason: str = ""


class Effect(Protocol):
    """One way of changing the world, with what may be relied on about it.

    `observable`: asked by key, the world tells whether the effect took place. Without it an intent runs only with a
    person's approval, each time. `serves`: it changes which version answers. `needs_good_data`: it trusts the newest
    rows, so it starts only while their quality is known to be good (SAFETY S13). `needs_registry`: it reads or changes
    the registry, so it waits while that is away.
    """

    name: str
    does: str
    idempotent: bool
    dedupe: bool
    reversible: bool
    observable: bool
    serves: bool
    needs_good_data: bool
    needs_registry: bool

    def makes(self, intent: Intent) -> str | None:
        """Name the version that the intent makes, or makes active: known before it runs."""
        ...

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Bring the effect about, or begin to. Raises ActionError when it is certain that nothing has changed."""
        ...

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Ask the world whether the effect took place, and fence off older daemons."""
        ...


class Heal(Effect, Protocol):
    """An action that a rule or the policy may choose."""

    def plan(self, world: World) -> Plan | Refusal:
        """Say what it would do now, or why it cannot."""
        ...


class Step(Effect, Protocol):
    """An effect that belongs to a heal."""

    def plan(self, world: World, heal: Intent) -> Plan | Refusal:
        """Say what it would do for `heal` now, or why it cannot."""
        ...
