import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.detectors.regret import BETS, RIVALS_MAX, detect_regret, log_e_values
from healerd.model import Rival
from tests.healerd.detectors.looking import a_reference, a_yardstick, an_observation, seeded

law = settings(max_examples=200, deadline=None, derandomize=True)
YARDSTICK = a_yardstick({"x": np.arange(9.0)})


def a_rival(*, better, worse, rows=200, version="old", against="v1"):
    return Rival(version=version, against=against, rows=rows, better=int(better), worse=int(worse))


def look(*rivals, state, k=0, stored=("old", "older"), **reference):
    seen = an_observation(
        YARDSTICK,
        {"x": np.zeros(1)},
        k=k,
        rivals=rivals,
        stored=frozenset(stored),
        reference=a_reference(**reference),
    )
    return detect_regret(seen, state)


@law
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2), st.floats(1, 50))
def test_e_of_one_row_has_mean_at_most_one_up_to_the_harmless_gain(share, part, harmless, phi):
    """Exactly, for every law of a row whose gain is at most the harmless one: E e <= 1 for each stake."""
    worse = share * (1 - harmless) * part
    better = min(worse + harmless, 1 - worse)
    chances = {(1, 0): better, (0, 1): worse, (0, 0): 1 - better - worse}
    mean = sum(
        chance * np.exp(log_e_values(a_rival(better=b, worse=w, rows=1), harmless=harmless, phi=phi))
        for (b, w), chance in chances.items()
    )
    assert (mean <= 1 + 1e-9).all()


def test_a_version_that_is_right_again_is_found_and_named():
    """A stored version that errs on 20 points fewer alarms within five cohorts, with the gain it has."""
    rng, state = seeded(81), {}
    for k in range(5):
        told, state = look(a_rival(better=rng.binomial(200, 0.3), worse=rng.binomial(100, 0.2)), state=state, k=k)
    assert told[0].alarm
    assert told[1].subject == "old"
    assert told[1].value > 0.1


def test_equal_versions_raise_no_alarm():
    """Versions that differ by chance alone are quiet over 100 cohorts."""
    rng, state = seeded(82), {}
    for k in range(100):
        rivals = [
            a_rival(better=rng.binomial(100, 0.2), worse=rng.binomial(100, 0.2), version=v) for v in ("old", "older")
        ]
        told, state = look(*rivals, state=state, k=k)
        assert not told[0].alarm


def test_s12_only_rivals_of_the_active_version_count():
    """Comparisons with another version are no evidence, and a change of the active version starts afresh."""
    _, state = look(a_rival(better=150, worse=0), state={})
    assert state["alarm"]
    told, after = look(a_rival(better=150, worse=0), state=state, version="v2")
    assert told[0].alarm is None
    assert after["cells"] == {}


def test_no_rival_no_step_and_state_survives_json():
    """Without a comparison the cells stay; through JSON they go on bit for bit."""
    _, state = look(a_rival(better=40, worse=20), state={})
    again = json.loads(json.dumps(state))
    assert look(state=again)[1]["cells"] == state["cells"]
    rival = a_rival(better=30, worse=20)
    assert look(rival, state=again) == look(rival, state=state)
    assert len(state["cells"]["old"]) == len(BETS)
    assert all(math.isfinite(value) for value in state["cells"]["old"])


MANY = [f"v{k:02}" for k in range(RIVALS_MAX + 8)]


def equal_at(names, **others):
    """Rivals that differ from the active version by chance alone, and others that get so many more right."""
    others = {name: a_rival(better=40 + gain, worse=40, version=name) for name, gain in others.items()}
    return [others.get(name) or a_rival(better=40, worse=40, version=name) for name in names]


def test_a_better_version_is_found_however_many_were_compared_before():
    """With twenty versions stored, the last by name alarms as soon as among twelve, through JSON too."""
    alarms = []
    for before in (MANY[:3], MANY[:-1]):
        state = {}
        for k in range(0, len(before), 4):
            _, state = look(*equal_at(before[k : k + 4]), state=state, k=k, stored=MANY)
        rivals = equal_at([*before[-3:], MANY[-1]], **{MANY[-1]: 40})
        found = []
        for k in range(8):
            told, state = look(*rivals, state=json.loads(json.dumps(state, sort_keys=True)), k=20 + k, stored=MANY)
            found.append(bool(told[0].alarm))
        alarms.append(found)
    assert alarms[0] == alarms[1]
    assert any(alarms[0])


@law
@given(st.permutations(MANY), st.lists(st.integers(0, 60), min_size=len(MANY), max_size=len(MANY)))
def test_who_has_a_place_is_not_told_by_how_they_did(order, gains):
    """Whatever the gains, the same twelve are kept: those compared, then by name; the others are forgotten."""
    held, compared = sorted(order[:RIVALS_MAX]), order[RIVALS_MAX:]
    _, state = look(*equal_at(held, **dict(zip(order, gains, strict=True))), state={}, stored=MANY)
    _, after = look(*equal_at(compared, **dict(zip(order, gains, strict=True))), state=state, k=1, stored=MANY)
    assert set(after["cells"]) in (set(), {*compared, *held[: RIVALS_MAX - len(compared)]})
    assert bool(after["cells"]) or state["alarm"]


def test_of_more_rivals_than_places_the_first_are_compared():
    """Of thirteen in one cohort the first twelve step, though the last did best."""
    names = MANY[: RIVALS_MAX + 1]
    told, state = look(*equal_at(names, **{names[-1]: 100}), state={}, stored=names)
    assert sorted(state["cells"]) == names[:-1]
    assert not told[0].alarm


def test_a_state_of_many_versions_goes_on_with_those_compared():
    """A state kept by an earlier release, with more versions than places, counts the ones compared now."""
    _, state = look(state={}, stored=MANY)
    old = {**state, "cells": {**dict.fromkeys(MANY, [0.0] * len(BETS)), MANY[-1]: [20.0] * len(BETS)}}
    told, _ = look(*equal_at(MANY[-1:]), state=old, stored=MANY)
    assert told[0].alarm
