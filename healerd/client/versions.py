"""The stored versions of a pipeline's model, each with its own record. Must never rank them: the rows differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from healerd.client.asked import Asked
from healerd.client.views import Json, Reader, plain, require_pipeline
from healerd.model import Cohort, Decision, Intent, Reference, Rival, Version
from healerd.store import Range

__all__ = ["versions"]

COHORTS = 7
"""Newest label cohorts that make up a version's record: one weekly cycle of daily windows."""
SHADOWS = 50
"""Newest decisions in which comparisons on the same rows are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalsBrief:
    """The versions that were shadowed in one tick, the version that served, and what actions cost."""

    active: Version | None = None
    rivals: tuple[Rival, ...] = ()
    costs: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTrace:
    """The part of a trace that has the rivals."""

    situation: RivalsBrief = field(default_factory=RivalsBrief)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowBrief:
    """A decision as the versions see it."""

    at: datetime
    trace: ShadowTrace = field(default_factory=ShadowTrace)


def versions(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at the versions, newest first, with the one that serves marked. Raises NotFound."""
    name = asked["name"]
    require_pipeline(name, names)
    decisions = [one for _, one in reader.page(Decision, as_type=ShadowBrief, limit=SHADOWS, pipeline=name)[0]]
    situations = [one.trace.situation for one in decisions]
    active = next((one.active.name for one in situations if one.active), None)
    stored = list(reader.find(Version, order="-created_at", pipeline=name))
    references = {one.version: one for one in reader.find(Reference, order="seq", pipeline=name)}
    rivals = {rival.version: rival for one in reversed(situations) for rival in one.rivals}
    return {
        "schema": 1,
        "pipeline": name,
        "active": active,
        "return_cost": _return_cost(situations),
        "versions": [
            {
                "name": version.name,
                "kind": version.kind.value,
                "active": version.name == active,
                "since_at": plain(_since(reader, version)) if version.name == active else None,
                "created_at": plain(version.created_at),
                "by": _maker(reader, version),
                "note": version.note,
                "trained_from_at": plain(version.trained_from_at),
                "trained_to_at": plain(version.trained_to_at),
                "trained_rows": version.trained_rows,
                "reference_error": references[version.name].error if version.name in references else None,
                "served": _served(reader, version),
                "shadow": plain(rivals[version.name]) if version.name in rivals else None,
            }
            for version in stored
        ],
    }


def _return_cost(situations: Sequence[RivalsBrief]) -> float | None:
    """What a rollback costs as its owner configured it, in the unit of all costs."""
    costs = next((one.costs for one in situations if isinstance(one.costs, dict)), {})
    rollback: Any = next((one for one in costs.get("actions", ()) if one.get("action") == "rollback"), {})
    cost: float | None = rollback.get("cost")
    return cost


def _served(reader: Reader, version: Version) -> Json:
    own = reader.find(Cohort, order="-window_end_at", limit=COHORTS, pipeline=version.pipeline, version=version.name)
    labelled = sum(one.labelled for one in own)
    return {
        "windows": len(own),
        "rows": sum(one.rows for one in own),
        "labelled": labelled,
        "error": sum(one.loss_sum for one in own) / labelled if labelled else None,
    }


def _since(reader: Reader, version: Version) -> datetime | None:
    """When the active version began to serve: by an intent that moved the alias, else with its first window."""
    moved = reader.find(
        Intent, order="-effect_at", limit=1, pipeline=version.pipeline, target=version.name, effect_at=Range("")
    )
    if moved:
        return moved[0].effect_at
    first = reader.find(Cohort, order="window_start_at", limit=1, pipeline=version.pipeline, version=version.name)
    return first[0].window_start_at if first else None


def _maker(reader: Reader, version: Version) -> str | None:
    """Who had it made: the author of the intent whose effect it is; None for one that came from outside."""
    made = reader.find(Intent, limit=1, pipeline=version.pipeline, key=version.key) if version.key else ()
    return made[0].author if made else None
