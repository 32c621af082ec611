"""`healerd audit export`: the log in one file, for people and for auditors. Must never write over a file."""

import shutil
from datetime import datetime
from pathlib import Path

import click

from healerd.cli.audit.given import advancing
from healerd.cli.options import Moment, attached
from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import ConfigError

__all__ = ["export"]

VERIFIER = "verify_healerd_export.py"


@click.command(help="Write the log into one SQLite file; it verifies by itself, and people can read it.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--since", type=Moment(), metavar="TIME", help="Entries before then as hashes only.")
@click.option("--pipeline", metavar="NAME,...", help="Entries about other pipelines as hashes only.")
@click.option("--with-verifier", is_flag=True, help="Put the stand-alone verifier beside it.")
@attached
def export(
    client: Client, show: Show, *, out: Path, since: datetime | None, pipeline: str | None, with_verifier: bool
) -> None:
    """Print what was written, and how anybody verifies it."""
    from healerd.client.stored import known_pipelines
    from healerd.client.views import require_pipeline
    from healerd.store import standalone

    names = tuple(name.strip() for name in (pipeline or "").split(",") if name.strip())
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder `{out.absolute().parent}`: make it, or name another file")
    with client.open_store() as store:
        for name in names:
            require_pipeline(name, known_pipelines(store))
    with client.open_store() as store, advancing("exporting", store.head()[0]) as progress:
        done = store.export(out, since=since, pipelines=names, progress=progress)
    verifier = Path(standalone.__file__)
    if with_verifier:
        verifier = out.with_name(VERIFIER)
        shutil.copyfile(standalone.__file__, verifier)
    told = {
        "file": str(out),
        "leaves": done.leaves,
        "left_out": done.left_out,
        "checkpoints": done.checkpoints,
        "bytes": done.size_bytes,
        "verifier": str(verifier),
    }
    if show.as_json:
        show.json(told)
        return
    show.pairs(told)
    show.note(f"verify it with `healerd audit verify {out}`, or without healerd: `python {verifier} {out}`")
