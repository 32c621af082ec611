"""The command line: parses, asks the client, prints. Must never decide, and never import what a verb does not need.

One file a group of verbs; `group.VERBS` is the table of them all. Data goes to stdout, everything else to stderr.
"""

from healerd.cli.group import cli, main

__all__ = ["cli", "main"]
