"""What follows an effect that took place: judge the candidate, promote it, verify, undo, return. One move at a time.

Must never end a heal as healed without its paired test, nor leave one open for ever: each wait has a deadline, at
which the heal is kept and a person is asked.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from healerd.actions import Refusal, Seen, World, effect_of
from healerd.actions.alias import Alias
from healerd.actions.registry import version_name
from healerd.actions.retrain import observe_fit, refit_key, start_refit
from healerd.daemon.judgement import Candidate, gain_note, judge_candidate, judge_refit, patience_until
from healerd.daemon.reach import Reach, end, finish, move, retell
from healerd.daemon.rulings import Go
from healerd.daemon.starting import ATTEMPTS_MAX, ruling_on
from healerd.daemon.steps import newest_step, propose_step
from healerd.daemon.verification import Judged, Word, outcome_of, return_gain, verify
from healerd.decision import breaker
from healerd.errors import ActionError
from healerd.model import Incident, Intent, IntentState, Outcome, Quality, Result, Stage, StageChange

__all__ = ["SURE_TO_RETURN", "consider_return", "follow"]

SURE_TO_RETURN = 0.80
UNDID = frozenset({IntentState.VERIFIED, IntentState.INCONCLUSIVE})
"""An undo that took effect; inconclusive where a person had to say so."""
RAN_OUT = frozenset({IntentState.EXPIRED, IntentState.WITHDRAWN})
KEPT = frozenset({IntentState.VETOED, IntentState.REFUSED, *RAN_OUT})


def follow(reach: Reach, intent: Intent, now: datetime) -> Intent:
    """Move a confirmed, verifying or undoing intent as far as it goes; the same intent when nothing is due."""
    match intent.state, intent.action:
        case IntentState.UNDOING, _:
            return _after_undo(reach, intent, now)
        case IntentState.CONFIRMED, "retrain" | "recalibrate":
            return _retrained(reach, intent, now)
        case IntentState.VERIFYING, "retrain" | "recalibrate":
            return _after_promotion(reach, intent, now)
        case IntentState.CONFIRMED, "undo":
            return finish(reach, intent, IntentState.VERIFIED, at=now, reason="the replaced version serves")
        case IntentState.CONFIRMED, _ if not effect_of(
            intent.action, reach.worlds(intent.pipeline, now).settings
        ).serves:
            return _over(reach, intent, now)
        case IntentState.CONFIRMED, _:
            return move(reach, intent, state=IntentState.VERIFYING)
        case _:
            return _verified(reach, intent, now)


def _over(reach: Reach, intent: Intent, now: datetime) -> Intent:
    """End what changed no version: there is nothing to compare, so nobody learns from it."""
    reason = "done; it serves nothing, so there is nothing to compare"
    outcome = _unknown(intent, now, reason)
    return finish(reach, intent, IntentState.INCONCLUSIVE, at=now, reason=reason, outcome=outcome)


def consider_return(reach: Reach, fallback: Intent, now: datetime) -> Intent:
    """Propose the way back from a fallback whose safe model still serves; gives the fallback, changed if taken up."""
    world = reach.worlds(fallback.pipeline, now)
    safe = fallback.result.get("version")
    if world.quality is not Quality.GOOD or world.registry.active != safe or fallback.current is None:
        return fallback
    gain = return_gain(world, safe=safe, model=fallback.current)
    if gain is None or gain.p_better < SURE_TO_RETURN:
        return fallback
    told = {**fallback.result, "return": gain_note(gain)}
    taken = propose_step(reach, fallback, "return", confidence=gain.p_better, world=world, result=told)
    return fallback if isinstance(taken, Refusal) else taken


# A retraining: judge, refit, shadow, promote.


def _retrained(reach: Reach, heal: Intent, now: datetime) -> Intent:
    incident = reach.store.get(Incident, heal.incident_id) if heal.incident_id else None
    if incident is not None and incident.closed_at is not None:
        return _given_up(reach, heal, now, f"incident `{incident.id}` is closed")
    world, phase = reach.worlds(heal.pipeline, now), heal.result.get("phase")
    late = world.now >= patience_until(heal, world)
    if phase not in {"refit", "promote"} and reach.seen(heal, late=late):
        return heal  # before the alias is read, which may be a request to a server at each step
    if (active := world.registry.active) != heal.current:
        reason = f"`active` is at `{active}`, no longer at `{heal.current}`: somebody else moved it"
        return _given_up(reach, heal, now, reason)
    match phase:
        case "refit":
            return _refitted(reach, heal, world)
        case "promote":
            return _promoted(reach, heal, world)
        case _:
            reach.anything_new(heal, late=late)  # it is seen from here on, not while the registry is away
            judged = _judge(heal, world, shadow=phase == "shadow")
            if judged is None:
                too_few = f"too few labelled rows that `{heal.current}` has answered to judge by"
                return _given_up(reach, heal, world.now, too_few) if late else heal
            if judged.accepted is None and not late:
                return retell(reach, heal, f"not accepted yet: {judged.reason}")
            return _accept_or_refuse(reach, heal, world, judged, shadowed=phase == "shadow")


def _judge(heal: Intent, world: World, *, shadow: bool) -> Candidate | None:
    candidate = str(heal.result["version"])
    if not shadow:
        return judge_candidate(heal, world, name=candidate)
    since = datetime.fromisoformat(heal.result["refit_to"])
    return judge_refit(world, refit=str(heal.result["refit"]), candidate=candidate, since=since)


def _accept_or_refuse(reach: Reach, heal: Intent, world: World, judged: Candidate, *, shadowed: bool) -> Intent:
    result = {**heal.result, "shadowed" if shadowed else "judged": judged.note()}
    if judged.accepted is None:
        outcome = outcome_of(heal, Judged(word=Word.UNCLEAR, gain=judged.gain, note=judged.reason), world.now)
        said = judged.reason
        return finish(reach, heal, IntentState.REFUSED, at=world.now, reason=said, outcome=outcome, result=result)
    refits = heal.action == "retrain" and world.settings.healing.refit
    if shadowed or not refits or world.quality is not Quality.GOOD:
        accepted = {"phase": "promote", "accepted": judged.accepted, "p_better": judged.gain.p_better}
        return move(reach, heal, result={**result, **accepted}, reason=judged.reason)
    refit = {"phase": "refit", "refit_to": world.now.isoformat(), "refit": version_name("refit", refit_key(heal))}
    return move(reach, heal, result={**result, **refit, "refit_attempt": 0}, reason=judged.reason)


def _refitted(reach: Reach, heal: Intent, world: World) -> Intent:
    """Fit the accepted candidate anew; if that fails or may not be, the candidate itself goes into shadow."""
    seen = observe_fit(world, key=refit_key(heal), name=str(heal.result["refit"]))
    attempt = int(heal.result["refit_attempt"])
    match seen.seen:
        case Seen.RUNNING:
            return heal
        case Seen.DONE:
            with reach.store.transaction() as tx:
                tx.put(world.registry.get(str(seen.version)))
                shadow = replace(heal, result={**heal.result, "phase": "shadow"})
                return tx.replace(shadow, expect=heal)
        case Seen.ABSENT if attempt < ATTEMPTS_MAX and not reach.stopped():
            return _start_refit(reach, heal, world, attempt=attempt + 1)
        case Seen.ABSENT if reach.stopped():
            return heal
        case _:
            return _without_refit(reach, heal, f"the refit failed: {seen.reason or 'no attempt is left'}")


def _start_refit(reach: Reach, heal: Intent, world: World, *, attempt: int) -> Intent:
    """Train once more if that may begin now: what people said when the retraining began may no longer stand (S7, S15).

    Nobody is asked for a refit alone: where it may not be, or has to wait for too long, the heal goes on without it.
    """
    with reach.store.transaction() as tx:
        ruling = ruling_on(reach, heal, tx, world, Alias())
        if ruling.go is Go.RUN:
            begun = replace(heal, result={**heal.result, "refit_attempt": attempt}, reason="")
            heal = tx.replace(begun, expect=heal)
    if ruling.go is Go.WAIT and world.now < patience_until(heal, world):
        return retell(reach, heal, f"the refit waits: {ruling.reason}")
    if ruling.go is not Go.RUN:
        return _without_refit(reach, heal, f"no refit: {ruling.reason}")
    # INVARIANT: stop-all is read after the commit and right before the effect.
    if reach.stopped():
        return heal
    reach.store.check_epoch()
    try:
        start_refit(heal, world, end=datetime.fromisoformat(heal.result["refit_to"]))
    except ActionError as error:
        return retell(reach, heal, f"the refit did not start: {error}")
    return heal


def _without_refit(reach: Reach, heal: Intent, reason: str) -> Intent:
    """Let the accepted candidate itself go into shadow."""
    alone = {**heal.result, "phase": "shadow", "refit": heal.result["version"]}
    return move(reach, heal, result=alone, reason=reason)


def _promoted(reach: Reach, heal: Intent, world: World) -> Intent:
    """Propose the promotion, and ask again at leisure, until patience runs out."""
    confidence = float(heal.result["p_better"])
    taken = propose_step(
        reach, heal, "promote", confidence=confidence, world=world, state=IntentState.VERIFYING, reason=""
    )
    if isinstance(taken, Intent) and taken.state is not IntentState.CONFIRMED:
        return taken
    if world.now >= patience_until(heal, world) + timedelta(days=1):
        return _given_up(reach, taken if isinstance(taken, Intent) else heal, world.now, "nobody let it be promoted")
    if isinstance(taken, Refusal):
        return retell(reach, heal, f"promotion waits: {taken.reason}")
    return taken


def _after_promotion(reach: Reach, heal: Intent, now: datetime) -> Intent:
    """End a retraining as its promotion ended; what merely ran out of time is asked again."""
    step = newest_step(reach.store, heal, "promote")
    if step is None or step.state in RAN_OUT:
        return move(reach, heal, state=IntentState.CONFIRMED)
    same = {IntentState.VERIFIED, IntentState.INCONCLUSIVE, IntentState.UNDONE, IntentState.FAILED}
    if step.state not in same and step.state not in KEPT:
        return heal
    state = step.state if step.state in same else IntentState.REFUSED
    outcome = reach.store.get(Outcome, step.id)
    told = replace(outcome, intent_id=heal.id) if outcome else _unknown(heal, now, step.reason)
    return finish(reach, heal, state, at=now, reason=f"promotion: {step.state}", outcome=told)


# Verification and undo, of whatever moved the alias.


def _verified(reach: Reach, intent: Intent, now: datetime) -> Intent:
    assert intent.test is not None, "what serves has its test fixed before the effect"
    world = reach.worlds(intent.pipeline, now)
    if "worse" in intent.result:
        return _undo(reach, intent, world)
    if not reach.anything_new(intent, late=now >= intent.test.deadline_at):
        return intent
    judged = verify(intent, world)
    outcome = outcome_of(intent, judged, now)
    looked: dict[str, Any] = {**intent.result, "looks": 1, **(gain_note(judged.gain) if judged.gain else {})}
    match judged.word:
        case Word.WAIT:
            return intent
        case Word.BETTER:
            said = _better(outcome)
            return finish(reach, intent, IntentState.VERIFIED, at=now, reason=said, outcome=outcome, result=looked)
        case Word.WORSE:
            return move(reach, intent, outcome, result={**looked, "worse": True}, reason="worse than what it replaced")
        case Word.UNCLEAR if judged.final:
            return _kept(reach, intent, outcome, looked, now)
        case Word.UNCLEAR:
            return move(reach, intent, result=looked)


def _better(outcome: Outcome) -> str:
    """Say that it is better, and whether that is good enough."""
    said = "better than what it replaced"
    if outcome.resolved is False:
        return f"{said}; its error of {outcome.error:.1%} is still above a clean window's {outcome.error_limit:.1%}"
    return said


def _kept(reach: Reach, intent: Intent, outcome: Outcome, result: dict[str, Any], now: datetime) -> Intent:
    """Keep what nothing speaks clearly for or against, and ask a person; the question bars nothing."""
    said = "neither better nor worse" if outcome.paired else f"not judged ({outcome.note})"
    reason = f"{said} by its deadline: kept"
    with reach.store.transaction() as tx:
        tx.note("question", {"intent": intent.id, "asks": f"`{intent.action}` is kept: is it good?", "why": reason})
        return end(tx, intent, IntentState.INCONCLUSIVE, at=now, reason=reason, outcome=outcome, result=result)


def _undo(reach: Reach, intent: Intent, world: World) -> Intent:
    """Propose to undo; where that is refused, keep and ask."""
    p_worse = 1.0 - float(intent.result.get("p_better", 0.0))
    taken = propose_step(reach, intent, "undo", confidence=p_worse, world=world, state=IntentState.UNDOING)
    if isinstance(taken, Intent):
        return taken
    assert intent.test is not None, "what was judged had a test"
    if world.now < intent.test.deadline_at and world.registry.active == intent.test.version:
        return retell(reach, intent, f"worse; the undo waits: {taken.reason}")
    reason = f"worse, and not undone: {taken.reason}"
    with reach.store.transaction() as tx:
        tx.note("question", {"intent": intent.id, "asks": "it is worse and was not undone", "why": taken.reason})
        return end(tx, intent, IntentState.INCONCLUSIVE, at=world.now, reason=reason)


def _after_undo(reach: Reach, intent: Intent, now: datetime) -> Intent:
    step = newest_step(reach.store, intent, "undo")
    assert step is not None, "an undo is proposed in the transaction that says `undoing`"
    if step.state in UNDID:
        return _undone(reach, intent, now)
    if step.state is IntentState.FAILED:
        return move(
            reach, intent, state=IntentState.NEEDS_PERSON, reason=f"it is worse, the undo failed: {step.reason}"
        )
    if step.state in KEPT:
        reason = f"worse, and kept: the undo is {step.state}"
        return finish(reach, intent, IntentState.INCONCLUSIVE, at=now, reason=reason)
    return intent


def _undone(reach: Reach, intent: Intent, now: datetime) -> Intent:
    """Close an undone intent; two undos within a day take the pipeline's autonomy away (the circuit breaker)."""
    with reach.store.transaction() as tx:
        undos = tx.find(Intent, pipeline=intent.pipeline, action="undo", state=UNDID)
        undone = [step.effect_at for step in undos if step.effect_at is not None]
        stages = tx.find(StageChange, pipeline=intent.pipeline, order="-seq", limit=1)
        stage = stages[0].stage if stages else Stage.SUGGEST
        if (change := breaker(intent.pipeline, undone, now=stage, at=now)) is not None:
            # No two changes of a stage share their moment: this one comes after any of the same tick.
            at = max(now, stages[0].at + timedelta(microseconds=1)) if stages else now
            tx.put(replace(change, at=at))
        return end(tx, intent, IntentState.UNDONE, at=now, reason="worse, so undone")


def _given_up(reach: Reach, heal: Intent, now: datetime, reason: str) -> Intent:
    outcome = _unknown(heal, now, reason)
    return finish(reach, heal, IntentState.INCONCLUSIVE, at=now, reason=reason, outcome=outcome)


def _unknown(heal: Intent, now: datetime, reason: str) -> Outcome:
    return replace(outcome_of(heal, Judged(word=Word.WAIT, note=reason), now), result=Result.UNKNOWN)
