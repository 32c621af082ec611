"""`healerd doctor`: checks what an installation stands on, and says the mend.

Must never change anything unless asked with --fix, and then only take rights away from others.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option, place_options
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.checks import CHECKS, examine
from healerd.client.findings import Finding, fix_of
from healerd.client.soundness import try_channels
from healerd.config import load_config
from healerd.errors import HealerdError

__all__ = ["doctor"]

SIGNS = {"ok": "✓", "warn": "!", "fail": "✗"}


@click.command(help="Check the installation and say what to mend.")
@click.option("--fix", is_flag=True, help="Make the mends that are safe: they only take rights away from others.")
@click.option("--dry-run", is_flag=True, help="With --fix, say what would be mended; change nothing.")
@click.option("--notify", is_flag=True, help="Send a test message to every channel of `[notify]`.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave a check out, such as proofs; may be given again.")
@place_options
@json_option
def doctor(
    *,
    fix: bool,
    dry_run: bool,
    notify: bool,
    skip: tuple[str, ...],
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Print one line a check; ends with 7 when one failed."""
    if unknown := set(skip) - set(CHECKS):
        raise click.UsageError(f"no check `{min(unknown)}`; there are: {', '.join(CHECKS)}")
    findings = list(_examine(state, config, skip))
    mended = [_mended(finding, dry_run=dry_run) for finding in findings if fix and finding.fix]
    if any(not each["problem"] for each in mended) and not dry_run:
        findings = list(_examine(state, config, skip))
    if notify:
        findings.append(try_channels(load_config(config or default_config())))
    show = Show(as_json=as_json)
    if as_json:
        levels = [finding.level for finding in findings]
        rows = [{"check": f.check, "level": f.level, "said": f.said, "mend": f.mend} for f in findings]
        show.json({"healthy": "fail" not in levels, "findings": rows, **({"fixed": mended} if fix else {})})
    else:
        show.table(["", "check", "found", "mend"], [[_sign(f, show), f.check, f.said, f.mend] for f in findings])
        for each in mended:
            show.note(each["problem"] or f"{'would mend' if dry_run else 'mended'}: {each['fix']}, `{each['path']}`")
    return Exit.CHECK_FAILED if any(finding.level == "fail" for finding in findings) else Exit.OK


def _mended(finding: Finding, *, dry_run: bool) -> dict[str, str]:
    assert finding.fix is not None, "only what can be mended is"
    problem = "" if dry_run else fix_of(finding.fix)
    return {"fix": finding.fix.name, "path": str(finding.fix.path), "problem": problem}


def _sign(finding: Finding, show: Show) -> str:
    return f"{SIGNS[finding.level]} {finding.level}" if show.is_terminal else finding.level


def _examine(state: Path | None, config: Path | None, skip: tuple[str, ...]) -> Iterator[Finding]:
    try:
        settings = load_config(config or default_config()) if config or state is None else None
    except HealerdError as error:
        yield Finding(check="configuration", level="fail", said=str(error), mend="mend the file, then run this again")
        return
    folder = settings.state if settings else state
    assert folder is not None, "one of the two was given"
    yield from examine(Client(folder, socket=settings.socket if settings else None), settings, skip=skip)
