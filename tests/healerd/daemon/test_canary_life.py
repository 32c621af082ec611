"""A pipeline in canary, lived through the daemon's loop: coins are tossed, their heals run, are judged and counted."""

from pathlib import Path
from typing import Any

import pytest

from healerd.client.backtest import Period, backtest, instead_of
from healerd.client.backtest.lessons import History
from healerd.client.reproduce import reproduce
from healerd.client.trust import policy
from healerd.config import Config, parse_config
from healerd.daemon.accounts import current_account
from healerd.decision import Situation, from_json
from healerd.model import Decision, Intent, Outcome, Result, Stage
from healerd.policy import coin, failed
from tests.healerd.daemon.loop import CONFIG, NAME, Loop

DEAR_FITS = CONFIG.replace("cost = 0.1\nfailure = 0.1", "cost = 1.6\nfailure = 0.05").replace(
    "cost = 0.02\nfailure = 0.1", "cost = 0.02\nfailure = 0.05"
)
TERMS = "[pipeline.flights.policy]\nalpha = 1.0\n"
TURNS, WINDOWS, TRUSTED_AT = (4, 12, 20, 28, 36), 42, 20


class Costly(Loop):
    """A fit costs much more than going back to a version that fits: the policy disagrees with the rules each time."""

    @property
    def config(self) -> Config:
        text = DEAR_FITS.format(
            daemon=self.daemon, window=self.window_s, horizon=self.horizon_s, kind="memory", late=self.late_s
        )
        return parse_config(text + self.more, path=self.folder / "healerd.toml")


def lived(folder: Path, *, more: str = TERMS, windows: int = WINDOWS) -> Loop:
    """The truth turns every eight windows, and a stored version fits each side of it; people approve until canary."""
    loop = Costly(folder, more=more)
    loop.add("other", -1.0, activate=False)
    for window in range(windows):
        if window == TRUSTED_AT:
            loop.trust(Stage.CANARY)
        loop.play(turned=bool(sum(window >= turn for turn in TURNS) % 2))
        if window < TRUSTED_AT:
            loop.approve()
        loop.wait()
    return loop


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    return lived(tmp_path_factory.mktemp("canary"))


def decisions(loop: Loop) -> list[tuple[Decision, Situation]]:
    """Every decision that is no step, with what it stood on."""
    found = [each for each in loop.core.store.find(Decision) if each.trace.get("step") is None]
    return [(each, from_json(each.trace["situation"])) for each in found]


def tossed(loop: Loop) -> list[tuple[Decision, dict[str, Any]]]:
    """The decisions that a coin made."""
    told = ((each, (each.trace.get("gate") or {}).get("coin")) for each, _ in decisions(loop))
    return [(each, coin_) for each, coin_ in told if coin_]


def test_a_coin_is_tossed_in_the_running_loop_and_what_it_picked_is_done(life: Loop) -> None:
    """In canary a coin keyed by the decision picks one of two actions, and that one runs without a person's word."""
    found = tossed(life)
    assert len(found) >= 2
    for decision, told in found:
        assert decision.stage is Stage.CANARY
        assert decision.propensity == 0.5
        assert decision.chosen == told["up"] == (told["policy"] if coin(decision.id) else told["rule"])
        assert decision.level in ("allowed", "announced")
        (heal,) = life.core.store.find(Intent, decision_id=decision.id, parent_id=None)
        assert (heal.action, heal.approved_by) == (told["up"], ())
        assert heal.executed_at is not None


def test_what_a_coin_picked_is_judged_and_counted(life: Loop) -> None:
    """The verified outcome of a coin's heal is counted on its side, and both sides come up in this life."""
    account = current_account(life.core.store, life.core.pipelines[NAME], life.clock.now())
    heals = [life.core.store.find(Intent, decision_id=one.id, parent_id=None)[0] for one, _ in tossed(life)]
    found = {one.id: life.core.store.get(Outcome, one.id) for one in heals}
    healed = [one for one in heals if (out := found[one.id]) and out.result is Result.HEALED]
    sides = [one.action for one in healed]
    fell_short = [one.action for one in healed if failed(found[one.id])]
    assert (account.canary.policy_outcomes, account.canary.rule_outcomes) == (
        sides.count("rollback"),
        sides.count("retrain"),
    )
    assert sides.count("rollback") >= 1
    assert sides.count("retrain") >= 1
    assert (account.canary.policy_failures, account.canary.rule_failures) == (
        fell_short.count("rollback"),
        fell_short.count("retrain"),
    )
    view = policy(life.core.store, [NAME], life.clock.now(), {"name": NAME})
    assert view["stage"] == "canary"
    assert view["account"]["canary"]["policy_outcomes"] + view["account"]["canary"]["rule_outcomes"] >= 2


def test_no_stage_rises_by_itself(life: Loop) -> None:
    """However well its coins come out, a pipeline stays in the stage that a person gave it."""
    stages = [decision.stage for decision, _ in decisions(life)]
    assert set(stages) == {Stage.SUGGEST, Stage.CANARY}
    assert stages == sorted(stages, key=lambda stage: stage is Stage.CANARY)


def test_every_decision_of_a_canary_reproduces(life: Loop) -> None:
    """A log with coins in it comes out the same, decision by decision."""
    found = life.core.store.find(Decision)
    assert [each.problem for each in reproduce(life.core.store, found) if each.problem] == []


@pytest.mark.parametrize("forget", ["lesson", "day"])
def test_a_backtest_knows_what_the_daemon_knew(life: Loop, tmp_path: Path, forget: str) -> None:
    """Under the costs that were in force, lessons and account out of the record are those that were recorded."""
    loop = life if forget == "lesson" else lived(tmp_path, more=f'{TERMS}forget = "{forget}"\n', windows=26)
    history = History(loop.core.store, NAME, ("retrain", "rollback", "fallback"))
    situations = [situation for _, situation in decisions(loop)]
    assert any(situation.learned.events for situation in situations)
    assert {situation.forget for situation in situations} == {forget}
    for situation in situations:
        assert history.learned(situation, situation.costs) == situation.learned
        assert history.account(situation, situation.costs) == situation.account


def test_a_backtest_of_the_same_costs_changes_nothing(life: Loop) -> None:
    """With the severity that was in force nothing changes, and both ledgers hold the same, deviations included."""
    severity = decisions(life)[0][1].costs.severity
    view = backtest(life.core.store, instead_of(settings=[f"severity={severity}"]), Period())
    assert view["changed"]["count"] == 0
    ledger = view["resimulated"]["ledger"]
    assert ledger["recorded"] == ledger["tried"]
    assert ledger["recorded"]["deviations"] == sum(told["up"] == "rollback" for _, told in tossed(life))


def test_under_other_costs_the_ledger_is_another(life: Loop) -> None:
    """A fit that costs nothing takes every deviation away, and the trial's ledger has none."""
    view = backtest(life.core.store, instead_of(settings=["retrain.cost=0"]), Period())
    assert view["changed"]["count"] > 0
    assert view["resimulated"]["ledger"]["tried"]["deviations"] == 0
    assert view["resimulated"]["ledger"]["recorded"]["deviations"] > 0
