"""Which rules could propose an action, and the one comparison that kept each from asking."""

from datetime import UTC, datetime

from healerd.decision import SCHEMA
from healerd_rules import Asking, Inputs, SignalState, asking, evaluate, load_text

NOW = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)
RULES = """
import "base"
propose few: retrain when rows > 500 and error_rate > 10%
propose elsewhere: retrain on pipeline "fraud" when rows > 0
propose back: rollback when rows > 0
"""


def asked(rows: int | None, error: float | None) -> tuple[Asking, ...]:
    ruleset = load_text(RULES, name="mine.heal", schema=SCHEMA).ruleset
    assert ruleset is not None
    inputs = Inputs(
        pipeline="churn",
        now=NOW,
        window_s=1800,
        stage="live",
        incident=True,
        facts={"rows": rows, "error_rate": error},
    )
    found = asking(ruleset, inputs, SignalState(), "retrain")
    proposed = evaluate(ruleset, inputs, SignalState(), confidence=None).proposals
    assert {one.rule.rule for one in found if one.asks} == {p.rule for p in proposed if p.action == "retrain"}
    return found


def test_only_the_rules_for_the_action_in_scope_are_told() -> None:
    """A rule of another action or pipeline could never have asked."""
    assert [one.rule.rule for one in asked(600, 0.2)] == ["few"]


def test_the_comparison_that_alone_was_missing_is_named() -> None:
    """Where one leaf would turn the rule it is named; where two are missing none is; what asks has none."""
    (near,) = asked(100, 0.2)
    assert (near.asks, near.truth) == (False, False)
    assert [(flip.leaf.text, flip.needed) for flip in near.flips] == [("rows > 500", True)]
    assert asked(100, 0.05)[0].flips == ()
    assert asked(600, 0.2)[0].flips == ()


def test_unknown_data_does_not_ask() -> None:
    """A rule whose condition is unknown proposes nothing, and the leaf that must be known is named."""
    (blind,) = asked(600, None)
    assert (blind.asks, blind.truth) == (False, None)
    assert [flip.leaf.text for flip in blind.flips] == ["error_rate > 10%"]
