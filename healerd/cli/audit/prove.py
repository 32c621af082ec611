"""`healerd audit prove` and `check`: proofs to hand over, and their checks. Must never call one good untried."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from healerd.cli.audit.given import read_checkpoints, read_pinned
from healerd.cli.exits import Exit
from healerd.cli.options import attached, json_option, read_id
from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import ConfigError

__all__ = ["check", "prove"]


@click.command(help="Prove that an entry is in the log: a leaf's number, or the id of a decision or an intent.")
@click.argument("id_", metavar="[ID]", required=False)
@click.option(
    "--from",
    "old",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Prove instead that the log goes on from this checkpoint.",
)
@attached
def prove(client: Client, show: Show, *, id_: str | None, old: Path | None) -> None:
    """Print the proof as JSON: it can be handed over, and checked with `healerd audit check`."""
    if (id_ is None) == (old is None):
        raise click.UsageError("name one: an ID to prove, or --from FILE with the checkpoint that the log goes on from")
    with client.open_store() as store:
        found = store.prove(read_id(id_)) if id_ is not None else store.prove_growth(read_checkpoints(_file(old))[-1])
    show.json(found)


def _file(path: Path | None) -> Path:
    assert path is not None, "one of the two was named"
    return path


@click.command(help="Check a proof: ends with 7 when it does not hold.")
@click.argument("file", metavar="PROOF.json", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--from",
    "old",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The older checkpoint, for a proof of growth.",
)
@click.option("--pubkey", type=click.Path(path_type=Path), metavar="FILE", help="The key that must have signed.")
@json_option
def check(*, file: Path, old: Path | None, pubkey: Path | None, as_json: bool) -> int:
    """Print whether it holds, and why not."""
    from healerd.audit.proofs import check_growth, check_proof  # the rest of the command line needs no cryptography

    proof, pinned = _read(file), read_pinned(pubkey) if pubkey else []
    if "growth" in proof and old is None:
        raise click.UsageError("this proof says that a log goes on from a checkpoint: give that one with --from FILE")
    try:
        if old is not None:
            problem = check_growth(proof, read_checkpoints(old)[-1], pinned=pinned)
        else:
            problem = check_proof(proof, pinned=pinned)
    except ValueError as error:
        raise ConfigError(f"`{file}` is no proof: {error}") from error
    show = Show(as_json=as_json)
    if as_json:
        show.json({"holds": problem is None, "problem": problem})
    else:
        show.pairs({"holds": problem is None, "problem": problem})
    if problem is None and not pinned:
        show.note("signed by the key that the proof itself names: compare it with one you know, or give --pubkey")
    return Exit.OK if problem is None else Exit.CHECK_FAILED


def _read(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        proof = json.loads(text)
    except (OSError, ValueError) as problem:
        raise ConfigError(f"`{file}` cannot be read as JSON: {problem}; `healerd audit prove` writes it") from problem
    if not isinstance(proof, dict):
        raise ConfigError(f"`{file}` is no proof: `healerd audit prove` writes one")
    return proof
