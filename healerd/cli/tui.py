"""`healerd tui`: the terminal UI. Must never load it before it is wanted, nor open it where nobody sees it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from healerd.cli.options import locate, place_options
from healerd.client import Client, Replay, TuiOptions
from healerd.client.forward import REMOTE_SOCKET, forwarded

__all__ = ["tui"]


@click.command(help="See everything live, and answer what waits, in a terminal.")
@click.option("--pipeline", metavar="NAME", help="Open this pipeline first.")
@click.option("--read-only", is_flag=True, help="Look, and change nothing.")
@click.option("--ssh", "host", metavar="HOST", help="The daemon of another machine, through ssh.")
@click.option(
    "--remote-socket", metavar="PATH", default=REMOTE_SOCKET, show_default=True, help="Its control socket over there."
)
@click.option(
    "--replay",
    metavar="DB",
    type=click.Path(path_type=Path),
    help="A state folder, its database or an export of its log, as it was.",
)
@click.option(
    "--at", "moment", metavar="TIME", help="The moment to replay, such as 2026-05-07T09:11 [default: the end]."
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Keep to ASCII.")
@place_options
def tui(pipeline: str | None, read_only: bool, moment: str | None, ascii_only: bool, **place: Any) -> int:
    """Open the terminal UI on a daemon here, on another machine, or on the past."""
    if moment is not None and place["replay"] is None:
        raise click.UsageError("--at needs --replay DB: it says which moment of it to show")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the terminal UI needs a terminal; here, see `healerd status` and `healerd review`")
    # Whoever cannot answer here does not count as somebody who could have (SAFETY S9).
    with _reached(moment=moment, attended=not read_only, **place) as (access, title):
        from healerd_tui.app import run  # half a second of imports, which no other verb pays for

        options = TuiOptions(
            access=access,
            read_only=read_only or isinstance(access, Replay),
            pipeline=pipeline,
            ascii=ascii_only,
            title=title,
        )
        return run(options)


@contextmanager
def _reached(
    *,
    host: str | None,
    remote_socket: str,
    replay: Path | None,
    moment: str | None,
    attended: bool,
    **place: Path | None,
) -> Iterator[tuple[Client | Replay, str]]:
    """Reach what is to be shown, with the name it has in the header."""
    if replay is not None:
        past = Replay(replay)
        try:
            yield (past.at(moment) if moment else past), str(replay)
        finally:
            past.close()
    elif host is not None:
        with forwarded(host, remote=remote_socket) as socket:
            yield Client(socket.parent, socket=socket, attended=attended, remote=True), host
    else:
        folder, socket = locate(place["state"], place["config"])
        yield Client(folder, socket=socket, attended=attended), folder.absolute().name
