"""`healerd approve`, `veto` and `resolve`: a person's answer. Must never approve what the person has not seen.

An approval names the revision it was decided on, by --if-rev or by looking first. A veto needs none: it always wins
while there is still time.
"""

import click

from healerd.cli.exits import Exit
from healerd.cli.options import (
    attached,
    dry_run_option,
    ids_option,
    is_interactive,
    read_id,
    read_ids,
    reason_option,
    reason_or_ask,
)
from healerd.cli.show import Show
from healerd.client import Client
from healerd.client.words import say_intent
from healerd.errors import HealerdError

__all__ = ["approve", "resolve", "veto"]

RESOLVED = {True: "end as inconclusive", False: "end as failed"}
"""What becomes of an intent whose effect a person has looked for and found, or not."""

revision_option = click.option("--if-rev", help="Only if it is still at this revision.")


@click.command(help="Let an intent run that waits for consent.")
@ids_option
@reason_option
@revision_option
@click.option("--yes", is_flag=True, help="Approve whatever revision it is at now, without being asked.")
@dry_run_option
@attached
def approve(
    *,
    client: Client,
    show: Show,
    ids: tuple[str, ...],
    reason: str | None,
    if_rev: str | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Approve each intent; a single one may be shown and confirmed at a terminal."""
    if dry_run:
        return _rehearse_each(client, show, read_ids(ids), "approve")
    why = reason_or_ask(reason)
    return _answer_each(
        client=client, show=show, ids=read_ids(ids), kind="approve", reason=why, if_rev=if_rev, look=True, yes=yes
    )


@click.command(help="Say whether an effect is there that healerd cannot tell.")
@click.argument("intent_id", metavar="ID")
@click.option("--took-effect/--no-effect", "took_effect", required=True, help="What you found when you looked.")
@reason_option
@revision_option
@dry_run_option
@attached
def resolve(
    *,
    client: Client,
    show: Show,
    intent_id: str,
    took_effect: bool,
    reason: str | None,
    if_rev: str | None,
    dry_run: bool,
) -> int:
    """End an intent that needs a person: inconclusive if its effect is there, failed if it is not."""
    intent_id = read_id(intent_id)
    if dry_run:
        return _rehearse_each(client, show, (intent_id,), RESOLVED[took_effect])
    seen = if_rev or str(client.intent(intent_id)["intent"]["revision"])
    done = client.resolve(intent_id, took_effect=took_effect, reason=reason_or_ask(reason), if_rev=seen)
    if show.as_json:
        show.json({"intent": done})
    else:
        show.pairs({"intent": done["id"], "state": done["state"], "why": done["reason"]})
    return Exit.OK


@click.command(help="Stop an intent, or lift an earlier veto.")
@ids_option
@reason_option
@revision_option
@click.option("--lift", is_flag=True, help="Take a veto back, so that the action may be proposed again.")
@dry_run_option
@attached
def veto(
    *,
    client: Client,
    show: Show,
    ids: tuple[str, ...],
    reason: str | None,
    if_rev: str | None,
    lift: bool,
    dry_run: bool,
) -> int:
    """Stop each intent. With --if-rev it stops even when the evidence has changed since: stopping is always right."""
    if dry_run:
        return _rehearse_each(client, show, read_ids(ids), "lift" if lift else "veto")
    why = reason_or_ask(reason)
    kind = "lift" if lift else "veto"
    return _answer_each(
        client=client, show=show, ids=read_ids(ids), kind=kind, reason=why, if_rev=if_rev, look=lift, yes=True
    )


def _rehearse_each(client: Client, show: Show, ids: tuple[str, ...], kind: str) -> int:
    """Show what would be answered, as it stands; whether the daemon would take it is its to say."""
    code: int = Exit.OK
    found = []
    for intent_id in ids:
        try:
            intent = client.intent(intent_id)["intent"]
        except HealerdError as error:
            show.note(f"healerd: {error}")
            code = error.exit_code
        else:
            found.append({name: intent[name] for name in ("id", "pipeline", "action", "state", "revision")})
    if show.as_json:
        show.json({"intents": found, "would": kind, "dry_run": True})
    elif found:
        rows = [[*(str(value) for value in each.values()), kind] for each in found]
        show.table(["id", "pipeline", "action", "state", "revision", "would"], rows)
        show.note("nothing was changed: a dry run")
    return code


def _answer_each(
    *,
    client: Client,
    show: Show,
    ids: tuple[str, ...],
    kind: str,
    reason: str,
    if_rev: str | None,
    look: bool,
    yes: bool,
) -> int:
    """Answer one after another; what fails is said and the rest is done all the same. Ends with the last failure."""
    code: int = Exit.OK
    done = []
    for intent_id in ids:
        try:
            seen = if_rev or (_look(client, show, intent_id, yes=yes) if look else None)
            done.append(client.answer(intent_id, kind, reason=reason, if_rev=seen))
        except HealerdError as error:
            show.note(f"healerd: {error}")
            code = error.exit_code
        except click.Abort:
            code = Exit.INTERRUPTED  # what was answered before is done, and is said
            break
    if show.as_json:
        show.json({"intents": done})
    elif done:
        show.table(
            ["id", "pipeline", "action", "state"], [[i["id"], i["pipeline"], i["action"], i["state"]] for i in done]
        )
    return code


def _look(client: Client, show: Show, intent_id: str, *, yes: bool) -> str:
    """Fetch the revision that stands now; a person must have seen what it says, or have said --yes."""
    view = client.intent(intent_id)
    revision = str(view["intent"]["revision"])
    if yes:
        return revision
    if not is_interactive():
        raise click.UsageError(f"nobody can be asked here: give --if-rev {revision} after `healerd review`, or --yes")
    for line in say_intent(view):
        show.note(line)
    click.confirm("let it run?", abort=True, err=True)
    return revision
