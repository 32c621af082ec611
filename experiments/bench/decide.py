"""How long deciding takes: one pipeline with 500 past incidents, 10,000 pipelines at once, and other bandit libraries.

CPU time. One decision is everything that `decide` does: facts, guards, policy, ledger, second pass and the trace. The
fleet is judged in one pass of columns, and the policy is asked only where an incident is open. Peers run in
environments of their own; both processes time one fixed loop of plain Python, and the ratio is of work in loops.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments.bench.peers.covariates import loop
from experiments.environments import ask, environment
from healerd.config import ActionSettings, PipelineSettings, SourceSettings
from healerd.decision import FEATURES, SCHEMA, Logged, Situation, Target, cost_model, decide, prepare
from healerd.decision.view import inputs_of
from healerd.model import Incident, Layer, Measurement, Quality, Reference, Stage, Version, VersionKind, Window
from healerd.policy import (
    DEFAULT_PRIORS,
    POLICIES,
    Deed,
    Event,
    Question,
    Terms,
    keep_account,
    learn_all,
    learn_event,
)
from healerd_rules import RuleSet, load_text
from healerd_rules.compiling import compile_columns, row_of, stack

INCIDENTS, CALLS, PIPELINES, ILL = 500, 2000, 10_000, 100
P99_MS = 5.0
NOW = datetime(2026, 5, 7, 12, tzinfo=UTC)
WINDOW_S = 1800.0
ACTIONS = ("hold", "retrain", "rollback", "fallback")
SCRIPT = Path(__file__).parent / "peers" / "bandits.py"
PEERS = {
    "mabwiser": ("mabwiser==2.7.4",),
    "vowpalwabbit": ("vowpalwabbit==9.11.9", "numpy"),
    "contextualbandits": ("contextualbandits==0.3.30",),
}
REPETITIONS = 5


def main() -> bool:
    """Print one JSON line a claim; True if none that could be measured failed."""
    world = make_world()
    month = tuple(line for line in world.situation.log if line.started_at > NOW - timedelta(days=31))
    lines = [
        _one(replace(world, situation=replace(world.situation, log=month)), at_most_ms=P99_MS),
        _one(world, at_most_ms=None),
        _fleet(world),
        *_against_peers(world),
    ]
    return all(line["held"] is not False for line in lines)


@dataclass(frozen=True, kw_only=True)
class World:
    """A pipeline after many incidents: what is decided on, under which rules, and what has been learned."""

    situation: Situation
    ruleset: RuleSet
    events: tuple[Event, ...]
    contexts: tuple[tuple[float, ...], ...]


def make_world() -> World:
    """Draw 500 incidents with their outcomes, and put a pipeline in the midst of the next one."""
    rng = np.random.Generator(np.random.Philox(1))
    ruleset = load_text('import "default"', name="bench.heal", schema=SCHEMA).ruleset
    assert ruleset is not None, "the shipped rules load"
    actions = {name: ActionSettings(cost=p.cost, failure=p.failure) for name, p in DEFAULT_PRIORS.items()}
    costs = cost_model(PipelineSettings(source=SourceSettings(kind="memory"), actions=actions))
    contexts = tuple((1.0, *(float(x) for x in rng.random(len(FEATURES) - 1))) for _ in range(INCIDENTS))
    chosen = [ACTIONS[1 + int(rng.integers(3))] for _ in range(INCIDENTS)]
    failed = [bool(rng.random() < (0.8 if action == "retrain" else 0.1)) for action in chosen]
    when = [NOW - timedelta(hours=17 * (INCIDENTS - n)) for n in range(INCIDENTS)]
    events = tuple(
        Event(number=n + 1, at=when[n], action=chosen[n], context=contexts[n], failed=failed[n], cost=1.0)
        for n in range(INCIDENTS)
    )
    deeds = tuple(
        Deed(
            key=f"i-{n}",
            at=when[n],
            action=chosen[n],
            rule_action="retrain",
            context=contexts[n],
            severity=costs.severity,
            failed=failed[n],
            over=True,
            active=True,
            earns=True,
        )
        for n in range(INCIDENTS)
    )
    account = keep_account(costs, deeds, terms=Terms(check=False), since_at=when[0])
    log = tuple(
        Logged(
            intent_id=f"i-{n}",
            heal_id=f"i-{n}",
            action=chosen[n],
            pipeline="churn",
            started_at=when[n],
            ended_at=when[n],
        )
        for n in range(INCIDENTS)
    )
    situation = _ill(Situation(
        id="d-1",
        pipeline="churn",
        now=NOW,
        window=Window(pipeline="churn", start_at=NOW - timedelta(seconds=WINDOW_S), end_at=NOW),
        window_s=WINDOW_S,
        stage=Stage.LIVE,
        quality=Quality.GOOD,
        rows=5000,
        targets=tuple(Target(action=name) for name in ACTIONS[1:]),
        reference=_reference(),
        active=_version(),
        log=log,
        costs=costs,
        learned=learn_all(costs, events),
        account=account,
    ), 0.25)  # fmt: skip
    return World(situation=prepare(situation, ruleset), ruleset=ruleset, events=events, contexts=contexts)


def _ill(situation: Situation, error: float) -> Situation:
    harm = Measurement(
        name="error", layer=Layer.HARM, value=error, n=500, log_evidence=12.0, log_limit=10.0, alarm=error > 0.2
    )
    return replace(situation, measurements=(harm,))


def _reference() -> Reference:
    return Reference(
        id="r", pipeline="churn", version="v2", at=NOW, error=0.1, error_rows=2000, rows=5000, start_at=NOW, end_at=NOW
    )


def _version() -> Version:
    return Version(pipeline="churn", name="v2", kind=VersionKind.MODEL, sha256="", created_at=NOW - timedelta(days=9))


# one pipeline ---------------------------------------------------------------------


def _one(world: World, *, at_most_ms: float | None) -> dict[str, Any]:
    """Decide again and again, each time with another error, until the slowest in a hundred is known.

    The daemon hands over the action log of the last 31 days; the learning and the ledger hold all incidents.
    """
    rng = np.random.Generator(np.random.Philox(2))
    cases = [replace(_ill(world.situation, float(rng.uniform(0.21, 0.6))), id=f"d-{n}") for n in range(CALLS)]
    acting = sum(decide(case, world.ruleset).trace["gate"]["deviates"] for case in cases[:100]) / 100
    spent = []
    gc.collect()
    for case in cases:
        before = time.process_time()
        decide(case, world.ruleset)
        spent.append(1000.0 * (time.process_time() - before))
    p99 = float(np.quantile(spent, 0.99))
    line = {
        "bench": f"decide: one pipeline, {INCIDENTS} past incidents, {len(world.situation.log)} in the action log",
        "peer": "a limit",
        "deviating": acting,
        "median_ms": round(median(spent), 3),
        "p99_ms": round(p99, 3),
        "at_most_ms": at_most_ms,
        "held": None if at_most_ms is None else p99 <= at_most_ms,
    }
    return _told(line)


# the fleet ------------------------------------------------------------------------


def _fleet(world: World) -> dict[str, Any]:
    """Judge 10,000 pipelines in one pass of columns, and decide for the 1% on which an incident is open."""
    rng = np.random.Generator(np.random.Philox(3))
    columns = compile_columns(world.ruleset)
    ill = set(rng.choice(PIPELINES, size=ILL, replace=False).tolist())
    incident = world.situation.incident
    assert isinstance(incident, Incident), "the world is ill"
    cases = [_of_fleet(world.situation, number, ill=number in ill) for number in range(PIPELINES)]

    def fill() -> Any:
        return stack(columns.layout, [row_of(columns.layout, inputs_of(case), case.signals) for case in cases])

    table = fill()

    def guards() -> Any:
        return columns.verdicts(table, None).levels

    def policy() -> None:
        for number in ill:
            decide(cases[number], world.ruleset)

    fill_s, guards_s, policy_s = _seconds(fill), _seconds(guards), _seconds(policy)
    singles_s = _seconds(lambda: [decide(case, world.ruleset) for case in cases[:ILL]]) / ILL * PIPELINES
    line = {
        "bench": f"decide: guards of {PIPELINES} pipelines in one pass of columns, policy where an incident is open",
        "peer": "decide, one pipeline after another",
        "filling_ms": round(1000.0 * fill_s, 1),
        "columns_ms": round(1000.0 * guards_s, 2),
        "policy_ms": round(1000.0 * policy_s, 1),
        "open_incidents": ILL,
        "ratio": round(singles_s / (fill_s + guards_s + policy_s), 1),
        "at_least": None,
        "held": None,
    }
    return _told(line)


def _of_fleet(situation: Situation, number: int, *, ill: bool) -> Situation:
    """One pipeline of the fleet: most are well, and have no incident."""
    named = replace(situation, id=f"d-{number}", log=())
    return _ill(named, 0.3) if ill else replace(_ill(named, 0.1), incident=None)


# peers ----------------------------------------------------------------------------


def _against_peers(world: World) -> Iterator[dict[str, Any]]:
    """A question to the policy after 500 outcomes, and one lesson more, against other contextual bandits."""
    model, state, policy = world.situation.costs, world.situation.learned, POLICIES["bayesian"]
    questions = [Question(context=each, permitted=ACTIONS, rule_action="retrain") for each in world.contexts]
    more = replace(world.events[0], number=INCIDENTS + 1)
    ours = {
        "a question": _in_loops(
            lambda: [policy.advise(each, model=model, state=state) for each in questions[:100]], 100
        ),
        "a lesson": _in_loops(lambda: [learn_event(model, state, more) for _ in range(100)], 100),
    }
    asked = {
        "contexts": world.contexts,
        "actions": [ACTIONS.index(event.action) for event in world.events],
        "failed": [bool(event.failed) for event in world.events],
        "count": len(ACTIONS),
        "repetitions": REPETITIONS,
    }
    for peer, requirements in PEERS.items():
        python, reason = environment(peer, requirements)
        answer, reason = (None, reason) if python is None else ask(python, SCRIPT, {"peer": peer, **asked})
        for what, mine in ours.items():
            bench = f"decide: {what} of the policy after {INCIDENTS} outcomes"
            if answer is None:
                yield _told({"bench": bench, "peer": peer, "skipped": reason, "held": None})
                continue
            ratio = answer[what] / answer["loop_s"] / mine
            told = {"bench": bench, "peer": f"{requirements[0]} {answer['kind']}", "ratio": round(ratio, 2)}
            yield _told({**told, "at_least": None, "held": None})


def _in_loops(work: Callable[[], object], count: int) -> float:
    return _seconds(work) / count / _seconds(loop)


def _seconds(work: Callable[[], object]) -> float:
    spent = []
    work()
    for _ in range(REPETITIONS):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return median(spent)


def _told(line: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(line), flush=True)
    return line
