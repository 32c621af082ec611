"""`healerd rules explain`: why a verdict is what it is, for facts given by hand. Must never guess a fact."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.given import read_alarms, read_facts, read_log, read_moment
from healerd.cli.rules.load import cache_option, config_option, files_argument, load_pipeline, load_rules, sound
from healerd.cli.show import Show
from healerd.clock import SystemClock
from healerd_rules import Inputs, RuleSet, SignalState, advance
from healerd_rules import explain as explain_verdict
from healerd_rules.schema import STAGES

__all__ = ["explain"]

WINDOW_S = 1800.0


@click.command(
    "explain",
    help="Say what rule files [default: the pack `default`] make of ACTION, given facts: every rule that acts, and "
    "what would change it. Facts that are not given are unknown.",
)
@click.argument("action")
@files_argument
@config_option
@click.option(
    "--given",
    multiple=True,
    metavar="FACT=VALUE",
    help="A fact, as in rows=5000, error_rate=12%, model_age=3d or psi[age]=0.3.",
)
@click.option(
    "--windows",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="For how many windows of 30 minutes that was measured, for rules with `for 3 windows`.",
)
@click.option(
    "--log",
    multiple=True,
    metavar="TEXT",
    help='An action in the log: "rollback ended 20m ago", "retrain is open"; "... on OTHER" for another pipeline.',
)
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]),
    metavar="TIME",
    help='The moment, in UTC, as in "2026-11-23 10:00" [default: now].',
)
@click.option("--alarm", multiple=True, metavar="NAME", help="An alarm that stands.")
@click.option("--confidence", type=click.FloatRange(0, 1), help="How sure the policy is of the action.")
@click.option("--stage", type=click.Choice(STAGES), default="live", show_default=True, help="Of the pipeline.")
@click.option("--no-incident", is_flag=True, help="As if nothing were wrong.")
@click.option(
    "--pipeline",
    default="example",
    show_default=True,
    help="Name of the pipeline that the rules see; with --config, the one whose rules they are.",
)
@click.option("--tag", multiple=True, help="A tag of the pipeline.")
@cache_option
@json_option
def explain(
    action: str,
    files: tuple[Path, ...],
    *,
    config: Path | None,
    as_json: bool,
    no_cache: bool,
    confidence: float | None,
    windows: int,
    **given: Any,
) -> int:
    """Print the verdict with its reasons; facts that are not given are unknown, and count against acting."""
    if config is not None and not files:
        loaded = load_pipeline(config, given["pipeline"], no_cache=no_cache)
    else:
        loaded = load_rules(files, no_cache=no_cache)
    ruleset = sound(loaded)
    known = [declared.name for declared in ruleset.actions]
    if action not in known:
        raise click.UsageError(f"no action `{action}`; known: {', '.join(known)}")
    inputs = _inputs(ruleset, **given)
    state = _remembered(ruleset, inputs, windows)
    told = explain_verdict(ruleset, inputs, state, action, {action: confidence})
    show = Show(as_json=as_json)
    if as_json:
        show.json({"explanation": told.to_json()})
    else:
        show.text(told.prose())
    return Exit.OK


def _inputs(
    ruleset: RuleSet,
    *,
    given: Sequence[str],
    alarm: Sequence[str],
    log: Sequence[str],
    at: dt.datetime | None,
    stage: str,
    no_incident: bool,
    pipeline: str,
    tag: Sequence[str],
) -> Inputs:
    now = SystemClock().now() if at is None else read_moment(at)
    return Inputs(
        pipeline=pipeline,
        tags=tuple(tag),
        now=now,
        window_s=WINDOW_S,
        stage=stage,
        incident=not no_incident,
        facts=read_facts(given, ruleset),
        alarms=read_alarms(alarm),
        log=read_log(log, ruleset, pipeline, now),
    )


def _remembered(ruleset: RuleSet, inputs: Inputs, windows: int) -> SignalState:
    """The memory after so many windows in which the same was measured; the newest ends now."""
    state = SignalState()
    for number in reversed(range(windows)):
        now = inputs.now - dt.timedelta(seconds=number * inputs.window_s)
        state = advance(ruleset, replace(inputs, now=now), state)
    return state
