"""Incidents, window by window: what opens, raises, keeps open and closes them (SAFETY S6)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from healerd.decision import Situation, Wish, open_for_wish, prepare
from healerd.decision.incidents import SEVERITIES
from healerd.model import Incident, IntentState, Layer, Measurement, Quality, VersionKind
from tests.healerd.decision.situations import (
    NOW,
    a_calm_situation,
    a_situation,
    a_version,
    an_incident,
    an_intent,
    drift,
    harm,
    rules,
)
from tests.healerd.decision.strategies import situations

CALM = (harm(error=0.1, alarm=False), drift())


def after(situation: Situation, text: str = "") -> Incident | None:
    return prepare(situation, rules(text)).incident


def play(windows: list[dict[str, Any]], text: str = "", **start: Any) -> list[Incident | None]:
    """Let windows pass one after the other; each overrides what a calm one is."""
    situation = a_calm_situation(**start)
    seen = []
    for number, changes in enumerate(windows):
        now = NOW + number * timedelta(minutes=30)
        incident = situation.incident if situation.open_incident else None
        situation = replace(situation, **{"measurements": CALM, "quality": Quality.GOOD, **changes, "now": now})
        situation = prepare(replace(situation, incident=incident), rules(text))
        seen.append(situation.incident)
    return seen


def test_s6_nothing_opens_without_an_alarm_or_a_proposal():
    """A calm pipeline has no incident."""
    assert after(a_calm_situation()) is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"measurements": (harm(error=0.15), drift())}, Layer.HARM),
        ({"measurements": (*CALM[:1], drift(alarm=True))}, Layer.DRIFT),
        ({"quality": Quality.BAD}, Layer.QUALITY),
        ({"quality": Quality.BAD, "measurements": (harm(error=0.15), drift(alarm=True))}, Layer.HARM),
    ],
)
def test_s6_an_alarm_opens_an_incident_of_its_kind(changes: dict[str, Any], kind: Layer):
    """The weightiest alarm names the incident, the most severe its severity."""
    incident = after(a_calm_situation(**changes))
    assert incident is not None
    assert (incident.kind, incident.severity) == (kind, SEVERITIES[kind])
    assert incident.opened_by == "alarm"
    assert incident.reason


def test_harm_of_ten_points_is_critical():
    """A rise of the error by one answer in ten is more severe than an alarm alone."""
    incident = after(a_calm_situation(measurements=(harm(error=0.25), drift())))
    assert incident is not None
    assert incident.severity == 4
    assert incident.reason == "harm: the error is 25.0%, on the reference 10.0%"


def test_s6_unknown_opens_nothing():
    """What nobody can tell is no alarm."""
    blind = a_calm_situation(measurements=(harm(error=None, alarm=None),), quality=Quality.UNKNOWN)
    assert after(blind) is None


def test_s6_a_proposal_that_turned_true_opens_an_incident():
    """A rule that begins to propose opens one; a rule that has been proposing all along does not."""
    text = 'propose big: retrain when rows > 500 severity critical because "many rows"'
    incident = after(a_calm_situation(), text)
    assert incident is not None
    assert (incident.opened_by, incident.severity, incident.kind) == ("rule big", 4, Layer.SCORE)
    assert "many rows" in incident.reason
    assert after(a_calm_situation(standing=("big",)), text) is None


def test_s6_three_clean_windows_close():
    """The third clean window in a row closes the incident, and says so."""
    seen = play([{}, {}, {}, {}], incident=an_incident())
    assert [incident and incident.clean_windows for incident in seen] == [1, 2, 3, None]
    assert seen[2] is not None
    assert seen[2].closed_at == NOW + timedelta(hours=1)
    assert seen[2].closed_by == "3 clean windows"


def test_s6_unknown_windows_are_not_clean():
    """A window of which nobody can tell neither counts nor starts the count anew."""
    blind = {"measurements": (harm(error=None, alarm=None), drift())}
    seen = play([{}, blind, {"quality": Quality.UNKNOWN}, {}, {}], incident=an_incident())
    assert [incident and incident.clean_windows for incident in seen] == [1, 1, 1, 2, 3]


def test_s6_an_alarm_starts_the_count_anew():
    """Clean windows count in a row."""
    seen = play([{}, {}, {"measurements": (harm(), drift())}, {}], incident=an_incident())
    assert [incident and incident.clean_windows for incident in seen] == [1, 2, 0, 1]


def test_s6_an_error_above_its_limit_is_not_clean():
    """A window without an alarm but with an error beyond what counts as healthy does not help to close."""
    limit = Measurement(name="error_limit", layer=Layer.HARM, value=0.12, n=1)
    seen = play([{"measurements": (harm(error=0.13, alarm=False), drift(), limit)}], incident=an_incident())
    assert seen[0] is not None
    assert seen[0].clean_windows == 0


def test_s6_fallback_never_closes():
    """While a safe model serves, or nobody knows what serves, no window is clean."""
    for active in (a_version(kind=VersionKind.FALLBACK), None):
        seen = play([{}] * 5, incident=an_incident(), active=active)
        assert all(incident is not None and incident.closed_at is None for incident in seen)
        assert seen[-1] is not None
        assert seen[-1].clean_windows == 0


def test_s6_an_unproven_heal_keeps_its_incident_open():
    """Clean windows do not close an incident whose heal still waits to be verified; one that only waits does not."""
    unproven = (an_intent(state=IntentState.VERIFYING),)
    waiting = (an_intent(state=IntentState.AWAITING_APPROVAL),)
    assert all(i is not None and i.closed_at is None for i in play([{}] * 5, incident=an_incident(), intents=unproven))
    assert play([{}] * 3, incident=an_incident(), intents=waiting)[-1].closed_at is not None  # type: ignore[union-attr]


def test_s6_a_more_severe_alarm_raises_and_nothing_lowers():
    """Bad data becomes harm, harm becomes critical; later calm leaves kind and severity."""
    seen = play(
        [
            {"quality": Quality.BAD},
            {"measurements": (harm(error=0.15), drift())},
            {"measurements": (harm(error=0.30), drift())},
            {"measurements": (harm(error=0.15), drift())},
            {},
        ]
    )
    told = [(incident.kind, incident.severity) for incident in seen if incident]
    assert told == [(Layer.QUALITY, 2), (Layer.HARM, 3), (Layer.HARM, 4), (Layer.HARM, 4), (Layer.HARM, 4)]
    assert len({incident.id for incident in seen if incident}) == 1


def test_s6_what_a_person_asks_for_opens_an_incident():
    """A wish opens an incident in the person's name, unless one is open."""
    wish = Wish(action="rollback", author="ada", reason="the sale starts")
    incident = open_for_wish(a_calm_situation(wish=wish))
    assert incident is not None
    assert incident.opened_by == "ada"
    assert "the sale starts" in incident.reason
    assert open_for_wish(a_situation(wish=wish)) == an_incident()
    assert open_for_wish(a_calm_situation()) is None


@given(situation=situations())
@settings(max_examples=100, deadline=None)
def test_s6_an_incident_keeps_its_id_and_never_loses_weight(situation: Situation):
    """Whatever a window brings, an open incident stays itself: no other id, no less severity, no earlier closing."""
    before, incident = situation.open_incident, after(situation)
    if before is not None:
        assert incident is not None
        assert incident.id == before.id
        assert incident.severity >= before.severity
        assert incident.opened_at == before.opened_at
        if incident.closed_at is not None:
            assert situation.quality is Quality.GOOD
            assert incident.clean_windows > before.clean_windows or before.clean_windows >= 3
