"""Names of predictions, which tell by themselves who gave them. Must never be given twice.

An id is `INSTANCE-NUMBER`: INSTANCE is drawn anew each time that the gateway starts, for each model, and each row takes
the next NUMBER. So a label's id can be told from one that nobody gave, without an index.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from healerd.segments.spool import BlockKind, instance_of, read_blocks, spool_files

__all__ = ["Instances", "row_ids"]

_ID = re.compile(r"([0-9a-f]{12})-([1-9][0-9]{0,17})")


def row_ids(instance: str, first: int, rows: int) -> tuple[str, ...]:
    """Name the rows of a request, of which the first takes the number `first`.

    >>> row_ids("0123456789ab", 7, 2)
    ('0123456789ab-7', '0123456789ab-8')
    """
    return tuple(f"{instance}-{number}" for number in range(first, first + rows))


class Instances:
    """The instances that recorded one model, each with the last number of its that may have been answered."""

    def __init__(self, last: Mapping[str, int]) -> None:
        self._last = dict(last)

    @classmethod
    def found(cls, folder: Path) -> "Instances":
        """Read them from what was recorded. Raises StoreError."""
        last = dict[str, int]()
        for path in spool_files(folder):
            for block in read_blocks(path, kind=BlockKind.ROWS):
                instance = instance_of(path)
                last[instance] = max(last.get(instance, 0), block.last_number)
        return cls(last)

    def gave(self, instance: str, number: int) -> None:
        """Note that a number was used."""
        self._last[instance] = number

    def know(self, name: str) -> bool:
        """Tell whether an id was given here."""
        found = _ID.fullmatch(name)
        return found is not None and int(found[2]) <= self._last.get(found[1], 0)
