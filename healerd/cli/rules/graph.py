"""`healerd rules graph`: what leads to what in rule files. Must never draw rules that do not load."""

from pathlib import Path

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import config_option, files_argument, load_rules, load_sets, sound
from healerd.cli.show import Show
from healerd_rules.graph import graph as draw

__all__ = ["graph"]


@click.command(
    help="Show what leads to what: facts, signals and lets, rules, actions [default: the rules of the pack `default`]."
)
@files_argument
@config_option
@click.option(
    "--dot", is_flag=True, help="Print the language of Graphviz, as in `healerd rules graph --dot | dot -Tsvg`."
)
@json_option
def graph(files: tuple[Path, ...], config: Path | None, *, dot: bool, as_json: bool) -> int:
    """Print a tree for each action, or one graph."""
    if dot and as_json:
        raise click.UsageError("--dot and --json are two forms of one thing: choose one")
    show = Show(as_json=as_json)
    sets = load_sets(files, config) if files or config else {"the pack default": load_rules(())}
    graphs = {name: draw(sound(loaded)) for name, loaded in sets.items()}
    if as_json:
        show.json({"graphs": [{"name": name, **one.to_json()} for name, one in graphs.items()]})
    else:
        show.text("\n".join(one.dot() if dot else one.text() for one in graphs.values()))
    return Exit.OK
