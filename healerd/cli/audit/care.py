"""`healerd audit erase` and `prune`: what may be taken out of the log. Must never do it without a reason and a leaf."""

from datetime import datetime
from pathlib import Path

import click

from healerd.cli.audit.given import held_store, reason_for_log, who
from healerd.cli.options import (
    Moment,
    dry_run_option,
    json_option,
    locate,
    place_options,
    reason_option,
    yes_option,
    yes_or_ask,
)
from healerd.cli.show import Show
from healerd.client import Client

__all__ = ["erase", "prune"]


@click.command(help="Erase what the log holds about a person; stop the daemon first.")
@click.option("--person", metavar="NAME", help="Everything that this person did or that names them.")
@click.option("--leaf", "leaves", type=int, multiple=True, metavar="NUMBER", help="This entry; may be given again.")
@dry_run_option
@reason_option
@yes_option
@place_options
@json_option
def erase(
    *,
    person: str | None,
    leaves: tuple[int, ...],
    dry_run: bool,
    reason: str | None,
    yes: bool,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Print how many entries it was. Copies outside, exports and backups among them, are not reached."""
    from healerd.client.heals import keep_told
    from healerd.store.care import ERASED_MAX, in_use, mentions
    from healerd.store.care import erase as erase_in

    if not person and not leaves:
        raise click.UsageError("say what to erase: --person NAME, or --leaf NUMBER")
    show = Show(as_json=as_json)
    if dry_run:
        with Client(locate(state, config)[0]).open_store() as reader:
            erased, waiting = reader.would_erase(leaves, person)
        _rehearse(show, {"would_erase": erased, "in_use": waiting})
        return
    why = reason_for_log(reason)
    with held_store(state, config) as store:
        with store.transaction() as tx:
            wanted = {*leaves, *(mentions(tx.writer(), person) if person else ())}
            yes_or_ask(f"erase the personal values of {len(wanted):,} entries for good", yes=yes)
            keep_told(tx, wanted)
            done = erase_in(tx, wanted, actor=who(), reason=why)
            waiting = len(wanted & in_use(tx.writer()))
        store.shrink()
    told = {"erased": done, "in_use": waiting}
    (show.json if as_json else show.pairs)(told)
    if waiting:
        show.note("entries that the next window still reads stay until then: erase again after it")
    if len(wanted) >= ERASED_MAX:
        show.note("there are more: erase again")
    show.note("exports, backups and anchors elsewhere still hold what they held")


@click.command(help="Drop the bodies of entries from before a time; stop the daemon first.")
@click.option("--before", type=Moment(), metavar="TIME", required=True, help="Entries from before then.")
@dry_run_option
@reason_option
@yes_option
@place_options
@json_option
def prune(
    *,
    before: datetime,
    dry_run: bool,
    reason: str | None,
    yes: bool,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Print how many entries it was. What acted, what people said and what still stands keeps its entry."""
    from healerd.store.care import prune as prune_in

    show = Show(as_json=as_json)
    if dry_run:
        with Client(locate(state, config)[0]).open_store() as reader:
            _rehearse(show, {"would_drop_at_most": reader.would_prune(before)})
        return
    why = reason_for_log(reason)
    yes_or_ask(f"drop the bodies of entries before {before:%Y-%m-%d %H:%M} for good", yes=yes)
    with held_store(state, config) as store:
        with store.transaction() as tx:
            done = prune_in(tx, before, actor=who(), reason=why)
        store.shrink()
    (show.json if as_json else show.pairs)({"dropped": done})


def _rehearse(show: Show, told: dict[str, int]) -> None:
    if show.as_json:
        show.json({**told, "dry_run": True})
    else:
        pairs = {name.replace("_", " "): count for name, count in told.items()}
        show.pairs({**pairs, "changed": "nothing: a dry run"})
