"""`healerd audit verify`: check the whole log. Must never call a log sound that was not checked as it says."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.audit.notes import read_checkpoint, read_notes
from healerd.cli.audit.given import advancing, read_checkpoints, read_pinned
from healerd.cli.exits import Exit
from healerd.cli.options import Moment, json_option, locate, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import ConfigError

if TYPE_CHECKING:
    from healerd.audit import AuditReport
    from healerd.store import ReadStore

__all__ = ["verify"]

OUTSIDE = (
    "no entry was changed, removed or put in between since it was signed; whoever holds the key could write the whole "
    "log anew, and an old copy verifies as well: to find that out, keep checkpoints elsewhere (`healerd audit anchor`) "
    "and give them with --checkpoint"
)
COMPARED = "it goes on from {} checkpoint(s) that were kept outside: neither an old copy nor a log written anew since"


@click.command(help="Check every leaf, the tree over them, what was signed, and every row against its leaf.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--since", type=Moment(), metavar="TIME", help="Take entries before then by their hashes alone.")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="Checkpoints that were kept elsewhere."
)
@click.option(
    "--pubkey", type=click.Path(path_type=Path), metavar="FILE", help="The key that must have signed the log."
)
@place_options
@json_option
def verify(
    *,
    file: Path | None,
    since: datetime | None,
    checkpoint: Path | None,
    pubkey: Path | None,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Print what was found; ends with 7 when something was changed, and names the first bad leaf."""
    given = {
        "saved": read_checkpoints(checkpoint) if checkpoint else [],
        "pinned": read_pinned(pubkey) if pubkey else [],
    }
    report = _of_file(file, since, given) if file else _of_state(locate(state, config)[0], since, given)
    sound = report.problem is None
    _print(Show(as_json=as_json), report, sound=sound)
    return Exit.OK if sound else Exit.CHECK_FAILED


def _of_state(folder: Path, since: datetime | None, given: dict[str, Any]) -> "AuditReport":
    with Client(folder).open_store() as store:
        total = store.head()[0]
        after = min(store.leaf_before(since), _last_signed(store)) if since else 0
        with advancing("verifying", total) as progress:
            return store.verify(progress, after=after, **given)


def _last_signed(store: "ReadStore") -> int:
    """Give where a part must begin at the latest, so that it holds a signature: right before the newest checkpoint."""
    try:
        said = [read_checkpoint(note) for note in read_notes(store.checkpoint() or "")]
    except ValueError:  # no note, or none that can be read: then all of the log is
        return 0
    return max(0, said[-1].size - 1)


def _of_file(file: Path, since: datetime | None, given: dict[str, Any]) -> "AuditReport":
    from healerd.store.exported import ExportedLog

    if since is not None:
        raise ConfigError("--since is for the log of a state folder: an export is small enough to be checked whole")
    log = ExportedLog(file)
    with log.opened() as connection:
        (total,) = connection.execute("SELECT count(*) FROM leaf").fetchone()
    with advancing("verifying", total) as progress:
        return log.verify(progress, **given)


def _print(show: Show, report: "AuditReport", *, sound: bool) -> None:
    told = {
        "verified": sound,
        "leaves": report.leaves,
        "rows": dict(report.rows),
        "checkpoints": report.checkpoints,
        "kept": report.saved,
        "erased": report.erased,
        "dropped": report.dropped,
        "left_out": report.left_out,
        "after": report.after,
        "root": report.root,
        "head": report.head,
        "first_bad": report.first_bad,
        "problem": report.problem,
        "remarks": list(report.remarks),
    }
    if show.as_json:
        show.json(told)
        return
    quiet = {"erased", "dropped", "left_out", "after", "kept"}
    shown = {name: value for name, value in told.items() if name != "remarks" and (value or name not in quiet)}
    show.pairs({**shown, "rows": sum(report.rows.values())})
    for remark in report.remarks:
        show.note(remark)
    if sound:
        show.note(COMPARED.format(report.saved) if report.saved else OUTSIDE)
