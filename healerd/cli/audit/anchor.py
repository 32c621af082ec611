"""`healerd audit anchor`: keep a checkpoint outside. Must never say that it was kept where it was not."""

from pathlib import Path

import click

from healerd.cli.audit.given import configured
from healerd.cli.exits import Exit
from healerd.cli.options import dry_run_option, json_option, locate, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import ConfigError, StoreError

__all__ = ["anchor"]


@click.command(help="Keep the newest checkpoint in every place of `[audit]`, or in a file.")
@click.option("--to", "file", type=click.Path(path_type=Path), metavar="FILE", help="Add it to this file instead.")
@dry_run_option
@place_options
@json_option
def anchor(*, file: Path | None, dry_run: bool, state: Path | None, config: Path | None, as_json: bool) -> int:
    """Print where it is kept now; ends with 1 when a place failed."""
    from healerd.config import AuditSettings
    from healerd.store.anchors import anchor as keep
    from healerd.store.anchors import places

    found = configured(state, config)
    settings = AuditSettings(anchor_file=str(file.absolute())) if file else found.anchors if found else AuditSettings()
    if not places(settings):
        raise ConfigError(
            "no place is configured: set `anchor_file` or another key of `[audit]`, or name one with --to"
        )
    with Client(locate(state, config)[0]).open_store() as store:
        note = store.checkpoint()
    if note is None:
        raise StoreError("nothing is signed yet: start the daemon once, its first start signs")
    show = Show(as_json=as_json)
    if dry_run:
        told = {"checkpoint": note, "would_keep_in": list(places(settings)), "dry_run": True}
        show.json(told) if as_json else show.table(["would keep in"], [[where] for where in places(settings)])
        show.note("nothing was changed: a dry run")
        return Exit.OK
    done = keep(note, settings)
    if as_json:
        kept = [{"where": each.where, "kept": not each.problem, "problem": each.problem or None} for each in done]
        show.json({"checkpoint": note, "anchors": kept})
    else:
        show.table(["where", "kept", "problem"], [[each.where, not each.problem, each.problem] for each in done])
    return Exit.FAILED if any(each.problem for each in done) else Exit.OK
