"""A reference in a file: the profile of healthy windows, the error beside it, and what scores mean. Never holds a row.

One line of JSON, then the bytes of `profiles.reference_to_bytes`. The id is the hash of all of it: equal content has
equal ids.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from healerd.columns import Kind, kind_of
from healerd.detectors.estimates import Calibration, calibrate, calibration_from_json, calibration_to_json
from healerd.errors import SourceError
from healerd.offline.inspection.options import FitOptions
from healerd.offline.inspection.rows import Cut, Table, cut_of, loss_of, stretches, table_of, taken, within
from healerd.profiles import (
    ErrorSummary,
    Loss,
    Maps,
    NumberMap,
    ReferenceProfile,
    fit,
    make_reference,
    profile,
    reference_from_bytes,
    reference_to_bytes,
    slim,
    summarise,
)
from healerd.segments.times import aware
from healerd.sources import survey

__all__ = ["Fitted", "fit_file", "fit_table", "fitted_from_bytes", "fitted_to_bytes", "is_fitted", "read_fitted"]

MAGIC = b'{"healerd_reference":1,'


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A reference, and what of a file is judged with it. `loss`, `error` and `calibration` are None without labels."""

    profile: ReferenceProfile
    source: str
    start_at: datetime | None
    end_at: datetime | None
    cut: Cut
    label_kind: Kind | None
    loss: Loss | None
    error: ErrorSummary | None
    calibration: Calibration | None

    @property
    def id(self) -> str:
        """The hash of the content."""
        return hashlib.sha256(fitted_to_bytes(self)).hexdigest()

    def kinds(self, label: str | None) -> dict[str, Kind]:
        """The kind of each column that a file is read with."""
        maps: Maps = self.profile.maps
        own: dict[str, Kind] = {
            name: "numeric" if isinstance(one, NumberMap) else "categorical" for name, one in maps.features.items()
        }
        return own if label is None or self.label_kind is None else {**own, label: self.label_kind}


def fit_file(options: FitOptions) -> Fitted:
    """Fit a reference to the rows of a file."""
    names = options.columns
    found = survey(options.file, time=names.time, label_time=names.label_time, ignored=names.ignored, now=options.now)
    table = table_of(within(found, options.from_at, options.to_at), names)
    cut = cut_of(timed=table.at is not None, window_s=options.window_s, window_rows=options.window_rows, default=None)
    return fit_table(table, cut, loss=options.loss, label=names.label, source=options.file.name)


def fit_table(table: Table, cut: Cut, *, loss: str | None, label: str | None, source: str) -> Fitted:
    """Fit a reference to rows already sorted. Raises SourceError when there is no feature."""
    if not table.inputs:
        raise SourceError(f"`{source}` has no column left to profile: every one of them is named or ignored")
    maps = fit(table.inputs, scores=table.scores)
    windows = stretches(table, cut)
    compared = make_reference(
        maps,
        [slim(profile(taken(table.inputs, one.rows), maps)) for one in windows],
        starts=[one.start_at for one in windows] if cut.window_s is not None else (),
        window_s=cut.window_s,
    )
    wrong = loss_of(loss, table.label if table.output is not None else None, name=label)
    found = None if wrong is None else table.losses(wrong)
    groups = np.repeat(np.arange(len(windows)), [len(one.rows) for one in windows])
    error = None if found is None else summarise(found, groups)
    calibration = None
    if found is not None and table.score is not None and error is not None:
        calibration = calibrate(table.score, found, output=table.output, sd=error.sd)
    return Fitted(
        profile=compared,
        source=source,
        start_at=None if table.at is None else aware(table.at[0]),
        end_at=None if table.at is None else aware(table.at[-1]),
        cut=cut,
        label_kind=None if table.label is None else kind_of(table.label),
        loss=wrong,
        error=error if error is not None and error.rows else None,
        calibration=calibration,
    )


def fitted_to_bytes(fitted: Fitted) -> bytes:
    """Write a reference."""
    head = {
        "healerd_reference": 1,
        "source": fitted.source,
        "start_at": None if fitted.start_at is None else fitted.start_at.isoformat(),
        "end_at": None if fitted.end_at is None else fitted.end_at.isoformat(),
        "cut": asdict(fitted.cut),
        "label_kind": fitted.label_kind,
        "loss": None if fitted.loss is None else asdict(fitted.loss),
        "error": None if fitted.error is None else asdict(fitted.error),
        "calibration": None if fitted.calibration is None else calibration_to_json(fitted.calibration),
    }
    line = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    return line + b"\n" + reference_to_bytes(fitted.profile)


def fitted_from_bytes(written: bytes) -> Fitted:
    """Read what `fitted_to_bytes` wrote. Raises ValueError when it is not that."""
    head, _, body = written.partition(b"\n")
    try:
        tree: Mapping[str, Any] = json.loads(head)
        return Fitted(
            profile=reference_from_bytes(body),
            source=tree["source"],
            start_at=_time(tree["start_at"]),
            end_at=_time(tree["end_at"]),
            cut=Cut(**tree["cut"]),
            label_kind=tree["label_kind"],
            loss=tree["loss"] and Loss(**tree["loss"]),
            error=tree["error"] and ErrorSummary(**tree["error"]),
            calibration=tree["calibration"] and calibration_from_json(tree["calibration"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a reference: {error}") from error


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def is_fitted(path: Path) -> bool:
    """Tell a fitted reference from a table."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_fitted(path: Path) -> Fitted:
    """Read a reference's file. Raises SourceError when it is not there or damaged."""
    if not path.is_file():
        raise SourceError(f"there is no file `{path}`: name a reference that `healerd reference fit` wrote")
    if not is_fitted(path):
        raise SourceError(f"`{path}` is no fitted reference: make one with `healerd reference fit {path}`")
    try:
        return fitted_from_bytes(path.read_bytes())
    except ValueError as error:
        raise SourceError(f"`{path}` is damaged: {error}; fit it anew") from error
