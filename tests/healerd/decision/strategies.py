"""Situations and rule sets drawn by Hypothesis: all that can be unknown is, now and then."""

from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from healerd.decision import Logged, Situation, Target, Wish
from healerd.model import Bar, Incident, Intent, IntentState, Layer, Measurement, Pause, Quality, Stage, VersionKind
from healerd.policy import Event, PolicyState, begin, learn_all
from tests.healerd.decision.situations import (
    HEALS,
    NOW,
    a_bar,
    a_line,
    a_pause,
    a_reference,
    a_situation,
    a_stake,
    a_version,
    an_incident,
    an_intent,
    costs,
    drift,
    harm,
)

GUARDS = (
    "forbid busy: retrain when rows > 500",
    "forbid never: rollback when error_rate > 1%",
    'forbid freeze: any action on tag "frozen"',
    "forbid blind: any action when reference_error > 90%",
    'require ask: any action approval from "oncall" within 1h else deny when p_error_high < 99%',
    "require say: fallback veto within 20m",
    'require ask_always: retrain approval from "owners" else defer',
    'require very_sure: any action approval from "owners" when confidence < 97%',
    "cooldown rest: retrain 6h per pipeline after retrain, promote",
    "limit few: any action at most 2 per 24h per pipeline",
    "limit cheap: retrain at most $50 per 24h",
    "@enforce(advisory) forbid hush: retrain when rows > 0",
)
PROPOSALS = (
    "propose early: retrain when alarm(drift) priority 60",
    "propose back: rollback when error_rate > 20% priority 95 severity critical",
    "propose safe: fallback when missing_rate_high priority 40\nlet missing_rate_high = rows < 100",
    "last resort any_way: rollback when alarm(quality)",
)

unsure = st.sampled_from([False, True, None])
ages = st.integers(0, 10 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


def texts(lines: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(lines), unique=True, max_size=3).map(lambda some: tuple(sorted(some)))


guard_texts = texts(GUARDS)
proposal_texts = texts(PROPOSALS)


def rule_texts() -> st.SearchStrategy[str]:
    """A few more guards and proposals beside the shipped packs."""
    return st.tuples(guard_texts, proposal_texts).map(lambda both: "\n".join((*both[0], *both[1])))


@cache
def learned(failure: float | None, seed: int) -> PolicyState:
    """What a policy knows after 60 outcomes, drawn with a seed, that depend on the context."""
    model = costs(retrain=failure)
    if seed == 0:
        return begin(model)
    rng = np.random.Generator(np.random.Philox(seed))
    slopes = {action: rng.normal(0, 0.5, len(model.features)) for action in HEALS}

    def one(number: int) -> Event:
        action = HEALS[int(rng.integers(len(HEALS)))]
        context = (1.0, *(float(value) for value in rng.integers(0, 2, len(model.features) - 1)))
        failed = bool(rng.random() < 0.3 + slopes[action] @ np.array(context))
        return Event(number=number, at=NOW, action=action, context=context, failed=failed, cost=5.0)

    return learn_all(model, (one(number) for number in range(1, 61)))


@st.composite
def incidents(draw: Any) -> Incident | None:
    if draw(st.integers(0, 11)) == 7:
        return None
    closed = draw(st.integers(0, 11)) == 7
    return an_incident(
        kind=draw(st.sampled_from([Layer.HARM, Layer.HARM, *Layer])),
        severity=draw(st.integers(1, 4)),
        opened_by=draw(st.sampled_from(["alarm", "rule r", "ada"])),
        clean_windows=draw(st.integers(0, 3)),
        closed_at=NOW if closed else None,
        closed_by="3 clean windows" if closed else None,
    )


@st.composite
def measurements(draw: Any) -> tuple[Measurement, ...]:
    error = draw(st.one_of(st.none(), st.floats(0, 1)))
    found = [harm(error=error, alarm=draw(st.sampled_from([True, True, False, None]))), drift(alarm=draw(unsure))]
    return tuple(one for one in found if draw(st.integers(0, 9)) != 7)


@st.composite
def intents(draw: Any) -> tuple[Intent, ...]:
    """At most two other intents, of this pipeline or one that shares its alias."""

    def one(number: int) -> Intent:
        state = draw(st.sampled_from(list(IntentState)))
        began = draw(ages)
        return an_intent(
            id=f"int-{number}",
            pipeline=draw(st.sampled_from(["churn", "fraud"])),
            action=draw(st.sampled_from([*HEALS, "promote"])),
            state=state,
            severity=draw(st.integers(1, 4)),
            created_at=NOW - began,
            ended_at=NOW - began if state is IntentState.EXPIRED else None,
        )

    return tuple(one(number) for number in range(10, 10 + draw(st.sampled_from([0, 0, 0, 0, 1, 2]))))


@st.composite
def lines(draw: Any) -> tuple[Logged, ...]:
    def one(number: int) -> Logged:
        began = draw(ages)
        return a_line(
            intent_id=f"log-{number}",
            heal_id=f"log-{number}",
            action=draw(st.sampled_from([*HEALS, "promote", "undo"])),
            pipeline=draw(st.sampled_from(["churn", "fraud"])),
            started_at=NOW - began,
            ended_at=None if draw(st.integers(0, 9)) == 0 else NOW - began,
            cost=draw(st.one_of(st.none(), st.floats(0, 100))),
        )

    return tuple(one(number) for number in range(draw(st.sampled_from([0, 0, 0, 1, 2]))))


@st.composite
def bars(draw: Any) -> tuple[Bar, ...]:
    if draw(st.integers(0, 2)):
        return ()
    return (
        a_bar(
            action=draw(st.sampled_from(HEALS)),
            incident_id=draw(st.sampled_from(["inc-1", "inc-0", None])),
            since_at=NOW - draw(ages),
            severity=draw(st.integers(1, 4)),
            lifted_at=draw(st.sampled_from([None, None, NOW])),
        ),
    )


def pauses() -> st.SearchStrategy[tuple[Pause, ...]]:
    return st.sampled_from([*[()] * 9, (a_pause(),), (a_pause(pipeline="*"),), (a_pause(ended_at=NOW),)])


@st.composite
def targets(draw: Any) -> tuple[Target, ...]:
    def one(action: str) -> Target:
        return Target(
            action=action,
            version="v1" if action == "rollback" else None,
            refusal=draw(st.sampled_from([*[""] * 9, "no other version is stored"])),
            observable=draw(st.integers(0, 9)) != 7,
        )

    return tuple(one(action) for action in HEALS if draw(st.integers(0, 9)) != 7)


@st.composite
def situations(draw: Any, **fixed: Any) -> Situation:
    """Anything that a tick, or a person, may meet."""
    failure = draw(st.sampled_from([0.05, 0.25, 0.9, None]))
    drawn = {
        "tags": draw(st.sampled_from([(), (), (), ("frozen",)])),
        "stage": draw(st.sampled_from([*[Stage.LIVE] * 4, *Stage])),
        "newest": draw(st.integers(0, 11)) != 7,
        "on_hold": draw(st.sampled_from([*[""] * 9, "the clock was set by +3600 s"])),
        "incident": draw(incidents()),
        "quality": draw(st.sampled_from([*[Quality.GOOD] * 5, Quality.BAD, Quality.UNKNOWN])),
        "rows": draw(st.one_of(st.none(), st.integers(0, 1000))),
        "measurements": draw(measurements()),
        "reference": draw(st.sampled_from([a_reference(), a_reference(), None])),
        "active": draw(st.sampled_from([a_version(), a_version(), None, a_version(kind=VersionKind.FALLBACK)])),
        "stored_gain": draw(st.one_of(st.none(), st.floats(-0.5, 0.5))),
        "alias_moved": draw(unsure),
        "stake": draw(st.sampled_from([a_stake(), a_stake(), a_stake(fresh=()), a_stake(recent=((600, 60.0),)), None])),
        "targets": draw(targets()),
        "intents": draw(intents()),
        "log": draw(lines()),
        "bars": draw(bars()),
        "pauses": draw(pauses()),
        "rejected_at": draw(st.sampled_from([(), (), (NOW - timedelta(minutes=20),)])),
        "policy": draw(st.sampled_from(["bayesian", "rules only"])),
        "costs": costs(retrain=failure),
        "learned": learned(failure, draw(st.integers(0, 6))),
        "wish": draw(
            st.sampled_from([*[None] * 9, *(Wish(action=action, author="ada", reason="try it") for action in HEALS)])
        ),
    }
    return a_situation(**{**drawn, **fixed})
