"""The two faults that the demo injects into a year of real flights, and says so. Must never touch a baseline's data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from healerd.actions import Draft
from healerd.columns import Column, Times, is_missing
from healerd.model import VersionKind
from healerd.offline.baselines import Fit
from healerd.offline.chronicle import INJECTED
from healerd.offline.session import Session
from healerd.offline.stream import Stream
from healerd.segments.times import naive

__all__ = ["BAD_VERSION", "DEPLOY_AT", "KM_FROM", "KM_TO", "OTHER_ACTOR", "BadDeploy", "in_kilometres", "tell_once"]

KM_FROM, KM_TO = datetime(2013, 6, 10, tzinfo=UTC), datetime(2013, 6, 13, tzinfo=UTC)
KM_A_MILE = 1.609344
DEPLOY_AT = datetime(2013, 8, 29, tzinfo=UTC)
BAD_FROM, BAD_TO = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)
BAD_VERSION, BAD_KEY = "nightly-2013-08-29", "demo bad deploy"
OTHER_ACTOR = "release-bot"


def in_kilometres(features: Mapping[str, Column], at: Times) -> Mapping[str, Column]:
    """Send distances in kilometres for three days of June, as a feed might after a change upstream."""
    hit = (at >= naive(KM_FROM)) & (at < naive(KM_TO))
    if not hit.any():
        return features
    distance = features["distance"].copy()
    distance[hit] *= KM_A_MILE
    return {**features, "distance": distance}


@dataclass(frozen=True, slots=True, kw_only=True)
class BadDeploy:
    """Another actor deploys a model that was trained on February, past healerd, through the registry's own alias."""

    stream: Stream
    fit: Fit

    def deploy(self, session: Session) -> None:
        """Store the model and move the alias. Doing it again after a crash changes nothing."""
        registry, now = session.registry, session.clock.now()
        if registry.alias().moved_by(BAD_KEY):
            return
        rows = self.stream.between(BAD_FROM, BAD_TO)
        known = ~is_missing(self.stream.label[rows])
        inputs = {name: column[known] for name, column in self.stream.inputs(rows).items()}
        draft = Draft(
            name=BAD_VERSION,
            kind=VersionKind.MODEL,
            created_at=now,
            key=BAD_KEY,
            trained_from_at=BAD_FROM,
            trained_to_at=BAD_TO,
            trained_rows=int(known.sum()),
            note=f"deployed by {OTHER_ACTOR}",
        )
        registry.add(self.fit(inputs, self.stream.label[rows][known]), draft)
        registry.set_alias(
            BAD_VERSION,
            if_current=registry.active,
            key=BAD_KEY,
            epoch=session.core.store.epoch,
            by=OTHER_ACTOR,
            at=now,
        )


def tell_once(session: Session, what: str, then: Callable[[], None] = lambda: None) -> None:
    """Write down that something is injected, then inject it; after a crash the note is not written again."""
    store = session.core.store
    if not any(leaf.record["what"] == what for leaf in store.leaves(kind=INJECTED)):
        with store.transaction() as tx:
            tx.note(INJECTED, {"what": what}, pipeline=session.stream.name, actor="demo")
    then()
