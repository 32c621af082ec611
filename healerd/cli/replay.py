"""`healerd replay`: the record reproduces, decision by decision. Must never take one on trust."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import Moment, json_option, locate, place_options
from healerd.cli.show import Show

if TYPE_CHECKING:
    from healerd.client.reproduce import Recorded, Reproduced
    from healerd.model import Decision

__all__ = ["replay"]

COLUMNS = ("id", "at", "pipeline", "problem", "field", "was", "now")
SHOWN = 20


@click.command(help="Decide every recorded decision again: ends with 7 when one comes out otherwise.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only decisions from then on.")
@click.option("--pipeline", metavar="NAME", help="Only those about this pipeline.")
@place_options
@json_option
def replay(
    *, since: datetime | None, pipeline: str | None, state: Path | None, config: Path | None, as_json: bool
) -> int:
    """Print how many decisions came out the same, and of the others the first field that did not."""
    from healerd.client.reproduce import decisions, reproduce  # deciding, and the store, which no other look needs
    from healerd.client.stored import known_pipelines, open_state
    from healerd.client.views import require_pipeline

    with open_state(locate(state, config)[0]) as reader:
        if pipeline is not None:
            require_pipeline(pipeline, known_pipelines(reader))
        found = decisions(reader, since=since, pipeline=pipeline)
        count, others = 0, list[Mapping[str, Any]]()
        for one in reproduce(reader, _with_progress(found)):
            count += 1
            if one.problem:
                others.append(_row(one))
    _print(Show(as_json=as_json), others, count, erased=len(found) - count)
    return Exit.CHECK_FAILED if others else Exit.OK


def _with_progress(found: "Recorded") -> "Iterator[Decision]":
    with click.progressbar(
        found, length=len(found), label="deciding again", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        yield from bar


def _row(one: "Reproduced") -> Mapping[str, Any]:
    decision = one.decision
    told = (decision.id, decision.at.isoformat(), decision.pipeline, one.problem, one.field, one.was, one.now)
    return dict(zip(COLUMNS, told, strict=True))


def _print(show: Show, others: Sequence[Mapping[str, Any]], count: int, *, erased: int) -> None:
    reproduced = count - len(others)
    if show.as_json:
        show.json({"decisions": count, "reproduced": reproduced, "erased": erased, "others": others})
        return
    if others:
        show.table(COLUMNS, [list(row.values()) for row in others[:SHOWN]])
    show.text(f"{reproduced:,}/{count:,} reproduced")
    if erased:
        show.note(f"{erased:,} more were erased: what they stood on is gone, and nobody can decide them again")
    if not count and not erased:
        show.note("there is no such decision")
