"""`healerd doctor`: checks what an installation stands on, and says the mend. Must never change anything."""

from collections.abc import Iterator
from pathlib import Path

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.checks import Finding, examine
from healerd.config import load_config
from healerd.errors import HealerdError

__all__ = ["doctor"]

SIGNS = {"ok": "✓", "warn": "!", "fail": "✗"}


@click.command(help="Check the installation and say what to mend.")
@place_options
@json_option
def doctor(state: Path | None, config: Path | None, as_json: bool) -> int:
    """Print one line a check; ends with 7 when one failed."""
    findings = list(_examine(state, config))
    show = Show(as_json=as_json)
    if as_json:
        levels = [finding.level for finding in findings]
        rows = [{"check": f.check, "level": f.level, "said": f.said, "mend": f.mend} for f in findings]
        show.json({"healthy": "fail" not in levels, "findings": rows})
    else:
        show.table(["", "check", "found", "mend"], [[_sign(f, show), f.check, f.said, f.mend] for f in findings])
    return Exit.CHECK_FAILED if any(finding.level == "fail" for finding in findings) else Exit.OK


def _sign(finding: Finding, show: Show) -> str:
    return f"{SIGNS[finding.level]} {finding.level}" if show.is_terminal else finding.level


def _examine(state: Path | None, config: Path | None) -> Iterator[Finding]:
    try:
        settings = load_config(config or default_config()) if config or state is None else None
    except HealerdError as error:
        yield Finding(check="configuration", level="fail", said=str(error), mend="mend the file, then run this again")
        return
    folder = settings.state if settings else state
    assert folder is not None, "one of the two was given"
    yield from examine(Client(folder, socket=settings.socket if settings else None), settings)
