"""`healerd rules check`: every finding of every file, with place and mend. Never ends with 0 while an error stands."""

from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import cache_option, config_option, files_argument, load_sets
from healerd.cli.show import Show
from healerd_rules import CODES, Loaded, render
from healerd_rules.codes import MENDS, explain_code
from healerd_rules.words import did_you_mean

__all__ = ["check"]


@click.command(help="Check rule files [default: those of the configuration]: syntax, names, types, units, dead rules.")
@files_argument
@config_option
@click.option("--explain", metavar="CODE", help="Say what a finding means and how to mend it; check nothing.")
@cache_option
@json_option
def check(files: tuple[Path, ...], config: Path | None, explain: str | None, no_cache: bool, as_json: bool) -> int:
    """Print every finding of every file; ends with 7 when one is an error."""
    if explain is not None:
        return _explain(explain, Show(as_json=as_json))
    show, sets = Show(as_json=as_json), load_sets(files, config, no_cache=no_cache)
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


def _explain(code: str, show: Show) -> int:
    if code not in CODES:
        help_ = did_you_mean(code, CODES) or f"known: {', '.join(CODES)}"
        raise click.BadParameter(f"no finding has the code `{code}`; {help_}", param_hint="--explain")
    if show.as_json:
        mend = MENDS[code]
        show.json({"code": code, "meaning": CODES[code], "mend": mend.how, "example": mend.example or None})
    else:
        show.text(explain_code(code))
    return Exit.OK


def _to_json(loaded: Loaded) -> dict[str, Any]:
    return {
        "id": loaded.ruleset.id if loaded.ruleset else None,
        "rules": len(loaded.ruleset.rules) if loaded.ruleset else None,
        "findings": [finding.to_json() for finding in loaded.diagnostics],
    }
