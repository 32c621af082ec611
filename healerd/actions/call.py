"""Do what a named action says: run its command, or POST to its webhook; and ask afterwards whether the effect is there.

Must never do anything again that may have been done, nor say `absent` where the question was not answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from healerd.actions.command import Limits, run_command
from healerd.actions.outside import Desk
from healerd.actions.remote import JobState, Remote, RemoteJob, RemoteUnknown
from healerd.errors import ActionError

__all__ = ["CallJob", "call"]

OBSERVE_S = 30.0
"""How long the question may take whether an effect is there."""
THERE, NOT_THERE = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallJob:
    """What is to be done, and how one can see that it was. `body` goes to a webhook, and to a command as environment.

    `only_ask`: look whether the effect is there, and do nothing.
    """

    key: str
    deadline_s: float
    limits: Limits
    command: tuple[str, ...] = ()
    remote: Remote | None = None
    observe: tuple[str, ...] = ()
    body: Mapping[str, str] = field(default_factory=dict)
    only_ask: bool = False


def call(job: CallJob, desk: Desk) -> Mapping[str, Any]:
    """Do it, unless it is only to be looked for. Gives the note: done, absent, failed or unknown, with the reason."""
    if job.only_ask:
        return _look(job, desk)
    if job.remote is not None:
        return _post(job, job.remote, desk)
    if not job.command:
        return {"run": "done"}
    ended = run_command(job.command, folder=desk.folder, env=_env(job), limits=job.limits, out=desk.out, tell=desk.tell)
    failure = ended.failure(job.limits)
    if not failure:
        return {"run": "done"}
    if job.observe:
        there = _look(job, desk)
        return {"run": "failed" if there["run"] == "absent" else there["run"], "reason": failure}
    sure = ended.code is not None and ended.code > 0
    return {"run": "failed" if sure else "unknown", "reason": failure}


def _post(job: CallJob, remote: Remote, desk: Desk) -> Mapping[str, Any]:
    at = RemoteJob(remote, job.key, desk.tell)
    at.begin({"key": job.key, **job.body})
    if remote.status_url is None:
        return {"run": "done"}
    at.follow()
    return {"run": "done"}


def _look(job: CallJob, desk: Desk) -> Mapping[str, Any]:
    """Ask whether the effect is there."""
    if job.remote is not None and job.remote.status_url is not None:
        state, told = RemoteJob(job.remote, job.key, desk.tell).look()
        if state is JobState.RUNNING:
            RemoteJob(job.remote, job.key, desk.tell).follow()
            return {"run": "done"}
        return {"run": state.value, "reason": str(told.get("reason", ""))}
    if not job.observe:
        raise RemoteUnknown("nothing was said on how to see whether it took place")
    limits = replace(job.limits, deadline_s=min(OBSERVE_S, job.limits.deadline_s))
    try:
        ended = run_command(job.observe, folder=desk.folder, env=_env(job), limits=limits, out=desk.out, tell=desk.tell)
    except ActionError as error:
        return {"run": "unknown", "reason": f"the question could not be asked: {error}"}
    if ended.code in (THERE, NOT_THERE):
        return {"run": "done" if ended.code == THERE else "absent"}
    return {"run": "unknown", "reason": f"`{job.observe[0]}` could not tell: {ended.failure(limits)}"}


def _env(job: CallJob) -> Mapping[str, str]:
    return {"HEALERD_KEY": job.key, **{f"HEALERD_{name.upper()}": value for name, value in job.body.items()}}
