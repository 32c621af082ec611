"""What a decision keeps of other pipelines' actions: all that its rules count, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from healerd.decision import Logged, Situation, decide, inputs_of, replay
from healerd.decision.elsewhere import counts, looks_back, looks_elsewhere
from healerd_rules import evaluate
from tests.healerd.decision.situations import HEALS, HOUR, NOW, a_line, a_situation, rules

CALM = "cooldown calm: any action 3h after retrain, promote"
AT_ONCE = "limit at_once: retrain, fallback at most 1 concurrent"
TEAM_FEW = "limit team_few: retrain at most 2 per 3d per team"
BLAST = "limit blast: any action at most 20% of pipelines per 30h"
ACROSS = (
    CALM,
    "cooldown team_calm: retrain, rollback 5 windows per team",
    "limit few: any action at most 2 per 12h",
    TEAM_FEW,
    "limit spent: any action at most $60 per 24h",
    AT_ONCE,
    BLAST,
    "@enforce(soft) limit blast_asks: rollback at most 1 of pipelines per 24 windows",
)
TEAMS = ((), ("team:pay",), ("team:risk", "eu"))
SECOND = timedelta(seconds=1)


def a_log(rng: np.random.Generator, most: int = 10) -> tuple[Logged, ...]:
    """Up to so many lines of four pipelines; times to the half hour, so that they fall on the edges of what counts."""

    def one_of(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    def one(number: int) -> Logged:
        began = NOW - timedelta(minutes=30 * int(rng.integers(-2, one_of(9, 30, 160))))
        return a_line(
            intent_id=f"log-{number}",
            heal_id=f"log-{number}",
            action=one_of(*HEALS, "promote", "undo"),
            pipeline=one_of("churn", "fraud", "clicks", "other"),
            tags=one_of(*TEAMS),
            started_at=began,
            ended_at=one_of(None, *(began + timedelta(minutes=30 * halves) for halves in range(7))),
            cost=one_of(None, 5.0, 20.0, 20.0, 20.0, 45.0),
        )

    return tuple(one(number) for number in range(int(rng.integers(most // 2, most + 1))))


def narrowed(seen: Situation, text: str) -> Situation:
    """The situation with what its rules count of other pipelines, and no more."""

    def kept(line: Logged) -> bool:
        mine = line.pipeline == seen.pipeline
        return mine or counts(rules(text), line, tags=seen.tags, now=seen.now, window_s=seen.window_s)

    return replace(seen, log=tuple(filter(kept, seen.log)))


@pytest.mark.parametrize("text", ACROSS)
def test_what_is_not_counted_elsewhere_changes_no_verdict(text: str) -> None:
    """With the counted lines alone, a verdict is as with the whole log: its level, its end, and what it says."""
    rng, cut, barred = np.random.Generator(np.random.PCG64(7)), 0, 0
    for _ in range(80):
        whole = a_situation(log=a_log(rng), tags=TEAMS[int(rng.integers(3))], pipelines=5)
        part = narrowed(whole, text)
        seen = evaluate(rules(text), inputs_of(part), part.signals, confidence=None)
        assert seen == evaluate(rules(text), inputs_of(whole), whole.signals, confidence=None)
        cut += part != whole
        barred += any(each.path == "test.heal" for verdict in seen.verdicts.values() for each in verdict.acting)
    assert looks_elsewhere(rules(text))
    assert min(cut, barred) > 10, (cut, barred)


@pytest.mark.parametrize("text", ACROSS)
def test_a_decision_replays_from_what_was_counted_elsewhere(text: str) -> None:
    """A decision on the counted lines is the one on the whole log, and follows again from what it has recorded."""
    whole = a_situation(log=a_log(np.random.Generator(np.random.PCG64(11)), 30), tags=TEAMS[1], pipelines=5)
    full, least = decide(whole, rules(text)), decide(narrowed(whole, text), rules(text))
    told = {**least.trace, "situation": full.trace["situation"]}
    assert len(least.trace["situation"]["log"]) < len(whole.log)
    assert replace(least, trace=told) == full
    assert replay(least, rules(text)) == least


@pytest.mark.parametrize(
    ("text", "changes", "kept"),
    [
        (CALM, {"ended_at": NOW - 3 * HOUR + SECOND}, True),
        (CALM, {"ended_at": NOW - 3 * HOUR}, False),
        (CALM, {"ended_at": None, "started_at": NOW - 99 * HOUR}, True),
        (CALM, {"ended_at": NOW, "action": "rollback"}, False),
        (BLAST, {"started_at": NOW - 30 * HOUR + SECOND}, True),
        (BLAST, {"started_at": NOW - 30 * HOUR, "ended_at": NOW}, False),
        (AT_ONCE, {"ended_at": None, "started_at": NOW - 99 * HOUR}, True),
        (AT_ONCE, {"started_at": NOW, "ended_at": NOW}, False),
        (TEAM_FEW, {"started_at": NOW, "tags": ("team:pay", "eu")}, True),
        (TEAM_FEW, {"started_at": NOW, "tags": ("team:risk",)}, False),
    ],
)
def test_only_what_a_rule_can_count_is_kept(text: str, changes: dict[str, Any], kept: bool) -> None:
    """A line of another pipeline is kept while it is open or in the rule's time, for its actions and its group."""
    line = a_line(**{"pipeline": "fraud", "action": "retrain", **changes})
    assert (narrowed(a_situation(tags=("team:pay",), log=(line,)), text).log == (line,)) is kept


def test_rules_that_look_at_their_own_pipeline_keep_nothing_of_others() -> None:
    """The shipped packs count what was done on their own pipeline: of a fleet of any size nothing is kept."""
    lines = (a_line(), a_line(pipeline="fraud", ended_at=None), a_line(pipeline="fraud", started_at=NOW))
    assert not looks_elsewhere(rules())
    assert narrowed(a_situation(log=lines), "").log == (a_line(),)


def test_a_rule_set_looks_back_by_its_longest_period() -> None:
    """The longest cooldown or limit, in time or windows, says how far back the log is read; no bound is beyond time."""
    text = (
        "cooldown a: retrain 2d\nlimit b: retrain at most 2 per 10000 windows\nlimit c: any action at most 1 concurrent"
    )
    assert looks_back(rules("cooldown a: retrain 2d"), 60.0) == timedelta(days=2)
    assert looks_back(rules(text), 3600.0) == timedelta(hours=10_000)
    assert NOW - looks_back(rules(text), 365 * 86400.0) < NOW
