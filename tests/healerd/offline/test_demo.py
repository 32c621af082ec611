"""The demo's parts: what is injected, and that a claim that is not true is said not to be."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from healerd.model import Intent, IntentState, Outcome, Result
from healerd.offline.chronicle import Chronicle
from healerd.offline.claims import Measured, claims_of, fault_free
from healerd.offline.contract import Audit, Baseline, Counts, Data, EventKind, Metric, Report
from healerd.offline.demo import flights
from healerd.offline.estimator import fit
from healerd.offline.faults import BAD_VERSION, DEPLOY_AT, OTHER_ACTOR, BadDeploy, in_kilometres, tell_once
from healerd.offline.first import FIRST
from healerd.offline.operators import SimulatedOperator
from healerd.offline.score import Done
from healerd.offline.session import Session, open_session
from healerd.offline.settings import Settings, make_config
from healerd.offline.setup import Setup, prepare
from healerd.offline.stream import Stream
from healerd.offline.teller import Teller

AUTUMN = datetime(2013, 10, 20, tzinfo=UTC)


def an_effect(action: str, at: datetime, *, target: str = "new", current: str = "old") -> Intent:
    return Intent(
        id=f"{action} {at:%m-%d}",
        key="key",
        pipeline="flights",
        incident_id=None,
        decision_id="decision",
        action=action,
        target=target,
        current=current,
        state=IntentState.VERIFIED,
        confidence=0.9,
        severity=1,
        created_at=at,
        effect_at=at,
        default="it runs",
    )


EFFECTS = (
    an_effect("promote", datetime(2013, 3, 4, tzinfo=UTC)),
    an_effect("fallback", datetime(2013, 6, 12, tzinfo=UTC)),
    an_effect("return", datetime(2013, 6, 15, tzinfo=UTC)),
    an_effect("rollback", datetime(2013, 8, 31, tzinfo=UTC), current=BAD_VERSION),
    an_effect("rollback", AUTUMN, target="spring"),
)
REPORT = Report(
    data=Data(rows=1, columns=1, from_="", to="", sha256=""),
    baselines=(
        Baseline(name="never", quality=0.6, retrains=0),
        Baseline(name="every 7 windows", quality=0.84, retrains=47),
        Baseline(name="every 28 windows", quality=0.82, retrains=11),
    ),
    healerd=Counts(quality=0.835, retrains=9, trainings=21, rollbacks=3, fallbacks=1, other=1),
    metric=Metric(name="share within 10%", higher_is_better=True),
    events=(),
    audit=Audit(leaves=10, verified=True),
    seconds=1.0,
)
GOOD = Measured(
    report=REPORT,
    done=Done(intents=EFFECTS),
    outcomes={},
    trained_to={"spring": datetime(2013, 4, 10, tzinfo=UTC)},
    sheltered=(0.7, 0.01),
    unwritten=(),
)
WORSE = Outcome(
    intent_id="promote 03-04",
    at=AUTUMN,
    result=Result.WORSE,
    gain=-0.1,
    gain_low=-0.2,
    gain_high=-0.01,
    p_better=0.01,
    n=1000,
    paired=True,
)


def without(action: str) -> Done:
    return Done(intents=tuple(intent for intent in EFFECTS if intent.action != action))


def with_counts(**given: float) -> Report:
    return msgspec.structs.replace(REPORT, healerd=msgspec.structs.replace(REPORT.healerd, **given))


def with_more(intent: Intent) -> Done:
    return Done(intents=(*EFFECTS, intent))


def test_every_claim_of_a_good_run_is_true() -> None:
    """A run as the story tells it makes every sentence true."""
    assert all(claim.holds for claim in claims_of(GOOD))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"done": with_more(an_effect("retrain", datetime(2013, 2, 7, tzinfo=UTC)))}, "nothing was done (1)"),
        ({"report": with_counts(quality=0.829)}, "kept 82.9%"),
        ({"report": with_counts(retrains=13)}, "13 promotions"),
        ({"report": with_counts(trainings=25)}, "25 trainings"),
        ({"report": with_counts(quality=0.81)}, "every 28 windows"),
        ({"done": without("fallback")}, "nothing took over"),
        ({"sheltered": (0.3, 0.5)}, "30% right"),
        (
            {"done": with_more(an_effect("retrain", datetime(2013, 6, 11, tzinfo=UTC)))},
            "trained or promoted on them (1)",
        ),
        ({"done": without("return")}, "did not come back"),
        ({"done": without("rollback")}, "was not rolled back"),
        ({"trained_to": {"spring": datetime(2013, 9, 20, tzinfo=UTC)}}, "no stored version of another season"),
        ({"outcomes": {"promote 03-04": WORSE}}, "1 of those were left in place"),
        ({"unwritten": ("promote 03-04",)}, "(1 were not)"),
        ({"report": msgspec.structs.replace(REPORT, audit=Audit(leaves=10, verified=False))}, "audit log"),
    ],
)
def test_a_claim_that_is_not_true_is_said_not_to_be(change: dict[str, object], said: str) -> None:
    """Each claim fails as soon as what it is about is otherwise."""
    false = [claim.text for claim in claims_of(replace(GOOD, **change)) if not claim.holds]  # type: ignore[arg-type]
    assert any(said in text for text in false)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return flights()


def test_a_flight_is_known_when_it_has_landed(stream: Stream) -> None:
    """The label of a flight comes as many minutes after its departure as it flew."""
    assert stream.known_at[0] - stream.at[0] == np.timedelta64(int(stream.label[0]), "m")
    assert len(stream) == 327_346
    assert stream.windows == 335


def test_three_days_of_kilometres_and_no_more(stream: Stream) -> None:
    """The feed bends distances from 10 to 12 June, and nothing else."""
    rows = slice(stream.first, len(stream))
    inputs, at = stream.inputs(rows), stream.at[rows]
    bent = in_kilometres(inputs, at)
    ratio = bent["distance"] / inputs["distance"]
    days = np.unique(at[ratio != 1].astype("datetime64[D]"))
    assert [str(day) for day in days] == ["2013-06-10", "2013-06-11", "2013-06-12"]
    assert np.unique(np.round(ratio[ratio != 1], 6)).tolist() == [1.609344]
    assert all(bent[name] is inputs[name] for name in inputs if name != "distance")


def test_quality_leaves_out_the_days_of_the_faults(stream: Stream) -> None:
    """Five days are not judged: three of kilometres, two of the bad deploy."""
    setup = Setup(stream=stream, fit=fit, first=None, settings=None)  # type: ignore[arg-type]
    days = np.unique(stream.at[stream.first :][~fault_free(setup)].astype("datetime64[D]"))
    assert [str(day)[5:] for day in days] == ["06-10", "06-11", "06-12", "08-29", "08-30"]


@pytest.fixture
def session(stream: Stream, tmp_path: Path) -> Iterator[Session]:
    """Open a run that begins shortly before the bad deploy."""
    teller = Teller(out=io.StringIO(), err=io.StringIO())
    few = replace(stream, first=stream.between(stream.start_at, DEPLOY_AT).start - 20_000)
    settings = Settings(
        pipeline="flights",
        window_s=few.window_s,
        label_horizon_s=86_400.0,
        loss="relative 10%",
        rows_min=200,
        retrain_cost=None,
        rules=None,
        estimator="sklearn.tree:DecisionTreeRegressor",
        task="regression",
    )
    setup = prepare(few, settings, teller)
    with open_session(few, make_config(setup.settings, tmp_path), setup.first, operator=SimulatedOperator()) as opened:
        yield opened


def test_the_bad_deploy_is_another_actors_and_happens_once(session: Session) -> None:
    """The alias is moved past healerd, by name; doing it again after a crash changes nothing."""
    deploy = BadDeploy(stream=session.stream, fit=fit)
    deploy.deploy(session)
    deploy.deploy(session)
    moves = session.registry.alias().moves
    assert [(move.version, move.by) for move in moves] == [(FIRST, "daemon"), (BAD_VERSION, OTHER_ACTOR)]


def test_an_injection_is_told_once(session: Session) -> None:
    """The log says what was injected, and says it once."""
    for _ in range(2):
        tell_once(session, "kilometres")
    told = [event for event in Chronicle(session.core.store).news() if event.kind is EventKind.INJECTED]
    assert [event.reason for event in told] == ["kilometres"]
