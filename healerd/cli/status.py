"""`healerd status`: everything at a glance, or one pipeline. Must never show stored data as if it were live."""

from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import attached, pipeline_argument
from healerd.cli.show import Show, brief
from healerd.client import Client
from healerd.client.link import ELSEWHERE, holder
from healerd.client.words import GLYPHS

__all__ = ["status"]

TROUBLE = {"pending", "stale"}
"""States that ask for a person without an incident."""


@click.command(help="Show every pipeline at a glance, or one in detail.")
@pipeline_argument(required=False)
@click.option("--exit-status", is_flag=True, help="End with 8 when something waits for a person or is wrong.")
@click.option("--live", is_flag=True, help="End with 3 unless the daemon itself answers; for health checks.")
@attached
def status(client: Client, show: Show, pipeline: str | None, exit_status: bool, live: bool) -> int:
    """Print the status; see the table of exit codes for what it ends with."""
    view = client.pipeline(pipeline) if pipeline else client.status()
    asked = live or exit_status
    away = asked and (client.status() if pipeline else view)["daemon"]["state"] != "live"
    pipelines = [view] if pipeline else view["pipelines"]
    if show.as_json:
        show.json(view)
    elif pipeline:
        show.pairs(_details(view))
    else:
        _say_how_it_runs(show, view, client.state)
        for each in filter(_registry, pipelines):
            show.note(f"`{each['name']}`: its registry is {_registry(each)['registry']}")
        show.table(
            ["pipeline", "state", "stage", "window", "decision", "last heal", "waits for"],
            [_row(each, show) for each in pipelines],
        )
    if live and away:
        return Exit.AWAY
    troubled = away or any(each["state"] in TROUBLE or each["incident"] for each in pipelines)
    return Exit.CONDITION_TRUE if exit_status and troubled else Exit.OK


def _say_how_it_runs(show: Show, view: dict[str, Any], state: Path) -> None:
    process = holder(state) if view["daemon"]["state"] == "away" else None
    if process:
        show.note(f"process {process} holds this state and does not answer: {ELSEWHERE}; this is what it stored last")
    elif view["daemon"]["state"] == "away":
        show.note("the daemon is away: this is what it stored last, and nothing that waits will run until it is back")
    if view["stopped"]:
        stop = view["stopped"]
        show.note(f"everything is stopped by {stop['author']} since {brief(stop['since_at'])}: {stop['reason']}")
    elif view["stop_file"]:
        show.note(f"`{view['stop_file']}` stops everything")


def _row(view: dict[str, Any], show: Show) -> list[Any]:
    sign = GLYPHS[view["state"]][0] + " " if show.is_terminal else ""
    heal, waiting = view["last_heal"], view["open"][0] if view["open"] else None
    return [
        view["name"],
        sign + view["state"],
        view["stage"],
        view["window_end_at"],
        view["decision"]["chosen"] if view["decision"] else None,
        f"{heal['action']} {heal['state']}" if heal else None,
        f"{waiting['action']} {waiting['id']}" if waiting else None,
    ]


def _estimate(view: dict[str, Any]) -> dict[str, str]:
    """The estimate of the error, said to be one; nothing where none is made."""
    value = view["estimated_error"]
    return {} if value is None else {"estimated error": f"{value:.1%}, without labels: blind to concept shift"}


def _segments(view: dict[str, Any]) -> dict[str, str]:
    """The segments with an alarm; nothing where none are watched."""
    alarmed = [f"{one['name']} ({', '.join(one['alarms'])})" for one in view["segments"] if one["alarms"]]
    told = f": {', '.join(alarmed)}" if alarmed else ""
    return {"segments": f"{len(alarmed)} of {len(view['segments'])} alarm{told}"} if view["segments"] else {}


def _registry(view: dict[str, Any]) -> dict[str, str]:
    """Which registry is away, and what follows; nothing while it answers."""
    away = view["registry"]
    if not away:
        return {}
    return {"registry": f"away since {brief(away['since'])}, what needs it is held: {away['reason']}"}


def _details(view: dict[str, Any]) -> dict[str, Any]:
    incident, pause, decision, heal = view["incident"], view["paused"], view["decision"], view["last_heal"]
    return {
        "pipeline": view["name"],
        "state": view["state"],
        "stage": view["stage"],
        "revision": view["revision"],
        "paused": f"by {pause['author']} since {brief(pause['since_at'])}: {pause['reason']}" if pause else None,
        "incident": f"{incident['id']} severity {incident['severity']}: {incident['reason']}" if incident else None,
        **_registry(view),
        **_estimate(view),
        **_segments(view),
        "window until": view["window_end_at"],
        "decision": f"{decision['chosen']}: {decision['reason']}" if decision else None,
        "trace": decision["id"] if decision else None,
        "open": ", ".join(f"{i['action']} {i['state']} [{i['id']}]" for i in view["open"]),
        "last heal": f"{heal['action']} {heal['state']} [{heal['id']}]" if heal else None,
    }
