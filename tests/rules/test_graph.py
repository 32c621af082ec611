"""What leads to what: each thing a rule reads, through names, to the actions it is about."""

import json

from healerd_rules.graph import Graph, graph
from tests.rules.worlds import rules

TEXT = """
calendar office = mon..fri 09:00..18:00
let many = rows > 500
let busy = many and now in office
signal late = p99 > 400ms for 3 windows
forbid f: retrain when busy and not late
propose p: rollback when alarm(harm) and age(promote) < 2h
require r: any action approval from "x" when any feature where (psi > 0.2)
notify n: "ops" when late
"""


def drawn(text: str = TEXT) -> Graph:
    return graph(rules(text))


def test_edges_lead_from_facts_through_names_to_actions() -> None:
    """Every fact that a rule reads leads to it, through the lets and signals that name it."""
    edges = set(drawn().edges)
    assert {
        ("fact rows", "let many"),
        ("let many", "let busy"),
        ("fact calendar office", "let busy"),
        ("fact now", "let busy"),
        ("let busy", "rule f"),
        ("fact p99", "signal late"),
        ("signal late", "rule f"),
        ("rule f", "action retrain"),
        ("fact alarm(harm)", "rule p"),
        ("fact age(promote)", "rule p"),
        ("rule p", "action rollback"),
        ("fact psi per feature", "rule r"),
        ("rule r", "action any action"),
        ("signal late", "rule n"),
        ("rule n", "channel ops"),
        ("fact the action log", "rule base.settle"),
        ("fact confidence", "rule base.confidence_gate"),
    } <= edges
    assert ("fact rows", "rule f") not in edges
    assert ("fact p99", "rule f") not in edges


def test_every_edge_has_both_its_ends() -> None:
    """No edge leads to or from what is not a node, and every rule and signal is one."""
    found = drawn()
    known = {node.id for node in found.nodes}
    assert {end for edge in found.edges for end in edge} <= known
    assert {f"rule {rule.name}" for rule in rules(TEXT).rules} <= known
    assert "signal alone" in {node.id for node in drawn("signal alone = rows > 5").nodes}


def test_the_tree_reads_from_actions_to_facts() -> None:
    """As text, each action is followed by its rules with their places, and each rule by what it reads."""
    lines = drawn().text().splitlines()
    at = lines.index("  forbid f (my.heal:6)")
    assert lines[at + 1 : at + 7] == [
        "    busy [let]",
        "      many [let]",
        "        rows",
        "      calendar office",
        "      now",
        "    late [signal] (my.heal:5)",
    ]


def test_dot_and_json_say_the_same() -> None:
    """Graphviz and JSON have every node and every edge; quotes in names are escaped."""
    found = drawn('notify n: "say \\"x\\"" when rows > 5')
    dot = found.dot()
    assert dot.startswith("digraph rules {")
    assert dot.count(" -> ") == len(found.edges)
    assert 'say \\"x\\"' in dot
    view = json.loads(json.dumps(found.to_json()))
    assert (len(view["nodes"]), len(view["edges"])) == (len(found.nodes), len(found.edges))
