"""`healerd rules explain`: why a verdict is what it is, for facts given by hand. Must never guess a fact."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import files_argument, load_rules, sound
from healerd.cli.show import Show
from healerd.clock import SystemClock
from healerd_rules import Inputs, SignalState, advance
from healerd_rules import explain as explain_verdict
from healerd_rules.schema import STAGES

__all__ = ["explain"]


@click.command(
    "explain", help="Say what the rules make of ACTION, given facts: every rule that acts, and what would change it."
)
@click.argument("action")
@files_argument
@click.option(
    "--given", multiple=True, metavar="FACT=VALUE", help="A fact, as in rows=5000, accuracy=88% or psi[age]=0.3."
)
@click.option("--alarm", multiple=True, metavar="NAME", help="An alarm that stands.")
@click.option("--confidence", type=click.FloatRange(0, 1), help="How sure the policy is of the action.")
@click.option("--stage", type=click.Choice(STAGES), default="live", show_default=True, help="Of the pipeline.")
@click.option("--no-incident", is_flag=True, help="As if nothing were wrong.")
@click.option("--pipeline", default="example", show_default=True, help="Name of the pipeline that the rules see.")
@click.option("--tag", multiple=True, help="A tag of the pipeline.")
@json_option
def explain(action: str, files: tuple[Path, ...], as_json: bool, confidence: float | None, **given: Any) -> int:
    """Print the verdict with its reasons; facts that are not given are unknown, and count against acting."""
    ruleset = sound(load_rules(files))
    known = [declared.name for declared in ruleset.actions]
    if action not in known:
        raise click.UsageError(f"no action `{action}`; known: {', '.join(known)}")
    inputs = _inputs(**given)
    state = advance(ruleset, inputs, SignalState())
    told = explain_verdict(ruleset, inputs, state, action, {action: confidence})
    show = Show(as_json=as_json)
    if as_json:
        show.json({"explanation": told.to_json()})
    else:
        show.text(told.prose())
    return Exit.OK


def _inputs(
    *,
    given: Sequence[str],
    alarm: Sequence[str],
    stage: str,
    no_incident: bool,
    pipeline: str,
    tag: Sequence[str],
) -> Inputs:
    return Inputs(
        pipeline=pipeline,
        tags=tuple(tag),
        now=SystemClock().now(),
        window_s=1800.0,
        stage=stage,
        incident=not no_incident,
        facts=_facts(given),
        alarms=dict.fromkeys(alarm, True),
    )


def _facts(given: Sequence[str]) -> Mapping[str, Any]:
    """Read `rows=5000` and `psi[age]=0.3`; a fact over a dimension becomes a mapping of its members."""
    facts: dict[str, Any] = {}
    for text in given:
        found = re.fullmatch(r"(\w+)(?:\[([^\]]+)\])?=(.+)", text)
        if not found:
            raise click.BadParameter(f"expected FACT=VALUE, got `{text}`", param_hint="--given")
        name, member, value = found.groups()
        if member is None:
            facts[name] = _value(value)
        else:
            facts.setdefault(name, {})[member] = _value(value)
    return facts


def _value(text: str) -> float | bool | str | None:
    words: Mapping[str, bool | None] = {"true": True, "false": False, "missing": None}
    if text in words:
        return words[text]
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return text
