"""The policy's account of a pipeline, put together out of the store at each tick. Must never be kept between ticks.

What is kept is only what a recorded decision tells, which never changes.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from healerd.client.heals import Log, activated_at, holds_of, read_log, refused_of, told_by
from healerd.config import PipelineSettings
from healerd.daemon.pipeline import Pipeline
from healerd.decision import cost_model
from healerd.decision.deeds import deed_of_heal, deed_of_hold
from healerd.decision.incidents import GRAVE
from healerd.model import ACTIONS_THAT_HEAL, HOLD, Decision, Incident, Intent
from healerd.policy import Account, CostModel, Deed, Terms, begin_account, failed, keep_account, pooled_windows
from healerd.store import Reader, Transaction
from healerd.store.tables import HOLDS

__all__ = ["account_of", "current_account", "keep_hold", "log_of", "terms_of", "with_severity"]

HOLDS_MAX = 500


def log_of(reader: Reader, pipeline: Pipeline) -> Log:
    """Read the heals of a pipeline with what was decided and what came of it."""
    known = (*ACTIONS_THAT_HEAL, *(own for own in pipeline.settings.actions if own not in ACTIONS_THAT_HEAL))
    return read_log(reader, pipeline.name, known, kept=pipeline.told)


def terms_of(settings: PipelineSettings) -> Terms:
    """Take the terms from the configuration."""
    policy = settings.policy
    return Terms(
        alpha=policy.alpha,
        failure_margin=policy.failure_margin,
        budget=policy.budget,
        pending_max=policy.pending_max,
        hold_windows=settings.degraded_windows + settings.detection.clean_windows,
    )


def with_severity(reader: Reader, settings: PipelineSettings, name: str, model: CostModel, log: Log) -> CostModel:
    """Pool what unresolved incidents really went on for into the model's severity."""
    incidents = [each for each in reader.find(Incident, pipeline=name) if each.closed_at and each.kind in GRAVE]
    resolved = {
        heal.incident_id
        for heal in log.heals
        if (outcome := log.outcomes.get(heal.id)) is not None and failed(outcome) is False
    }
    realised = [_degraded_windows(each, settings) for each in incidents if each.id not in resolved]
    windows = pooled_windows(settings.degraded_windows, realised)
    return replace(model, severity=settings.window_cost * windows) if realised else model


def account_of(reader: Reader, pipeline: Pipeline, model: CostModel, log: Log, now: datetime) -> Account:
    """Put the account together; where its numbers do not fit the cost model, one that has turned against the policy."""
    terms, (since_at, newest_at) = terms_of(pipeline.settings), activated_at(reader, pipeline.name)
    refused, irregular = refused_of(log)
    try:
        return keep_account(
            model,
            _deeds(reader, pipeline, log, now=now, since_at=since_at, newest_at=newest_at),
            terms=terms,
            since_at=since_at,
            refused=refused,
            irregular=irregular,
        )
    except (ValueError, ArithmeticError) as error:
        said = str(error)
        return replace(
            begin_account(model, terms), since_at=since_at, refused=(said,), refusals=1, irregular=True, unkept=said
        )


def current_account(reader: Reader, pipeline: Pipeline, now: datetime) -> Account:
    """Put the account together as of now."""
    log = log_of(reader, pipeline)
    model = with_severity(reader, pipeline.settings, pipeline.name, cost_model(pipeline.settings), log)
    return account_of(reader, pipeline, model, log, now)


def keep_hold(tx: Transaction, decision: Decision) -> None:
    """Remember a hold in the place of what the rules proposed, once an incident; not a deviation that only waits.

    One from before the activation gives way to the first one since: that is what is charged.
    """
    gate = decision.trace.get("gate") or {}
    if decision.candidate != HOLD or not gate.get("deviates") or decision.incident_id is None:
        return
    kept = holds_of(tx, decision.pipeline)
    if _is_news(tx, decision, kept.get(decision.incident_id)):
        newest = dict([*kept.items(), (decision.incident_id, decision.id)][-HOLDS_MAX:])
        tx.save_state(decision.pipeline, HOLDS, newest)


def _is_news(reader: Reader, decision: Decision, kept_id: str | None) -> bool:
    """Tell whether a hold is the first of its incident, or the first since the policy was let act alone."""
    if kept_id is None:
        return True
    kept, (since_at, _) = reader.get(Decision, kept_id), activated_at(reader, decision.pipeline)
    if kept is not None and kept.candidate != HOLD:  # one that only waited: older versions kept it
        return True
    return kept is not None and since_at is not None and kept.at < since_at <= decision.at


def _deeds(
    reader: Reader,
    pipeline: Pipeline,
    log: Log,
    *,
    now: datetime,
    since_at: datetime | None,
    newest_at: datetime | None,
) -> tuple[Deed, ...]:
    heals = (
        deed_of_heal(
            heal,
            log.told[heal.id],
            log.outcomes.get(heal.id),
            due_at=_due_at(heal, pipeline.settings),
            now=now,
            since_at=since_at,
            newest_at=newest_at,
        )
        for heal in log.heals
        if heal.id in log.told and log.told[heal.id].context
    )
    holds = _hold_deeds(reader, pipeline, log, now=now, since_at=since_at)
    return tuple(sorted((*heals, *holds), key=lambda deed: deed.at))


def _hold_deeds(
    reader: Reader, pipeline: Pipeline, log: Log, *, now: datetime, since_at: datetime | None
) -> Iterable[Deed]:
    patience = timedelta(seconds=terms_of(pipeline.settings).hold_windows * pipeline.settings.window)
    for incident_id, decision_id in holds_of(reader, pipeline.name).items():
        incident, decision = reader.get(Incident, incident_id), reader.get(Decision, decision_id)
        if (
            incident is None
            or decision is None
            or decision.candidate != HOLD
            or not (told := told_by(reader, decision)).context
        ):
            continue
        yield deed_of_hold(
            told,
            incident,
            (heal for heal in log.heals if heal.incident_id == incident_id),
            due_at=decision.at + patience,
            now=now,
            since_at=since_at,
        )


def _due_at(heal: Intent, settings: PipelineSettings) -> datetime:
    """Tell when an outcome is missing: a window after its test's deadline, or after all that may come before a test."""
    if heal.test is not None:
        return heal.test.deadline_at + timedelta(seconds=settings.window)
    healing = settings.healing
    windows = healing.choose_windows + 2 * healing.verify_windows + 3
    patience_s = 3 * settings.label_horizon + windows * settings.window
    return (heal.executed_at or heal.created_at) + timedelta(days=1, seconds=patience_s)


def _degraded_windows(incident: Incident, settings: PipelineSettings) -> float:
    """Count the windows of an incident that were not the clean ones at its end."""
    assert incident.closed_at is not None, "only closed incidents have a length"
    windows = (incident.closed_at - incident.opened_at).total_seconds() / settings.window
    return max(1.0, windows - incident.clean_windows)
