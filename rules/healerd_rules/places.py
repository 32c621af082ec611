"""Moves a syntax tree to another place in its text, and compares trees by what they say alone.

It never changes anything but places, and never parses.
"""

import functools
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

from healerd_rules.tree import Span

__all__ = ["bare", "moved"]

N = TypeVar("N")


def moved(node: N, by: int) -> N:
    """A copy of a node, its parts included, that stands `by` characters further on."""
    return cast(N, _moved(node, by))


def _moved(node: Any, by: int) -> Any:
    kind: Any = type(node)
    if kind is Span:
        return Span(node.start + by, node.end + by)
    if kind is tuple:
        return tuple([_moved(part, by) for part in node])
    names = _names(kind)
    return kind(*[_moved(getattr(node, name), by) for name in names]) if names else node


def bare(node: Any) -> Any:
    """What a node says, without where it stands: equal for equal texts up to white space and comments."""
    if isinstance(node, tuple):
        return tuple(bare(part) for part in node)
    kind: Any = type(node)
    names = _names(kind)
    if not names:
        return node
    parts = (getattr(node, name) for name in names)
    return (kind.__name__, *(bare(part) for part in parts if not isinstance(part, Span)))


@functools.cache
def _names(kind: Hashable) -> tuple[str, ...]:
    """The fields of a record, in order; none for what is no record."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
