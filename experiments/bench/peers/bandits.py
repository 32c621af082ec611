"""Asked from another process, in a peer's environment: CPU seconds of one question to a contextual bandit, and of one
lesson, after it has learned some outcomes.

`python bandits.py` takes {"peer", "contexts", "actions", "failed", "count", "repetitions"} and prints
{"a question", "a lesson", "kind", "loop_s"}, medians in seconds. Must never import healerd.
"""

import json
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from covariates import loop, seconds

QUESTIONS, LESSONS = 100, 20
Timed = tuple[str, Callable[[], object], Callable[[], object]]


def mabwiser(contexts: Any, actions: Any, rewards: Any, count: int) -> Timed:
    """LinTS, one decision a call, learning by partial fit."""
    from mabwiser.mab import MAB, LearningPolicy

    bandit = MAB(list(range(count)), LearningPolicy.LinTS(alpha=1.0))
    bandit.fit(actions, rewards, contexts)

    def question() -> None:
        for row in contexts[:QUESTIONS]:
            bandit.predict(row[None, :])

    def lesson() -> None:
        for n in range(LESSONS):
            bandit.partial_fit(actions[n : n + 1], rewards[n : n + 1], contexts[n : n + 1])

    return "LinTS", question, lesson


def vowpalwabbit(contexts: Any, actions: Any, rewards: Any, count: int) -> Timed:
    """`cb_explore` with one line of text a decision, as its tutorials do."""
    import vowpalwabbit

    bandit = vowpalwabbit.Workspace(f"--cb_explore {count} --quiet")
    lines = [" ".join(f"x{k}:{value:.6f}" for k, value in enumerate(row)) for row in contexts]
    taught = [
        f"{action + 1}:{-reward}:{1 / count} | {line}"
        for action, reward, line in zip(actions, rewards, lines, strict=True)
    ]
    for one in taught:
        bandit.learn(one)

    def question() -> None:
        for line in lines[:QUESTIONS]:
            bandit.predict(f"| {line}")

    def lesson() -> None:
        for one in taught[:LESSONS]:
            bandit.learn(one)

    return "--cb_explore", question, lesson


def contextualbandits(contexts: Any, actions: Any, rewards: Any, count: int) -> Timed:
    """Its linear Thompson sampling, one decision a call, learning by partial fit."""
    from contextualbandits.online import LinTS

    bandit = LinTS(nchoices=count)
    bandit.fit(contexts, actions, rewards)

    def question() -> None:
        for row in contexts[:QUESTIONS]:
            bandit.predict(row[None, :])

    def lesson() -> None:
        for n in range(LESSONS):
            bandit.partial_fit(contexts[n : n + 1], actions[n : n + 1], rewards[n : n + 1])

    return "LinTS", question, lesson


PEERS = {"mabwiser": mabwiser, "vowpalwabbit": vowpalwabbit, "contextualbandits": contextualbandits}

asked = json.load(sys.stdin)
contexts = np.ascontiguousarray(asked["contexts"])
actions = np.array(asked["actions"])
rewards = 1.0 - np.array(asked["failed"], dtype=np.float64)
kind, question, lesson = PEERS[asked["peer"]](contexts, actions, rewards, asked["count"])


def middle(work: Callable[[], object]) -> float:
    """The median of several runs, after one that warms up."""
    work()
    return median(seconds(work) for _ in range(asked["repetitions"]))


print(
    json.dumps(
        {
            "kind": kind,
            "a question": middle(question) / QUESTIONS,
            "a lesson": middle(lesson) / LESSONS,
            "loop_s": middle(loop),
        }
    )
)
