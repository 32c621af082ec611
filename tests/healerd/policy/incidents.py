"""A small world of incidents for the policy: a cost model, events, and outcomes drawn with a seed."""

from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.policy import ActionPrior, CostModel, Event

NOW = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)
FEATURES = ("one", "effect", "bad")


def a_model(**changes: object) -> CostModel:
    """A cost model of two actions and hold; override a field."""
    held: dict[str, object] = {
        "features": FEATURES,
        "severity": 300.0,
        "actions": (
            ActionPrior(action="hold", failure=0.9),
            ActionPrior(action="retrain", cost=40.0, failure=0.25),
            ActionPrior(action="rollback", cost=1.0, failure=0.35),
        ),
    }
    return CostModel(**{**held, **changes})  # type: ignore[arg-type]


def an_event(number: int, action: str = "retrain", **changes: object) -> Event:
    """An outcome that succeeded in the plainest context; override a field."""
    held: dict[str, object] = {
        "number": number,
        "at": NOW + timedelta(hours=number),
        "action": action,
        "context": (1.0, 0.0, 0.0),
        "failed": False,
        "cost": 40.0,
    }
    return Event(**{**held, **changes})  # type: ignore[arg-type]


def drawn_events(rng: np.random.Generator, count: int) -> tuple[Event, ...]:
    """Events of all sorts, inconclusive ones among them."""
    return tuple(
        an_event(
            number,
            action=str(rng.choice(["hold", "retrain", "rollback"])),
            context=(1.0, float(rng.random()), float(rng.random() < 0.3)),
            failed=[True, False, None][int(rng.integers(3))],
            cost=float(rng.exponential(20.0)),
        )
        for number in range(1, count + 1)
    )
