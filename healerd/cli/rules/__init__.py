"""`healerd rules`: work with rule files, one module a verb. Must never call a file fine while a finding stands."""

import click

from healerd.cli.rules.check import check
from healerd.cli.rules.explain import explain
from healerd.cli.rules.graph import graph
from healerd.cli.rules.load import load_for
from healerd.cli.rules.packs import packs
from healerd.cli.rules.test import test

__all__ = ["load_for", "rules"]


@click.group(help="Check and test rule files, or explain a verdict.")
def rules() -> None:
    """Hold the verbs together; each is a module of this folder, and a line below."""


for _verb in (check, explain, graph, packs, test):
    rules.add_command(_verb)
