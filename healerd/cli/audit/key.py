"""`healerd audit key`: the keys that sign the log. Must never print a private one."""

from pathlib import Path

import click

from healerd.cli.audit.given import held_store, who
from healerd.cli.options import json_option, locate, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.store import ReadStore, SigningKey

__all__ = ["key"]


@click.command(help="Print the public keys that sign the log, oldest first; keep them elsewhere for --pubkey.")
@click.option("--rotate", is_flag=True, help="Go on with a new key, signed by the one before; stop the daemon first.")
@click.option("--lost", is_flag=True, help="Go on with a new key although the one before is gone; the log says so.")
@place_options
@json_option
def key(*, rotate: bool, lost: bool, state: Path | None, config: Path | None, as_json: bool) -> None:
    """Print one key a line, as `--pubkey` reads them."""
    if rotate and lost:
        raise click.UsageError("--rotate and --lost exclude each other: a lost key signs nothing")
    if rotate or lost:
        from healerd.cli.audit.given import configured

        with held_store(state, config, lost=who() if lost else "") as store:
            found = configured(state, config)
            if rotate:
                store.rotate(found.audit_key if found else None, actor=who())
    with Client(locate(state, config)[0]).open_store() as reader:
        _print(Show(as_json=as_json), reader)


def _print(show: Show, reader: ReadStore) -> None:
    keys = reader.find(SigningKey)
    if show.as_json:
        rows = [{"id": each.id, "key": each.key, "at": each.at.isoformat(), "how": each.how} for each in keys]
        show.json({"keys": rows})
        return
    for each in keys:
        show.text(each.key)
    if not keys:
        show.note("nothing is signed yet: start the daemon once, its first start makes the key")
