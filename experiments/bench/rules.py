"""One policy of 50 rules in every engine, and what checking a file of 1,000 rules costs.

Columns against closures, the generated function against the tree walker, each pair in one process, interleaved. Three
other policy engines run in an environment of their own, which the bench makes outside the tree; both processes time
the same loop of plain Python, and the ratio is corrected by it. Every engine gets its rows in its own form, made
beforehand; all answers are compared before anything is timed.
"""

import datetime as dt
import json
import operator
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments.environments import ask, environment
from healerd_rules import FactDecl, Inputs, RuleSet, Schema, SignalState, core, evaluate, load_text
from healerd_rules.compiling import compile_columns, compile_scalar, make_table, row_of, stack
from healerd_rules.program import CompiledRule

RULES, FACTS, ROWS = 50, 20, 10_000
ACTIONS = ("retrain", "rollback", "fallback", "promote", "undo")
SCHEMA = Schema(facts=tuple(FactDecl(name=f"m{n}", type="count") for n in range(FACTS)))
SURE = 0.9
REPETITIONS = 7
TABLES = 50
"""As many tables one after the other, as a backtest does, so that both sides of a pair take long enough to be timed."""
PEERS = {"cedarpy": "cedarpy==4.12.2", "cel-python": "cel-python==0.5.0", "regopy": "regopy==1.5.2"}
PEER_ROWS = 20
SCRIPT = Path(__file__).with_name("peers") / "rules.py"


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    policy = make_policy()
    lines = [*_ours(policy), *_against_peers(policy), *_checking()]
    return all(line["held"] is not False for line in lines)


Facts = dict[str, Any]
Closure = Callable[[Facts], Any]
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


@dataclass(frozen=True)
class Policy:
    """The rules as plain values, the loaded set, and the facts of every row: NaN is unknown."""

    rules: list[dict[str, Any]]
    ruleset: RuleSet
    columns: dict[str, Any]

    def facts(self, row: int) -> dict[str, int]:
        """The facts of one row, without those that are unknown."""
        return {name: int(column[row]) for name, column in self.columns.items() if not np.isnan(column[row])}

    def inputs(self, row: int) -> Inputs:
        """One row as the tree walker takes it."""
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        facts = {**self.facts(row), "data_quality": "good"}
        return Inputs(pipeline="p", now=now, window_s=1800.0, stage="live", incident=True, facts=facts)


def make_policy() -> Policy:
    """Draw the policy: each rule forbids two actions when one fact is high and another low; a tenth is unknown."""
    rng = np.random.Generator(np.random.Philox(1))
    rules = []
    for _ in range(RULES):
        high, low = (f"m{n}" for n in rng.choice(FACTS, size=2, replace=False))
        about = [ACTIONS[n] for n in rng.choice(len(ACTIONS), size=2, replace=False)]
        rules.append({"actions": about, "when": [[high, ">", int(rng.integers(85, 95))], [low, "<", 9]]})
    text = "\n".join(
        f"forbid r{n}: {', '.join(rule['actions'])} when " + " and ".join(f"{a} {op} {b}" for a, op, b in rule["when"])
        for n, rule in enumerate(rules)
    )
    loaded = load_text(text, name="bench.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.diagnostics
    drawn = rng.integers(0, 100, size=(FACTS, ROWS)).astype(np.float64)
    drawn[rng.random((FACTS, ROWS)) < 0.1] = np.nan
    return Policy(rules, loaded.ruleset, {f"m{n}": column for n, column in enumerate(drawn)})


# our own engines -----------------------------------------------------------------


def _ours(policy: Policy) -> list[dict[str, Any]]:
    scalar, columns = compile_scalar(policy.ruleset), compile_columns(policy.ruleset)
    given = {"stage": "live", "incident": True, "data_quality": "good", **policy.columns}
    table = make_table(columns.layout, given, rows=ROWS)
    sure = np.full((len(columns.layout.actions), ROWS), SURE).T  # a column per action, as the facts are
    judged = [columns.layout.actions.index(action) for action in ACTIONS]
    levels = columns.verdicts(table, sure).levels[:, judged]
    inputs = [policy.inputs(row) for row in range(1000)]
    rows = [row_of(scalar.layout, one, SignalState()) for one in inputs]
    assert (columns.verdicts(stack(columns.layout, rows), sure[:1000]).levels[:, judged] == levels[:1000]).all()
    confidence = dict.fromkeys(columns.layout.actions, SURE)
    sures = (SURE,) * len(scalar.layout.actions)
    closures = make_closures(policy.ruleset)

    def walk(some: list[Inputs]) -> list[list[int]]:
        told = (evaluate(policy.ruleset, one, SignalState(), confidence=confidence) for one in some)
        return [[int(one.verdicts[action].level) for action in ACTIONS] for one in told]

    def call() -> list[tuple[int, ...]]:
        judge = scalar.judge
        return [judge(row, sures)[0] for row in rows]

    given_facts = [{**one.facts, "stage": one.stage, "incident": one.incident} for one in inputs]

    def close() -> list[list[int]]:
        return [[decide(facts)[0] for decide in closures] for facts in given_facts]

    assert walk(inputs[:200]) == levels[:200].tolist(), "the walker and the columns agree"
    assert [[found[n] for n in judged] for found in call()] == close() == levels[:1000].tolist(), "so do the others"
    fast, slow = _interleaved(lambda: [columns.verdicts(table, sure) for _ in range(TABLES)], close)
    one, walked = _interleaved(call, lambda: walk(inputs[:50]))
    state = SignalState()
    filled, _ = _interleaved(lambda: [scalar.judge(row_of(scalar.layout, one, state), sures) for one in inputs], _loop)
    return [
        _line(f"rules: columns of {ROWS} pipelines x {len(ACTIONS)} actions, {RULES} rules", "a closure per rule",
              fast / ROWS / TABLES, slow / 1000, at_least=300.0),
        _line(f"rules: generated function, {RULES} rules", "the tree walker", one / 1000, walked / 50, at_least=10.0),
        _line(f"rules: generated function, {RULES} rules", "a closure per rule", one / 1000, slow / 1000),
        _line(f"rules: filling a row, then the generated function, {RULES} rules", "the tree walker", filled / 1000,
              walked / 50),
    ]  # fmt: skip


def _line(bench: str, peer: str, ours_s: float, peer_s: float, *, at_least: float | None = None) -> dict[str, Any]:
    """Print one claim; both times are of one row."""
    ratio = peer_s / ours_s
    line = {
        "bench": bench,
        "peer": peer,
        "decisions_per_s": round(len(ACTIONS) / ours_s),
        "peer_decisions_per_s": round(len(ACTIONS) / peer_s),
        "ratio": round(ratio, 1),
        "at_least": at_least,
        "held": None if at_least is None else ratio >= at_least,
    }
    print(json.dumps(line), flush=True)
    return line


def make_closures(ruleset: RuleSet) -> list[Callable[[Facts], tuple[int, list[str]]]]:
    """A function per action, made of a closure per rule: the usual way to make rules fast without generating code.

    It is asked for one decision at a time and tells which rules act, as every engine here does. It is written to be
    quick (facts in one dict, a closure for each shape), knows only this policy's forms, and takes the log as empty.
    """
    guards = [(rule, _closure(rule.condition)) for rule in ruleset.compiled if rule.kind in ("permit", *LEVELS)]
    return [_judge([(rule, condition) for rule, condition in guards if rule.covers(action)]) for action in ACTIONS]


LEVELS = {"forbid": 4, "require": 2}


def _judge(mine: list[tuple[CompiledRule, Closure]]) -> Callable[[Facts], tuple[int, list[str]]]:
    permits = [condition for rule, condition in mine if rule.kind == "permit"]
    restricting = [(rule.id, LEVELS[rule.kind], condition) for rule, condition in mine if rule.kind != "permit"]

    def decide(facts: Facts) -> tuple[int, list[str]]:
        level = 0 if any(permit(facts) is True for permit in permits) else 4
        acting = []
        for name, strictness, condition in restricting:
            if condition(facts) is not False:
                acting.append(name)
                level = max(level, strictness)
        return level, acting

    return decide


def _closure(node: core.Core) -> Closure:
    match node:
        case core.Const(value=value):
            return lambda facts: value
        case core.Fact(name=name) | core.Builtin(name=name):
            return lambda facts: facts.get(name)
        case core.Confidence():
            return lambda facts: SURE
        case core.Named(body=body):
            return _closure(body)
        case core.Compare(op=op, left=core.Fact(name=name) | core.Builtin(name=name), right=core.Const(value=bound)):
            test = ORDER[op]
            return lambda facts: None if (value := facts.get(name)) is None else test(value, bound)
        case core.Compare(op=op, left=core.Confidence(), right=core.Const(value=bound)):
            test = ORDER[op]
            return lambda facts: test(SURE, bound)
        case core.Logic(op="not", operands=(operand,)):
            inner = _closure(operand)
            return lambda facts: None if (value := inner(facts)) is None else not value
        case core.Logic(op=op, operands=operands):
            return _joined([_closure(operand) for operand in operands], absorbing=op == "or")
    raise AssertionError(node)


def _joined(parts: list[Closure], *, absorbing: bool) -> Closure:
    """Kleene's `or` when true absorbs, his `and` when false does."""

    def join(facts: Facts) -> bool | None:
        found: bool | None = not absorbing
        for part in parts:
            value = part(facts)
            if value is absorbing:
                return absorbing
            if value is None:
                found = None
        return found

    return join


# other engines --------------------------------------------------------------------


def _against_peers(policy: Policy) -> list[dict[str, Any]]:
    """The generated function against each peer; a peer that cannot be had is skipped with a line that says so."""
    python, unavailable = environment("peers", list(PEERS.values()))
    scalar = compile_scalar(policy.ruleset)
    rows = [row_of(scalar.layout, policy.inputs(row), SignalState()) for row in range(1000)]
    sures = (SURE,) * len(scalar.layout.actions)
    judged = [scalar.layout.actions.index(action) for action in ACTIONS]
    told = [[scalar.judge(row, sures)[0][n] < 3 for n in judged] for row in rows[:PEER_ROWS]]
    lines = []
    for name in PEERS:
        bench = f"rules: generated function, {RULES} rules"
        answer, reason = (None, unavailable) if python is None else ask(python, SCRIPT, _question(name, policy))
        if answer is None:
            skipped = {"bench": bench, "peer": name, "skipped": reason, "held": None}
            print(json.dumps(skipped), flush=True)
            lines.append(skipped)
            continue
        assert answer["answers"] == told, f"{name} gives the same answers"
        spent, loops = _interleaved(lambda: [scalar.judge(row, sures) for row in rows], _loop)
        peer_s = answer["decision_s"] * len(ACTIONS) * loops / answer["loop_s"]
        lines.append(_line(bench, name, spent / 1000, peer_s, at_least=50.0))
    return lines


def _question(name: str, policy: Policy) -> dict[str, Any]:
    rows = [policy.facts(row) for row in range(PEER_ROWS)]
    return {"engine": name, "rules": policy.rules, "actions": ACTIONS, "rows": rows, "seconds": 1.0}


def _loop() -> None:
    """The same fixed piece of plain Python that the peers time."""
    total = 0
    for number in range(200_000):
        total += number & 7


# checking files -----------------------------------------------------------------------


def _checking() -> list[dict[str, Any]]:
    """CPU of the whole process of `healerd rules check` on 1,000 rules: with nothing kept, and with nothing changed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "big.heal")
        file.write_text("".join(_thousand()))
        cold = median(_check_s(file, Path(folder, f"cold-{n}")) for n in range(3))
        warm = median(_check_s(file, Path(folder, "cold-0")) for _ in range(REPETITIONS))
    lines = []
    for state, spent, at_most in (("cold", cold, 3.0), ("nothing changed", warm, 0.3)):
        line = {"bench": f"healerd rules check of 1000 rules, {state}", "cpu_s": round(spent, 3), "at_most": at_most,
                "held": spent < at_most}  # fmt: skip
        print(json.dumps(line), flush=True)
        lines.append(line)
    return lines


def _thousand() -> list[str]:
    """1,000 rules of several kinds."""
    shapes = (
        'forbid r{n}: retrain when error_rate > {p}% and labelled_rows < {n} because "reason {n}"\n',
        'require r{n}: retrain approval from "ops" within 2h when confidence < 9{d}% and labelled_rows > {n}\n',
        "propose r{n}: retrain when alarm(drift) and error_rate > {p}% for 3 windows priority {d} severity high\n",
        'forbid r{n}: rollback unless any feature where (psi > 0.{d}) or data_quality == "good"\n',
        "require r{n}: retrain, rollback veto within {p}m when labelled_rows between {d} and {n}\n",
    )
    return [shapes[n % 5].format(n=n + 1, p=1 + n % 30, d=n % 10) for n in range(1000)]


def _check_s(file: Path, cache: Path) -> float:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    cache.mkdir(exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "healerd", "rules", "check", str(file)]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _interleaved(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Median CPU seconds of two things done in turn."""
    pairs = [(_seconds(one), _seconds(other)) for _ in range(REPETITIONS)]
    return median(a for a, _ in pairs), median(b for _, b in pairs)


def _seconds(thing: Callable[[], object]) -> float:
    before = time.process_time()
    thing()
    return time.process_time() - before
