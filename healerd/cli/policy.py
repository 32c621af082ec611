"""`healerd policy`: how far a pipeline is trusted to act alone. Must never promote without a person's word."""

import click

from healerd.cli.evidence import show_evidence, verdict_of
from healerd.cli.options import attached, dry_run_option, pipeline_argument, reason_option, reason_or_ask
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.words import STAGES
from healerd.model import Stage

__all__ = ["policy"]

LADDER = [stage.value for stage in Stage]


@click.group(help="Show how far a pipeline is trusted, or change it.")
def policy() -> None:
    """Hold the verbs together."""


@policy.command(help="Show how far each pipeline is trusted; of one, on what evidence.")
@pipeline_argument(required=False)
@attached
def status(client: Client, show: Show, pipeline: str | None) -> None:
    """Print stages and what each means; of one pipeline everything that speaks for and against it."""
    if pipeline is not None:
        view = client.policy(pipeline)
        if show.as_json:
            show.json(view)
        else:
            show_evidence(show, view)
        return
    views = client.status()["pipelines"]
    if show.as_json:
        rows = [{"name": view["name"], "stage": view["stage"], "revision": view["revision"]} for view in views]
        show.json({"pipelines": rows})
        return
    show.table(
        ["pipeline", "stage", "revision", "what it means"],
        [[view["name"], view["stage"], view["revision"], STAGES[view["stage"]]] for view in views],
    )
    show.note("`healerd policy status PIPELINE` shows the evidence")


@policy.command(help="Trust a pipeline with more.")
@pipeline_argument()
@click.option("--to", type=click.Choice(LADDER), help="The stage to go to [default: the next].")
@click.option("--if-rev", help="Only if it is still at this revision [default: as it stands now].")
@dry_run_option
@reason_option
@attached
def promote(
    *,
    client: Client,
    show: Show,
    pipeline: str,
    to: str | None,
    if_rev: str | None,
    dry_run: bool,
    reason: str | None,
) -> None:
    """Move a pipeline up the ladder; what speaks for it is said first."""
    show.note(f"evidence: {verdict_of(client.policy(pipeline))}")
    _move(client=client, show=show, pipeline=pipeline, to=to, reason=reason, step=1, if_rev=if_rev, dry_run=dry_run)


@policy.command(help="Trust a pipeline with less.")
@pipeline_argument()
@click.option("--to", type=click.Choice(LADDER), help="The stage to go to [default: the one before].")
@dry_run_option
@reason_option
@attached
def demote(*, client: Client, show: Show, pipeline: str, to: str | None, dry_run: bool, reason: str | None) -> None:
    """Move a pipeline down the ladder."""
    _move(client=client, show=show, pipeline=pipeline, to=to, reason=reason, step=-1, dry_run=dry_run)


def _move(
    *,
    client: Client,
    show: Show,
    pipeline: str,
    to: str | None,
    reason: str | None,
    step: int,
    dry_run: bool,
    if_rev: str | None = None,
) -> None:
    why, view = "" if dry_run else reason_or_ask(reason), client.pipeline(pipeline)
    wanted = to or _next(view["stage"], step)
    if step * (LADDER.index(wanted) - LADDER.index(view["stage"])) <= 0:
        more, other = ("more", "demote") if step > 0 else ("less", "promote")
        said = f"`{pipeline}` is in `{view['stage']}`, and `{wanted}` is no {more}"
        raise click.UsageError(f"{said}: for the other way there is `healerd policy {other}`")
    if dry_run:
        told = {"pipeline": pipeline, "stage": view["stage"], "would_be": wanted, "means": STAGES[wanted]}
        (show.json if show.as_json else show.pairs)({**told, "revision": view["revision"], "dry_run": True})
        return
    # A demotion names no revision: should somebody demote further meanwhile, the daemon refuses it as a promotion.
    revision = if_rev or view["revision"] if step > 0 else None
    done = client.set_stage(pipeline, wanted, reason=why, if_rev=revision)
    if show.as_json:
        show.json({"change": done})
    else:
        show.pairs({"pipeline": pipeline, "stage": wanted, "was": view["stage"]})


def _next(stage: str, step: int) -> str:
    """Take one step on the ladder."""
    place = LADDER.index(stage)
    if not 0 <= place + step < len(LADDER):
        raise click.UsageError(f"`{stage}` is the {'last' if step > 0 else 'first'} stage")
    return LADDER[place + step]
