"""A core without a loop, for tests of whatever talks to the core: it keeps records in memory and writes down its calls.

Must never be used by the daemon itself.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from healerd.audit import Entry
from healerd.client.access import EVERYTHING
from healerd.client.views import plain
from healerd.clock import Clock
from healerd.errors import Conflict, NotAllowed, NotFound
from healerd.model import (
    HOLD,
    OPEN_STATES,
    AnswerKind,
    Decision,
    Intent,
    IntentState,
    Outcome,
    Pause,
    Stage,
    StageChange,
)

__all__ = ["MemoryStore", "RecordingCore"]

R = TypeVar("R")


class MemoryStore:
    """Records in memory, each `put` with its audit entry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: list[Any] = []
        self._entries: list[Entry] = []

    def get(self, record: type[R], key: str) -> R | None:
        """Read one record by its id."""
        key_of = attrgetter("intent_id" if record is Outcome else "id")
        return next((each for each in self._records if isinstance(each, record) and key_of(each) == key), None)

    def find(self, record: type[R], *, order: str = "seq", limit: int | None = None, **filters: Any) -> Sequence[R]:
        """Read the records whose fields have the given values."""
        found = [
            each
            for each in self._records
            if isinstance(each, record) and all(_fits(getattr(each, name), want) for name, want in filters.items())
        ]
        if order == "-seq":
            found.reverse()
        elif order != "seq":
            found.sort(key=lambda each: getattr(each, order.removeprefix("-")), reverse=order.startswith("-"))
        return found[:limit]

    def leaves(self, *, after: int = 0, limit: int = 1000) -> Sequence[Entry]:
        """Read the entries numbered above `after`."""
        return self._entries[after:][:limit]

    def head(self) -> tuple[int, str]:
        """Read the number of the newest entry; there is no chain."""
        return len(self._entries), ""

    def put(self, record: Any, *, instead_of: Any = None, actor: str = "daemon") -> None:
        """Keep a record, in the place of an earlier one if there is one, and note it."""
        if instead_of in self._records:
            self._records[self._records.index(instead_of)] = record
        else:
            self._records.append(record)
        table = re.sub(r"(?<!^)(?=[A-Z])", "_", type(record).__name__).lower()
        pipeline = getattr(record, "pipeline", None)
        self.note(table, actor=actor, pipeline=pipeline, record=plain(record), table=table)

    def note(
        self, kind: str, *, actor: str, pipeline: str | None = None, record: Any = None, table: str | None = None
    ) -> None:
        """Add an entry to the log."""
        now = self._clock.read()
        self._entries.append(
            Entry(
                seq=len(self._entries) + 1,
                at=now.at,
                boot_id=now.boot_id,
                boot_s=now.boot_s,
                epoch=1,
                kind=kind,
                actor=actor,
                pipeline=pipeline,
                table=table,
                key=None,
                record=record,
            )
        )


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

    def propose(
        self, pipeline: str, action: str, *, to: str | None, author: str, roles: Sequence[str], reason: str
    ) -> Decision:
        """Decide to do it."""
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
            self.store.put(replace(pause, ended_at=self._clock.now(), ended_by=author), instead_of=pause, actor=author)

    def stop_all(self, *, author: str, reason: str) -> None:
        """Stop everything."""
        self.pause(EVERYTHING, author=author, reason=reason)

    def set_stage(self, pipeline: str, stage: Stage, *, author: str, roles: Sequence[str], reason: str) -> StageChange:
        """Move a pipeline to another stage."""
        self.calls.append(("set_stage", pipeline, stage, author, reason))
        change = StageChange(pipeline=pipeline, stage=stage, at=self._clock.now(), author=author, reason=reason)
        self.store.put(change, actor=author)
        return change

    def reload_rules(self) -> object:
        """Note the wish."""
        self.calls.append(("reload_rules",))
        return None

    def close(self) -> None:
        """Note the end."""
        self.calls.append(("close",))


def _fits(value: Any, want: Any) -> bool:
    return value in want if isinstance(want, frozenset | set | tuple | list) else value == want
