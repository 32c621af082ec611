"""Actions that the owner has named: a command or webhook that is run, or a notification. They serve nothing.

Must never run anything a second time that may have been done, unless it is a message: of that, one too many does no
harm.
"""

import logging
from collections.abc import Mapping

from healerd.action_settings import ActionSettings
from healerd.actions.call import CallJob
from healerd.actions.limits import limits_of, remote_of
from healerd.actions.worker import Run
from healerd.actions.world import Observation, Plan, Refusal, Seen, World
from healerd.model import Intent

__all__ = ["Notify", "RunIt"]

log = logging.getLogger("healerd")


class _Named:
    """What both kinds have in common: a job by the intent's key, whose note says how it ended."""

    serves = False
    needs_good_data = False
    needs_registry = False

    def __init__(self, name: str, settings: ActionSettings) -> None:
        self.name, self._settings = name, settings
        self.idempotent, self.dedupe, self.reversible = settings.idempotent, settings.dedupe, settings.reversible
        self.observable = settings.observe is not None or settings.status_url is not None
        self.does = settings.does or f"runs {self._what()}"

    def plan(self, world: World) -> Plan | Refusal:
        """Say what would be run."""
        return Plan(action=self.name, target=None, current=None, note=self._what())

    def makes(self, intent: Intent) -> str | None:
        """Name no version: it makes none."""
        return None

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Begin it."""
        world.worker.start(self._job(intent, world, only_ask=False))

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Read how its job ended. A job that left no word is looked for in the world where that is possible."""
        look = world.worker.look(intent.key)
        if look.run is Run.ABSENT and not look.asked:
            return self._lost(intent, world)
        return Observation(seen=Seen(look.run), at=world.now, reason=look.reason)

    def _lost(self, intent: Intent, world: World) -> Observation:
        if not self.observable:
            return Observation(seen=Seen.UNKNOWN, reason="it was begun, and nobody can tell whether it took effect")
        world.worker.start(self._job(intent, world, only_ask=True))
        return Observation(seen=Seen.RUNNING, reason="its effect is looked for")

    def _what(self) -> str:
        settings = self._settings
        way = f"POST {settings.url}" if settings.url else f"`{' '.join(settings.command or ())}`"
        traits = [name for name in ("idempotent", "dedupe", "reversible", "observable") if getattr(self, name)]
        return f"{way}, at most {settings.deadline:g} s; {', '.join(traits) or 'nothing'} declared of it"

    def _job(self, intent: Intent, world: World, *, only_ask: bool) -> CallJob:
        settings = self._settings
        return CallJob(
            key=intent.key,
            deadline_s=settings.deadline,
            limits=limits_of(settings),
            command=tuple(settings.command or ()),
            remote=remote_of(settings),
            observe=tuple(settings.observe or ()),
            body=self._body(intent, world),
            only_ask=only_ask,
        )

    def _body(self, intent: Intent, world: World) -> Mapping[str, str]:
        return {
            "pipeline": world.pipeline,
            "action": self.name,
            "intent": intent.id,
            "incident": intent.incident_id or "",
            "reason": intent.reason,
            "message": self._settings.message,
        }


class RunIt(_Named):
    """Run a command, or POST to a webhook."""


class Notify(_Named):
    """Send a message: by a command, to a webhook, or into the log. Sent once more rather than not at all."""

    def __init__(self, name: str, settings: ActionSettings) -> None:
        super().__init__(name, settings)
        self.idempotent = self.observable = True

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Send it."""
        if self._settings.command is None and self._settings.url is None:
            said = (self._settings.message, intent.reason)
            log.warning("`%s`: %s: %s", world.pipeline, self.name, ": ".join(filter(None, said)))
        super().execute(intent, world, epoch=epoch)

    def _lost(self, intent: Intent, world: World) -> Observation:
        return Observation(seen=Seen.ABSENT)

    def _what(self) -> str:
        settings = self._settings
        return super()._what() if settings.url or settings.command else "a line in the log"
