"""`healerd labels`: late truths for what the gateway predicted. Must never drop one that was not taken."""

import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.show import Show

if TYPE_CHECKING:
    from healerd.client.gateway import GatewayClient, LabelsTaken
    from healerd.columns import Labels

__all__ = ["labels"]

BATCH = 10_000
SHOWN = 20
"""Unknown ids that are named; the count says how many more there are."""


@click.group(help="Send late labels to the gateway.")
def labels() -> None:
    """Hold the verbs together."""


@labels.command(help="Join the labels of a CSV or Parquet file to the gateway's predictions, by id.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--url", metavar="URL", default="http://127.0.0.1:8080", show_default=True, help="Where the gateway is.")
@click.option("--id", "id_", metavar="COL", default="id", show_default=True, help="Column with the prediction's id.")
@click.option("--label", metavar="COL", default="label", show_default=True, help="Column with the truth.")
@click.option("--at", metavar="COL", help="Column that says when it became known [default: now].")
@json_option
def add(*, file: Path, url: str, id_: str, label: str, at: str | None, as_json: bool) -> int:
    """Send every label; end with 5 where an id was never given by the gateway."""
    from healerd.client.gateway import GatewayClient
    from healerd.sources.labels import open_labels

    found = open_labels(file, id=id_, label=label, at=at)
    counts, unknown = {"new": 0, "repeated": 0, "unknown": 0}, list[str]()
    with (
        GatewayClient(url, timeout_s=60.0) as gateway,
        click.progressbar(
            length=found.rows, label="sending labels", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar,
    ):
        for batch in found.batches(BATCH):
            taken = _send(gateway, batch)
            counts["new"] += taken.accepted
            counts["repeated"] += len(batch) - taken.accepted - len(taken.unknown)
            counts["unknown"] += len(taken.unknown)
            unknown += taken.unknown[: SHOWN - len(unknown)]
            bar.update(len(batch))
    _print(Show(as_json=as_json), {**counts, "without a label": found.empty}, unknown)
    return Exit.NOT_FOUND if counts["unknown"] else Exit.OK


def _send(gateway: "GatewayClient", batch: "Labels") -> "LabelsTaken":
    from numpy import isnat

    known = ~isnat(batch.at)
    times = {
        name: moment.replace(tzinfo=UTC)
        for name, moment in zip(batch.ids[known], batch.at[known].tolist(), strict=True)
    }
    return gateway.label(dict(zip(batch.ids.tolist(), batch.label.tolist(), strict=True)), at=times)


def _print(show: Show, counts: dict[str, int], unknown: list[str]) -> None:
    if show.as_json:
        show.json({**{name.replace(" ", "_"): count for name, count in counts.items()}, "unknown_ids": unknown})
        return
    show.pairs(counts)
    if unknown:
        more = counts["unknown"] - len(unknown)
        named = ", ".join(f"`{each}`" for each in unknown) + (f" and {more} more" if more else "")
        show.note(f"the gateway never gave {named}; is this the gateway that predicted, and are its files still kept?")
