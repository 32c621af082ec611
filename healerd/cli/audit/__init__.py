"""`healerd audit`: the record of everything that happened, one module a verb. Must never call a log sound unchecked."""

import click

from healerd.cli.lazy import LazyGroup, Sections

__all__ = ["audit"]

SECTIONS: Sections = {
    "Read": {
        "list": ("entries:list_", "List the newest entries, or those that fit, one line each."),
        "log": ("entries:log", "Print the entries as JSON lines, oldest first."),
        "export": (
            "export:export",
            "Write the log into one SQLite file that people can read and that verifies by itself.",
        ),
    },
    "Prove": {
        "verify": (
            "verify:verify",
            "Check the whole log, or an exported one: leaves, tree, signatures, and every row.",
        ),
        "prove": ("prove:prove", "Prove that one entry is in the log, or that the log goes on from a checkpoint."),
        "check": ("prove:check", "Check a proof that somebody handed over."),
        "anchor": ("anchor:anchor", "Keep the newest signed checkpoint where nobody here can change it."),
        "key": ("key:key", "Show the keys that sign the log, or go on with a new one."),
    },
    "Take out": {
        "erase": ("care:erase", "Erase what the log holds about a person; its proofs go on to hold."),
        "prune": ("care:prune", "Drop the bodies of old entries; their hashes stay, and the log says so."),
    },
}


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    package="healerd.cli.audit",
    help="Verify, prove, export or search the record of everything that happened.",
)
def audit() -> None:
    """Hold the verbs together; each is in a module of this folder, and a line above."""
