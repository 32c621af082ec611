"""The JSON of a report on a file. Must never change a meaning without a new `schema`, nor hold an infinity."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from healerd.detectors.diagnosis import FeatureChange
from healerd.detectors.estimates import Estimate
from healerd.offline.inspection.findings import Inspection, Segment
from healerd.offline.inspection.reference import Fitted
from healerd.offline.inspection.walk import Alarm, Looked
from healerd.offline.inspection.words import story
from healerd.profiles import NumberMap, quantiles
from healerd.profiles.seasons import season_said

__all__ = ["inspection_json", "reference_json"]


def inspection_json(found: Inspection) -> dict[str, Any]:
    """Give the report as plain JSON values; the README of the package says what each key holds."""
    tree = {
        "story": story(found),
        "alarm": found.stands,
        "change": found.change.value,
        "data": {
            "file": found.options.file.name,
            "rows": found.rows,
            "columns": found.columns,
            "from": found.from_at,
            "to": found.to_at,
            "sha256": found.sha256,
            "lost": list(found.lost),
            "new": list(found.new),
            "flaws": [asdict(one) for one in found.flaws],
            "notes": list(found.notes),
        },
        "reference": _reference(found.fitted),
        "alarms": [_alarm(one, found) for one in found.alarms],
        "focus": {**asdict(found.focus), **_names(found.focus.first, found.focus.last, found.windows)},
        "course": None if found.course is None else asdict(found.course),
        "features": [_feature(one, found) for one in found.features],
        "joint": None if found.joint is None else asdict(found.joint),
        "estimates": _estimates(found),
        "gains": {name: asdict(gain) for name, gain in found.walk.gains.items()},
        "earlier": [asdict(one) for one in found.earlier],
        "segments": [_segment(one, found) for one in found.segments],
        "windows": [_window(one) for one in found.windows],
        "promise": found.promise,
    }
    plain: dict[str, Any] = _plain(tree)
    return plain


def _plain(value: Any) -> Any:
    """Tuples become lists, times text; a number too large for JSON becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _reference(fitted: Fitted) -> dict[str, Any]:
    return {
        "id": fitted.id,
        "source": fitted.source,
        "rows": fitted.profile.whole.rows,
        "windows": fitted.profile.windows,
        "from": fitted.start_at,
        "to": fitted.end_at,
        "window": str(fitted.cut),
        "error": None if fitted.error is None else asdict(fitted.error),
    }


def _names(first: int, last: int, windows: tuple[Looked, ...]) -> dict[str, Any]:
    return {"from": windows[first].name, "to": windows[last].name}


def _alarm(one: Alarm, found: Inspection) -> dict[str, Any]:
    return {
        "layer": one.layer.value,
        **_names(one.first, one.last, found.windows),
        "stands": one.stands,
        "since": found.named(one.since_at),
        "by_chance_at_most": one.by_chance,
        "features": list(one.subjects),
        "reasons": list(one.reasons),
    }


def _feature(one: FeatureChange, found: Inspection) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(one).items() if name != "since_at"}
    return {**kept, "layer": one.layer.value, "since": found.named(one.since_at)}


def _estimates(found: Inspection) -> list[dict[str, Any]]:
    told: list[Estimate | None] = [found.estimate, None if found.absolute is None else found.absolute[0]]
    return [asdict(one) for one in (*told, found.posterior) if one is not None]


def _segment(one: Segment, found: Inspection) -> dict[str, Any]:
    return {
        "value": one.value,
        "rows": one.rows,
        "alarms": [
            {"layer": each.layer.value, "stands": each.stands, "since": found.named(each.since_at)}
            for each in one.alarms
        ],
        "feature": None if one.feature is None else _feature(one.feature, found),
        "error": None if one.error is None else asdict(one.error),
        "error_usual": one.error_usual,
    }


def _window(one: Looked) -> dict[str, Any]:
    return {
        "name": one.name,
        "rows": one.rows,
        "empty_before": one.empty,
        "labelled": one.labelled,
        "error": one.error,
        "quality": one.quality.value,
        "reasons": list(one.reasons),
        "layers": {
            layer.value: {"alarm": sign.alarm, "log_evidence": sign.log_evidence, "log_limit": sign.log_limit}
            for layer, sign in one.signs.items()
        },
        "effects": dict(one.effects),
        "estimate": None if one.estimate is None else asdict(one.estimate),
    }


def reference_json(fitted: Fitted) -> dict[str, Any]:
    """Give a reference as plain JSON values: what it was fitted on, and each feature with its habits."""
    maps, whole = fitted.profile.maps, fitted.profile.whole
    seasons = {} if fitted.profile.seasons is None else fitted.profile.seasons.features
    features = []
    for name, one in maps.features.items():
        counts, habit = whole.features[name], fitted.profile.habits[name]
        features.append(
            {
                "name": name,
                "kind": "numeric" if isinstance(one, NumberMap) else "categorical",
                "score": name in maps.scores,
                "n": counts.n,
                "missing": counts.missing,
                "quantiles": list(quantiles(counts.cells, one, (0.0, 0.25, 0.5, 0.75, 1.0)))
                if isinstance(one, NumberMap)
                else None,
                "names": None if isinstance(one, NumberMap) else len(one.names),
                "habit": asdict(habit),
                "season": season_said(seasons[name]) if name in seasons else None,
            }
        )
    plain: dict[str, Any] = _plain({**_reference(fitted), "features": features})
    return plain
