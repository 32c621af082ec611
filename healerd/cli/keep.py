"""`healerd backup`, `restore`, `prune`: keep the state, put it back, let go of what is old.

Must never touch a state that a daemon holds, but for copying it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from healerd import __version__
from healerd.cli.audit.given import configured, held_store, reason_for_log, who
from healerd.cli.options import (
    WindowLength,
    dry_run_option,
    json_option,
    locate,
    place_options,
    reason_option,
    yes_option,
    yes_or_ask,
)
from healerd.cli.show import Show
from healerd.errors import ConfigError

__all__ = ["backup", "prune", "restore"]

PARTS = ("rows", "models", "key")


@click.command(help="Copy the state into a folder, or a .tar or .tar.gz file, while the daemon runs.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--without", multiple=True, type=click.Choice(PARTS), help="Leave a part out; may be given again [default: none]."
)
@dry_run_option
@place_options
@json_option
def backup(
    *, out: Path, without: tuple[str, ...], dry_run: bool, state: Path | None, config: Path | None, as_json: bool
) -> None:
    """Print what the copy holds. It was read again and its log verified before it got its name."""
    from healerd.clock import SystemClock
    from healerd.store.backup import back_up, plan_backup

    folder, show = locate(state, config)[0], Show(as_json=as_json)
    key = _key(state, config, must_know="key" in without)
    if dry_run:
        files, size = plan_backup(folder, without=without, key=key)
        _print(show, {"backup": str(out), "files": files, "bytes": size, "changed": "nothing: a dry run"})
        return
    made = back_up(folder, out.absolute(), at=SystemClock().now(), made_by=__version__, without=without, key=key)
    told = {"backup": str(out), "files": len(made.files), "bytes": made.size, "leaves": made.leaves}
    _print(show, {**told, "verified_head": made.audited or None, "without": list(made.without)})
    if not made.audited:
        show.note("an older healerd wrote this state: its log is verified when the backup is restored")
    inside = folder.absolute()
    holds_key = any(inside / file.path in {inside / "audit.key", key} for file in made.files)
    show.note(
        "it holds the key that signs the log: keep it as you would keep the key"
        if holds_key
        else "the key that signs the log is not in it: keep that elsewhere, a restore needs it"
    )


def _key(state: Path | None, config: Path | None, *, must_know: bool) -> Path | None:
    """Find where the configuration has the signing key; a slip in it keeps nobody from a backup with everything."""
    from healerd.client.units import own_key

    try:
        found = configured(state, config)
    except ConfigError:
        if must_know:
            raise
        return None
    return own_key(found) if found else None


@click.command(help="Put a backup in the place of the state; the daemon must be stopped.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Although there is a state; that one is kept beside it.")
@click.option("--lost-key", is_flag=True, help="Go on with a new signing key: the one before is gone.")
@dry_run_option
@reason_option
@place_options
@json_option
def restore(
    *,
    file: Path,
    replace: bool,
    lost_key: bool,
    dry_run: bool,
    reason: str | None,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Check the whole backup, then swap it in. Nothing acts on it until a person has ended the stop it comes with."""
    from healerd.clock import SystemClock
    from healerd.store.restore import restore as put_back

    why = "a rehearsal" if dry_run else reason_for_log(reason)
    found = configured(state, config)
    folder, show = locate(state, config)[0], Show(as_json=as_json)
    done = put_back(
        file,
        folder,
        clock=SystemClock(),
        actor=who(),
        reason=why,
        replace=replace,
        key=found.audit_key if found else None,
        lost=lost_key,
        dry_run=dry_run,
    )
    told: dict[str, Any] = {
        "state": str(folder),
        "made_at": done.manifest.at.isoformat(),
        "made_by": done.manifest.made_by,
        "files": len(done.manifest.files),
        "leaves": done.leaves,
        "without": list(done.manifest.without),
    }
    if dry_run:
        _print(show, {**told, "sound": True, "changed": "nothing: a dry run"})
        return
    _print(show, {**told, "replaced": str(done.replaced) if done.replaced else None, "stopped": True})
    show.note("nothing acts until you have looked at what happened since the backup: then `healerd resume --all`")


@click.command(help="Let go of raw rows and bodies of entries that are old; stop the daemon first.")
@click.option(
    "--keep", type=WindowLength(), metavar="DURATION", required=True, help="What is younger stays, as in 90d."
)
@yes_option
@dry_run_option
@reason_option
@place_options
@json_option
def prune(
    *,
    keep: float,
    yes: bool,
    dry_run: bool,
    reason: str | None,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Print what went and what is kept. Rows that a heal may still read stay, however old they are."""
    from healerd.client.retention import needed_from
    from healerd.clock import SystemClock
    from healerd.store import ReadStore
    from healerd.store.retention import let_go, would_let_go

    settings = configured(None, config)
    if settings is None:
        raise ConfigError("which rows are needed stands in the configuration: name it with --config FILE")
    folder, show, at = locate(state, config)[0], Show(as_json=as_json), SystemClock().now()
    before = at - timedelta(seconds=keep)
    with ReadStore.open(folder) as reader:
        kept = {name: min(since, before) for name, since in needed_from(reader, settings, at=at).items()}
        gone = would_let_go(reader, before, rows_before=kept)
    if not dry_run:
        why = reason_for_log(reason)
        yes_or_ask(f"drop {gone.segments} segments and entries before {before:%Y-%m-%d %H:%M} for good", yes=yes)
        with held_store(state, config) as store:
            gone = let_go(store, before, rows_before=kept, actor=who(), reason=why)
    told = {"segments": gone.segments, "bytes": gone.size, "entries": gone.entries}
    if as_json:
        show.json({"dry_run": dry_run, "dropped": told, "kept_since": _texts(kept)})
        return
    label = "would drop" if dry_run else "dropped"
    rows = {f"{label} {name}": count for name, count in told.items()}
    show.pairs(rows | {f"rows of {name} since": text for name, text in _texts(kept).items()})
    show.note("kept: everything that acted or that people said, every hash, and the newest window of each pipeline")


def _texts(kept: Mapping[str, datetime]) -> dict[str, str]:
    return {name: since.astimezone(UTC).isoformat(timespec="seconds") for name, since in kept.items()}


def _print(show: Show, told: Mapping[str, Any]) -> None:
    if show.as_json:
        show.json(told)
    else:
        show.pairs({name: ", ".join(value) if isinstance(value, list) else value for name, value in told.items()})
