"""`healerd version` and `healerd completion`. Must never need a daemon or a configuration."""

import platform

import click
from click.shell_completion import get_completion_class

from healerd import __version__
from healerd.cli.options import json_option
from healerd.cli.show import Show

__all__ = ["completion", "version"]


@click.command(help="Print the version.")
@json_option
def version(as_json: bool) -> None:
    """Print the version of healerd and of Python."""
    show = Show(as_json=as_json)
    found = {"healerd": __version__, "python": platform.python_version()}
    if as_json:
        show.json(found)
    else:
        show.pairs(found)


@click.command(help='Print the completion script of a shell: eval "$(healerd completion bash)".')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what the shell is to evaluate."""
    found = get_completion_class(shell)
    assert found is not None, "click knows these shells"
    click.echo(found(ctx.find_root().command, {}, "healerd", "_HEALERD_COMPLETE").source())
