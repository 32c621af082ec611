"""The policy's account in the running core: out of the log, in every trace, and strong enough to end a trust."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.cli.group import invoke
from healerd.client.backtest.lessons import History
from healerd.client.heals import activated_at, holds_of
from healerd.client.trust import policy
from healerd.client.views import intent_view
from healerd.daemon.accounts import account_of, current_account, keep_hold, log_of, with_severity
from healerd.daemon.lessons import learned_of
from healerd.decision import cost_model, from_json, promote_stage, replay
from healerd.errors import Conflict
from healerd.model import (
    AnswerKind,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Outcome,
    Result,
    Stage,
    StageChange,
)
from healerd.policy import begin
from healerd.store.care import erase, mentions, prune
from healerd.store.tables import HOLDS
from tests.healerd.daemon.loop import NAME, ROLES, RULES, Loop
from tests.healerd.decision.test_gate import announced_and_more_severe

MANY = 60
PAST = ("decision-0", "decision-1", "decision-2")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path / "0")
    yield made
    made.core.close()


def ill(loop: Loop) -> Intent:
    """Play until a retraining is asked for."""
    loop.play(3)
    for _ in range(4):
        loop.play(turned=True)
        if loop.intents(action="retrain"):
            return loop.intent("retrain")
    raise AssertionError("nothing was asked")


def past_heals(loop: Loop, count: int, *, result: Result, **changes: object) -> None:
    """Write heals into the store as if they had happened, each with the decision behind the one that is asked for."""
    asked = ill(loop)
    decision = loop.core.store.get(Decision, asked.decision_id)
    assert decision is not None
    with loop.core.store.transaction() as tx:
        for number in range(count):
            at = decision.at - timedelta(days=1, seconds=count - number)
            heal = replace(
                asked,
                id=f"past-{number}",
                key=f"past-{number}",
                decision_id=f"decision-{number}",
                created_at=at,
                executed_at=at,
                ended_at=at,
                state=IntentState.FAILED,
            )
            tx.put(replace(decision, id=f"decision-{number}", at=at, window_end_at=None))
            tx.put(replace(heal, **changes))  # type: ignore[arg-type]
            tx.put(an_outcome(heal.id, at=at + timedelta(hours=1), result=result))


def an_outcome(intent_id: str, **changes: object) -> Outcome:
    held: dict[str, object] = {
        "intent_id": intent_id,
        "gain": -0.1,
        "gain_low": -0.2,
        "gain_high": -0.05,
        "p_better": 0.01,
        "n": 500,
        "paired": True,
    }
    return Outcome(**{**held, **changes})  # type: ignore[arg-type]


def a_hold(loop: Loop, **changes: object) -> Decision:
    """A decision that holds in the place of the retraining that the rules propose, a second from now."""
    decision = loop.core.store.find(Decision, pipeline=NAME, order="-window_end_at", limit=1)[0]
    trace = {**decision.trace, "gate": {**decision.trace["gate"], "deviates": True}, "said": "`zoe` stopped it"}
    held: dict[str, object] = {
        "id": "held",
        "at": loop.clock.now() + timedelta(seconds=1),
        "chosen": "hold",
        "candidate": "hold",
        "rule_action": "retrain",
        "stage": Stage.LIVE,
        "window_end_at": None,
        "trace": trace,
    }
    return replace(decision, **{**held, **changes})  # type: ignore[arg-type]


def keep(loop: Loop, *decisions: Decision) -> None:
    with loop.core.store.transaction() as tx:
        for decision in decisions:
            tx.put(decision)
            keep_hold(tx, decision)


def close(loop: Loop, held: Decision, *, hours: float = 1) -> None:
    """Close the incident of a decision so much later."""
    incident = loop.core.store.get(Incident, held.incident_id)
    with loop.core.store.transaction() as tx:
        tx.put(replace(incident, closed_at=held.at + timedelta(hours=hours), closed_by="3 clean windows"))


def account(loop: Loop):
    return current_account(loop.core.store, loop.core.pipelines[NAME], loop.clock.now())


def test_every_decision_of_a_healing_core_holds_an_account_and_replays(loop: Loop):
    """Through a heal in live, each window's decision says what bounds the policy, and is decided again the same."""
    loop.trust(Stage.LIVE)
    loop.play(3)
    for _ in range(5):
        loop.play(turned=True)
        loop.wait()
        loop.approve()
    decisions = [each for each in loop.core.store.find(Decision) if "step" not in each.trace]
    assert len(decisions) >= 8
    assert all(each.trace["situation"]["account"] for each in decisions)
    assert all(each.trace["situation"]["stage"] == each.stage for each in decisions)
    ruleset = loop.core._rules.of(NAME)
    assert all(replay(each, ruleset) == each for each in decisions)


def test_s5_a_refuted_prior_ends_the_trust_and_cannot_be_promoted_over(loop: Loop):
    """The daemon demotes at the next window, with its reason; people are refused until the prior is mended."""
    past_heals(loop, MANY, result=Result.WORSE)
    loop.core.set_stage(NAME, Stage.OBSERVE, author="ada", roles=("admin",), reason="to begin anew")
    with loop.core.store.transaction() as tx:  # as if it had been trusted before the outcomes came
        tx.put(
            StageChange(
                pipeline=NAME, stage=Stage.LIVE, at=loop.clock.now() + timedelta(seconds=1), author="ada", reason="x"
            )
        )
    loop.play(turned=True)
    changes = loop.core.store.find(StageChange, pipeline=NAME)
    assert (changes[-1].stage, changes[-1].author) == (Stage.SUGGEST, "daemon")
    assert "prior check" in changes[-1].reason
    decision = loop.core.store.find(Decision, pipeline=NAME, order="-window_end_at", limit=1)[0]
    assert decision.stage is Stage.SUGGEST
    for stage in (Stage.CANARY, Stage.LIVE):
        with pytest.raises(Conflict, match="refute the configured predictions"):
            loop.core.set_stage(NAME, stage, author="ada", roles=("admin",), reason="once more, please")
    view = policy(loop.core.store, [NAME], loop.clock.now(), {"name": NAME})
    assert view["account"]["prior_check"]["tripped"] is True
    (bin_,) = view["reliability"]
    assert (bin_["n"], bin_["failures"]) == (MANY, MANY)


@pytest.mark.parametrize("changes", [{"decision_id": "unheard of", "created_at": None}, {"before": True}])
def test_an_outcome_that_cannot_be_is_refused_and_told(loop: Loop, changes: dict[str, object]):
    """One for an unknown decision, or from before it, teaches nothing, is told, and leaves the rules alone."""
    asked = ill(loop)
    at = asked.created_at - timedelta(days=9)
    heal = replace(asked, id="odd", key="odd", state=IntentState.FAILED, executed_at=at, ended_at=at)
    if "before" not in changes:
        heal = replace(heal, decision_id="unheard of", created_at=at)
    with loop.core.store.transaction() as tx:
        tx.put(heal)
        tx.put(an_outcome("odd", at=at, result=Result.WORSE))
    found = account(loop)
    assert found.irregular
    assert found.refusals == 1
    assert "odd" in found.refused[0]
    log = log_of(loop.core.store, loop.core.pipelines[NAME])
    loop.play(turned=True)
    newest = loop.core.store.find(Decision, pipeline=NAME, order="-window_end_at", limit=1)[0]
    assert newest.trace["situation"]["account"]["irregular"] is True
    assert newest.trace["situation"]["learned"]["events"] == len(log.outcomes) == 1


def test_a_log_of_another_cost_model_is_told_and_taught_nothing(loop: Loop):
    """Where outcomes and cost model do not fit, the configured belief stands and the reason is given."""
    past_heals(loop, 2, result=Result.HEALED)
    pipeline = loop.core.pipelines[NAME]
    model = replace(
        _model(loop), features=("one", "other"), actions=tuple(replace(p, slopes={}) for p in _model(loop).actions)
    )
    learned, why = learned_of(log_of(loop.core.store, pipeline), model)
    assert learned == begin(model)
    assert "nothing can be learned from the log: event 1" in why


def _model(loop: Loop):
    return cost_model(loop.core.pipelines[NAME].settings)


def test_the_slack_starts_at_the_activation(loop: Loop):
    """The time of suggesting counts for nothing; a demotion ends the activation, and the next begins a new one."""
    assert activated_at(loop.core.store, NAME) == (None, None)
    loop.trust(Stage.CANARY)
    began = loop.clock.now()
    loop.wait()
    loop.trust(Stage.LIVE)
    assert activated_at(loop.core.store, NAME) == (began, began)
    loop.wait()
    loop.core.set_stage(NAME, Stage.SUGGEST, author="ada", roles=("admin",), reason="enough for now")
    assert activated_at(loop.core.store, NAME) == (None, began)
    assert account(loop).since_at is None


def test_a_hold_in_the_place_of_a_rule_is_remembered_once_an_incident(loop: Loop):
    """It is pending while the incident is open, and has not failed when the incident closes by itself."""
    ill(loop)
    loop.trust(Stage.LIVE)
    held = a_hold(loop)
    with loop.core.store.transaction() as tx:
        tx.put(held)
        keep_hold(tx, held)
        keep_hold(tx, replace(held, id="again"))
    assert account(loop).pending == (f"hold {held.incident_id}",)
    close(loop, held)
    assert account(loop).pending == ()


def test_a_hold_since_the_activation_takes_the_place_of_one_from_before(loop: Loop):
    """What the policy holds alone is charged, though it suggested to hold earlier in that incident; and once."""
    ill(loop)
    keep(loop, a_hold(loop, id="suggested", stage=Stage.SUGGEST))
    loop.clock.advance(60)
    loop.trust(Stage.LIVE)
    keep(loop, a_hold(loop, id="alone"))
    loop.clock.advance(60)
    keep(loop, a_hold(loop, id="again"))
    assert list(holds_of(loop.core.store, NAME).values()) == ["alone"]
    assert account(loop).ledger.deviations == 1


def test_a_deviation_that_only_waits_is_no_hold(loop: Loop):
    """What holds because the policy's heal is announced already is not booked as a hold in the rule's place."""
    first, second = announced_and_more_severe()
    assert (first.chosen, second.chosen, second.rule_action) == ("rollback", "hold", "retrain")
    assert second.trace["gate"]["deviates"]
    with loop.core.store.transaction() as tx:
        keep_hold(tx, second)
    assert holds_of(loop.core.store, second.pipeline) == {}


def test_a_hold_that_only_waited_and_was_kept_by_an_older_version_counts_nothing(loop: Loop):
    """The account and a backtest pass it over, and the first real hold of its incident takes its place."""
    ill(loop)
    loop.trust(Stage.LIVE)
    waited = a_hold(loop, id="waited", candidate="rollback")
    with loop.core.store.transaction() as tx:
        tx.put(waited)
        tx.save_state(NAME, HOLDS, {waited.incident_id: waited.id})
    loop.play(turned=True)
    assert account(loop).ledger.deviations == 0
    assert_same_account(loop)
    keep(loop, a_hold(loop))
    assert list(holds_of(loop.core.store, NAME).values()) == ["held"]
    assert account(loop).ledger.deviations == 1


def test_s5_an_erased_hold_leaves_the_refuted_prior_standing(loop: Loop):
    """Where what a hold stood on was erased, the rest of the account stands: no promotion over a refuted prior."""
    past_heals(loop, MANY, result=Result.WORSE)
    held = a_hold(loop)
    keep(loop, held)
    close(loop, held)
    loop.play(turned=True)
    before = account(loop)
    with loop.core.store.transaction() as tx:
        assert erase(tx, mentions(tx.writer(), "zoe"), actor="bob", reason="asked for") == 1
    after = account(loop)
    assert after.check == before.check
    assert (after.check.tripped, after.irregular) == (True, False)


def test_s4_an_account_that_cannot_be_put_together_counts_against_the_policy(loop: Loop):
    """Where deeds do not fit the cost model nobody is promoted, and what acts alone is demoted."""
    past_heals(loop, 2, result=Result.HEALED)
    pipeline, now = loop.core.pipelines[NAME], loop.clock.now()
    log, model = log_of(loop.core.store, pipeline), _model(loop)
    other = replace(
        model, features=("one", "other"), actions=tuple(replace(prior, slopes={}) for prior in model.actions)
    )
    found = account_of(loop.core.store, pipeline, other, log, now)
    assert "cannot be put together" in found.turned
    asked = {"author": "ada", "roles": ROLES, "reason": "why not", "at": now, "account": found}
    refused = promote_stage(NAME, now=Stage.SUGGEST, to=Stage.LIVE, **asked)
    assert refused == found.turned


def test_what_is_asked_anew_says_what_was_decided_and_how_sure_it_is_by_now(loop: Loop):
    """A question that a stricter rule asks anew is worded by the decision that chose it, and a prune leaves both."""
    asked = ill(loop)
    loop.play(2, turned=True)
    (loop.folder / "flights.heal").write_text(RULES.replace("veto within 10m", "veto within 30m"), encoding="utf-8")
    loop.core.reload_rules()
    loop.approve()
    loop.run()
    anew = loop.intent("retrain")
    assert (anew.revision, anew.decision_id, anew.asked_on_id) == (1, asked.decision_id, loop.decision().id)
    why = intent_view(loop.core.store, anew.id)["prompt"]["why"]
    assert "It would retrain, because rule learn proposes retrain" in why
    assert f"It is asked anew: {anew.reason}; by now that probability is {anew.confidence:.2f}." in why
    loop.clock.advance(60)
    loop.reopen()
    loop.run()
    recounted = loop.intent("retrain")
    assert (recounted.reason, recounted.counted_at) == (anew.reason, loop.clock.now())
    with loop.core.store.transaction() as tx:
        prune(tx, loop.clock.now(), actor="bob", reason="old")
    assert loop.core.store.get(Decision, anew.decision_id) is not None
    loop.approve()
    loop.wait(31)
    assert loop.intent("retrain").executed_at is not None


def test_a_prune_changes_no_account(loop: Loop):
    """Ledger, excess and what is pending are the same after old records were let go of and the daemon began anew."""
    ill(loop)
    loop.trust(Stage.LIVE)
    held = a_hold(loop)
    keep(loop, held)
    close(loop, held)
    with loop.core.store.transaction() as tx:
        tx.put(replace(held, id="newer", at=held.at + timedelta(seconds=1)))
    loop.clock.advance(3 * 3600)
    before = account(loop)
    assert before.ledger.deviations == 1
    with loop.core.store.transaction() as tx:
        assert prune(tx, loop.clock.now(), actor="bob", reason="old")
    loop.reopen()
    assert account(loop) == before


def test_an_erasure_changes_no_account(loop: Loop):
    """Holds and heals count the same after what they stood on was erased and the daemon began anew."""
    past_heals(loop, len(PAST), result=Result.WORSE)
    loop.trust(Stage.LIVE)
    held = a_hold(loop)
    keep(loop, held)
    close(loop, held)
    loop.play(turned=True)
    loop.clock.advance(3 * 3600)
    before, store = account(loop), loop.core.store
    behind = [leaf.seq for leaf in store.leaves(kind="decision", limit=5000) if leaf.record["id"] in PAST]
    assert (before.ledger.deviations, before.check.outcomes) == (1, 3)
    loop.core.close()
    words = ["--reason", "asked to be forgotten", "--yes", "--state", str(loop.folder / "state")]
    assert invoke(["audit", "erase", "--person", "zoe", *(f"--leaf={seq}" for seq in behind), *words]) == 0
    loop.open()
    assert all("erased" in loop.core.store.get(Decision, name).trace for name in ("held", *PAST))
    assert account(loop) == before


def test_a_backtest_counts_a_hold_as_the_daemon_did(loop: Loop):
    """The account is equal while it is pending, when it is overdue, and after its incident has closed, however late."""
    ill(loop)
    keep(loop, a_hold(loop, stage=Stage.SUGGEST))
    for windows in (2, 8):
        loop.play(windows, turned=True)
        assert_same_account(loop)
    assert loop.decision().incident_id is not None
    loop.answer(AnswerKind.DENY, loop.intent("retrain"))
    loop.play(12)
    assert loop.decision().incident_id is None
    assert_same_account(loop)


def assert_same_account(loop: Loop) -> None:
    situation = from_json(loop.decision().trace["situation"])
    history = History(loop.core.store, NAME, [prior.action for prior in situation.costs.actions])
    assert history.account(situation, situation.costs) == situation.account


def test_what_unresolved_incidents_went_on_for_moves_the_severity(loop: Loop):
    """Closed incidents that no heal resolved pool into the windows; open ones and mere drift do not."""
    pipeline, store = loop.core.pipelines[NAME], loop.core.store
    model = _model(loop)
    end = loop.clock.now()

    def put(number: int, **changes: object) -> None:
        incident = Incident(
            id=f"inc-{number}",
            pipeline=NAME,
            opened_at=end - timedelta(hours=23),
            kind=Layer.HARM,
            severity=3,
            reason="harm",
            opened_by="alarm",
            clean_windows=3,
            closed_at=end,
            closed_by="3 clean windows",
        )
        with store.transaction() as tx:
            tx.put(replace(incident, **changes))  # type: ignore[arg-type]

    def severity() -> float:
        return with_severity(store, pipeline.settings, NAME, model, log_of(store, pipeline)).severity

    assert severity() == model.severity == 3.0
    put(0, kind=Layer.DRIFT)
    put(1, closed_at=None, closed_by=None)
    assert severity() == 3.0
    for number in range(2, 12):
        put(number)
    assert severity() == pytest.approx((10 * 3.0 + 10 * 20.0) / 20)
