"""Who may move a pipeline up and down (SAFETY S5)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.decision import breaker, demote, promote_stage
from healerd.decision.stages import LADDER
from healerd.model import Stage, StageChange
from tests.healerd.decision.situations import HOUR, NOW

stages = st.sampled_from(Stage)


@given(now=stages, to=stages, roles=st.sets(st.sampled_from(["viewer", "operator", "approver", "admin"])))
def test_s5_the_daemon_never_promotes(now: Stage, to: Stage, roles: set[str]):
    """Whatever roles it claims, no promotion bears the daemon's name."""
    said = promote_stage("churn", now=now, to=to, author="daemon", roles=roles, reason="it went well", at=NOW)
    assert said == "only people promote"


@given(now=stages, to=stages)
def test_s5_a_promotion_goes_up_and_a_demotion_down(now: Stage, to: Stage):
    """Of two different stages exactly one of the two verbs may apply, and none where nothing changes."""
    up = promote_stage("churn", now=now, to=to, author="ada", roles=["admin"], reason="it went well", at=NOW)
    down = demote("churn", now=now, to=to, author="daemon", reason="two undos", at=NOW)
    if isinstance(up, StageChange):
        assert LADDER.index(up.stage) > LADDER.index(now)
    if isinstance(down, StageChange):
        assert LADDER.index(down.stage) < LADDER.index(now)
    assert not (isinstance(up, StageChange) and isinstance(down, StageChange))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"roles": ["operator"]}, "may not promote"),
        ({"reason": " "}, "needs a reason"),
        ({"now": Stage.OBSERVE}, "the next stage is `suggest`"),
        ({"now": Stage.LIVE}, "not above"),
    ],
)
def test_s5_what_keeps_a_promotion_from_happening(changes: dict, why: str):
    """Role, reason and order are checked, and the refusal is a sentence."""
    asked = {"now": Stage.SUGGEST, "roles": ["admin"], "reason": "ten heals approved", **changes}
    said = promote_stage("churn", to=Stage.LIVE, author="ada", at=NOW, **asked)
    assert isinstance(said, str)
    assert why in said


def test_s5_a_person_promotes_from_suggest_to_live():
    """An admin with a reason may."""
    said = promote_stage(
        "churn", now=Stage.SUGGEST, to=Stage.LIVE, author="ada", roles=["admin"], reason="ten heals", at=NOW
    )
    assert said == StageChange(pipeline="churn", stage=Stage.LIVE, at=NOW, author="ada", reason="ten heals")


def test_two_undos_within_a_day_take_the_autonomy_away():
    """The circuit breaker demotes to observe; one undo or old ones do not, nor what observes already."""
    undone, old = NOW - HOUR, NOW - timedelta(hours=24)
    reason = "2 heals undone within 24 h: somebody should look"
    tripped = breaker("churn", (undone, undone, old), now=Stage.LIVE, at=NOW)
    assert tripped == StageChange(pipeline="churn", stage=Stage.OBSERVE, at=NOW, author="daemon", reason=reason)
    assert breaker("churn", (undone, old), now=Stage.LIVE, at=NOW) is None
    assert breaker("churn", (undone, undone), now=Stage.OBSERVE, at=NOW) is None
