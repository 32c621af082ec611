"""Names of predictions, which tell by themselves who gave them. Must never be given twice.

An id is `INSTANCE-NUMBER`, or `INSTANCE-NUMBER.ROW` for the rows of a request of several; INSTANCE is drawn anew each
time that the gateway starts, for each model. So a label's id can be told from one that nobody gave, without an index.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from healerd.segments.spool import BlockKind, instance_of, read_blocks, spool_files

__all__ = ["Instances", "row_ids"]

_ID = re.compile(r"([0-9a-f]{12})-([0-9]{1,18})(?:\.[0-9]{1,9})?")


def row_ids(instance: str, number: int, rows: int) -> tuple[str, ...]:
    """Name the rows of a request.

    >>> row_ids("0123456789ab", 7, 2)
    ('0123456789ab-7.0', '0123456789ab-7.1')
    """
    name = f"{instance}-{number}"
    return (name,) if rows == 1 else tuple(f"{name}.{row}" for row in range(rows))


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
        return found is not None and 0 < int(found[2]) <= self._last.get(found[1], 0)
