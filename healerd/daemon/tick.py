"""One closed window of one pipeline, from its rows to a committed decision. It runs left to right.

Must never touch the world: what was decided is in the store when a tick returns, and the executor goes on from there.
A bug in a tick ends it as a hold that says so; a source that cannot be read is tried again.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from healerd.actions import Plan, heals_of
from healerd.daemon.accounts import keep_hold
from healerd.daemon.beginning import UNKNOWN_VERSION
from healerd.daemon.diagnosing import diagnosed
from healerd.daemon.ingest import Arrived, ingest
from healerd.daemon.kinds import remember
from healerd.daemon.operating import MEMORY, POINTS, read_operations
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.reach import end
from healerd.daemon.references import References
from healerd.daemon.rulebook import Rulebook
from healerd.daemon.situations import (
    Carried,
    Moment,
    Prospects,
    carried_on,
    newest_decision,
    now_in,
    prospects_of,
    situation_of,
)
from healerd.daemon.troubles import Trouble, troubles_with_ids
from healerd.daemon.watch import STATE, Watched, watch
from healerd.decision import Situation, Wish, cost_model, decide, open_for_wish, prepare
from healerd.decision.stages import demoted, withdraw_trust
from healerd.errors import ActionError, ConfigError, HealerdError, RegistryAway, SourceError
from healerd.model import DAEMON, HOLD, NOT_STARTED, Decision, Intent, IntentState, Measurement, Quality, Stage, Window
from healerd.policy import begin
from healerd.profiles import to_bytes
from healerd.segments.read import as_read
from healerd.store import Reader, Store, Transaction

__all__ = ["ALIAS", "Rehearsal", "Ticker"]

log = logging.getLogger("healerd")

STATES = {
    "allowed": IntentState.READY,
    "announced": IntentState.ANNOUNCED,
    "approval needed": IntentState.AWAITING_APPROVAL,
}
"""Where an intent begins, by the level of its verdict."""
ID_DIGITS = 8
WINDOW_FAILED = "window failed"
"""The kind of the leaf that says that a window cannot be judged, where neither its source nor its registry is why."""
ALIAS = "alias"
"""The name under which it is saved where the alias stood that the newest tick saw: its generation and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What would be decided on a person's wish, and the plan it would follow; or why there is none."""

    decision: Decision
    plan: Plan | None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Judges windows. `failing` remembers what keeps which pipeline from being judged, so that it is told once.

    `lost` is told which pipeline's registry has just not answered.
    """

    store: Store
    references: References
    rules: Rulebook
    lost: Callable[[str, RegistryAway], None] = lambda pipeline, error: None
    failing: set[tuple[str, str]] = field(default_factory=set)

    def tick(self, pipeline: Pipeline, window: Window, moment: Moment) -> tuple[Decision | Trouble | None, ...]:
        """Judge one closed window and commit what was decided; None when the tick itself failed, which holds.

        After that stands what people have to mend, although the window was judged.

        Raises SourceError when the window cannot be read yet, ActionError when nobody can tell which version serves,
        SegmentError when rows that were taken in cannot be read again, StoreError when nothing can be written.
        """
        troubles: tuple[Trouble, ...] = ()
        try:
            self._look(pipeline)
            arrived = self._take_in(pipeline, window, moment)
            troubles = troubles_with_ids(pipeline, arrived)
            decision = self._judge(pipeline, window, moment, arrived)
        except HealerdError:
            raise
        except Exception as error:  # around a tick: a bug holds, and says so in the trace
            log.exception("a bug ended the tick of `%s`; it holds", pipeline.name)
            pipeline.remember(window.start_at, Quality.UNKNOWN)
            with self.store.transaction() as tx:
                said = {"window_end_at": window.end_at, "error": f"{type(error).__name__}: {error}"[:500]}
                tx.note("tick failed", said, pipeline=pipeline.name)
                tx.set_watermark(pipeline.name, window.end_at)
            decision = None
        self.failing.difference_update([each for each in self.failing if each[0] == pipeline.name])
        return (decision, *troubles)

    def _look(self, pipeline: Pipeline) -> None:
        """See where the alias stands. While the registry is away, what it said last holds; it must have said it once.

        Raises ActionError when nobody can tell which version serves.
        """
        sight = pipeline.sight
        if not sight.away:
            try:
                sight.alias = pipeline.registry.alias()
            except RegistryAway as error:
                self.lost(pipeline.name, error)
        if sight.away and sight.alias is None:
            raise RegistryAway(sight.away)

    def world_failed(self, pipeline: Pipeline, window: Window, error: HealerdError) -> tuple[Trouble, ...]:
        """Write down, once an outage, that a window cannot be judged; give what people have to mend.

        Raises StoreError when not even that can be written.
        """
        if isinstance(error, RegistryAway):
            self.lost(pipeline.name, error)
            return ()
        kind = _kind_of(error)
        if (pipeline.name, kind) in self.failing:
            return ()
        log.error("`%s`: %s", pipeline.name, error)
        with self.store.transaction() as tx:
            tx.note(kind, {"window_end_at": window.end_at, "error": str(error)[:1000]}, pipeline=pipeline.name)
        self.failing.add((pipeline.name, kind))
        return (Trouble(pipeline=pipeline.name, said=str(error)),)

    def wish(self, pipeline: Pipeline, moment: Moment, wish: Wish) -> Decision:
        """Decide on what a person asks for, as of now: under the same guards as any other (SAFETY S17)."""
        situation, prospects, decision = self._wished(pipeline, moment, wish)
        with self.store.transaction() as tx:
            if situation.incident is not None and decision.chosen != HOLD:
                tx.put(situation.incident, actor=wish.author)
            _commit(tx, pipeline, decision, prospects, actor=wish.author)
        return decision

    def rehearse(self, pipeline: Pipeline, moment: Moment, wish: Wish) -> Rehearsal:
        """Say what would be decided and done on what a person asks for now; write nothing down."""
        _, prospects, decision = self._wished(pipeline, moment, wish)
        plan = prospects.plans.get(wish.action)
        refused = next((each.refusal for each in prospects.targets if each.action == wish.action), "")
        return Rehearsal(decision=decision, plan=plan, refusal=refused)

    def _wished(self, pipeline: Pipeline, moment: Moment, wish: Wish) -> tuple[Situation, Prospects, Decision]:
        known = heals_of(pipeline.settings)
        if wish.action not in known:
            raise ConfigError(f"no action `{wish.action}` to propose; there are {', '.join(known)}")
        before = newest_decision(self.store, pipeline.name)
        seen = situation_of(before) if before is not None else None
        if seen is None:
            raise ConfigError(f"pipeline `{pipeline.name}` has not judged a window yet; wait for the first")
        prospects = prospects_of(pipeline.world(moment.now), wish=wish)
        ruleset, model = self.rules.of(pipeline.name), cost_model(pipeline.settings)
        situation = now_in(_with(seen, prospects), pipeline, self.store, moment, model, ruleset=ruleset)
        situation = replace(situation, id=_id(pipeline.name, moment, wish), window=None, wish=wish)
        situation = replace(situation, incident=open_for_wish(situation))
        return situation, prospects, decide(situation, ruleset)

    def _take_in(self, pipeline: Pipeline, window: Window, moment: Moment) -> Arrived:
        arrived = ingest(pipeline, window, now=moment.now)
        points = read_operations(pipeline, window)
        # Rows that were taken in before their window failed come again with each try: once is enough to say so.
        told = (pipeline.name, WINDOW_FAILED) in self.failing and not arrived.segments
        with self.store.transaction() as tx:
            if points is not None:
                tx.save_state(pipeline.name, POINTS, points)
            for segment in arrived.segments:
                tx.add_segment(segment)
            if arrived.irregular and not told:
                tx.note("irregular rows", _irregular(window, arrived), pipeline=pipeline.name)
        remember(pipeline, arrived.segments)
        for ids in arrived.ids:
            pipeline.recent.add(ids, window.start_at)
        pipeline.cache.forget(settled=arrived.late > 0)
        if arrived.alone:
            pipeline.cache.put(window.start_at, as_read(arrived.rows), as_of=window.end_at)
        return arrived

    def _judge(self, pipeline: Pipeline, window: Window, moment: Moment, arrived: Arrived) -> Decision:
        held = self.references.of(pipeline, pipeline.active or UNKNOWN_VERSION, window.end_at)
        watched = watch(pipeline, window, held, doubled=arrived.doubled)
        pipeline.remember(window.start_at, watched.quality)
        seen = self._situation(pipeline, watched, moment, carried_on(self.store, pipeline.name))
        demotion = withdraw_trust(seen)
        seen = demoted(seen, demotion)
        ruleset = self.rules.of(pipeline.name)
        prospects = _prospects(pipeline, watched, moment, seen)
        prepared = prepare(_with(seen, prospects), ruleset)
        if prepared.open_incident is not None and not prospects.targets:
            prospects = prospects_of(pipeline.world(moment.now))
            prepared = _with(prepared, prospects)
        prepared = diagnosed(pipeline, watched, prepared)
        decision = decide(prepared, ruleset)
        with self.store.transaction() as tx:
            _record(tx, pipeline, watched, prepared.measurements)
            if demotion is not None:
                tx.put(demotion)
            if prepared.incident is not None and prepared.incident != seen.incident:
                tx.put(prepared.incident)
            _commit(tx, pipeline, decision, prospects, actor=DAEMON)
            tx.set_watermark(pipeline.name, window.end_at)
        return decision

    def _situation(self, pipeline: Pipeline, watched: Watched, moment: Moment, before: Carried) -> Situation:
        model = cost_model(pipeline.settings)
        seen = Situation(
            id=_id(pipeline.name, moment, watched.window),
            pipeline=pipeline.name,
            tags=tuple(pipeline.settings.tags),
            now=moment.now,
            window=watched.window,
            window_s=float(pipeline.settings.window),
            stage=Stage.SUGGEST,
            clean_windows=pipeline.settings.detection.clean_windows,
            quality=watched.quality,
            rows=watched.rows,
            measurements=watched.measurements,
            cohorts=watched.cohorts,
            reference=watched.held.reference if watched.held else None,
            alias_moved=_alias_moved(self.store, pipeline),
            costs=model,
            learned=begin(model),
            standing=before.standing,
            signals=before.signals,
            diagnosis=before.diagnosis,
        )
        return now_in(seen, pipeline, self.store, moment, model, ruleset=self.rules.of(pipeline.name))


def _kind_of(error: HealerdError) -> str:
    """Name the leaf that says why a window cannot be judged."""
    match error:
        case SourceError():
            return "source failed"
        case ActionError():
            return "registry failed"
        case _:
            return WINDOW_FAILED


def _with(situation: Situation, prospects: Prospects) -> Situation:
    return replace(
        situation,
        targets=prospects.targets,
        stored_gain=prospects.stored_gain,
        p_stored_better=prospects.p_stored_better,
    )


def _prospects(pipeline: Pipeline, watched: Watched, moment: Moment, seen: Situation) -> Prospects:
    """Ask the actions only while something is wrong."""
    alarmed = any(each.alarm for each in watched.measurements)
    if not alarmed and seen.open_incident is None:
        return Prospects()
    return prospects_of(pipeline.world(moment.now))


def _record(tx: Transaction, pipeline: Pipeline, watched: Watched, stood_on: tuple[Measurement, ...]) -> None:
    """Write down what was seen and what the decision stood on; its leaf is the proof of it."""
    if watched.held is not None:
        watched.held.write(tx)
    if watched.profile is not None:
        version = watched.held.reference.version if watched.held else "none"
        tx.put_profile(watched.window, version, to_bytes(watched.profile))
        _note_resets(tx, pipeline, watched)
        tx.save_state(pipeline.name, STATE, watched.state)
    if watched.operations is not None:
        tx.save_state(pipeline.name, MEMORY, watched.operations)
    for cohort in watched.cohorts:
        tx.put(cohort)
    tx.put_measurements(watched.window, stood_on)
    alias = pipeline.sight.alias
    if alias is not None and not pipeline.sight.away:
        tx.save_state(pipeline.name, ALIAS, {"generation": alias.generation, "version": alias.version})


def _note_resets(tx: Transaction, pipeline: Pipeline, watched: Watched) -> None:
    """Write down that evidence starts afresh: another version serves, or what it is held against has moved."""
    if watched.resets and watched.held is not None:
        held, why = watched.held.reference, dict(watched.resets)
        said = {"window_end_at": watched.window.end_at, "reference": held.id, "version": held.version, "reset": why}
        tx.note("evidence reset", said, pipeline=pipeline.name)


def _commit(tx: Transaction, pipeline: Pipeline, decision: Decision, prospects: Prospects, *, actor: str) -> None:
    """Write the decision, and the intent that follows from it: committed before anything is touched."""
    tx.put(decision, actor=actor)
    keep_hold(tx, decision)
    plan = prospects.plans.get(decision.chosen)
    if decision.chosen == HOLD or plan is None:
        return
    for withdrawn in decision.trace["withdraws"]:
        old = tx.get(Intent, withdrawn["intent"])
        if old is not None and old.state in NOT_STARTED:
            end(tx, old, IntentState.WITHDRAWN, at=decision.at, reason=withdrawn["because"])
    tx.put(_intent(tx, pipeline, decision, plan), actor=actor)


def _intent(reader: Reader, pipeline: Pipeline, decision: Decision, plan: Plan) -> Intent:
    """Make the promise of a decision. Its key is stable: the same decision gives the same key after any crash."""
    generation = len(reader.find(Intent, incident_id=decision.incident_id, action=decision.chosen))
    parts = (pipeline.name, decision.incident_id or "", decision.chosen, plan.target or "", str(generation))
    key = sha256("\n".join(parts).encode()).hexdigest()
    return Intent(
        id=_free_id(reader, decision.chosen, key),
        key=key,
        pipeline=pipeline.name,
        incident_id=decision.incident_id,
        decision_id=decision.id,
        action=decision.chosen,
        target=plan.target,
        current=plan.current,
        args=dict(plan.args),
        state=STATES[decision.level],
        author=decision.author,
        confidence=decision.confidence,
        severity=decision.severity,
        created_at=decision.at,
        veto_within_s=decision.veto_within_s,
        approvals=decision.approvals,
        default=decision.trace["on_silence"] or "it does not run",
        reason=decision.reason,
    )


def _free_id(reader: Reader, action: str, key: str) -> str:
    """Name an intent by as much of its key as tells it from every other one: people type it, so eight digits do.

    Two keys in four thousand million begin alike; an id that is taken would hold the pipeline up at every tick.
    """
    named = (f"{action}-{key[:digits]}" for digits in range(ID_DIGITS, len(key) + 1, ID_DIGITS))
    return next((name for name in named if _is_free(reader, name, key)), f"{action}-{key}")


def _is_free(reader: Reader, name: str, key: str) -> bool:
    found = reader.get(Intent, name)
    return found is None or found.key == key


def _alias_moved(reader: Reader, pipeline: Pipeline) -> bool | None:
    """Tell whether somebody else moved the alias since the newest tick; None when nobody can tell."""

    saved, alias = reader.state(pipeline.name, ALIAS), pipeline.sight.alias
    if pipeline.sight.away or alias is None:
        return None
    if saved is None:
        return False
    since = int(json.loads(saved)["generation"])
    if not alias.remembers(since):
        return None
    moves = [move for move in alias.moves if move.generation > since]
    own = {intent.key for intent in reader.find(Intent, key=tuple(move.key for move in moves))} if moves else set()
    return any(move.key not in own and not move.key.startswith("added ") for move in moves)


def _irregular(window: Window, arrived: Arrived) -> dict[str, object]:
    told: dict[str, object] = {"window_end_at": window.end_at, "late": arrived.late, "repeated": arrived.repeated}
    told |= {name: count for name in ("lost", "substituted") if (count := getattr(arrived, name))}
    for name, ids in (("early_labels", arrived.early), ("unreadable_labels", arrived.unreadable)):
        if ids:
            told[name] = {"count": len(ids), "first": ids[0], "last": ids[-1]}
    return told


def _id(pipeline: str, moment: Moment, about: object) -> str:
    return sha256(f"{pipeline}\n{moment.now.isoformat()}\n{about!r}".encode()).hexdigest()[:12]
