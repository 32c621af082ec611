"""The one-step study: what a random confidence can do, and that the reference's figures are only quoted."""

from experiments.one_step import REPORTED, SYSTEMS, study, table


def test_a_hybrid_by_a_random_confidence_lies_between_its_parts():
    """In the mean of studies a coin between the rules and a worse bandit costs and fails more than the rules alone."""
    rows = {row["system"]: row for row in table(1, 12)}
    rules, bandit, coin = (
        rows[name] for name in ("rules only", "bandit that never learns", "hybrid by a random confidence")
    )
    for key in ("mean cost", "mean failed"):
        assert rules[key] < coin[key] < bandit[key]
    assert set(rows) == set(SYSTEMS)


def test_the_same_seed_gives_the_same_study():
    """A study is drawn from its seed alone."""
    assert study(7) == study(7) != study(8)


def test_rules_only_beats_the_hybrid_in_what_was_reported():
    """The quoted figures are those in which rules-only wins on both."""
    (rules_cost, rules_failed), (cost, failed) = REPORTED["rules only"], REPORTED["hybrid"]
    assert (rules_cost < cost, rules_failed < failed) == (True, True)
