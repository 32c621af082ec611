"""Which registries are away: told once when one goes and once when it is back, and asked again in between.

While a registry is away its pipeline is judged on, by the version that served last, and whatever needs the registry is
held (`pipeline.Sight`, `actions.away`). Must never let anything start on a registry that has not been fenced and swept
since this daemon started, nor ask one that is silent so often that the other pipelines wait.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from healerd.actions import EFFECTS
from healerd.actions.alias import Alias
from healerd.client.access import REGISTRY
from healerd.client.views import plain
from healerd.clock import Clock
from healerd.config import Config
from healerd.daemon.beginning import Beginning, begin_pipeline, begin_without_registry
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.references import References
from healerd.daemon.situations import newest_decision
from healerd.daemon.tick import ALIAS
from healerd.errors import ActionError, ConfigError, RegistryAway, SourceError, StaleEpoch
from healerd.model import Intent
from healerd.store import Range, Store

__all__ = ["Lookout", "Outage"]

log = logging.getLogger("healerd")

SERVING = tuple(name for name, effect in EFFECTS.items() if effect.serves)
PATIENCE = 10
"""A registry that is silent is asked again after this many times the time that it was waited for, so that pipelines
whose registry answers keep nine tenths of the daemon's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A registry that has just gone, or is back (`over`)."""

    pipeline: str
    place: str
    reason: str
    over: bool


@dataclass(slots=True, kw_only=True)
class Lookout:
    """Keeps `Sight` of every pipeline's registry up to date."""

    store: Store
    references: References
    config: Config
    clock: Clock
    pipelines: Mapping[str, Pipeline]
    _beginning: Beginning | None = None
    _ask_at_s: dict[str, float] = field(default_factory=dict)
    _told: list[Outage] = field(default_factory=list)

    def open(self, recover: Callable[[Sequence[str]], None], *, start_at: datetime | None) -> None:
        """Begin with every pipeline. Raises what `begin_pipeline` raises, but for registries that do not answer.

        Registries at one address are away together: one that is silent is waited for once.
        """
        self._beginning = Beginning(
            store=self.store,
            references=self.references,
            config=self.config,
            clock=self.clock,
            recover=recover,
            start_at=start_at,
        )
        for pipeline in self.pipelines.values():
            self._open(self._beginning, pipeline)

    def _open(self, beginning: Beginning, pipeline: Pipeline) -> None:
        pipeline.sight.alias = _saved_alias(self.store, pipeline.name)
        if not pipeline.sight.away:
            try:
                self._begin(pipeline)
            except RegistryAway as error:
                self.lost(pipeline.name, error)
        if pipeline.sight.begun:
            self._say_back(pipeline)  # it may have gone before this daemon started
        else:
            begin_without_registry(beginning, pipeline)

    def seek(self, pipeline: Pipeline) -> tuple[Outage, ...]:
        """Ask a registry that is away again, when it is time; give what has happened to registries since the last call.

        Raises StaleEpoch, StoreError.
        """
        if pipeline.sight.away:
            self._seek(pipeline)
        told, self._told = tuple(self._told), []
        return told

    def _seek(self, pipeline: Pipeline) -> None:
        sight, began_s = pipeline.sight, self.clock.read().boot_s
        if began_s < self._ask_at_s.get(_host(pipeline), 0.0):
            return
        why, sight.away = sight.away, ""
        try:
            if not sight.begun:
                self._begin(pipeline)
            sight.alias = pipeline.registry.alias()
        except StaleEpoch:
            raise
        except (ActionError, ConfigError, SourceError) as error:
            sight.away = str(error) if not isinstance(error, RegistryAway) else why
            self._rest(pipeline, began_s)
            if sight.away != why:
                self._say_away(pipeline)
        else:
            self._say_back(pipeline)

    def lost(self, name: str, error: RegistryAway) -> None:
        """Take down that a registry has not answered, and with it all at the same address."""
        host = _host(self.pipelines[name])
        for pipeline in self.pipelines.values():
            if _host(pipeline) == host and not pipeline.sight.away:
                pipeline.sight.away = str(error)
                pipeline.sight.alias = _moved_since(self.store, pipeline.name, pipeline.sight.alias)
                self._say_away(pipeline)

    def _begin(self, pipeline: Pipeline) -> None:
        assert self._beginning is not None, "the daemon has opened"
        begin_pipeline(self._beginning, pipeline)
        pipeline.sight.begun = True

    def _rest(self, pipeline: Pipeline, began_s: float) -> None:
        now_s = self.clock.read().boot_s
        self._ask_at_s[_host(pipeline)] = now_s + PATIENCE * (now_s - began_s)

    def _say_away(self, pipeline: Pipeline) -> None:
        """Write down that a registry is away, unless the record says so since an earlier daemon."""
        name, sight = pipeline.name, pipeline.sight
        log.error("`%s`: its registry is away, what needs it is held: %s", name, sight.away)
        known = _recorded(self.store, name)
        since = known["since"] if known else plain(self.clock.now())
        self._told.append(Outage(pipeline=name, place=pipeline.listed.place, reason=sight.away, over=False))
        said = {"place": pipeline.listed.place, "since": since, "reason": sight.away[:1000]}
        with self.store.transaction() as tx:
            if known is None:
                tx.note("registry failed", said, pipeline=name)
            tx.save_state(name, REGISTRY, said)

    def _say_back(self, pipeline: Pipeline) -> None:
        known = _recorded(self.store, pipeline.name)
        if known is None:
            return
        log.info("`%s`: its registry `%s` is back", pipeline.name, known["place"])
        self._told.append(Outage(pipeline=pipeline.name, place=pipeline.listed.place, reason="", over=True))
        with self.store.transaction() as tx:
            tx.note("registry back", known, pipeline=pipeline.name)
            tx.save_state(pipeline.name, REGISTRY, {"place": known["place"], "since": None, "reason": ""})


def _moved_since(store: Store, name: str, alias: Alias | None) -> Alias | None:
    """Say where an alias stands that the newest tick saw, after the moves that this record knows to be made since."""
    tick = newest_decision(store, name)
    moves = (
        store.find(Intent, pipeline=name, action=SERVING, effect_at=Range(tick.at), order="-effect_at", limit=1)
        if tick
        else ()
    )
    version = moves[0].result.get("version") if moves else None
    return replace(alias, version=str(version)) if alias is not None and version is not None else alias


def _saved_alias(store: Store, pipeline: str) -> Alias | None:
    """Read where the alias stood at the newest tick of an earlier daemon; None where that is not known."""
    saved = store.state(pipeline, ALIAS)
    told = json.loads(saved) if saved else {}
    if "version" not in told:
        return None
    return Alias(version=told["version"], generation=int(told["generation"]))


def _recorded(store: Store, pipeline: str) -> dict[str, str] | None:
    """Read since when a registry is away by the record; None when it is not."""
    saved = store.state(pipeline, REGISTRY)
    told: dict[str, str] = json.loads(saved) if saved else {}
    return told if told.get("since") else None


def _host(pipeline: Pipeline) -> str:
    """Name what must answer for a registry: its address without the model, or its folder."""
    return pipeline.listed.place.partition("#")[0]
