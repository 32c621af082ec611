"""Proves the promises of a rule set for all inputs, or finds inputs that break them.

It never stands in a daemon's loop: it needs z3 (`pip install "healerd[verify]"`), which nothing else here imports.
What is proved is the model of the rules, not the code that evaluates them.
"""

from collections.abc import Callable, Iterator, Sequence

from healerd_rules.claims import gate, invariants, missing_safe, order, second_pass
from healerd_rules.idle import contradictory, dead, permittable, proposals, shadowed, without_switches
from healerd_rules.judging import hard_part
from healerd_rules.program import RuleSet
from healerd_rules.proofs import Check, Report
from healerd_rules.proving import Provers
from healerd_rules.resting import cooldown

Claim = Callable[[RuleSet, Provers], Iterator[Check]]

# What a claim is proved about: the rules that no person can wave through, all of them, or all but switches.
AUTONOMY: dict[str, Claim] = {"gate": gate, "cooldown": cooldown, "invariant": invariants}
EVERYTHING: dict[str, Claim] = {
    "missing_safe": missing_safe,
    "second_pass": second_pass,
    "order": order,
}
IDLE: dict[str, Claim] = {
    "dead": dead,
    "shadowed": shadowed,
    "contradictory": contradictory,
    "permittable": permittable,
    "proposals": proposals,
}
CLAIMS = (*AUTONOMY, *EVERYTHING, *IDLE)
TIMEOUT_S = 30.0


def verify(
    ruleset: RuleSet,
    *,
    claims: Sequence[str] = CLAIMS,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[str], None] = lambda claim: None,
) -> Report:
    """Every check of the named claims; `timeout_s` is for each question to the solver, `progress` hears of each claim.

    Raises KeyError for a claim that does not exist.
    """
    switched_on = without_switches(ruleset)
    parts = (
        (AUTONOMY, ruleset, Provers(hard_part(ruleset), timeout_s)),
        (EVERYTHING, ruleset, Provers(ruleset, timeout_s)),
        (IDLE, switched_on, Provers(switched_on, timeout_s)),
    )
    known = {name: (claim, rules, provers) for table, rules, provers in parts for name, claim in table.items()}
    checks: list[Check] = []
    for name in claims:
        progress(name)
        claim, rules, provers = known[name]
        checks.extend(claim(rules, provers))
    loose = {said for _, _, provers in parts for world in provers.counted.worlds for said in world.loose}
    return Report(checks=tuple(checks), loose=tuple(sorted(loose)))
