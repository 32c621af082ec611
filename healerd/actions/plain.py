"""Safe models as plain JSON: the one model that healerd writes itself can be stored without any other package.

Must never run code, nor take a file for a safe model that does not say so.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from healerd.actions.safe_model import Levels, SafeModel, Table
from healerd.errors import ActionError

__all__ = ["from_plain", "to_plain"]

KIND = "safe model 1"


def to_plain(model: SafeModel) -> bytes:
    """Write a safe model as JSON: the same model gives the same bytes."""
    told = {
        "kind": KIND,
        "overall": model.overall,
        "tables": [
            {"levels": [_levels(each) for each in table.levels], "answers": _numbers(table.answers)}
            for table in model.tables
        ],
        "classes": None if model.classes is None else model.classes.tolist(),
    }
    return json.dumps(told, sort_keys=True).encode()


def from_plain(content: bytes) -> SafeModel:
    """Read what `to_plain` wrote. Raises ActionError for anything else."""
    try:
        told = json.loads(content)
        if told["kind"] != KIND:
            raise ValueError(f"`{told['kind']}`, not `{KIND}`")
        return SafeModel(
            overall=float(told["overall"]),
            tables=tuple(_table(each) for each in told["tables"]),
            classes=_classes(told["classes"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ActionError(f"this is no safe model ({error}); restore it from a backup or remove it") from error


def _levels(levels: Levels) -> dict[str, Any]:
    return {
        "column": levels.column,
        "names": None if levels.names is None else dict(levels.names),
        "edges": None if levels.edges is None else levels.edges.tolist(),
        "count": levels.count,
    }


def _table(told: Mapping[str, Any]) -> Table:
    levels = tuple(
        Levels(
            column=str(each["column"]),
            names=None if each["names"] is None else {str(name): int(code) for name, code in each["names"].items()},
            edges=None if each["edges"] is None else np.array(each["edges"], dtype=np.float64),
            count=int(each["count"]),
        )
        for each in told["levels"]
    )
    answers = np.array([np.nan if each is None else each for each in told["answers"]["values"]], dtype=np.float64)
    return Table(levels=levels, answers=answers.reshape(told["answers"]["shape"]))


def _numbers(answers: Any) -> dict[str, Any]:
    values = [None if np.isnan(each) else float(each) for each in answers.ravel()]
    return {"shape": list(answers.shape), "values": values}


def _classes(told: list[Any] | None) -> Any:
    if told is None:
        return None
    return np.array(told, dtype=np.object_ if any(isinstance(each, str) for each in told) else np.float64)
