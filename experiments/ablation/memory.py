"""What a pipeline's log remembers from one scenario to the next: the very records that the policy and its account read.

Must never change what they tell but in two ways, each as if people had come by between two scenarios: an incident
that is open at the end is closed then (where the policy held, later than the hold is waited for, so that it counts as
failed), and a heal that is not over is forgotten.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from experiments.ablation.systems import DEGRADED_WINDOWS
from experiments.ablation.world import PIPELINE, WINDOW_S
from healerd.client.heals import HOLDS
from healerd.model import (
    ACTIONS_THAT_HEAL,
    TERMINAL_STATES,
    Decision,
    Incident,
    Intent,
    Outcome,
    Stage,
    StageChange,
)
from healerd.store import Reader, Store

__all__ = ["NOTHING", "Memory", "put_back", "remember"]

HEALS_MAX = 30
"""Heals that are carried over: what is older weighs less than 0.4 of the newest (0.97 to the 30th)."""
MENDED_AFTER = timedelta(seconds=WINDOW_S * (DEGRADED_WINDOWS + 6))
"""When people mend what the policy left to itself: after the deadline of every hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Records of the log, oldest first; the decisions that held in the place of the rules; the stage at the end."""

    stages: tuple[StageChange, ...] = ()
    incidents: tuple[Incident, ...] = ()
    decisions: tuple[Decision, ...] = ()
    heals: tuple[Intent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    holds: bytes | None = None

    @property
    def stage(self) -> Stage | None:
        """The stage that the pipeline was left in."""
        return self.stages[-1].stage if self.stages else None

    def before_activation(self) -> "Memory":
        """Forget that the pipeline was ever trusted: what lies before is what the shadow logs hold."""
        return replace(self, stages=(), holds=None)


NOTHING = Memory()


def put_back(store: Store, memory: Memory) -> None:
    """Write the records of earlier scenarios into a fresh log, each with its own time."""
    with store.transaction() as tx:
        for record in (*memory.stages, *memory.incidents, *memory.decisions, *memory.heals, *memory.outcomes):
            tx.put(record)
        if memory.holds is not None:
            tx.save_state(PIPELINE, HOLDS, memory.holds)


def remember(store: Reader, *, end_at: datetime) -> Memory:
    """Take what the policy and its account will read out of the log."""
    found = store.find(Intent, pipeline=PIPELINE, action=ACTIONS_THAT_HEAL, parent_id=None)
    heals = tuple(each for each in found if each.state in TERMINAL_STATES)[-HEALS_MAX:]
    outcomes = store.find(Outcome, intent_id=tuple(each.id for each in heals)) if heals else ()
    incidents = store.find(Incident, pipeline=PIPELINE)[-HEALS_MAX:]
    holds = store.state(PIPELINE, HOLDS)
    held: dict[str, str] = json.loads(holds or b"{}")
    return Memory(
        stages=store.find(StageChange, pipeline=PIPELINE),
        incidents=tuple(each if each.closed_at else _mended(each, end_at, held=each.id in held) for each in incidents),
        decisions=tuple(_slim(each) for each in _decisions(store, heals, held)),
        heals=heals,
        outcomes=outcomes,
        holds=holds,
    )


def _mended(incident: Incident, at: datetime, *, held: bool) -> Incident:
    closed_at = at + MENDED_AFTER if held else at
    return replace(incident, closed_at=closed_at, closed_by="people mended it after the scenario")


def _decisions(store: Reader, heals: tuple[Intent, ...], held: dict[str, str]) -> Iterator[Decision]:
    """Find the decisions behind the heals, those that first chose them where they were asked anew, and the holds."""
    wanted = {each.decision_id for each in heals} | set(held.values())
    chosen = {(each.created_at, each.action) for each in heals}
    for decision in store.find(Decision, pipeline=PIPELINE):
        if decision.id in wanted or (decision.at, decision.chosen) in chosen:
            yield decision


def _slim(decision: Decision) -> Decision:
    """Keep what the account reads of a decision; it is the newest of no window."""
    trace = {key: decision.trace[key] for key in ("context", "gate") if key in decision.trace}
    return replace(decision, window_start_at=None, window_end_at=None, trace=trace)
