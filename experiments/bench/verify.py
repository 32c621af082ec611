"""Proofs over a rule set of 1,000 rules, in seconds of CPU; loading the rules is left out.

Nothing at hand proves the same, so the claims are limits and not ratios against a peer.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

from healerd_rules import FactDecl, RuleSet, Schema, core, load_text
from healerd_rules.program import CompiledRule
from healerd_rules.proofs import Status
from healerd_rules.schema import Type
from healerd_rules.verify import verify

RULES, FACTS = 1000, 40
LIMIT_S = 3.0
SCHEMA = Schema(
    facts=(
        *(FactDecl(name=f"x{n}", type="ratio") for n in range(FACTS)),
        FactDecl(name="psi", type="number", per="feature"),
    ),
    alarms=("harm",),
    dimensions=("feature",),
)
KINDS = (
    "forbid r{n}: {action}\n  when x{a} > {t}% and x{b} < {u}%\n",
    'require r{n}: {action}\n  approval from "team{k}" within 2h\n  when x{a} - x{b} > {k}pp or x{c} < {t}%\n',
    "require r{n}: {action}\n  veto within 10m\n  unless x{a} > {t}% for 3 windows\n",
    "forbid r{n}: {action}\n  when confidence < {u}% and x{a} > {t}%\n",
    "forbid r{n}: {action}\n  when any feature where (psi > 0.{u})\n",
)
ACTIONS = ("retrain", "rollback", "fallback", "any action")


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    ruleset = _ruleset()
    spread = replace(ruleset, compiled=tuple(rule for whole in ruleset.compiled for rule in _halves(whole)))
    rows = [
        _row("gate", ruleset, "the gate, from the guard of the pack `base`"),
        _row("gate", spread, "the gate, when it takes two guards that read a fact too"),
        _row("cooldown", ruleset, "the cooldown, by induction over the action log"),
        _row("missing_safe", ruleset, "hiding data, for every guard"),
        _row("second_pass", ruleset, "two passes, for every guard that reads confidence"),
    ]
    for row in rows:
        print(json.dumps(row))
    return all(bool(row["held"]) for row in rows)


def _row(claim: str, ruleset: RuleSet, what: str) -> dict[str, str | float | bool]:
    begun = time.process_time()
    report = verify(ruleset, claims=[claim])
    spent = time.process_time() - begun
    proved = all(check.status is Status.PROVED for check in report.checks)
    return {
        "bench": f"verify {len(ruleset.compiled)} rules: {what}",
        "cpu_s": round(spent, 2),
        "at_most_s": LIMIT_S,
        "held": proved and spent <= LIMIT_S,
    }


def _halves(rule: CompiledRule) -> Iterator[CompiledRule]:
    """The gate cut in two: one guard where a fact is high or unknown, one where it is low or unknown."""
    if rule.id != "base.confidence_gate":
        yield rule
        return
    high = core.Compare(">", core.Fact("x0", Type.RATIO), core.Const(0.05, Type.RATIO), "x0 > 5%")
    for place, side in enumerate((high, core.Logic("not", (high,)))):
        yield replace(rule, id=f"{rule.id}_{place}", condition=core.Logic("and", (rule.condition, side)))


def _ruleset() -> RuleSet:
    text = "".join(_rule(n) for n in range(RULES))
    loaded = load_text(text, name="bench.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.errors[:3]
    return loaded.ruleset


def _rule(n: int) -> str:
    """The same rule for the same number; spread over facts, thresholds and actions."""
    places = {"a": n % FACTS, "b": (7 * n + 3) % FACTS, "c": (11 * n + 5) % FACTS}
    bounds = {"t": 50 + 13 * n % 50, "u": 10 + 17 * n % 40, "k": n % 9}
    return KINDS[n % len(KINDS)].format(n=n, action=ACTIONS[(n // 5) % len(ACTIONS)], **places, **bounds)
