"""One door to a healerd, whether its daemon runs or not. Must never show old data as if it were live.

Looking asks the daemon; when it is away the database is read directly, and `status` says so. Changing always goes
through the daemon, except that `stop_all` also leaves a file that is read before each effect (SAFETY S15).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healerd.client.link import Link, segment
from healerd.errors import ControlError

if TYPE_CHECKING:
    from healerd.client.views import Reader
    from healerd.store import ReadStore

__all__ = ["EVERYTHING", "STOP", "Client"]

EVERYTHING = "*"
"""What stands for every pipeline where one would be named."""
STOP = "STOP"
"""Name of the file in the state folder that stops everything while it exists."""

STOP_PATIENCE_S = 2.0
"""How long a daemon may take to say that it has stopped everything; the file holds either way."""

Json = dict[str, Any]


class Client:
    """Access to the healerd of one state folder. `attended` says that a person sees what is fetched (SAFETY S9)."""

    def __init__(
        self, state: Path, *, socket: Path | None = None, attended: bool = False, timeout_s: float = 10.0
    ) -> None:
        self.state = state
        self.link = Link(socket or state / "control.sock", attended=attended, timeout_s=timeout_s)

    # looking

    def status(self) -> Json:
        """Everything at a glance; `daemon.state` is `live` or `away`, `stop_file` names the file that stops all."""

        def stored(reader: "Reader", views: Any, names: Sequence[str]) -> Json:
            return {**views.status_view(reader, names, at=_now()), "daemon": {"state": "away"}, "you": None}

        stop = self.state / STOP
        return {**self._look("/v1/status", stored), "stop_file": str(stop) if stop.exists() else None}

    def pipeline(self, name: str) -> Json:
        """One pipeline. Raises NotFound with the nearest name."""

        def stored(reader: "Reader", views: Any, names: Sequence[str]) -> Json:
            views.require_pipeline(name, names)
            return {"schema": 1, **views.pipeline_view(reader, name, at=_now())}

        return self._look(f"/v1/pipelines/{segment(name)}", stored)

    def intents(self, *, pipeline: str | None = None, all_states: bool = False, limit: int = 200) -> Json:
        """The open intents, the most pressing first; with `all_states`, the newest of any state."""

        def stored(reader: "Reader", views: Any, names: Sequence[str]) -> Json:
            found: Json = views.intents_view(reader, pipeline=pipeline, all_states=all_states, limit=limit)
            return found

        wanted = "yes" if all_states else None
        return self._look("/v1/intents", stored, pipeline=pipeline, all=wanted, limit=limit)

    def intent(self, intent_id: str) -> Json:
        """One intent with the decision behind it. Raises NotFound."""
        return self._look(
            f"/v1/intents/{segment(intent_id)}", lambda reader, views, names: views.intent_view(reader, intent_id)
        )

    def traces(self, *, pipeline: str | None = None, limit: int = 50) -> Json:
        """The newest decisions."""

        def stored(reader: "Reader", views: Any, names: Sequence[str]) -> Json:
            if pipeline is not None:
                views.require_pipeline(pipeline, names)
            found: Json = views.traces_view(reader, pipeline=pipeline, limit=limit)
            return found

        return self._look("/v1/traces", stored, pipeline=pipeline, limit=limit)

    def trace(self, decision_id: str) -> Json:
        """One decision with everything it stood on. Raises NotFound."""
        return self._look(
            f"/v1/traces/{segment(decision_id)}", lambda reader, views, names: views.trace_view(reader, decision_id)
        )

    def events(self, *, after: int | None = None) -> Iterator[Json]:
        """Follow the audit log as it grows; needs the daemon."""
        return self.link.events(after=after)

    def open_store(self) -> "ReadStore":
        """Open the database read-only. Raises ControlError when there is none."""
        from healerd.store import ReadStore  # the way without a daemon, and without its start-up time otherwise

        if not (self.state / "healerd.db").exists():
            raise ControlError(f"no database in `{self.state}`; name the state folder with --state DIR")
        return ReadStore(self.state)

    # changing

    def answer(
        self, intent_id: str, kind: str, *, reason: str, if_rev: str | None = None, key: str | None = None
    ) -> Json:
        """Say `approve`, `deny`, `veto` or `lift` to an intent. Raises NotAllowed, NotFound, Conflict."""
        path = f"/v1/intents/{segment(intent_id)}/answer"
        return self._change(path, reason=reason, if_rev=if_rev, kind=kind, key=key)

    def pause(self, name: str, *, reason: str) -> Json:
        """Stop one pipeline."""
        return self._change(f"/v1/pipelines/{segment(name)}/pause", reason=reason)

    def resume(self, name: str, *, reason: str, if_rev: str) -> Json:
        """End the pause of one pipeline; `if_rev` is the revision that its view showed."""
        return self._change(f"/v1/pipelines/{segment(name)}/resume", reason=reason, if_rev=if_rev)

    def propose(self, name: str, action: str, *, reason: str, to: str | None = None) -> Json:
        """Ask for a heal, under the same guards as any other."""
        return self._change(f"/v1/pipelines/{segment(name)}/propose", reason=reason, action=action, to=to)

    def set_stage(self, name: str, stage: str, *, reason: str, if_rev: str | None = None) -> Json:
        """Move a pipeline to another stage; promotion needs the revision that its view showed."""
        return self._change(f"/v1/pipelines/{segment(name)}/stage", reason=reason, if_rev=if_rev, stage=stage)

    def stop_all(self, *, reason: str) -> Json:
        """Stop everything: by a file that is read before each effect, and by telling the daemon.

        Raises ControlError when neither could be done.
        """
        written = self._write_stop_file(reason)
        try:
            told: Json | None = Link(self.link.path, timeout_s=STOP_PATIENCE_S).post("/v1/stop-all", reason=reason)
        except ControlError:
            if not written:
                raise
            told = None
        return {"schema": 1, "file": str(self.state / STOP) if written else None, "daemon": told}

    def resume_all(self, *, reason: str, if_rev: str) -> Json:
        """End a stop of everything."""
        return self._change("/v1/resume-all", reason=reason, if_rev=if_rev)

    def reload_rules(self, *, reason: str) -> Json:
        """Have the daemon compile its rule files anew."""
        return self._change("/v1/rules/reload", reason=reason)

    def _change(self, path: str, *, reason: str, key: str | None = None, **options: str | None) -> Json:
        done: Json = self.link.post(path, reason=reason, key=key, **options)["done"]
        return done

    def _look(
        self,
        path: str,
        stored: Callable[["Reader", Any, Sequence[str]], Json],
        **query: str | int | None,
    ) -> Json:
        """Ask the daemon, or make the same view from the database when no daemon is there."""
        try:
            return self.link.get(path, **query)
        except ControlError as error:
            if type(error) is not ControlError or not (self.state / "healerd.db").exists():
                raise
        from healerd.client import views

        reader = self.open_store()
        try:
            return stored(reader, views, _known_pipelines(reader))
        finally:
            reader.close()

    def _write_stop_file(self, reason: str) -> bool:
        import getpass

        try:
            (self.state / STOP).write_text(f"{getpass.getuser()}: {reason}\n", encoding="utf-8")
        except OSError:
            return False
        return True


def _known_pipelines(reader: "ReadStore") -> Sequence[str]:
    from healerd.store import Watermark

    return sorted(mark.pipeline for mark in reader.find(Watermark))


def _now() -> Any:
    from healerd.clock import SystemClock

    return SystemClock().now()
