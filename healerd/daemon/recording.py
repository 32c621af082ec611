"""A core without a loop, for tests of whatever talks to the core: it keeps records in memory and writes down its calls.

Must never be used by the daemon itself.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from healerd.audit import EMPTY
from healerd.clock import Clock
from healerd.errors import ConfigError, Conflict, NotAllowed, NotFound
from healerd.model import (
    ACTIONS_THAT_HEAL,
    DAEMON,
    EVERYTHING,
    HOLD,
    OPEN_STATES,
    AnswerKind,
    Decision,
    Intent,
    IntentState,
    Pause,
    Reference,
    Stage,
    StageChange,
)
from healerd.sources.alertmanager import Message
from healerd.store import Reader, Transaction
from healerd.store.library import sqlite
from healerd.store.schema import migrate
from healerd.store.seal import Seal

__all__ = ["MemoryStore", "RecordingCore"]


class MemoryStore(Reader):
    """The control database in memory, each `put` with its audit leaf: what the views read is the real thing."""

    def __init__(self, clock: Clock) -> None:
        self.folder, self._clock = Path(), clock
        self._writer = sqlite.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self._writer, Path())
        self._head, self._turn = (0, EMPTY), threading.RLock()
        self._seal = Seal.of(self._writer, 0)

    def put(self, record: Any, *, instead_of: Any = None, actor: str = DAEMON) -> None:
        """Keep a record, in the place of an earlier one if there is one, and note it."""
        with self.transaction() as tx:
            if isinstance(record, Intent) and instead_of is not None:
                tx.replace(record, expect=instead_of, actor=actor)
            else:
                tx.put(record, actor=actor)

    def note(self, kind: str, *, actor: str, pipeline: str | None = None, record: Any = None) -> None:
        """Add a leaf that describes no row."""
        with self.transaction() as tx:
            tx.note(kind, record or {}, pipeline=pipeline, actor=actor)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction, as the daemon's own store does; what it wrote before it raised is kept here."""
        with self._turn:
            tx = Transaction(self.folder, self._writer, self._clock, self._head, 1, seal=self._seal)
            try:
                yield tx
            finally:
                self._seal.write(self._writer)
                self._head = tx.end()

    def close(self) -> None:
        """Let go of the memory."""
        self._writer.close()

    def _connection(self) -> sqlite.Connection:
        return self._writer

    def _query(self, sql: str, values: list[Any]) -> list[Any]:
        with self._turn:
            return super()._query(sql, values)


class RecordingCore:
    """Implements `ports.Core`: `calls` lists what was asked of it, in order."""

    def __init__(self, store: MemoryStore, clock: Clock, *, stop_file: Path | None = None) -> None:
        self.store, self._clock, self._stop_file = store, clock, stop_file
        self.calls: list[tuple[Any, ...]] = []

    def run_due(self) -> Sequence[object]:
        """Do nothing."""
        self.calls.append(("run_due",))
        return ()

    def clock_jumped(self, seconds: float) -> None:
        """Note the jump."""
        self.calls.append(("clock_jumped", seconds))

    def channel_opened(self, author: str) -> None:
        """Note the look."""
        self.calls.append(("channel_opened", author))

    def reached(self, questions: Set[tuple[str, int]]) -> None:
        """Note what people were told, if anything."""
        if questions:
            self.calls.append(("reached", *sorted(questions)))

    def answer(
        self,
        intent_id: str,
        kind: AnswerKind,
        *,
        author: str,
        roles: Sequence[str],
        reason: str,
        revision: int | None,
    ) -> Intent:
        """Move an open intent; what is no longer open is a conflict."""
        self.calls.append(("answer", intent_id, kind, author, reason, revision))
        intent = self.store.get(Intent, intent_id)
        if intent is None:
            raise NotFound(f"no intent `{intent_id}`")
        if kind is not AnswerKind.LIFT and intent.state not in OPEN_STATES:
            undo = f"healerd propose {intent.pipeline} rollback --to {intent.current}"
            raise Conflict(f"`{intent_id}` is {intent.state.value} already; to take it back: `{undo}`")
        lacking = [need.role for need in intent.approvals if need.role not in roles]
        if kind is AnswerKind.APPROVE and lacking:
            raise NotAllowed(f"the approval of `{lacking[0]}` is needed")
        state = IntentState.READY if kind is AnswerKind.APPROVE else IntentState.VETOED
        moved = replace(intent, state=state, version=intent.version + 1, reason=reason)
        self.store.put(moved, instead_of=intent, actor=author)
        return moved

    def resolve(self, intent_id: str, *, took_effect: bool, author: str, reason: str) -> Intent:
        """End an intent whose effect nobody could tell."""
        self.calls.append(("resolve", intent_id, took_effect, author, reason))
        intent = self.store.get(Intent, intent_id)
        if intent is None:
            raise NotFound(f"no intent `{intent_id}`")
        if intent.state is not IntentState.NEEDS_PERSON:
            raise Conflict(f"`{intent_id}` is {intent.state.value}: nobody has to resolve it")
        state = IntentState.INCONCLUSIVE if took_effect else IntentState.FAILED
        moved = replace(intent, state=state, version=intent.version + 1, reason=reason)
        self.store.put(moved, instead_of=intent, actor=author)
        return moved

    def propose(
        self, pipeline: str, action: str, *, to: str | None, author: str, roles: Sequence[str], reason: str
    ) -> Decision:
        """Decide to do it."""
        if action not in ACTIONS_THAT_HEAL:
            raise ConfigError(f"no action `{action}` to propose; there are {', '.join(ACTIONS_THAT_HEAL)}")
        self.calls.append(("propose", pipeline, action, to, author, reason))
        decision = Decision(
            id=f"decision-{self.store.head()[0]}",
            pipeline=pipeline,
            at=self._clock.now(),
            window_start_at=None,
            window_end_at=None,
            stage=Stage.SUGGEST,
            incident_id=None,
            severity=0,
            chosen=action,
            target=to,
            rule_action=HOLD,
            rule=None,
            candidate=action,
            p_cheaper_than_rule=None,
            confidence=None,
            propensity=1.0,
            level="allowed",
            reason=reason,
            options=(),
            author=author,
            rules_id="none",
            trace={},
        )
        self.store.put(decision, actor=author)
        return decision

    def rehearse(self, pipeline: str, action: str, *, to: str | None, author: str, reason: str) -> Mapping[str, object]:
        """Say that it would be done."""
        plan = {"target": to, "current": "v13", "note": "as it was asked for"}
        return {
            "action": action,
            "verdict": "allowed",
            "would": action,
            "why": reason,
            "veto_within_s": None,
            "approvals": [],
            "plan": plan,
            "refusal": "",
        }

    def pause(self, pipeline: str, *, author: str, reason: str) -> None:
        """Stop one pipeline."""
        self.calls.append(("pause", pipeline, author, reason))
        pause = Pause(pipeline=pipeline, since_at=self._clock.now(), author=author, reason=reason)
        self.store.put(pause, actor=author)

    def resume(self, pipeline: str, *, author: str, reason: str) -> None:
        """End the pauses of one pipeline, or of everything."""
        self.calls.append(("resume", pipeline, author, reason))
        if pipeline == EVERYTHING and self._stop_file:
            self._stop_file.unlink(missing_ok=True)
        for pause in self.store.find(Pause, pipeline=pipeline, ended_at=None):
            self.store.put(replace(pause, ended_at=self._clock.now(), ended_by=author), actor=author)

    def stop_all(self, *, author: str, reason: str) -> None:
        """Stop everything."""
        self.pause(EVERYTHING, author=author, reason=reason)

    def set_stage(self, pipeline: str, stage: Stage, *, author: str, roles: Sequence[str], reason: str) -> StageChange:
        """Move a pipeline to another stage."""
        self.calls.append(("set_stage", pipeline, stage, author, reason))
        # A manual clock stands still, and no two changes of a stage share their moment.
        at = self._clock.now() + timedelta(microseconds=self.store.head()[0])
        change = StageChange(pipeline=pipeline, stage=stage, at=at, author=author, reason=reason)
        self.store.put(change, actor=author)
        return change

    def accept(
        self, pipeline: str, *, since: datetime | None, author: str, reason: str, dry_run: bool = False
    ) -> Reference:
        """Note the wish, and make a reference that holds nothing."""
        if not dry_run:
            self.calls.append(("accept", pipeline, since, author, reason))
        now = self._clock.now()
        reference = Reference(
            id=f"reference-{self.store.head()[0]}",
            pipeline=pipeline,
            version="v1",
            at=now,
            error=0.0,
            error_rows=0,
            rows=0,
            start_at=since or now,
            end_at=now,
        )
        if not dry_run:
            self.store.put(reference, actor=author)
        return reference

    def hear_alerts(self, message: Message, *, author: str) -> Mapping[str, object]:
        """Note what was told."""
        self.calls.append(("hear_alerts", message, author))
        return {"taken": len(message.alerts)}

    def reload_rules(self) -> object:
        """Note the wish."""
        self.calls.append(("reload_rules",))
        return None

    def close(self) -> None:
        """Note the end."""
        self.calls.append(("close",))
        self.store.close()
