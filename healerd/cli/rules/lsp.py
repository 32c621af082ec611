"""`healerd rules lsp`: the language server, for editors to start. Must never print: stdout belongs to the protocol."""

import asyncio
import os
from collections.abc import Callable

import click

from healerd.cli.exits import Exit
from healerd.decision import SCHEMA
from healerd.errors import HealerdError

__all__ = ["lsp"]

PROTOCOL = frozenset({"pygls", "lsprotocol", "cattrs", "attrs"})


@click.command(help="Answer an editor about rule files, in its language server protocol, on stdin and stdout.")
@click.option("--stdio", is_flag=True, help="What is done in any case; editors like to say it.")
def lsp(stdio: bool) -> int:
    """Serve until the editor goes. Raises HealerdError where pygls is not installed."""
    try:
        from healerd_rules.lsp import serve  # an extra, and slow to load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PROTOCOL:
            raise
        raise HealerdError('the language server needs pygls: run `pip install "healerd[lsp]"`') from error
    # doubles, since the server closes what it is given, and the process still has its own to flush
    with os.fdopen(os.dup(0), "rb") as stdin, os.fdopen(os.dup(1), "wb") as stdout:
        serve(SCHEMA, stdin=stdin, stdout=stdout, later=_later)
    return Exit.OK


def _later(pause_s: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(pause_s, call)
