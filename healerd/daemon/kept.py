"""Keeps what is costly to make for as long as there is room, and lets go of what was used longest ago.

Must never keep the only copy of anything: whatever is let go of can be made again.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

__all__ = ["Kept", "bytes_of"]

T = TypeVar("T")

EACH = 1024
"""Bytes that an entry counts beside its arrays, so that empty ones are let go of as well."""


class Kept(Generic[T]):
    """Values by name, at most so many bytes of arrays in all; the newest one stays whatever its size."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._values: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Give what is kept under a name, made now where nothing is."""
        if name in self._values:
            self._values.move_to_end(name)
            return self._values[name][0]
        return self.put(name, make())

    def put(self, name: str, value: T) -> T:
        """Keep a value, and let go of others where there is no room for all."""
        size = EACH + bytes_of(value)
        self._held += size - (self._values.pop(name)[1] if name in self._values else 0)
        self._values[name] = (value, size)
        while self._held > self._most and len(self._values) > 1:
            _, (_, freed) = self._values.popitem(last=False)
            self._held -= freed
        return value


def bytes_of(value: object) -> int:
    """Add up the arrays that a value holds, each once, through records, mappings and tuples."""
    found: dict[int, int] = {}
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, np.ndarray):
            found[id(one)] = one.nbytes
        elif isinstance(one, tuple | list):
            waiting += one
        elif names := _fields_of(one.__class__):
            waiting += [getattr(one, name) for name in names]
        elif isinstance(one, Mapping):
            waiting += one.values()
    return sum(found.values())


@cache
def _fields_of(kind: Any) -> tuple[str, ...]:
    """Name the fields of a record; none for what is no record."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
