"""One door to a healerd, whether its daemon runs or not. Must never show old data as if it were live.

Looking asks the daemon; when it is away the database is read directly, and `status` says so. Changing always goes
through the daemon, except that `stop_all` also leaves a file that is read before each effect (SAFETY S15).
"""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healerd.client.follow import Follow
from healerd.client.link import Link, segment
from healerd.errors import ControlError, HealerdError, TimedOut

if TYPE_CHECKING:
    from healerd.clock import Clock
    from healerd.store import ReadStore

__all__ = ["ACTIONS", "REGISTRY", "STOP", "Client", "Json", "Looking", "account"]

ACTIONS = "actions"
"""The name under which it is saved which actions are configured for a pipeline."""
REGISTRY = "registry"
"""The name under which it is saved whether a pipeline's registry is away: its place, since when, and why."""
STOP = "STOP"
"""Name of the file in the state folder that stops everything while it exists (SAFETY S15)."""

STOP_PATIENCE_S = 2.0
"""How long a daemon may take to say that it has stopped everything; the file holds either way."""

Json = dict[str, Any]


class Looking:
    """What can be looked at; where it comes from is up to `look`. Every method may raise NotFound and ControlError."""

    def look(self, path: str, **query: str | int | None) -> Json:
        """Make the view behind a path of the control API; what is None in `query` counts as not given."""
        raise NotImplementedError

    def status(self) -> Json:
        """Everything at a glance; `daemon.state` is `live`, `away` or `replay`, `stop_file` names a file that stops."""
        return self.look("/v1/status")

    def pipeline(self, name: str) -> Json:
        """One pipeline. Raises NotFound with the nearest name."""
        return self.look(f"/v1/pipelines/{segment(name)}")

    def distributions(self, name: str, *, window: str | None = None) -> Json:
        """The features of one window beside their reference, the most drifted first.

        `window` is the end of one as ISO text; by default the newest is shown.
        """
        return self.look(f"/v1/pipelines/{segment(name)}/distributions", window=window)

    def timeline(self, name: str, *, windows: int = 200, before: int | None = None) -> Json:
        """The newest windows of a pipeline, oldest first, and what happened; `before` pages towards the past."""
        return self.look(f"/v1/pipelines/{segment(name)}/timeline", windows=windows, before=before)

    def versions(self, name: str) -> Json:
        """The stored versions of a pipeline's model, each with its record."""
        return self.look(f"/v1/pipelines/{segment(name)}/versions")

    def rules(self, name: str, *, days: int = 7) -> Json:
        """The rules in force on a pipeline, and how often each fired in the last days."""
        return self.look(f"/v1/pipelines/{segment(name)}/rules", days=days)

    def policy(self, name: str) -> Json:
        """How far a pipeline is trusted, what its policy has learned, and what bounds and speaks for it."""
        return self.look(f"/v1/pipelines/{segment(name)}/policy")

    def intents(self, *, pipeline: str | None = None, all_states: bool = False, limit: int = 200) -> Json:
        """The open intents, the most pressing first; with `all_states`, the newest of any state."""
        return self.look("/v1/intents", pipeline=pipeline, all="yes" if all_states else None, limit=limit)

    def intent(self, intent_id: str, *, reviewing: bool = False) -> Json:
        """One intent with all that a person needs to answer it.

        `reviewing` tells the others at this daemon that somebody has it before their eyes; nothing is recorded.
        """
        return self.look(f"/v1/intents/{segment(intent_id)}")

    def traces(
        self,
        *,
        pipeline: str | None = None,
        limit: int = 50,
        before: int | None = None,
        after: int | None = None,
        action: str | None = None,
        level: str | None = None,
        text: str | None = None,
    ) -> Json:
        """A page of decisions, newest first; `before` and `after` are what an earlier page gave."""
        return self.look(
            "/v1/traces",
            pipeline=pipeline,
            limit=limit,
            before=before,
            after=after,
            action=action,
            level=level,
            text=text,
        )

    def trace(self, decision_id: str) -> Json:
        """One decision with everything it stood on."""
        return self.look(f"/v1/traces/{segment(decision_id)}")

    def why_not(self, action: str, *, pipeline: str | None = None, decision_id: str | None = None) -> Json:
        """Why an action was not done: by one decision, or by the newest on a pipeline that judged it."""
        return self.look("/v1/why-not", action=action, pipeline=pipeline, id=decision_id)

    def audit(
        self,
        *,
        before: int | None = None,
        after: int | None = None,
        kind: str | None = None,
        actor: str | None = None,
        pipeline: str | None = None,
        text: str | None = None,
        limit: int = 200,
    ) -> Json:
        """A page of the audit log, newest first; filters may name several values, parted by commas."""
        return self.look(
            "/v1/audit",
            before=before,
            after=after,
            kind=kind,
            actor=actor,
            pipeline=pipeline,
            text=text,
            limit=limit,
        )

    def entry(self, seq: int) -> Json:
        """One leaf of the audit log with its whole record."""
        return self.look(f"/v1/audit/{seq}")

    def health(self) -> Json:
        """How the process, its jobs and its store do, what should be mended, and the end of the log."""
        return self.look("/v1/health")

    def what_if(self, name: str, *, rules_id: str, path: str, text: str, days: int = 7) -> Json:
        """What the last days' decisions would have been with another text of one rule file; nothing is changed.

        It reads the record itself, in this process. `findings` are what keeps the text from loading.
        """
        raise NotImplementedError


class Client(Looking):
    """Access to the healerd of one state folder. `attended` says that a person sees what is fetched (SAFETY S9).

    `clock` tells the time while the daemon is away: the system's by default. `remote` says that the state folder lies
    on another machine: then there is nothing to read, nor a file to leave, when its daemon is away.
    """

    def __init__(
        self,
        state: Path,
        *,
        socket: Path | None = None,
        attended: bool = False,
        timeout_s: float = 10.0,
        clock: "Clock | None" = None,
        remote: bool = False,
    ) -> None:
        self.state, self.remote, self._clock = state, remote, clock
        self.link = Link(socket or state / "control.sock", attended=attended, timeout_s=timeout_s)

    # looking

    def look(self, path: str, **query: str | int | None) -> Json:
        """Ask the daemon, or make the same view from the database when no daemon is there."""
        try:
            return self.link.get(path, **query)
        except ControlError as error:
            if type(error) is not ControlError or self.remote or not _is_there(self.state / "healerd.db"):
                raise
        from healerd.client.stored import stored_view  # the way without a daemon: its modules take long to load

        return stored_view(self.state, path, query, clock=self._clock)

    def status(self) -> Json:
        """Everything at a glance; `daemon.state` is `live` or `away`, `stop_file` names the file that stops all."""
        stop = self.state / STOP
        return {**super().status(), "stop_file": str(stop) if _is_there(stop) else None}

    def intent(self, intent_id: str, *, reviewing: bool = False) -> Json:
        """One intent with all that a person needs to answer it; `reviewing` tells the others that we do."""
        path = f"/v1/intents/{segment(intent_id)}"
        if reviewing:
            try:
                return self.link.get_saying(path, {"healerd-reviewing": "yes"})
            except ControlError as error:
                if type(error) is not ControlError:
                    raise
        return self.look(path)

    def health(self) -> Json:
        """How the process, its jobs and its store do, what should be mended, and the end of the log."""
        from healerd.client.checks import findings_of  # it looks around, which no other look needs

        return {**super().health(), "findings": findings_of(self)}

    def verify(self) -> Json:
        """Check the whole audit log, and every row against it, in this process: it may take long."""
        from healerd.client.stored import verified  # as above
        from healerd.clock import SystemClock

        with self.open_store() as reader:
            return verified(reader, at=(self._clock or SystemClock()).now())

    def what_if(self, name: str, *, rules_id: str, path: str, text: str, days: int = 7) -> Json:
        """What the last days' decisions would have been with another text of one rule file. Raises ControlError."""
        if self.remote:
            raise ControlError("the record lies on the other machine: run `healerd backtest --rules FILE` there")
        from healerd.client.backtest.whatif import what_if  # as above
        from healerd.clock import SystemClock

        with self.open_store() as reader:
            at = (self._clock or SystemClock()).now()
            return what_if(reader, name, rules_id=rules_id, path=path, text=text, days=days, at=at)

    def events(self, *, after: int | None = None) -> Iterator[Json]:
        """Follow the audit log as it grows; needs the daemon."""
        return self.link.events(after=after)

    def follow(self, *, after: int | None = None) -> Follow:
        """Follow the daemon for ever, through its restarts, from the leaf after `after` (by default from now)."""
        return Follow(self.link, after=after)

    def open_store(self) -> "ReadStore":
        """Open the database read-only. Raises ControlError when there is none."""
        from healerd.client.stored import open_state  # as above

        return open_state(self.state)

    # changing

    def answer(
        self, intent_id: str, kind: str, *, reason: str, if_rev: str | None = None, key: str | None = None
    ) -> Json:
        """Say `approve`, `deny`, `veto` or `lift` to an intent. Raises NotAllowed, NotFound, Conflict."""
        path = f"/v1/intents/{segment(intent_id)}/answer"
        return self._change(path, reason=reason, if_rev=if_rev, kind=kind, key=key)

    def resolve(self, intent_id: str, *, took_effect: bool, reason: str, if_rev: str) -> Json:
        """Say whether the effect that nobody could tell is there. Raises NotAllowed, NotFound, Conflict."""
        path = f"/v1/intents/{segment(intent_id)}/resolve"
        return self._change(path, reason=reason, if_rev=if_rev, effect="took" if took_effect else "none")

    def pause(self, name: str, *, reason: str) -> Json:
        """Stop one pipeline."""
        return self._change(f"/v1/pipelines/{segment(name)}/pause", reason=reason)

    def resume(self, name: str, *, reason: str, if_rev: str) -> Json:
        """End the pause of one pipeline; `if_rev` is the revision that its view showed."""
        return self._change(f"/v1/pipelines/{segment(name)}/resume", reason=reason, if_rev=if_rev)

    def propose(self, name: str, action: str, *, reason: str, to: str | None = None) -> Json:
        """Ask for a heal, under the same guards as any other."""
        return self._change(f"/v1/pipelines/{segment(name)}/propose", reason=reason, action=action, to=to)

    def rehearse(self, name: str, action: str, *, to: str | None = None) -> Json:
        """Ask what `propose` would decide and do now; it changes nothing."""
        path = f"/v1/pipelines/{segment(name)}/propose"
        return self._change(path, reason="a rehearsal, nothing is done", action=action, to=to, dry_run="yes")

    def set_stage(self, name: str, stage: str, *, reason: str, if_rev: str | None = None) -> Json:
        """Move a pipeline to another stage; promotion needs the revision that its view showed."""
        return self._change(f"/v1/pipelines/{segment(name)}/stage", reason=reason, if_rev=if_rev, stage=stage)

    def stop_all(self, *, reason: str) -> Json:
        """Stop everything: by a file that is read before each effect, and by telling the daemon.

        The daemon asks for a role and a reason, the file for the right to write it; `refused` says why a daemon did
        not take it. Raises HealerdError when neither could be done.
        """
        written = self._write_stop_file(reason)
        told: Json | None = None
        refused = ""
        try:
            told = Link(self.link.path, timeout_s=STOP_PATIENCE_S).post("/v1/stop-all", reason=reason)
        except HealerdError as error:
            if not written:
                raise
            refused = "" if type(error) in {ControlError, TimedOut} else str(error)
        file = str(self.state / STOP) if written else None
        return {"schema": 1, "file": file, "daemon": told, "refused": refused}

    def accept(self, name: str, *, reason: str, if_rev: str, since: str | None = None, dry_run: bool = False) -> Json:
        """Take a change of a pipeline's inputs as expected, and give the reference it is held against from now on.

        With `dry_run` it is the reference that would be, and nothing changes.
        """
        path, dry = f"/v1/pipelines/{segment(name)}/accept", "yes" if dry_run else None
        return self._change(path, reason=reason, if_rev=if_rev, since=since, dry_run=dry)

    def resume_all(self, *, reason: str, if_rev: str) -> Json:
        """End a stop of everything."""
        return self._change("/v1/resume-all", reason=reason, if_rev=if_rev)

    def reload_rules(self, *, reason: str) -> Json:
        """Have the daemon compile its rule files anew."""
        return self._change("/v1/rules/reload", reason=reason)

    def _change(self, path: str, *, reason: str, key: str | None = None, **options: str | None) -> Json:
        done: Json = self.link.post(path, reason=reason, key=key, **options)["done"]
        return done

    def _write_stop_file(self, reason: str) -> bool:
        if self.remote:
            return False
        try:
            (self.state / STOP).write_text(f"{account()}: {reason}\n", encoding="utf-8", errors="replace")
        except OSError:
            return False
        return True


def account() -> str:
    """The name of the account that this process runs under; its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _is_there(path: Path) -> bool:
    """Tell whether a file is there; one in a folder that is closed to us is not."""
    try:
        return path.exists()
    except PermissionError:
        return False
