"""Where the rows of a cell stand in the reference: the bounded functions of a cell whose means tell of drift.

Must never depend on a window: a place is fixed once the reference is.
"""

from dataclasses import dataclass

import numpy as np

from healerd.profiles.counts import Tally
from healerd.profiles.maps import CellMap, NameMap
from healerd.profiles.ranks import Shares, mid_ranks, spreads

__all__ = ["NAMES_WATCHED", "Places", "places"]

NAMES_WATCHED = 12
"""Commonest names whose own share is watched: names have no natural order, so ranks alone may see a surge weakly."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Functions of a cell with values in [0, 1], one a row: location, spread, then one a watched name.

    `mean` is a function's mean over the reference's rows, `variation` how far sup |F - R| can move it, and `proxy` its
    variance proxy: a centred sum of n rows has moments E exp(L S) <= exp(n L^2 proxy / 2).
    """

    of: Shares
    mean: Shares
    variation: Shares
    proxy: Shares


def places(cell_map: CellMap, cells: Tally, *, watched_in: Tally | None = None) -> Places:
    """Make the places of a feature from its reference counts; the names watched are the commonest of `watched_in`.

    Location and spread are means of a uniform over a cell's ranks, with proxy 1/12. A name's place is 1 in its cell and
    0 elsewhere, with proxy 1/4 (Hoeffding, 1963).
    """
    watched = _commonest(cells if watched_in is None else watched_in) if isinstance(cell_map, NameMap) else []
    names = np.zeros((len(watched), len(cells)))
    names[np.arange(len(watched)), watched] = 1.0
    n = max(int(cells.sum()), 1)
    return Places(
        of=np.vstack([mid_ranks(cells), spreads(cells), names]),
        mean=np.array([0.5, 0.5, *(cells[watched] / n)]),
        variation=np.array([1.0, 2.0, *(2.0 for _ in watched)]),
        proxy=np.array([1 / 12, 1 / 12, *(1 / 4 for _ in watched)]),
    )


def _commonest(cells: Tally) -> list[int]:
    """The known names' cells with the most rows; ties go to the first in order."""
    known = np.arange(1, len(cells), 2)
    order = known[np.argsort(-cells[known], kind="stable")]
    return [int(cell) for cell in order[:NAMES_WATCHED]]
