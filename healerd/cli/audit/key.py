"""`healerd audit key`: the keys that sign the log. Must never print a private one."""

from pathlib import Path

import click

from healerd.cli.audit.given import configured, held_store, who
from healerd.cli.options import dry_run_option, json_option, locate, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import StoreError
from healerd.store import ReadStore, SigningKey

__all__ = ["key"]


@click.command(help="Print the public keys that sign the log, oldest first; keep them elsewhere for --pubkey.")
@click.option("--rotate", is_flag=True, help="Go on with a new key, signed by the one before; stop the daemon first.")
@click.option("--lost", is_flag=True, help="Go on with a new key although the one before is gone; the log says so.")
@dry_run_option
@place_options
@json_option
def key(*, rotate: bool, lost: bool, dry_run: bool, state: Path | None, config: Path | None, as_json: bool) -> None:
    """Print one key a line, as `--pubkey` reads them."""
    if rotate and lost:
        raise click.UsageError("--rotate and --lost exclude each other: a lost key signs nothing")
    if dry_run:
        _rehearse(Show(as_json=as_json), state, config, rotate=rotate, lost=lost)
        return
    if rotate or lost:
        with held_store(state, config, lost=who() if lost else "") as store:
            found = configured(state, config)
            if rotate:
                store.rotate(found.audit_key if found else None, actor=who())
    with Client(locate(state, config)[0]).open_store() as reader:
        _print(Show(as_json=as_json), reader)


def _rehearse(show: Show, state: Path | None, config: Path | None, *, rotate: bool, lost: bool) -> None:
    """Say what would sign from then on; a rotation needs the key that signs now, so that one is looked for."""
    from healerd.store.keys import KEY, check_key

    found, folder = configured(state, config), locate(state, config)[0]
    with Client(folder).open_store() as reader:
        keys = reader.find(SigningKey)
    if not keys:
        raise StoreError("nothing is signed yet: start the daemon once, its first start makes the key")
    path = (found.audit_key if found else None) or folder / KEY
    if not lost:
        check_key(path, newest=keys[-1])
    signs = f"a new key, {'of which no earlier key speaks' if lost else f'signed by {keys[-1].id}'}"
    told = {"file": str(path), "signs_now": keys[-1].id, "would_sign": signs if rotate or lost else keys[-1].id}
    if show.as_json:
        show.json({**told, "dry_run": True})
    else:
        pairs = {name.replace("_", " "): value for name, value in told.items()}
        show.pairs({**pairs, "changed": "nothing: a dry run"})


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
