"""Move every open intent as far as it can go: wait for people, start, observe, judge, verify, undo.

Each move is a compare-and-set that is committed before the effect it allows, so the executor holds nothing that a
crash could lose: what it remembers is only since when people could answer, and forgetting that starts their time anew.
Must never shorten anybody's time, and never carry on when the store cannot be written.
"""

from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from healerd.actions.retrain import refit_key
from healerd.actions.worker import Run
from healerd.clock import Clock, Instant
from healerd.daemon.consent import Count, Passage, passage_between, review
from healerd.daemon.following import consider_return, follow
from healerd.daemon.reach import Reach, end, retell
from healerd.daemon.starting import resume, start, withdrawal
from healerd.errors import (
    ActionError,
    ConfigError,
    Conflict,
    HealerdError,
    RegistryAway,
    SegmentError,
    StaleEpoch,
    StoreError,
    TooLong,
)
from healerd.model import OPEN_STATES, TERMINAL_STATES, Answer, Intent, IntentState

__all__ = ["Executor", "Move", "ends_all"]

MOVES_MAX = 12
"""Moves of one intent in one pass; more would be a circle."""
PASSES_MAX = 6
"""Passes over the open intents in one step: a move of one may allow a move of another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of an intent: where it stood, and how it stands now."""

    was: IntentState
    intent: Intent


class Executor:
    """The one who carries out intents. `gap_max_s` is the longest pause between steps that is no downtime.

    `reached` are the questions, each an intent and its revision, that people were told of and can answer.
    """

    def __init__(self, reach: Reach, clock: Clock, *, gap_max_s: float = 60.0) -> None:
        self._reach, self._clock, self._gap_max_s = reach, clock, gap_max_s
        self._read: Instant | None = None
        self._counts: dict[str, Count] = {}
        self.reached: Set[tuple[str, int]] = frozenset()

    def recover(self, pipelines: Iterable[str]) -> None:
        """Fence off every older daemon and sweep what it left half made. Once, on start, before the first step."""
        for pipeline in pipelines:
            registry = self._reach.worlds(pipeline, self._clock.now()).registry
            registry.prepare()
            registry.raise_fence(self._reach.store.epoch)
            registry.sweep()

    def step(self, *, channel_open: bool) -> tuple[Move, ...]:
        """Move every open intent as far as it goes now; `channel_open`: people can answer (SAFETY S9).

        Raises StoreError when nothing can be written, StaleEpoch when a newer daemon has taken over.
        """
        now = self._clock.read()
        passage = passage_between(self._read, now, gap_max_s=self._gap_max_s)
        self._read = now
        if passage.broken:  # also for an intent that this step does not come to, and until it is known who was told
            self._counts.clear()
            self.reached = frozenset()
        moves: list[Move] = []
        for _ in range(PASSES_MAX):
            made = self._pass(now, passage, channel_open=channel_open)
            moves += made
            if not made:
                break
            passage = Passage()
        for pipeline in {each.intent.pipeline for each in moves if each.intent.state in TERMINAL_STATES}:
            self._prune(pipeline, now.at)
        return tuple(moves)

    def settle(self, *, channel_open: bool) -> tuple[Move, ...]:
        """Step, and wait for every job that runs, until none does: for offline runs."""
        moves = list(self.step(channel_open=channel_open))
        while self._wait_for_jobs():
            moves += self.step(channel_open=channel_open)
        return tuple(moves)

    def _pass(self, now: Instant, passage: Passage, *, channel_open: bool) -> list[Move]:
        """Look at every open intent once, and at the ways back from fallbacks."""
        intents = self._open()
        self._counts = {intent.id: self._counts[intent.id] for intent in intents if intent.id in self._counts}
        moves = [each for intent in intents for each in self._advance(intent, now, passage, channel_open=channel_open)]
        for fallback in self._fallbacks():
            moves += self._return(fallback, now.at)
        return moves

    def _open(self) -> tuple[Intent, ...]:
        return self._reach.store.find(Intent, state=OPEN_STATES)

    def _advance(self, intent: Intent, now: Instant, passage: Passage, *, channel_open: bool) -> list[Move]:
        moves: list[Move] = []
        for _ in range(MOVES_MAX):
            try:
                after = self._one(intent, now, passage, channel_open=channel_open)
            except Conflict:  # a person was faster: their word stands, and is read at the next step
                break
            except RegistryAway as error:
                self._wait_for_registry(intent, error)
                break
            except HealerdError as error:
                if ends_all(error):
                    raise
                with suppress(Conflict):  # it has moved since, and says why by itself
                    retell(self._reach, intent, str(error)[:500])
                break
            if after.version == intent.version:
                break
            moves.append(Move(was=intent.state, intent=after))
            if after.state in TERMINAL_STATES:
                break
            intent, passage = after, Passage()  # what lay between the steps counts once
        return moves

    def _wait_for_registry(self, intent: Intent, error: RegistryAway) -> None:
        """Say that an intent waits, wherever it stands by now: nothing is known of what may have been asked last."""
        self._reach.lost(intent.pipeline, error)
        stands = self._reach.store.get(Intent, intent.id)
        assert stands is not None, "an intent is never removed"
        with suppress(Conflict):  # a person was faster
            retell(self._reach, stands, f"waits: {error}"[:500])

    def _one(self, intent: Intent, now: Instant, passage: Passage, *, channel_open: bool) -> Intent:
        """Make one move, or none."""
        match intent.state:
            case IntentState.ANNOUNCED | IntentState.AWAITING_APPROVAL:
                return self._wait(intent, now, passage, channel_open=channel_open)
            case IntentState.READY:
                return start(self._reach, intent, now.at)
            case IntentState.EXECUTING:
                return resume(self._reach, intent, now.at)
            case IntentState.CONFIRMED | IntentState.VERIFYING | IntentState.UNDOING:
                return follow(self._reach, intent, now.at)
            case _:
                return intent

    def _wait(self, intent: Intent, now: Instant, passage: Passage, *, channel_open: bool) -> Intent:
        store = self._reach.store
        if reason := withdrawal(intent, store):
            with store.transaction() as tx:
                return end(tx, intent, IntentState.WITHDRAWN, at=now.at, reason=reason)
        waiting = review(
            intent,
            answers=store.find(Answer, intent_id=intent.id),
            count=self._counts.pop(intent.id, None),
            now=now,
            passage=passage,
            channel_open=channel_open or (intent.id, intent.revision) in self.reached,
        )
        after = intent
        if waiting.intent != intent:
            with store.transaction() as tx:
                after = tx.replace(waiting.intent, expect=intent)
        if waiting.count is not None:
            self._counts[intent.id] = waiting.count
        return after

    def _prune(self, pipeline: str, now: datetime) -> None:
        """Remove the oldest versions beyond the configured number; none that an open intent speaks of."""
        spoken_of = {name for intent in self._open() for name in _versions_of(intent)}
        with suppress(ActionError, ConfigError):  # a version that cannot be removed does no harm, and is tried again
            world = self._reach.worlds(pipeline, now)
            world.registry.prune(keep=world.settings.healing.versions_kept, referenced=spoken_of)

    def _fallbacks(self) -> tuple[Intent, ...]:
        """Find the fallbacks that took effect and may still serve: the newest of each pipeline.

        One pass over all there ever were, some microseconds each: no index knows which of a pipeline is its newest.
        """
        found = self._reach.store.find(Intent, action="fallback", order="seq")
        newest = {intent.pipeline: intent for intent in found if intent.effect_at is not None}
        return tuple(newest.values())

    def _return(self, fallback: Intent, now: datetime) -> list[Move]:
        """Look, once for each closed window, whether the model may come back from a fallback."""
        marked = replace(fallback, id=f"{fallback.id} return")
        if self._reach.stopped() or not self._reach.anything_new(marked, late=False):
            return []
        try:
            after = consider_return(self._reach, fallback, now)
        except HealerdError as error:
            if ends_all(error):
                raise
            return []
        return [Move(was=fallback.state, intent=after)] if after.version > fallback.version else []

    def _wait_for_jobs(self) -> bool:
        """Wait for the jobs of retrainings; tell whether one was running."""
        waited = False
        for intent in self._open():
            key = refit_key(intent) if intent.result.get("phase") == "refit" else intent.key
            with suppress(ConfigError):  # a pipeline that is no longer configured runs nothing
                worker = self._reach.worlds(intent.pipeline, self._clock.now()).worker
                if worker.look(key).run is Run.RUNNING:
                    worker.wait(key)
                    waited = True
        return waited


def ends_all(error: HealerdError) -> bool:
    """Tell whether nothing can go on: a newer daemon leads, or the database cannot be used.

    Anything else is the trouble of one pipeline, and the others go on; a file of its rows is not the database, nor is
    a record of it that is too long.
    """
    own = isinstance(error, SegmentError | TooLong)
    return isinstance(error, StaleEpoch) or (isinstance(error, StoreError) and not own)


def _versions_of(intent: Intent) -> set[str]:
    """List the versions that an intent speaks of."""
    named = (intent.target, intent.current, *(intent.result.get(key) for key in ("version", "refit", "accepted")))
    return {name for name in named if isinstance(name, str)}
