"""What the demo claims, each claim measured in the run that prints it.

Must never print a result that was typed in: the only numbers here are the bars and the days of the story.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.columns import Mask
from healerd.model import Intent, IntentState, Outcome, Result
from healerd.offline.baselines import Line
from healerd.offline.contract import Report
from healerd.offline.faults import BAD_VERSION, DEPLOY_AT, KM_FROM, KM_TO
from healerd.offline.score import Done, done_in
from healerd.offline.session import Session
from healerd.offline.setup import Setup
from healerd.profiles import losses
from healerd.segments.times import naive
from healerd.store import Reader

__all__ = ["Claim", "Measured", "claims_of", "fault_free", "measure"]

QUALITY_MIN, PROMOTIONS_MAX, TRAININGS_MAX = 0.83, 12, 24
HEALTHY_FROM, HEALTHY_TO = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC)
AUTUMN_FROM, AUTUMN_TO = datetime(2013, 10, 7, tzinfo=UTC), datetime(2013, 11, 8, tzinfo=UTC)
OLD = timedelta(days=60)
"""A stored version that trained so long before is one of another season."""
SOON = timedelta(days=4)
DEPLOY_DAYS = 2
"""A day until its first labels are in, and the day that judges them."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence with what was measured, and whether it is true."""

    text: str
    holds: bool


def fault_free(setup: Setup) -> Mask:
    """Mark the served rows of days on which no injected fault was in force: quality is taken over those."""
    at = setup.stream.at[setup.stream.first :]
    kilometres = (at >= naive(KM_FROM)) & (at < naive(KM_TO))
    deployed = (at >= naive(DEPLOY_AT)) & (at < naive(DEPLOY_AT + DEPLOY_DAYS * DAY))
    free: Mask = ~kilometres & ~deployed
    return free


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the claims are about, read from a finished run.

    `trained_to` says of each version that served up to when it trained; `sheltered` is the share of right answers of
    the safe model while distances came in kilometres, and of the model it replaced on the same rows; `unwritten` are
    the effects whose intent was not in the log before them.
    """

    report: Report
    done: Done
    outcomes: Mapping[str, Outcome]
    trained_to: Mapping[str, datetime]
    sheltered: tuple[float, float] | None
    unwritten: tuple[str, ...]


def measure(setup: Setup, session: Session, ours: Line, report: Report) -> Measured:
    """Read from the store and the registry what the claims are about; `ours` is what was really served."""
    store = session.core.store
    done = done_in(store, setup.stream.name)
    outcomes = [store.get(Outcome, intent.id) for intent in done.intents]
    return Measured(
        report=report,
        done=done,
        outcomes={outcome.intent_id: outcome for outcome in outcomes if outcome is not None},
        trained_to={each.name: each.trained_to_at for each in session.registry.versions() if each.trained_to_at},
        sheltered=_sheltered(setup, session, done, ours),
        unwritten=_unwritten(store, done),
    )


def claims_of(run: Measured) -> Iterator[Claim]:
    """Give every claim, in the order of the story."""
    yield _healthy(run.done)
    yield _good_and_cheap(run.report)
    yield from _better_than(run.report)
    yield from _shelter(run)
    yield _untrained(run.done)
    yield _came_back(run.done)
    yield _undone_deploy(run.done)
    yield _autumn(run)
    yield _helped(run)
    count = len(run.done.intents)
    text = f"each of the {count} effects was written down before it was done ({len(run.unwritten)} were not)"
    yield Claim(text=text, holds=not run.unwritten)
    audit = run.report.audit
    yield Claim(text=f"the audit log holds: {audit.leaves:,} leaves verified", holds=audit.verified)


def _between(intents: Sequence[Intent], start: datetime, end: datetime) -> list[Intent]:
    return [intent for intent in intents if intent.effect_at is not None and start <= intent.effect_at < end]


def _healthy(done: Done) -> Claim:
    count = len(_between(done.intents, HEALTHY_FROM, HEALTHY_TO))
    return Claim(
        text=f"while the model was healthy, from 1 to 14 February, nothing was done ({count})", holds=count == 0
    )


def _good_and_cheap(report: Report) -> Claim:
    ours = report.healerd
    text = (
        f"healerd kept {ours.quality:.1%} of the flights within 10% (bar: {QUALITY_MIN:.0%}), with {ours.retrains} "
        f"promotions (bar: {PROMOTIONS_MAX}) and {ours.trainings} trainings (bar: {TRAININGS_MAX})"
    )
    holds = ours.quality >= QUALITY_MIN and ours.retrains <= PROMOTIONS_MAX and ours.trainings <= TRAININGS_MAX
    return Claim(text=text, holds=holds)


def _better_than(report: Report) -> Iterator[Claim]:
    ours = report.healerd.quality
    for line in report.baselines:
        if line.name in {"never", "every 28 windows"}:
            text = f"that is more than {line.name} ({line.quality:.1%})"
            yield Claim(text=text, holds=ours > line.quality)


def _shelter(run: Measured) -> Iterator[Claim]:
    """The safe model took over from the distances in kilometres, and was better than the model on the same rows."""
    found = _between(run.done.of("fallback"), KM_FROM, KM_TO + DAY)
    said = f"a fresh safe model took over on {found[0].effect_at:%d %B}" if found else "nothing took over"
    yield Claim(text=f"distances in kilometres: {said}", holds=bool(found))
    if run.sheltered is not None:
        safe, model = run.sheltered
        text = f"on those rows the safe model had {safe:.0%} right, the model it replaced would have had {model:.0%}"
        yield Claim(text=text, holds=safe > model)


def _untrained(done: Done) -> Claim:
    count = len(_between(done.of("retrain", "promote"), KM_FROM, KM_TO + DAY))
    return Claim(text=f"nothing was trained or promoted on them ({count})", holds=count == 0)


def _came_back(done: Done) -> Claim:
    back = _between(done.of("return"), KM_TO, KM_TO + 14 * DAY)
    said = f"came back on {back[0].effect_at:%d %B}" if back else "did not come back"
    return Claim(text=f"when the feed was mended, the model {said}", holds=bool(back))


def _undone_deploy(done: Done) -> Claim:
    found = [i for i in _between(done.of("rollback"), DEPLOY_AT, DEPLOY_AT + SOON) if i.current == BAD_VERSION]
    when = f"was rolled back on {found[0].effect_at:%d %B}" if found else "was not rolled back"
    return Claim(text=f"the bad deploy of {DEPLOY_AT:%d %B} {when}", holds=bool(found))


def _autumn(run: Measured) -> Claim:
    """In October the models of spring are right again, and a stored one of those came back."""
    found = [
        (intent.effect_at, trained)
        for intent in _between(run.done.of("rollback"), AUTUMN_FROM, AUTUMN_TO)
        if (trained := run.trained_to.get(str(intent.target))) is not None
        and intent.effect_at is not None
        and intent.effect_at - trained >= OLD
    ]
    text = "in autumn no stored version of another season came back"
    if found:
        at, trained = found[0]
        text = f"on {at:%d %B} healerd went back to the version trained up to {trained:%d %B}"
    return Claim(text=text, holds=bool(found))


def _helped(run: Measured) -> Claim:
    """No heal that made things worse was left in place."""
    worse = [outcome for outcome in run.outcomes.values() if outcome.result is Result.WORSE]
    undone = {intent.parent_id for intent in run.done.of("undo")}
    left = sum(outcome.intent_id not in undone for outcome in worse)
    count = len(run.outcomes)
    text = f"{count} heals and steps were judged; {len(worse)} made it worse, and {left} of those were left in place"
    return Claim(text=text, holds=left == 0)


def _sheltered(setup: Setup, session: Session, done: Done, ours: Line) -> tuple[float, float] | None:
    """Compare the safe model with what it replaced, on the rows that it served while the fault was in force."""
    found = _between(done.of("fallback"), KM_FROM, KM_TO)
    if not found or found[0].effect_at is None:
        return None
    rows, first = setup.stream.served(found[0].effect_at, KM_TO), setup.stream.first
    inputs = session.player.feed(setup.stream.inputs(rows), setup.stream.at[rows])
    replaced = session.registry.load(str(found[0].current)).predict(inputs)
    safe = ours.losses[rows.start - first : rows.stop - first]
    model = losses(setup.loss, replaced, setup.stream.label[rows])
    return 1.0 - float(np.nanmean(safe)), 1.0 - float(np.nanmean(model))


def _unwritten(store: Reader, done: Done) -> tuple[str, ...]:
    """Find the effects of which the log does not say, before it says that they took place, that they were begun."""
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    after = 0
    while page := store.leaves(after=after, kind="intent"):
        for leaf in page:
            if leaf.record["state"] == IntentState.EXECUTING.value:
                begun.setdefault(str(leaf.key), leaf.seq)
            if leaf.record["effect_at"] is not None:
                ended.setdefault(str(leaf.key), leaf.seq)
        after = page[-1].seq
    return tuple(i.id for i in done.intents if begun.get(i.id, after + 1) >= ended.get(i.id, 0))
