"""The ablation in its quick form: pairs are pairs, the floor is a floor, and what is declared is what is counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import healerd_rules
from experiments import gate
from experiments.ablation.__main__ import declared
from experiments.ablation.faults import FAULTS
from experiments.ablation.playing import holding, meet, play
from experiments.ablation.report import as_json, as_text
from experiments.ablation.running import QUICK, Run, run
from experiments.ablation.statistics import BARS, FLOOR, Difference, calibration, compared, let_through, summary
from experiments.ablation.systems import FIXED, HYBRID, LAX, RULES, SYSTEMS
from experiments.ablation.world import make_scenario, make_site

SEED = 1


@pytest.fixture(scope="module")
def runs():
    return run(QUICK, seed=SEED, kept=None, tell=lambda line: None)


def a_run(site, cost, failed, *, other_cost=10.0, gated=None):
    rest = {"fault": "healthy", "barred": {"gate": 2}, "demoted": 0, "trusted": True}
    row = {"cost": cost, "failed": failed, "gated": gated, "deviations": int(gated is not None), **rest}
    other = {"cost": other_cost, "failed": False, "gated": None, "deviations": 0, **rest}
    names = {bar.other for bar in BARS}
    return Run(
        site=site, costs={}, usual=0.0, played={HYBRID: [row] * 4, LAX: [row] * 4, **dict.fromkeys(names, [other] * 4)}
    )


def test_the_same_seed_gives_the_same_table(runs):
    """What one scenario came to is the same when it is played again, in another order and alone."""
    site = make_site(SEED, 0)
    again, _ = play(meet(make_scenario(site, 0)), SYSTEMS["tuned rules"])
    assert again.plain() == runs[0].played["tuned rules"][0]
    first, second = make_scenario(site, 0), make_scenario(site, 0)
    assert all(np.array_equal(first.arrived[name], second.arrived[name]) for name in first.arrived)


def test_all_systems_meet_the_same_scenarios(runs):
    """The faults of a site are the same for each system, in the same order."""
    for each in runs:
        faults = [played["fault"] for played in each.played["hold"]]
        for name in (*SYSTEMS, *FIXED):
            mine = [played["fault"] for played in each.played[name]]
            assert mine == faults[: len(mine)], name
            assert len(mine) == (QUICK.scenarios if name in SYSTEMS and SYSTEMS[name].everywhere else QUICK.slice)


def test_a_healthy_scenario_leads_to_no_heal():
    """Where nothing happens no system does anything, and nothing fails."""
    met = meet(make_scenario(make_site(SEED, 0), 0, fault="healthy"))
    for name in ("brief's rules", "bandit only (cold)", HYBRID):
        done, memory = play(met, SYSTEMS[name])
        assert (done.cost, done.failed, done.retrains + done.rollbacks + done.fallbacks) == (
            holding(met).cost,
            False,
            0,
        ), name
        assert not memory.heals


def test_a_lasting_change_is_healed_for_less_than_it_costs_to_bear():
    """When an old relation returns, the rules heal it: less is paid than by holding on, and the log has lessons."""
    met = meet(make_scenario(make_site(SEED, 0), 0, fault="recurring concept drift"))
    done, memory = play(met, SYSTEMS["tuned rules"])
    assert met.held[-1] - met.usual > 0.05
    assert done.rollbacks + done.retrains >= 1
    assert done.cost < holding(met).cost
    assert memory.heals
    assert memory.incidents
    assert all(each.closed_at is not None for each in memory.incidents), "between scenarios people mend what is open"
    assert {each.intent_id for each in memory.outcomes} <= {each.id for each in memory.heals}
    _, more = play(meet(make_scenario(make_site(SEED, 0), 1, fault="bad deploy")), SYSTEMS["tuned rules"], memory)
    assert more.heals[: len(memory.heals)] == memory.heals
    assert more.outcomes[: len(memory.outcomes)] == memory.outcomes


def test_the_floor_is_never_dearer_than_any_system(runs):
    """In hindsight the cheapest answer costs at most what each system paid on the same scenarios."""
    table = summary(runs, first=QUICK.slice)
    assert all(table[FLOOR]["cost"] <= means["cost"] + 1e-9 for means in table.values())


def test_each_fault_comes_once_in_a_pack():
    """Eleven scenarios in a row have the eleven faults, each once; before its first window a fault shows nothing."""
    site = make_site(SEED, 3)
    pack = [make_scenario(site, number) for number in range(len(FAULTS))]
    assert sorted(each.fault for each in pack) == sorted(FAULTS)
    for each in pack:
        before = slice(0, each.stream.first + 100 * each.happening.first)
        assert all(np.array_equal(each.arrived[f][before], each.stream.features[f][before]) for f in each.arrived)


def test_the_interval_is_one_over_sites():
    """Two sites that disagree leave an interval that holds 0; forty that agree leave none of it."""
    split = [a_run(0, 0.0, False), a_run(1, 20.0, False)]
    found = compared(split, HYBRID, "tuned rules")
    assert found.cost == 0.0
    assert found.cost_low < 0 < found.cost_high
    agreed = compared([a_run(n, 5.0, False) for n in range(40)], HYBRID, "tuned rules")
    assert (agreed.cost_low, agreed.cost, agreed.cost_high) == (-5.0, -5.0, -5.0)


def test_a_bar_can_be_missed():
    """Cheaper but with failures beyond the margin, or not surely cheaper, is not reached."""
    bar = next(each for each in BARS if each.other == "tuned rules")
    met = Difference(
        other="tuned rules",
        n=1400,
        sites=40,
        cost=-5.0,
        cost_low=-9.0,
        cost_high=-1.0,
        failure=0.0,
        failure_low=-0.01,
        failure_high=0.009,
        other_cost=100.0,
    )
    assert met.reaches(bar)
    assert not replace(met, failure_high=0.011).reaches(bar)
    assert replace(met, failure_high=0.011).misses(bar) == [
        "the failures' interval reaches up to +1.1 points, not below +1"
    ]
    assert not replace(met, cost_high=0.1).reaches(bar)
    same_logs = next(each for each in BARS if each.other == "bandit only (same logs)")
    assert not replace(met, cost=3.1, failure_high=-0.01).reaches(same_logs)


def test_a_claim_is_held_against_the_run_with_the_rules_action():
    """A deviation that came cheaper than the rules' run counts as a hit of its bin, a dearer one as a miss."""
    gated = {"window": 5, "rule": "retrain", "candidate": "hold", "p": 0.92, "deviated": True}
    table = calibration([a_run(0, 5.0, False, gated=gated), a_run(1, 20.0, False, gated=gated)])
    row = next(each for each in table if each["from"] == 0.9)
    assert (row["claims"], row["judged"], row["observed"], row["enough"]) == (8, 8, 0.5, False)


def test_what_deviated_is_told_apart_from_what_was_barred():
    """Scenarios with a deviation are compared with the rules' by themselves; what barred is counted by its name."""
    gated = {"window": 5, "rule": "retrain", "candidate": "hold", "p": 0.92, "deviated": True}
    told = let_through([a_run(0, 5.0, False, gated=gated), a_run(1, 20.0, False)], HYBRID)
    assert (told["scenarios"], told["with a deviation"], told["cost there, minus tuned rules"]) == (8, 4, -5.0)
    assert told["barred in, by"] == "gate 8"


def test_the_report_says_what_was_declared_and_what_was_not_reached(runs):
    """The report holds the declaration, a row for each system, and a verdict for each bar."""
    text = as_text(runs, QUICK, seed=SEED, declared=declared())
    assert "fails if its incident is not resolved" in text
    assert all(f"| {name} |" in text for name in SYSTEMS)
    assert sum(line.startswith("- minus") and "reached" in line for line in text.splitlines()) == len(BARS)
    assert set(as_json(runs, QUICK, seed=SEED)["reached"]) == {bar.other for bar in BARS}
    assert as_json(runs, QUICK, seed=SEED)["claims"] == [], "a preview claims nothing"


def test_two_systems_by_themselves_come_to_what_they_come_to_among_all(runs):
    """`experiments.gate` plays two systems alone: scenario by scenario they do the same as beside the others."""
    alone = run(QUICK, seed=SEED, kept=None, tell=lambda line: None, only=(gate.TUNED, HYBRID))
    for one, among in zip(alone, runs, strict=True):
        assert set(one.played) == {gate.TUNED, HYBRID, "hold"}
        assert all(one.played[name] == among.played[name] for name in one.played)
    text = gate.as_text(alone, seed=SEED)
    assert f"minus {gate.TUNED}: cost" in text
    assert "The bar (cost lower, failures at most 1 point more)" in text


def test_the_tuned_rules_are_the_shipped_ones_with_other_times():
    """Whoever changes the pack `default` changes the row that is called tuned rules: only constants of time differ."""
    shipped = (Path(healerd_rules.__file__).parent / "packs" / "default.heal").read_text(encoding="utf-8")
    ours = (RULES / "tuned.heal").read_text(encoding="utf-8")

    def plain(text: str) -> list[str]:
        body = text.split("version 1.0\n", 1)[1]
        timed = ("const LEARN_ANEW_AFTER", "const WAY_BACK", "const BLAME_ALIAS_FOR")
        return [line for line in body.splitlines() if not line.startswith(("#", *timed))]

    assert plain(ours) == plain(shipped)
    assert ours != shipped
