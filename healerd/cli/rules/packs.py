"""`healerd rules packs`: the rule packs that come with healerd. Must never show anything but what is shipped."""

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.show import Show
from healerd.decision import SCHEMA
from healerd_rules import load_pack, pack_paths, pack_text, shipped_packs
from healerd_rules.words import did_you_mean

__all__ = ["packs"]


@click.command(help="List the shipped rule packs with what each is for, or print one.")
@click.argument("name", required=False)
@json_option
def packs(name: str | None, *, as_json: bool) -> int:
    """Print one line a pack, or the text of the pack NAME."""
    show = Show(as_json=as_json)
    if name is None:
        views = [_view(each) for each in shipped_packs()]
        if as_json:
            show.json({"packs": views})
        else:
            show.table(["pack", "rules", "tests", "purpose"], [list(view.values()) for view in views])
        return Exit.OK
    if name not in shipped_packs():
        mend = did_you_mean(name, shipped_packs()) or f"known: {', '.join(shipped_packs())}"
        raise click.UsageError(f"no pack `{name}`; {mend}")
    if as_json:
        show.json({"pack": {**_view(name), "text": pack_text(name)}})
    else:
        show.text(pack_text(name).rstrip("\n"))
    return Exit.OK


def _view(name: str) -> dict[str, str | int]:
    """What a pack is called, its own rules and tests, and the first sentence of its file."""
    ruleset = load_pack(name, schema=SCHEMA).ruleset
    assert ruleset is not None, "a shipped pack loads"
    rules, tests = pack_paths(name)
    purpose = pack_text(name).splitlines()[0].removeprefix("# ").partition(". ")[0].rstrip(".")
    return {
        "pack": name,
        "rules": sum(rule.path == rules for rule in ruleset.rules),
        "tests": sum(script.path == tests for script in ruleset.tests),
        "purpose": purpose,
    }
