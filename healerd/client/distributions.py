"""How the features of one window are spread, beside their reference: the same bins for both, and what was measured.

Pure. Must never smooth, scale or leave out rows: shares are counts over counts, and what lies outside every bin has one
of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from healerd.client.asked import Asked, moment
from healerd.client.views import Json, Reader, plain, require_pipeline
from healerd.errors import NotFound
from healerd.model import Measurement, Reference
from healerd.profiles import (
    Counts,
    NameMap,
    NumberMap,
    Profile,
    ReferenceProfile,
    from_bytes,
    reference_from_bytes,
)
from healerd.profiles.counts import Tally
from healerd.profiles.maps import OUTER, CellMap
from healerd.profiles.ranks import cumulative
from healerd.store import SavedProfile

__all__ = ["distributions"]

BINS, NAMES_MAX, POINTS = 24, 12, 64
EDGE_SHARE = 0.005
"""Rows at either end that share one open bin, so that a single outlier does not squeeze all others into one bar."""
REFERENCES_MAX = 50
OTHER, UNSEEN = "(other)", "(unseen)"


def distributions(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at one window's features, the most drifted first. Raises NotFound."""
    name, window = asked["name"], moment(asked, "window")
    require_pipeline(name, names)
    saved = _saved(reader, name, window)
    view: Json = {"schema": 1, "pipeline": name, "features": [], "rows": 0}
    if saved is None:
        return {**view, "version": None, "window_start_at": None, "window_end_at": None, "reference_id": None}
    written = reader.profile(name, saved.version, saved.window_end_at)
    measured = reader.measurements(name, saved.window_end_at)
    found = from_bytes(written) if written else None
    reference_id, reference = _reference(reader, name, found, measured)
    features = list(_features(found, reference, measured)) if found and reference else []
    features.sort(key=lambda one: (not one["alarm"], -(one["log_evidence"] or 0.0), -abs(one["effect"] or 0.0)))
    return {
        **view,
        "version": saved.version,
        "window_start_at": plain(saved.window_start_at),
        "window_end_at": plain(saved.window_end_at),
        "reference_id": reference_id,
        "reference_rows": reference.whole.rows if reference else None,
        "rows": found.rows if found else 0,
        "lost": list(found.lost) if found else [],
        "new": list(found.new) if found else [],
        "features": features,
    }


def _saved(reader: Reader, name: str, window: datetime | None) -> SavedProfile | None:
    equal = {} if window is None else {"window_end_at": window}
    found = reader.find(SavedProfile, order="-window_end_at", limit=1, pipeline=name, **equal)
    if window is not None and not found:
        raise NotFound(f"`{name}` has no profile of a window that ends at {plain(window)}; its timeline lists them")
    return found[0] if found else None


def _reference(
    reader: Reader, name: str, found: Profile | None, measured: Sequence[Measurement]
) -> tuple[str | None, ReferenceProfile | None]:
    """Find the reference that a profile was counted for: that of its measurements, else one with the same cells."""
    told = [one.reference_id for one in measured if one.name == "error" and one.reference_id]
    known = [one.id for one in reader.find(Reference, pipeline=name, order="-seq", limit=REFERENCES_MAX)]
    for reference_id in dict.fromkeys((*told, *known)):
        content = reader.state(name, f"reference {reference_id}")
        reference = reference_from_bytes(content) if content else None
        if reference is not None and found is not None and reference.maps.id == found.maps_id:
            return reference_id, reference
    return None, None


def _features(found: Profile, reference: ReferenceProfile, measured: Sequence[Measurement]) -> Iterator[Json]:
    by_name = {(one.name, one.subject): one for one in measured}
    for name, cell_map in reference.maps.features.items():
        score = name in reference.maps.scores
        told = {each: by_name.get((each, name)) for each in ("ks", "psi", "wasserstein")}
        drift = by_name.get(("score" if score else "drift", name))
        usual, now = reference.whole.features[name], found.features[name]
        yield {
            "name": name,
            "score": score,
            **_shape(cell_map, usual, now),
            "n_reference": usual.n,
            "n": now.n,
            "missing_reference": _missing(usual, reference.whole.rows),
            "missing": _missing(now, found.rows),
            "wrong_type": now.wrong_type / found.rows if found.rows else 0.0,
            **{each: one.value if one else None for each, one in told.items()},
            "ks_p": told["ks"].p_value if told["ks"] else None,
            **_evidence(drift),
        }


def _missing(counts: Counts, rows: int) -> float:
    return counts.missing / rows if rows else 0.0


def _evidence(drift: Measurement | None) -> Json:
    fields = ("effect", "log_evidence", "log_limit", "alarm", "since_at")
    return {field: plain(getattr(drift, field)) if drift else None for field in fields}


def _shape(cell_map: CellMap, usual: Counts, now: Counts) -> Json:
    if isinstance(cell_map, NameMap):
        return {"kind": "name", "bins": _name_bins(cell_map, usual, now), "ecdf": None, "gap_at": None}
    usual, now = _folded(usual), _folded(now)
    first, second = cumulative(usual.cells), cumulative(now.cells)
    gap = np.abs(first - second)
    at = int(gap.argmax())
    known = usual.n > 0 and now.n > 0
    return {
        "kind": "number",
        "bins": _number_bins(cell_map, usual, now),
        "ecdf": _ecdf(cell_map, usual, now) if known else None,
        "gap_at": _upper(cell_map, at) if known and gap[at] > 0 else None,
    }


# numbers -------------------------------------------------------------------


def _folded(counts: Counts) -> Counts:
    """One cell below the range and one above it, however far: bins have no use for more."""
    cells = counts.cells
    below, above = cells[:OUTER].sum(), cells[-OUTER:].sum()
    return replace(counts, cells=np.concatenate([[below], cells[OUTER:-OUTER], [above]]))


def _number_bins(cell_map: NumberMap, usual: Counts, now: Counts) -> list[Json]:
    """Bins of even width over where nearly all rows of both lie; what is left lies in the open bins at the ends."""
    ends = [_inner(counts.cells) for counts in (usual, now) if counts.n]
    if not ends:
        return []
    edges = cell_map.edges()
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    wanted = np.linspace(edges[low], edges[high], BINS + 1)
    cuts = np.unique(np.clip(np.searchsorted(edges, wanted), low, high))
    # Cell k lies between edges k - 1 and k; cell 0 is below all edges.
    bounds = [0, *(int(cut) + 1 for cut in cuts), len(usual.cells)]
    values = [None, *(float(edges[cut]) for cut in cuts), None]
    shares = [(_share(usual, a, b), _share(now, a, b)) for a, b in pairwise(bounds)]
    bins = [
        {"label": _range(a, b), "low": a, "high": b, "reference": one, "window": other}
        for (a, b), (one, other) in zip(pairwise(values), shares, strict=True)
    ]
    empty = [one["reference"] == one["window"] == 0 for one in bins]
    return bins[1 if empty[0] else 0 : len(bins) - 1 if empty[-1] else len(bins)]


def _inner(cells: Tally) -> tuple[int, int]:
    """The edges between which all rows lie but a small share at each end."""
    shares = cumulative(cells)
    low = int(np.searchsorted(shares, EDGE_SHARE, side="right"))
    high = int(np.searchsorted(shares, 1 - EDGE_SHARE))
    last = len(cells) - 2
    return min(max(low - 1, 0), last), min(max(high, 0), last)


def _share(counts: Counts, start: int, end: int) -> float:
    return float(counts.cells[start:end].sum()) / counts.n if counts.n else 0.0


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"below {high:.4g}"
    return f"{low:.4g} and above" if high is None else f"{low:.4g} to {high:.4g}"


def _ecdf(cell_map: NumberMap, usual: Counts, now: Counts) -> list[list[float]]:
    """Points of both distribution functions at the upper edges of cells, evenly spread over the rows of both."""
    first, second = cumulative(usual.cells), cumulative(now.cells)
    wanted = np.arange(POINTS) / POINTS
    cells = np.unique(np.searchsorted((first + second) / 2, wanted, side="right"))
    return [
        [value, float(first[cell]), float(second[cell])]
        for cell in cells.tolist()
        if cell < len(first) and (value := _upper(cell_map, cell)) is not None
    ]


def _upper(cell_map: NumberMap, cell: int) -> float | None:
    """The value up to which a cell reaches; None for the one above the range."""
    edges: Any = cell_map.edges()
    return float(edges[cell]) if cell < len(edges) else None


# names ---------------------------------------------------------------------


def _name_bins(cell_map: NameMap, usual: Counts, now: Counts) -> list[Json]:
    """The commonest names, then all others together, then those that the reference did not have."""
    pairs = [
        (name, _share(usual, 2 * k + 1, 2 * k + 2), _share(now, 2 * k + 1, 2 * k + 2))
        for k, name in enumerate(cell_map.names)
    ]
    pairs.sort(key=lambda pair: (-max(pair[1], pair[2]), pair[0]))
    rest = pairs[NAMES_MAX:]
    shown = pairs[:NAMES_MAX]
    if rest:
        shown.append((OTHER, sum(one for _, one, _ in rest), sum(other for _, _, other in rest)))
    unseen = float(now.cells[::2].sum()) / now.n if now.n else 0.0
    if unseen:
        shown.append((UNSEEN, float(usual.cells[::2].sum()) / max(usual.n, 1), unseen))
    return [{"label": name, "low": None, "high": None, "reference": one, "window": other} for name, one, other in shown]
