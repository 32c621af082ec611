"""`healerd backtest`: what else would have been done. Must never conclude more than the record shows."""

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.cli.crew import crew_options, crew_wanted
from healerd.cli.exits import Exit
from healerd.cli.options import Moment, json_option, locate, place_options
from healerd.cli.show import Show

if TYPE_CHECKING:
    from healerd.store import Reader

__all__ = ["backtest"]

SHOWN = 20
TENTHS = 10
WIDTH = 110


@click.command(
    help="Show what other rules, another policy, gate or costs would have done: on the recorded decisions, without "
    "changing anything. Ends with 7 when the record does not reproduce.",
)
@click.option("--rules", "files", multiple=True, metavar="FILE", help="A rule file or a shipped pack; again for more.")
@click.option("--policy", metavar="NAME", help="Another policy, such as `rules only`.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="gate (of deviations, .95), severity, or ACTION.cost|failure.",
)
@click.option("--since", type=Moment(), metavar="TIME", help="Only decisions from then on.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only decisions before that.")
@click.option("--pipeline", metavar="NAME", help="Only those about this pipeline.")
@click.option("--exit-status", is_flag=True, help="End with 8 unless it is proven better.")
@crew_options
@place_options
@json_option
def backtest(
    *,
    files: tuple[str, ...],
    policy: str | None,
    settings: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    pipeline: str | None,
    exit_status: bool,
    state: Path | None,
    config: Path | None,
    as_json: bool,
    **crew: Any,
) -> int:
    """Print what changes, what is known of it, and the verdict."""
    from healerd.client.backtest import Period, instead_of  # deciding, and the store, which no other look needs
    from healerd.client.backtest import backtest as look_back

    if not files and policy is None and not settings:
        raise click.UsageError("say what to try: --rules FILE, --policy NAME or --set KEY=VALUE")
    if since is not None and until is not None and until <= since:
        raise click.UsageError("--until is not after --since: there is nothing between them")
    ruleset = _ruleset(files) if files else None
    instead = instead_of(name=", ".join(files), ruleset=ruleset, policy=policy, settings=settings)
    period, show = Period(since=since, until=until, pipeline=pipeline), Show(as_json=as_json)
    place = locate(state, config)[0]
    with _opened(place) as reader, _progress() as say:
        view = look_back(reader, instead, period, progress=say, place=place, crew=crew_wanted(crew))
    _print(show, view)
    if view["reproduced"]["problem"]:
        return Exit.CHECK_FAILED
    return Exit.CONDITION_TRUE if exit_status and view["verdict"] != "better" else Exit.OK


def _ruleset(files: Sequence[str]) -> Any:
    """Load the files as one set. Raises RulesError with every finding, UsageError for what is no file and no pack."""
    from healerd.cli.rules.load import is_pack, load_rules, sound
    from healerd_rules import shipped_packs

    paths = [Path(file) for file in files]
    for path in paths:
        if not path.exists() and not is_pack(path):
            packs = ", ".join(f"`{name}`" for name in shipped_packs())
            raise click.UsageError(f"--rules `{path}` is no file, and no shipped pack; the packs are {packs}")
    return sound(load_rules(paths))


@contextmanager
def _opened(place: Path) -> "Iterator[Reader]":
    """Open a state folder, or a database file that was copied out of one."""
    from healerd.client.stored import open_state
    from healerd.store.replay import ReplayStore

    if not place.is_file():
        with open_state(place) as reader:
            yield reader
        return
    copied = ReplayStore(place)
    try:
        copied.move(copied.last())
        yield copied
    finally:
        copied.close()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Say on stderr how far it is: a bar in a terminal, else a line for each tenth."""
    told = 0
    bar: Any = None

    def say(done: int, count: int) -> None:
        nonlocal told, bar
        if sys.stderr.isatty():
            bar = bar or click.progressbar(length=count, label="looking back", file=sys.stderr)
            if done * 200 // count > told:
                told = done * 200 // count
                bar.update(done - bar.pos)
        elif count >= 1000 and done * TENTHS // count > told:
            told = done * TENTHS // count
            click.echo(f"looking back: {told * TENTHS}% of {count:,}", err=True)

    try:
        yield say
    finally:
        if bar is not None:
            bar.render_finish()


# what is printed ---------------------------------------------------------------


def _print(show: Show, view: Mapping[str, Any]) -> None:
    if show.as_json:
        show.json({name: value for name, value in view.items() if name != "schema"})
        return
    if view["reproduced"]["problem"]:
        _print_broken(show, view["reproduced"])
        return
    show.text("\n".join(_head(view)))
    if view["changed"]["pairs"]:
        columns = ("kind", "rule", "from", "to", "count")
        show.table(columns, [[pair[name] for name in columns] for pair in view["changed"]["pairs"][:SHOWN]])
    show.text("\n".join(_body(view)))
    if view["reliability"]:
        show.text("past confidences, and the failures that were predicted with them:")
        show.table(("confidence", "judged", "predicted", "failed", "95% interval", "inconclusive"), _bins(view))
    show.text(f"verdict: {view['verdict']} ({view['why']})")


def _print_broken(show: Show, found: Mapping[str, Any]) -> None:
    show.pairs({name: value for name, value in found.items() if name != "checked"})
    show.note(
        f"of {found['checked']} decisions checked, one does not come out as it was recorded: nothing is concluded; "
        "`healerd replay` names every one"
    )


def _head(view: Mapping[str, Any]) -> Iterator[str]:
    changed, checked = view["changed"], view["reproduced"]["checked"]
    read = "every window was read" if view["quiet_read"] else "quiet windows hold under both, and were not read"
    yield f"tried: {view['tried']}; nothing was changed"
    yield f"reproduced as recorded: {checked}/{checked} checked of {view['decisions']:,} decisions"
    yield f"decided again: {view['decided_again']:,}; no rule that differs reaches the others ({read})"
    yield f"decisions changed: {changed['count']:,}"
    if changed["assumed_targets"]:
        yield (
            f"  in {changed['assumed_targets']:,} of them nothing seemed wrong then: what actions could have done was "
            "not recorded, and all are taken to be possible"
        )


def _body(view: Mapping[str, Any]) -> Iterator[str]:
    evidence, cost = view["evidence"], view["model_cost"]
    yield (
        f"of the changed: {evidence['randomised']:,} with a randomised outcome, {evidence['overridden']:,} overridden "
        f"by a person, {evidence['none']:,} without evidence"
    )
    yield _failure(view["failure"])
    blind = f"; {cost['without_estimate']:,} more have no estimate" if cost["without_estimate"] else ""
    yield (
        f"cost, modelled: {cost['difference']:+.2f} (sd {cost['sd']:.2f}) over {cost['decisions']:,} changed{blind}; "
        f"{cost['label']}"
    )
    yield from _resimulated(view["resimulated"])


def _failure(found: Mapping[str, Any]) -> str:
    tried, other = found["tried"], found["other"]
    arms = f"{tried['failed']} of {tried['n']} with it, {other['failed']} of {other['n']} without"
    if found["difference"] is None:
        return f"failure difference: unknown; chance has compared too little ({arms})"
    return f"failure difference: {found['difference']:+.1%} [{found['low']:+.1%}, {found['high']:+.1%}] ({arms})"


def _resimulated(found: Mapping[str, Any]) -> Iterator[str]:
    words = {"recorded": "as recorded", "alone": "each on its own", "sequence": "with cooldowns carried along"}
    told = [f"{words[name]} {ways['by itself']:,} (+{ways['asked']:,} asked)" for name, ways in found["heals"].items()]
    yield f"heals by themselves: {', '.join(told)}"
    was, now = found["ledger"]["recorded"], found["ledger"]["tried"]
    yield f"ledger, modelled, as recorded: {_ledger(was)}"
    yield f"ledger, modelled, as tried: {_ledger(now)}"
    yield textwrap.fill(found["warning"], WIDTH, initial_indent="  ", subsequent_indent="  ")


def _ledger(one: Mapping[str, Any]) -> str:
    state = "kept" if one["kept"] else "overdrawn"
    return (
        f"{one['mean']:+.1f} +- {one['sd']:.1f}, upper end {one['upper']:+.1f}, must not exceed 0: {state}; "
        f"{one['deviations']:,} deviations in {one['decisions']:,} decisions"
    )


def _bins(view: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [
            f"{one['from']:.2f}-{one['to']:.2f}",
            one["n"],
            one["predicted"],
            one["failed"] / one["n"] if one["n"] else None,
            f"{one['low']:.2f}-{one['high']:.2f}",
            one["inconclusive"],
        ]
        for one in view["reliability"]
    ]
