"""`healerd rules`: check rule files, and explain verdicts. Must never call a file fine while a finding stands."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option
from healerd.cli.show import Show
from healerd.clock import SystemClock
from healerd.config import Config, PipelineSettings, load_config
from healerd.decision import SCHEMA
from healerd_rules import Inputs, Loaded, SignalState, advance, explain, load, load_text, render
from healerd_rules.schema import STAGES

__all__ = ["load_for", "rules"]

files_argument = click.argument("files", nargs=-1, type=click.Path(path_type=Path))


@click.group(help="Check rule files, or explain a verdict.")
def rules() -> None:
    """Hold the verbs together."""


@rules.command(help="Check rule files [default: those of the configuration]: syntax, names, types, units, dead rules.")
@files_argument
@click.option(
    "--config", metavar="FILE", type=click.Path(path_type=Path), help="Check the rule files of this configuration."
)
@json_option
def check(files: tuple[Path, ...], config: Path | None, as_json: bool) -> int:
    """Print every finding of every file; ends with 7 when one is an error."""
    show = Show(as_json=as_json)
    sets = {", ".join(map(str, files)): load_rules(files)} if files else _configured(config)
    code = Exit.CHECK_FAILED if any(loaded.ruleset is None for loaded in sets.values()) else Exit.OK
    if as_json:
        show.json({"sets": [{"name": name, **_to_json(loaded)} for name, loaded in sets.items()]})
        return code
    for name, loaded in sets.items():
        if loaded.diagnostics:
            show.text(render(loaded.diagnostics, loaded.sources))
        if loaded.ruleset is not None:
            show.note(f"{name}: {len(loaded.ruleset.rules)} rules, id {loaded.ruleset.id[:12]}")
    return code


@rules.command(
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
def explain_(action: str, files: tuple[Path, ...], as_json: bool, confidence: float | None, **given: Any) -> int:
    """Print the verdict with its reasons; facts that are not given are unknown, and count against acting."""
    loaded = load_rules(files)
    if loaded.ruleset is None:
        click.echo(render(loaded.diagnostics, loaded.sources), err=True)
        return Exit.CHECK_FAILED
    known = [declared.name for declared in loaded.ruleset.actions]
    if action not in known:
        raise click.UsageError(f"no action `{action}`; known: {', '.join(known)}")
    inputs = _inputs(**given)
    state = advance(loaded.ruleset, inputs, SignalState())
    told = explain(loaded.ruleset, inputs, state, action, {action: confidence})
    show = Show(as_json=as_json)
    if as_json:
        show.json({"explanation": told.to_json()})
    else:
        show.text(told.prose())
    return Exit.OK


def load_rules(files: Sequence[Path]) -> Loaded:
    """Load rule files over the pack `base`; the pack `default` when there is none."""
    if files:
        return load(files, schema=SCHEMA)
    return load_text('import "default"\n', name="the pack default", schema=SCHEMA)


def load_for(config: Config, settings: PipelineSettings) -> Loaded:
    """Load the rules of one pipeline."""
    return load_rules([config.path(file) for file in settings.rules])


def _configured(config: Path | None) -> dict[str, Loaded]:
    settings = load_config(config or default_config())
    return {name: load_for(settings, pipeline) for name, pipeline in settings.pipeline.items()}


def _to_json(loaded: Loaded) -> dict[str, Any]:
    return {
        "id": loaded.ruleset.id if loaded.ruleset else None,
        "rules": len(loaded.ruleset.rules) if loaded.ruleset else None,
        "findings": [finding.to_json() for finding in loaded.diagnostics],
    }


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
