"""`healerd propose`, `pause`, `resume`, `stop-all`: a person's hand on the wheel.

Must never bypass the daemon's checks, except that stop-all leaves its file even when no daemon answers.
"""

from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import attached, dry_run_option, pipeline_argument, reason_option, reason_or_ask
from healerd.cli.show import Show, brief
from healerd.client import Client

__all__ = ["pause", "propose", "resume", "stop_all"]


@click.command(help="Ask for a heal, under the same rules as any other: ends with 1 when it is held.")
@pipeline_argument()
@click.argument("action")
@click.option("--to", metavar="VERSION", help="The version to go to; by default the daemon chooses.")
@click.option("--dry-run", is_flag=True, help="Show the plan and the verdict; change nothing.")
@reason_option
@attached
def propose(
    *, client: Client, show: Show, pipeline: str, action: str, to: str | None, dry_run: bool, reason: str | None
) -> int:
    """Print what was decided on the proposal: announced, waiting for approval, or held, which ends with 1."""
    if dry_run:
        return _rehearsed(show, client.rehearse(pipeline, action, to=to))
    decision = client.propose(pipeline, action, reason=reason_or_ask(reason), to=to)
    if show.as_json:
        show.json({"decision": decision})
    else:
        chosen, why = decision["chosen"], decision["reason"]
        show.pairs({"decision": chosen, "level": decision["level"], "why": why, "trace": decision["id"]})
    return Exit.FAILED if decision["chosen"] == "hold" else Exit.OK


def _rehearsed(show: Show, told: dict[str, Any]) -> int:
    if show.as_json:
        show.json(told)
        return Exit.OK
    plan = told["plan"]
    note = told["refusal"] if plan is None else plan["note"] or "as the action says"
    rows = {
        "action": told["action"],
        "plan": note,
        "from": plan and plan["current"],
        "to": plan and (plan["target"] or "a version that it makes"),
        "verdict": told["verdict"],
        "would": told["would"] if told["would"] == "hold" else f"{told['would']}, under `{told['verdict']}`",
        "why": told["why"],
        "approval from": ", ".join(told["approvals"]),
        "veto within": told["veto_within_s"] and f"{told['veto_within_s']:g} s",
    }
    show.pairs({**{name: value for name, value in rows.items() if value}, "changed": "nothing: a dry run"})
    return Exit.OK


@click.command(help="Stop healing one pipeline.")
@pipeline_argument()
@dry_run_option
@reason_option
@attached
def pause(*, client: Client, show: Show, pipeline: str, dry_run: bool, reason: str | None) -> None:
    """Pause and print the revision that `resume` will want."""
    if dry_run:
        view = client.pipeline(pipeline)
        _rehearse(show, pipeline, "paused", now="paused" if view["paused"] else "running", revision=view["revision"])
        return
    _print(show, client.pause(pipeline, reason=reason_or_ask(reason)), "paused")


@click.command(help="End a pause, or a stop of everything.")
@pipeline_argument(required=False)
@click.option("--all", "everything", is_flag=True, help="End a `stop-all`.")
@click.option("--if-rev", help="Only if it is still at this revision [default: as it stands now].")
@dry_run_option
@reason_option
@attached
def resume(
    *,
    client: Client,
    show: Show,
    pipeline: str | None,
    everything: bool,
    if_rev: str | None,
    dry_run: bool,
    reason: str | None,
) -> None:
    """Say whose pause ends, then end it."""
    if (pipeline is None) != everything:
        raise click.UsageError("name one pipeline, or give --all")
    if dry_run:
        view = client.pipeline(pipeline) if pipeline else client.status()
        stands = view["paused"] if pipeline else view["stopped"]
        revision = view["revision"] if pipeline else view["stop_revision"]
        _rehearse(show, pipeline or "all", "running", now="paused" if stands else "running", revision=revision)
        return
    why = reason_or_ask(reason)
    if pipeline is None:
        done = client.resume_all(reason=why, if_rev=if_rev or _stop_revision(show, client.status()))
    else:
        done = client.resume(pipeline, reason=why, if_rev=if_rev or _pause_revision(show, client.pipeline(pipeline)))
    _print(show, done, "running")


@click.command(help="Stop everything, even when the daemon hangs.")
@dry_run_option
@reason_option
@attached
def stop_all(client: Client, show: Show, dry_run: bool, reason: str | None) -> None:
    """Leave the stop file and tell the daemon; say which of the two worked."""
    if dry_run:
        view = client.status()
        now = "stopped" if view["stopped"] or view["stop_file"] else "running"
        _rehearse(show, "all", "stopped", now=now, revision=view["stop_revision"])
        return
    done = client.stop_all(reason=reason_or_ask(reason))
    if show.as_json:
        show.json(done)
        return
    told = "the daemon has stopped everything" if done["daemon"] else "no daemon answered; it will obey the file"
    if done["refused"]:
        told = f"it obeys the file, and did not write down who stopped it: {done['refused']}"
    show.pairs({"file": done["file"], "daemon": told, "to go on": "healerd resume --all"})


def _rehearse(show: Show, pipeline: str, state: str, *, now: str, revision: str) -> None:
    told = {"pipeline": pipeline, "now": now, "would be": state, "revision": revision}
    if show.as_json:
        show.json({"pipeline": pipeline, "now": now, "would_be": state, "revision": revision, "dry_run": True})
    else:
        show.pairs({**told, "changed": "nothing: a dry run"})


def _print(show: Show, done: dict[str, Any], state: str) -> None:
    if show.as_json:
        show.json({**done, "state": state})
    else:
        show.pairs({"pipeline": done.get("pipeline", "all"), "state": state, "revision": done["revision"]})


def _pause_revision(show: Show, view: dict[str, Any]) -> str:
    _say_whose(show, view["paused"])
    return str(view["revision"])


def _stop_revision(show: Show, view: dict[str, Any]) -> str:
    if view["stop_file"] and not view["stopped"]:
        show.note(f"ends the stop by `{view['stop_file']}`")
    else:
        _say_whose(show, view["stopped"])
    return str(view["stop_revision"])


def _say_whose(show: Show, pause: dict[str, Any] | None) -> None:
    if pause is None:
        show.note("nothing was paused")
    else:
        show.note(f"ends the pause by {pause['author']} since {brief(pause['since_at'])}: {pause['reason']}")
