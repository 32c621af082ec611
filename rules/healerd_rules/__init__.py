"""The healerd rule language, `*.heal`: load and check rule files, then ask them what may be done.

It never acts, never reads the clock and never imports healerd: the host hands in a `Schema` and `Inputs`.

    loaded = load("my.heal", schema=schema)
    state = advance(loaded.ruleset, inputs, SignalState())
    evaluation = evaluate(loaded.ruleset, inputs, state, confidence={"retrain": 0.9})
"""

from healerd_rules.asking import Asking, asking
from healerd_rules.diagnostics import CODES, Diagnostic, Severity, render
from healerd_rules.evaluation import Evaluation, Notification, Proposal, advance, evaluate
from healerd_rules.explanation import Explanation, Flip, describe, describe_leaf, explain, verdict_to_json
from healerd_rules.inputs import ActionRecord, Inputs, Memory, SignalState, Truth
from healerd_rules.loading import Loaded, load, load_pack, load_text
from healerd_rules.program import RuleInfo, RuleSet
from healerd_rules.schema import ActionDecl, FactDecl, Schema
from healerd_rules.sources import pack_file, pack_paths, pack_text, shipped_packs
from healerd_rules.verdicts import ALLOWED, Acting, Approval, Leaf, Level, Verdict, at_least_as_strict, join, join_all

__all__ = [
    "ALLOWED",
    "CODES",
    "Acting",
    "ActionDecl",
    "ActionRecord",
    "Approval",
    "Asking",
    "Diagnostic",
    "Evaluation",
    "Explanation",
    "FactDecl",
    "Flip",
    "Inputs",
    "Leaf",
    "Level",
    "Loaded",
    "Memory",
    "Notification",
    "Proposal",
    "RuleInfo",
    "RuleSet",
    "Schema",
    "Severity",
    "SignalState",
    "Truth",
    "Verdict",
    "advance",
    "asking",
    "at_least_as_strict",
    "describe",
    "describe_leaf",
    "evaluate",
    "explain",
    "join",
    "join_all",
    "load",
    "load_pack",
    "load_text",
    "pack_file",
    "pack_paths",
    "pack_text",
    "render",
    "shipped_packs",
    "verdict_to_json",
]
