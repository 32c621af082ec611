"""Carry out an intent: the last recheck, the effect, and what the world says of it afterwards.

Must never touch the world before the move to `executing` is committed, never carry out an effect again that may have
taken place, and never start beside another intent (SAFETY S7, S10, S14, S15).
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from healerd.actions import Effect, Observation, Seen, World, effect_of
from healerd.actions.alias import Alias
from healerd.daemon.reach import Reach, end, finish, move, retell
from healerd.daemon.rulings import Go, Ruling
from healerd.daemon.verification import Judged, Word, outcome_of, test_for
from healerd.decision.incidents import GRAVE
from healerd.errors import ActionError, RegistryAway, StaleEpoch
from healerd.model import (
    NOT_STARTED,
    OPEN_STATES,
    STEPS,
    Decision,
    Incident,
    Intent,
    IntentState,
    Outcome,
    Result,
)
from healerd.store import Reader, Transaction

__all__ = ["ATTEMPTS_MAX", "failure_of", "resume", "ruling_on", "start", "withdrawal"]

ATTEMPTS_MAX = 5
REVISIONS_MAX = 5
"""How often one intent asks anew; after that the next tick may propose again on the facts of its own moment."""
WAYS_BACK = frozenset({"undo", "return"})
"""Steps that are due even when the incident has closed: a worse version or a safe model may still serve."""
ENDED_BY_A_HEAL = frozenset({IntentState.CONFIRMED, IntentState.VERIFYING})


def start(reach: Reach, intent: Intent, now: datetime) -> Intent:
    """Recheck a ready intent, commit that it executes, and carry it out. Raises RegistryAway: then it waits."""
    if reach.stopped():
        return intent
    world = reach.worlds(intent.pipeline, now)
    effect = effect_of(intent.action, world.settings)
    try:
        alias = world.registry.alias() if effect.needs_registry else Alias()
    except RegistryAway:
        raise
    except ActionError as error:
        return retell(reach, intent, f"waits: {error}")
    begun = _begin(reach, intent, world, effect, alias)
    # A resumed intent is `executing` whatever the guards say of it: only what may run counts one attempt more.
    if begun.attempt == intent.attempt:
        return begun
    # INVARIANT: stop-all is read after the commit and right before the effect.
    if reach.stopped():
        return begun
    return _carry_out(reach, begun, world, effect)


def resume(reach: Reach, intent: Intent, now: datetime) -> Intent:
    """Go on with an intent that is found executing: observe first, and act again only if the effect is absent.

    Raises RegistryAway while nobody can be asked: then it is asked again.
    """
    world = reach.worlds(intent.pipeline, now)
    effect = effect_of(intent.action, world.settings)
    seen = effect.observe(intent, world, epoch=reach.store.epoch)
    if seen.seen is Seen.ABSENT and not effect.observable:
        return move(reach, intent, state=IntentState.NEEDS_PERSON, reason="nobody can tell whether it took effect")
    if seen.seen is not Seen.ABSENT:
        return _note(reach, intent, world, seen)
    if intent.attempt >= ATTEMPTS_MAX:
        return _fail(reach, intent, now, f"no effect after {intent.attempt} attempts")
    return start(reach, intent, now)


def withdrawal(intent: Intent, reader: Reader) -> str:
    """Say why an intent that has not started must be withdrawn; empty when it may go on (SAFETY S10)."""
    incident = reader.get(Incident, intent.incident_id) if intent.incident_id else None
    if incident is not None and incident.closed_at is not None and intent.action not in WAYS_BACK:
        return f"incident `{incident.id}` is closed"
    for other in _others(intent, reader):
        if other.state in NOT_STARTED and _outranks(other, intent, reader):
            return f"`{other.id}` answers to something more severe"
    return ""


def failure_of(intent: Intent, at: datetime, reason: str) -> Outcome:
    """Write down that an intent had no effect."""
    return replace(outcome_of(intent, Judged(word=Word.UNCLEAR, note=reason), at), result=Result.FAILED)


def _begin(reach: Reach, intent: Intent, world: World, effect: Effect, alias: Alias) -> Intent:
    """In one transaction: see that nothing has changed, ask the guards again, and commit what follows.

    What may be carried out is `executing` with one attempt more; anything else is not.
    """
    with reach.store.transaction() as tx:
        fresh = tx.get(Intent, intent.id)
        assert fresh is not None, "an intent is never removed"
        if (fresh.state, fresh.version) != (intent.state, intent.version):
            return fresh
        ruling = ruling_on(reach, fresh, tx, world, alias)
        match ruling.go:
            case Go.RUN:
                _end_others(tx, fresh, world.now)
                limit = _clean_limit(fresh, tx)
                begun = _executing(fresh, world, effect, alias, epoch=reach.store.epoch, error_limit=limit)
                return tx.replace(begun, expect=fresh)
            case Go.ASK if fresh.revision >= REVISIONS_MAX:
                reason = f"asked {REVISIONS_MAX} times, and changed each time: {ruling.reason}"
                return end(tx, fresh, IntentState.WITHDRAWN, at=world.now, reason=reason)
            case Go.ASK:
                return tx.replace(_asked_again(fresh, ruling), expect=fresh)
            case Go.WAIT:
                reason = f"waits: {ruling.reason}"
                return fresh if fresh.reason == reason else tx.replace(replace(fresh, reason=reason), expect=fresh)
            case Go.REFUSE:
                return end(tx, fresh, IntentState.WITHDRAWN, at=world.now, reason=ruling.reason)


def ruling_on(reach: Reach, intent: Intent, tx: Transaction, world: World, alias: Alias) -> Ruling:
    """Say whether what `intent` does may begin, inside the transaction that says it begins (SAFETY S7)."""
    effect = effect_of(intent.action, world.settings)
    own = _own_ruling(intent, tx, effect, alias, world)
    return own or reach.guards.recheck(intent, tx, world.now)


def _own_ruling(intent: Intent, reader: Reader, effect: Effect, alias: Alias, world: World) -> Ruling | None:
    """Check what no rule can loosen; None when the rules may speak."""
    if reason := withdrawal(intent, reader):
        return Ruling(go=Go.REFUSE, reason=reason)
    if not world.current and intent.action != "undo":
        return Ruling(go=Go.WAIT, reason="the newest closed window has not been judged yet")
    if effect.serves and alias.version != intent.current:
        reason = f"`active` is at `{alias.version}`, no longer at `{intent.current}`: somebody else moved it"
        return Ruling(go=Go.REFUSE, reason=reason)
    if effect.needs_good_data and world.data_flaw:
        return Ruling(go=Go.REFUSE, reason=world.data_flaw)
    if not effect.observable and not intent.approved_by:
        return Ruling(go=Go.REFUSE, reason="it cannot be observed, so a person must approve it each time")
    barring = next((other for other in _others(intent, reader) if _bars(other, intent, reader)), None)
    if barring is not None:
        return Ruling(go=Go.WAIT, reason=f"`{barring.id}` is `{barring.state}` on this pipeline")
    return None


def _others(intent: Intent, reader: Reader) -> Iterable[Intent]:
    """Find the other open intents of the pipeline that do not belong to the same heal."""
    root = intent.parent_id or intent.id
    family = _family(root, reader)
    found = reader.find(Intent, pipeline=intent.pipeline, state=OPEN_STATES)
    return [other for other in found if other.id not in family]


def _family(root: str, reader: Reader) -> set[str]:
    """Collect the heal that `root` belongs to, with all its steps, and the steps of steps."""
    top = root
    while (found := reader.get(Intent, top)) is not None and found.parent_id:
        top = found.parent_id
    family, newest = {top}, {top}
    while newest:
        newest = {child.id for child in reader.find(Intent, parent_id=newest)} - family
        family |= newest
    return family


def _bars(other: Intent, intent: Intent, reader: Reader) -> bool:
    """Tell whether another open intent keeps this one from starting."""
    if other.state in NOT_STARTED:
        return _outranks(other, intent, reader)
    return not (other.state in ENDED_BY_A_HEAL and _may_end_others(intent, reader))


def _outranks(other: Intent, intent: Intent, reader: Reader) -> bool:
    """Tell whether another that waits goes first. One that this one's own heal keeps waiting does not: each would wait
    for the other, as a way back from a safe model and the promotion of a candidate that was fitted meanwhile.
    """
    if _rank(other) <= _rank(intent):
        return False
    family = _family(intent.parent_id or intent.id, reader) - {intent.id}
    own = reader.find(Intent, id=tuple(family), state=OPEN_STATES - NOT_STARTED) if family else ()
    return not any(_bars(member, other, reader) for member in own)


def _may_end_others(intent: Intent, reader: Reader) -> bool:
    """A heal for harm or bad data may end a verification that still runs; a step may not."""
    incident = reader.get(Incident, intent.incident_id) if intent.incident_id else None
    return intent.action not in STEPS and incident is not None and incident.kind in GRAVE


def _rank(intent: Intent) -> tuple[int, bool, float]:
    """Order intents that wait: the more severe first, a step before a heal, then the older."""
    return intent.severity, intent.action in STEPS, -intent.created_at.timestamp()


def _end_others(tx: Transaction, intent: Intent, now: datetime) -> None:
    """Withdraw what waits on the pipeline, and end the verifications that this heal is allowed to end."""
    for other in _others(intent, tx):
        if other.state in NOT_STARTED:
            end(tx, other, IntentState.WITHDRAWN, at=now, reason=f"`{intent.id}` starts")
        elif other.state in ENDED_BY_A_HEAL:
            reason = f"ended by `{intent.id}`, which starts"
            outcome = outcome_of(other, Judged(word=Word.WAIT, note=reason), now)
            end(tx, other, IntentState.INCONCLUSIVE, at=now, reason=reason, outcome=outcome)


def _clean_limit(intent: Intent, reader: Reader) -> float | None:
    """Look up the error up to which a window counted as clean when the incident opened; None when it was unknown."""
    if intent.incident_id is None:
        return None
    opened = reader.find(Decision, incident_id=intent.incident_id, limit=1)
    told = opened[0].trace.get("facts", {}).get("error_limit") if opened else None
    return told if isinstance(told, float) else None


def _executing(
    intent: Intent, world: World, effect: Effect, alias: Alias, *, epoch: int, error_limit: float | None
) -> Intent:
    """Write down, before the effect: which attempt, under which epoch, from which alias, and how it will be judged."""
    made = effect.makes(intent)
    test = None
    if effect.serves and intent.action != "undo" and made and intent.current:
        test = test_for(world, version=made, against=intent.current, from_at=world.now, error_limit=error_limit)
    return replace(
        intent,
        state=IntentState.EXECUTING,
        attempt=intent.attempt + 1,
        epoch=epoch,
        executed_at=intent.executed_at or world.now,
        args={"generation": alias.generation, **intent.args},
        test=test,
    )


def _asked_again(intent: Intent, ruling: Ruling) -> Intent:
    """Ask anew, as a new revision: what people said to the old one no longer counts."""
    return replace(
        intent,
        state=IntentState.AWAITING_APPROVAL if ruling.approvals else IntentState.ANNOUNCED,
        revision=intent.revision + 1,
        asked_on_id=ruling.decision_id or intent.asked_on_id,
        confidence=ruling.confidence,
        severity=ruling.severity or intent.severity,
        veto_within_s=ruling.veto_within_s,
        approvals=ruling.approvals,
        approved_by=(),
        default=ruling.default,
        counted_at=None,
        deadline_at=None,
        countdown_s=0.0,
        reason=ruling.reason,
    )


def _carry_out(reach: Reach, intent: Intent, world: World, effect: Effect) -> Intent:
    failure, lost = "", False
    reach.store.check_epoch()  # it may have been stopped since the commit for as long as one likes
    try:
        effect.execute(intent, world, epoch=reach.store.epoch)
    except StaleEpoch:
        raise
    except Exception as error:  # around an action: whatever went wrong, only the world can say what happened
        failure, lost = f"{type(error).__name__}: {error}"[:500], isinstance(error, RegistryAway)
    seen = effect.observe(intent, world, epoch=reach.store.epoch)
    if seen.seen is Seen.ABSENT and not effect.observable:
        seen = Observation(seen=Seen.UNKNOWN, reason=failure)
    if seen.seen is Seen.ABSENT and failure and not lost:  # what was only not answered is tried again
        return _fail(reach, intent, world.now, failure)
    return _note(reach, intent, world, seen)


def _note(reach: Reach, intent: Intent, world: World, seen: Observation) -> Intent:
    """Write down what the world says of an effect."""
    match seen.seen:
        case Seen.DONE:
            return _confirm(reach, intent, world, seen)
        case Seen.FAILED:
            return _fail(reach, intent, world.now, seen.reason)
        case Seen.UNKNOWN:
            reason = seen.reason or "nobody can tell whether it took effect"
            return move(reach, intent, state=IntentState.NEEDS_PERSON, reason=reason)
        case Seen.RUNNING if seen.reason:
            return retell(reach, intent, f"runs: {seen.reason}")
        case Seen.ABSENT | Seen.RUNNING:
            return intent


def _confirm(reach: Reach, intent: Intent, world: World, seen: Observation) -> Intent:
    result = {**intent.result, "version": seen.version}
    with reach.store.transaction() as tx:
        if seen.version is not None:
            tx.put(world.registry.get(seen.version))
        confirmed = replace(intent, state=IntentState.CONFIRMED, effect_at=world.now, result=result, reason="")
        return tx.replace(confirmed, expect=intent)


def _fail(reach: Reach, intent: Intent, at: datetime, reason: str) -> Intent:
    outcome = failure_of(intent, at, reason)
    return finish(reach, intent, IntentState.FAILED, at=at, reason=reason, outcome=outcome)
