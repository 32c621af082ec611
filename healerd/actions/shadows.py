"""What stored versions say, in shadow, of rows that were served: asked once for each version and window.

Must never remember a failure: a version that raised or was too slow is asked again.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from healerd.actions.registry import Registry
from healerd.actions.worker import Worker
from healerd.columns import Column, Predictions, take
from healerd.errors import RegistryAway

__all__ = ["Shadows"]

VALUES_MAX = 2_000_000
"""Outputs kept in memory: 16 MB of numbers."""

_Block = int
"""The rows of one window, by the hash of their ids: served rows never change."""


class Shadows:
    """Remembers the outputs of versions on windows' rows; the least used are forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, _Block], Column] = OrderedDict()
        self._values = 0

    def outputs(
        self,
        worker: Worker,
        registry: Registry,
        names: Sequence[str],
        rows: Predictions,
        windows: npt.NDArray[np.int64],
    ) -> Mapping[str, Column | None]:
        """Give each version's outputs for n rows, whose window numbers are in `windows`: missing ones where it raised.

        None when nothing is known of it: it was too slow, or was killed. Raises RegistryAway when a model could not be
        had: that it gave no answer is not its fault.
        """
        blocks, raised = _blocks(rows, windows), set[str]()
        for wanted, missing in self._gaps(names, blocks).items():
            raised |= self._ask(worker, registry, missing, rows, [blocks[i] for i in wanted])
        return {name: np.full(len(rows), np.nan) if name in raised else self._joined(name, blocks) for name in names}

    def _gaps(
        self, names: Sequence[str], blocks: Sequence[tuple[_Block, slice]]
    ) -> Mapping[tuple[int, ...], list[str]]:
        """Group the versions by the blocks that they have still to be asked about."""
        gaps: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name in names:
            missing = tuple(i for i, (block, _) in enumerate(blocks) if (name, block) not in self._kept)
            if missing:
                gaps[missing].append(name)
        return gaps

    def _ask(
        self,
        worker: Worker,
        registry: Registry,
        names: Sequence[str],
        rows: Predictions,
        blocks: Sequence[tuple[_Block, slice]],
    ) -> set[str]:
        """Ask versions about the rows of blocks, and keep what they say; give those that raised."""
        which = np.concatenate([np.arange(at.start, at.stop) for _, at in blocks])
        scored = worker.score(registry, names, take(rows, which).features)
        for name in names:
            output = scored[name].output
            if scored[name].away:
                raise RegistryAway(scored[name].error)
            if output is None:
                continue
            start = 0
            for block, at in blocks:
                end = start + at.stop - at.start
                self._keep(name, block, output[start:end])
                start = end
        return {name for name in names if scored[name].raised}

    def _keep(self, name: str, block: _Block, output: Column) -> None:
        self._kept[name, block] = output
        self._values += len(output)
        while self._values > VALUES_MAX:
            _, gone = self._kept.popitem(last=False)
            self._values -= len(gone)

    def _joined(self, name: str, blocks: Sequence[tuple[_Block, slice]]) -> Column | None:
        found = [self._kept.get((name, block)) for block, _ in blocks]
        known = [each for each in found if each is not None]
        for block, _ in blocks:
            if (name, block) in self._kept:
                self._kept.move_to_end((name, block))
        return np.concatenate(known) if known and len(known) == len(found) else None


def _blocks(rows: Predictions, windows: npt.NDArray[np.int64]) -> list[tuple[_Block, slice]]:
    """Cut rows, which are in the order of time, where a new window begins."""
    edges = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(rows)]
    return [(hash(tuple(rows.ids[a:b])), slice(a, b)) for a, b in pairwise(edges) if b > a]
