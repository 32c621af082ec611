"""The daemon's core: everything put together, one call at a time, on one thread; the README names its parts.

Must never act on its own: a tick ends with a committed decision, and what follows is the executor's, who asks the
guards again in the transaction that starts an effect. The module is long because every call of the port stands here.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from healerd.actions import Draft, Model, ProcessWorker, Registry, Worker, World
from healerd.client.access import STOP
from healerd.client.views import one_of, stage_of
from healerd.clock import Clock, Instant
from healerd.columns import Predictions
from healerd.config import Config
from healerd.daemon.accounts import current_account
from healerd.daemon.alerting import hear
from healerd.daemon.anchoring import Anchoring
from healerd.daemon.answers import resolve, take_answer
from healerd.daemon.clocks import meanwhile
from healerd.daemon.executor import Executor, Move, ends_all
from healerd.daemon.guards import RuleGuards
from healerd.daemon.lookout import Lookout
from healerd.daemon.pipeline import Pipeline, closed_windows, make_pipelines
from healerd.daemon.reach import Reach
from healerd.daemon.references import References
from healerd.daemon.rule_messages import said_by_rules
from healerd.daemon.rulebook import Rulebook
from healerd.daemon.situations import CLOCK_SET, REBOOTED, Moment
from healerd.daemon.tick import Ticker
from healerd.decision import Wish, demote, promote_stage
from healerd.decision.stages import LADDER
from healerd.errors import ConfigError, Conflict, HealerdError, NotFound, TooLong
from healerd.model import (
    DAEMON,
    EVERYTHING,
    Answer,
    AnswerKind,
    Decision,
    Intent,
    Pause,
    Reference,
    Stage,
    StageChange,
    Version,
    VersionKind,
    Window,
)
from healerd.sources import Source
from healerd.sources.alertmanager import Message
from healerd.store import Store

__all__ = ["Core"]

log = logging.getLogger("healerd")

CHANNEL_OPEN_S = 15 * 60.0
"""How long after a person's look people count as able to answer anything (SAFETY S9): the time of a coffee."""
REACTION_S = 60.0
"""The longest pause between two runs that is no downtime: people need a minute to answer at all."""
BACKLOG_S = REACTION_S / 2
"""How long one run works off what has closed while no daemon ran; then intents move, and the next run goes on.

With its last window and the tick between, a run then ends within REACTION_S of the one before: no veto window starts
afresh for a backlog."""
ON_HOLD = "on hold"
"""The name under which it is saved until when nothing starts because the clock was set."""


class Core:
    """Reads, decides, writes down and acts, for every pipeline of one configuration. Implements `ports.Core`."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        store: Store,
        worker: Worker,
        pipelines: Mapping[str, Pipeline],
        stack: ExitStack,
    ) -> None:
        self.config, self.store = config, store
        self._clock, self._worker, self._stack = clock, worker, stack
        self._rules = Rulebook(config)
        self.pipelines = pipelines
        self._references = References(store=store)
        self._guards = RuleGuards(pipelines=self.pipelines, rules=self._rules, moment=self._moment)
        self._looked: Instant | None = None
        self._held: set[str] = set()
        self._lookout = Lookout(
            store=store, references=self._references, config=config, clock=clock, pipelines=self.pipelines
        )
        lost = self._lookout.lost
        self._ticker = Ticker(store=store, references=self._references, rules=self._rules, lost=lost)
        reach = Reach(store=store, guards=self._guards, worlds=self._world, stop_file=config.state / STOP, lost=lost)
        gap_max_s = self._longest_pause_s(max(REACTION_S, 3 * config.daemon.tick), windows=2)
        self._executor = Executor(reach, clock, gap_max_s=gap_max_s)
        self._anchoring = Anchoring(store, config.anchors)
        stack.callback(self._anchoring.close)

    @classmethod
    def open(
        cls,
        config: Config,
        clock: Clock,
        *,
        sources: Mapping[str, Source] | None = None,
        registries: Mapping[str, Registry] | None = None,
        worker: Worker | None = None,
        start_at: datetime | None = None,
        open_store: Callable[..., Store] = Store.open,
    ) -> "Core":
        """Take the state folder, compile the rules, fence off older daemons, and store first versions.

        `sources`, `registries` and `worker` take the place of the configured ones, `open_store` that of `Store.open`;
        `start_at` is where windows begin to be judged.

        Raises LockHeld, StoreError, RulesError, ConfigError, ActionError, SourceError; not for a registry that is away.
        """
        with ExitStack() as stack:
            store = stack.enter_context(open_store(config.state, clock=clock, key=config.audit_key))
            hands = worker or ProcessWorker(config.state / "jobs", config.state / "logs")
            stack.callback(hands.close)
            made = make_pipelines(config, store=store, worker=hands, sources=sources or {}, registries=registries or {})
            core = cls(config, clock, store=store, worker=hands, pipelines=made, stack=stack)
            core._keep_rules(core._rules)
            core._look_at_the_clocks()
            core._lookout.open(core._executor.recover, start_at=start_at)
            core._stack = stack.pop_all()
        return core

    def close(self) -> None:
        """Let go of everything; what waits is kept."""
        self._stack.close()

    # The loop.

    def run_due(self) -> tuple[object, ...]:
        """Judge every closed window, and move every intent that can move. Harmless when late or doubled.

        The pipelines that are furthest behind come last, and have the time that the others left.
        What goes wrong with one pipeline holds that one. Raises StaleEpoch, and StoreError for the database.
        """
        told: list[object] = []
        ends_s = self._clock.read().boot_s + BACKLOG_S
        due = sorted(((each, self._closed(each)) for each in self.pipelines.values()), key=lambda one: len(one[1]))
        for left, (pipeline, windows) in zip(range(len(due), 0, -1), due, strict=True):
            told += self._lookout.seek(pipeline)
            now_s = self._clock.read().boot_s
            judged = self._judge(pipeline, windows, until_s=now_s + (ends_s - now_s) / left)
            told += judged
            if judged and not self._closed(pipeline):  # of a backlog that goes on, what rules said is past
                told += said_by_rules(judged, self._rules)
        told += self._executor.step(channel_open=self._channel_open())
        self._anchoring.step(self._clock.read().boot_s)
        return tuple(told)

    def settle(self) -> tuple[Move, ...]:
        """Wait until nothing that was started still runs: for offline runs."""
        return self._executor.settle(channel_open=self._channel_open())

    def _closed(self, pipeline: Pipeline) -> tuple[Window, ...]:
        """List the windows that have closed and are not judged yet."""
        mark = self.store.watermark(pipeline.name)
        if mark is None or pipeline.name in self._held:
            return ()
        now = self._clock.now() - pipeline.settle
        return closed_windows(pipeline.name, window_s=pipeline.settings.window, watermark=mark, now=now)

    def _judge(self, pipeline: Pipeline, windows: Sequence[Window], *, until_s: float) -> list[object]:
        told: list[object] = []
        for window in windows:
            if told and self._clock.read().boot_s >= until_s:
                break
            try:
                told += self._ticker.tick(pipeline, window, self._moment(pipeline.name))
            except HealerdError as error:
                if ends_all(error):
                    raise
                told += self._ticker.world_failed(pipeline, window, error)
                if isinstance(error, TooLong):  # as long at the next run: it would be computed at each in vain
                    self._held.add(pipeline.name)
                break
        return told

    def _moment(self, pipeline: str) -> Moment:
        now = self._clock.now()
        saved = self.store.state(pipeline, ON_HOLD)
        until = datetime.fromisoformat(json.loads(saved)["until"]) if saved else now
        return Moment(
            now=now,
            folder=self.config.state,
            pipelines=self.config.pipeline,
            on_hold=f"the clock was set; nothing starts before {until:%Y-%m-%d %H:%M}" if now < until else "",
        )

    def _look_at_the_clocks(self) -> None:
        """Count what the clocks did while no daemon ran as if one had seen it (SAFETY S16)."""
        found = meanwhile(self.store, self._clock.read())
        if found.set_s:
            log.warning("the clock was set by %+.1f s; nothing acts until the next full window", found.set_s)
            self.clock_jumped(found.set_s)
        if found.uncounted_s:
            log.info("since the record the clock went on by %+.0f s that count towards no rest", found.uncounted_s)
            with self.store.transaction() as tx:
                tx.note(REBOOTED, {"by_s": found.uncounted_s})

    def clock_jumped(self, seconds: float) -> None:
        """Record that the wall clock was set, and hold actions until the next full window (SAFETY S16)."""
        now = self._clock.now()
        with self.store.transaction() as tx:
            tx.note(CLOCK_SET, {"by_s": seconds})
            for name, pipeline in self.pipelines.items():
                length = timedelta(seconds=pipeline.settings.window)
                mark = tx.watermark(name) or now
                until = max(now, mark) + length * 2 - (now - mark) % length
                tx.save_state(name, ON_HOLD, {"until": until.isoformat()})

    def _world(self, pipeline: str, now: datetime) -> World:
        if pipeline not in self.pipelines:
            raise ConfigError(f"pipeline `{pipeline}` is not configured any more: what it has open waits")
        return self.pipelines[pipeline].world(now)

    def _longest_pause_s(self, least_s: float, *, windows: float) -> float:
        """Bound a pause in which people count as present: where the stream is played, time passes by windows."""
        played = (each for each in self.config.pipeline.values() if each.source.kind == "memory")
        return max([least_s, *(settings.window * windows for settings in played)])

    # What people say.

    def channel_opened(self, author: str) -> None:
        """Record that a person who may answer is looking (SAFETY S9)."""
        self._looked = self._clock.read()

    def reached(self, questions: Set[tuple[str, int]]) -> None:
        """Say which questions, intents with their revision, people were told of, until the next call (SAFETY S9)."""
        self._executor.reached = questions

    def _channel_open(self) -> bool:
        if self.config.daemon.unattended:
            return True
        now, looked = self._clock.read(), self._looked
        if looked is None or looked.boot_id != now.boot_id:
            return False
        return now.boot_s - looked.boot_s <= self._longest_pause_s(CHANNEL_OPEN_S, windows=1)

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
        """Take a person's answer. Raises NotFound, NotAllowed, or Conflict with the state and the undo command."""
        intent = one_of(self.store, Intent, intent_id, "healerd inbox")
        now = self._clock.now()
        # No name in the id: names can be erased from the record, ids cannot.
        before = len(self.store.find(Answer, intent_id=intent_id))
        answer = Answer(
            id=f"{intent_id}-{kind.value}-{before + 1}-{now:%Y%m%dT%H%M%S.%f}",
            intent_id=intent_id,
            pipeline=intent.pipeline,
            kind=kind,
            author=author,
            roles=tuple(roles),
            reason=reason,
            revision=intent.revision if revision is None else revision,
            at=now,
        )
        return take_answer(self.store, answer)

    def propose(
        self, pipeline: str, action: str, *, to: str | None, author: str, roles: Sequence[str], reason: str
    ) -> Decision:
        """Ask for a heal, under the same guards as any other (SAFETY S17)."""
        found = self._pipeline(pipeline)
        wish = Wish(action=action, target=to, author=author, reason=reason)
        return self._ticker.wish(found, self._moment(pipeline), wish)

    def rehearse(self, pipeline: str, action: str, *, to: str | None, author: str, reason: str) -> Mapping[str, object]:
        """Say what `propose` would decide and do now, and change nothing: no record, no version, no alias."""
        wish = Wish(action=action, target=to, author=author, reason=reason)
        found = self._ticker.rehearse(self._pipeline(pipeline), self._moment(pipeline), wish)
        decision, plan = found.decision, found.plan
        return {
            "action": action,
            "verdict": decision.level,
            "would": decision.chosen,
            "why": decision.reason,
            "veto_within_s": decision.veto_within_s,
            "approvals": [need.role for need in decision.approvals],
            "plan": None if plan is None else {"target": plan.target, "current": plan.current, "note": plan.note},
            "refusal": found.refusal,
        }

    def pause(self, pipeline: str, *, author: str, reason: str) -> None:
        """Stop one pipeline."""
        self._pipeline(pipeline)
        self._put_pause(pipeline, author=author, reason=reason)

    def stop_all(self, *, author: str, reason: str) -> None:
        """Stop everything: the record, and the file that holds even when the daemon hangs (SAFETY S15)."""
        self._write_stop(author, reason)
        self._put_pause(EVERYTHING, author=author, reason=reason)

    def resume(self, pipeline: str, *, author: str, reason: str) -> None:
        """End the pause of one pipeline, or of everything when `pipeline` is `*`."""
        with self.store.transaction() as tx:
            if pipeline == EVERYTHING:
                (self.config.state / STOP).unlink(missing_ok=True)
            for pause in tx.find(Pause, pipeline=pipeline, ended_at=None):
                tx.put(replace(pause, ended_at=self._clock.now(), ended_by=author), actor=author)
            tx.note("resumed", {"pipeline": pipeline, "reason": reason}, actor=author)

    def _write_stop(self, author: str, reason: str) -> None:
        """Leave the file; where it cannot be written, the one that is there holds, else the record alone does."""
        try:
            (self.config.state / STOP).write_text(f"{author}: {reason}\n", encoding="utf-8", errors="replace")
        except OSError as problem:
            log.warning("the file `%s` was not written: %s", STOP, problem.strerror)

    def _put_pause(self, pipeline: str, *, author: str, reason: str) -> None:
        with self.store.transaction() as tx:
            if pipeline == EVERYTHING:  # once more: it may have waited for somebody who resumes
                self._write_stop(author, reason)
            if not tx.find(Pause, pipeline=pipeline, ended_at=None):
                pause = Pause(pipeline=pipeline, since_at=self._clock.now(), author=author, reason=reason)
                tx.put(pause, actor=author)

    def set_stage(self, pipeline: str, stage: Stage, *, author: str, roles: Sequence[str], reason: str) -> StageChange:
        """Move a pipeline to another stage; only people promote (SAFETY S5)."""
        found = self._pipeline(pipeline)
        with self.store.transaction() as tx:
            now = stage_of(tx, pipeline)
            at = self._clock.now()
            if LADDER.index(stage) > LADDER.index(now):
                account = current_account(tx, found, at)
                change = promote_stage(
                    pipeline, now=now, to=stage, author=author, roles=roles, reason=reason, at=at, account=account
                )
            else:
                change = demote(pipeline, now=now, to=stage, author=author, reason=reason, at=at)
            if isinstance(change, str):
                raise Conflict(f"`{pipeline}` stays in stage `{now}`: {change}")
            tx.put(change, actor=author)
        return change

    def accept(
        self, pipeline: str, *, since: datetime | None, author: str, reason: str, dry_run: bool = False
    ) -> Reference:
        """Take a change of the inputs as expected: the newest good windows are what the active version is held against.

        The error it is held against does not move (SAFETY S12); with `dry_run` nothing does. Raises NotFound, Conflict.
        """
        found = self._pipeline(pipeline)
        if found.active is None:
            raise Conflict(f"`{pipeline}` serves no version: there is nothing to hold against a reference")
        before = self._references.of(found, found.active, self._clock.now())
        held = self._references.accepted(found, found.active, self._clock.now(), since=since)
        if dry_run:
            return held.reference
        instead_of = None if before is None else before.reference.id
        said = {"reference": held.reference.id, "instead_of": instead_of, "reason": reason}
        with self.store.transaction() as tx:
            held.write(tx, actor=author)
            tx.note("accepted", said, pipeline=pipeline, actor=author)
        return held.reference

    def resolve(self, intent_id: str, *, took_effect: bool, author: str, reason: str) -> Intent:
        """Take a person's word on an intent whose effect nobody could tell. Raises NotFound, Conflict."""
        now = self._clock.now()
        return resolve(self.store, intent_id, took_effect=took_effect, author=author, reason=reason, at=now)

    def hear_alerts(self, message: Message, *, author: str) -> Mapping[str, object]:
        """Keep what other monitoring tells, in one transaction of its own. Raises StoreError."""
        settings = self.config.listen.alerts
        assert settings is not None, "nobody listens without the table"
        expire = timedelta(seconds=settings.expire)
        now = self._clock.now()
        return hear(self.store, message, pipelines=self.pipelines, expire=expire, now=now, author=author)

    def reload_rules(self) -> Mapping[str, str]:
        """Compile the rule files anew, write them down, and swap them in; name what changed.

        Raises RulesError, and StoreError where they cannot be written down; then the old sets stay.
        """
        fresh = self._rules.anew()
        changed = self._rules.changed_in(fresh)
        self._keep_rules(fresh)
        with self.store.transaction() as tx:
            tx.note("rules", {"changed": dict(changed)})
        self._rules.take(fresh)
        return changed

    def _keep_rules(self, rules: Rulebook) -> None:
        """Keep the texts of the rule sets of a book, each once: who reads a decision later reads its rules as well."""
        fresh = {f"rules {id_}": told for id_, told in rules.told().items()}
        missing = {name: told for name, told in fresh.items() if self.store.state(EVERYTHING, name) is None}
        if missing:
            with self.store.transaction() as tx:
                for name, told in missing.items():
                    tx.save_state(EVERYTHING, name, told)

    # Versions that come from outside.

    def add_version(
        self,
        pipeline: str,
        model: Model,
        *,
        name: str,
        rows: Predictions,
        held_out: Predictions,
        trained_from_at: datetime,
        trained_to_at: datetime,
        note: str = "",
        activate: bool = True,
    ) -> Version:
        """Store a version that people made: its model, the rows it is compared with, and its held-out outputs.

        Doing it again after a crash changes nothing. Raises ActionError when the registry refuses it.
        """
        found = self._pipeline(pipeline)
        now = self._clock.now()
        draft = Draft(
            name=name,
            kind=VersionKind.MODEL,
            created_at=now,
            key=f"added {name}",
            trained_from_at=trained_from_at,
            trained_to_at=trained_to_at,
            trained_rows=len(rows),
            note=note,
        )
        version = found.registry.add(model, draft)
        held = self._references.first(found, version, rows=rows, held_out=held_out)
        with self.store.transaction() as tx:
            tx.put(version)
            held.write(tx)
        if activate:
            current = found.registry.alias().version
            found.registry.set_alias(
                name, if_current=current, key=f"added {name}", epoch=self.store.epoch, by=DAEMON, at=now
            )
        return version

    def _pipeline(self, name: str) -> Pipeline:
        if name not in self.pipelines:
            raise NotFound(f"no pipeline `{name}`; configured: {', '.join(self.pipelines) or 'none'}")
        return self.pipelines[name]
