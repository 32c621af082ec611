"""`healerd rules`: work with rule files, one module a verb. Must never call a file fine while a finding stands."""

import click

from healerd.cli.lazy import LazyGroup, Sections
from healerd.cli.rules.load import load_for

__all__ = ["load_for", "rules"]

SECTIONS: Sections = {
    "Verbs": {
        "check": ("check:check", "Name every mistake in rule files, with place and mend."),
        "fmt": ("fmt:fmt", "Put rule files into the one style."),
        "test": ("test:test", "Run the tests that stand in rule files."),
        "explain": ("explain:explain", "Say why an action gets its verdict, and what would change it."),
        "verify": ("verify:verify", "Prove what a rule set promises, or show facts that break it."),
        "diff": ("diff:diff", "Show what changes from one rule set to another."),
        "graph": ("graph:graph", "Show what leads to what: facts, signals, rules, actions."),
        "fired": ("fired:fired", "Count how often each rule fired, and name those that never did."),
        "packs": ("packs:packs", "List the shipped rule packs, or print one."),
        "lsp": ("lsp:lsp", "Answer an editor about rule files."),
    }
}


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    package="healerd.cli.rules",
    help="Check, test, prove and compare rule files, explain a verdict, or count what fired.",
)
def rules() -> None:
    """Hold the verbs together; each is a module of this folder, and a line above."""
