"""The Merkle tree of RFC 6962 over the leaves: its root while it grows, proofs, and their checks.

Must never hold a hash for each leaf: a growing tree keeps one a set bit of its size, and a proof asks for the
stored nodes it needs.

Sources: RFC 6962 section 2.1 (tree, paths, consistency), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (checks).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from healerd.audit.leaves import EMPTY

__all__ = [
    "TILE",
    "Frontier",
    "Nodes",
    "consistency_path",
    "inclusion_path",
    "node_hash",
    "verify_consistency",
    "verify_inclusion",
]

_NODE = b"\x01"
TILE = 8
"""Nodes are stored at each eighth level only: one for 256 leaves, and a proof computes the few between them anew."""

Nodes = Callable[[int, int, int], Sequence[bytes]]
"""(level, first index, count) -> the hashes of perfect subtrees of 2**level leaves; levels are multiples of TILE."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them."""
    return sha256(_NODE + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, the largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)
        # INVARIANT: there is one peak for each set bit of the size.
        assert len(self.peaks) == size.bit_count(), "a peak for each set bit"

    @classmethod
    def of(cls, size: int, nodes: Nodes) -> "Frontier":
        """Take up a tree of `size` leaves from its stored nodes. Raises LookupError when one is missing."""
        peaks, start = list[bytes](), 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                peaks.append(_perfect(nodes, level, start >> level))
                start += 1 << level
        return cls(size, peaks)

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf's hash; give the nodes (level, index, hash) that are now complete and worth storing."""
        peaks, level, size = self.peaks, 0, self.size
        done = list[tuple[int, int, bytes]]()
        while size & 1:
            leaf = sha256(_NODE + peaks.pop() + leaf).digest()
            size >>= 1
            level += 1
            if level % TILE == 0:
                done.append((level, size, leaf))
        peaks.append(leaf)
        self.size += 1
        return done

    def root(self) -> bytes:
        """Give the root of the tree as it stands."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Frontier":
        """Give one that grows on its own."""
        return Frontier(self.size, self.peaks)


def inclusion_path(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Give the path that shows that leaf `index` (from 0) is in the tree of `size` leaves; at most 64 hashes.

    Raises:
        LookupError: a stored node is missing.
    """
    assert 0 <= index < size, "a leaf of the tree"
    path, low, high = list[bytes](), 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_root(nodes, middle, high))
            high = middle
        else:
            path.append(_root(nodes, low, middle))
            low = middle
    return path[::-1]


def consistency_path(first: int, second: int, nodes: Nodes) -> list[bytes]:
    """Give the path that shows that the tree of `second` leaves begins with the one of `first`.

    Raises:
        LookupError: a stored node is missing.
    """
    assert 0 <= first <= second, "a log only grows"
    if first in {0, second}:
        return []
    path, low, high, whole = list[bytes](), 0, second, True
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(_root(nodes, middle, high))
            high = middle
        else:
            path.append(_root(nodes, low, middle))
            low, whole = middle, False
    return ([] if whole else [_root(nodes, low, high)]) + path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `path` leads from a leaf's hash at `index` to the root of a tree of `size` leaves."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(first: int, second: int, old: bytes, new: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether `path` shows that the tree of `second` leaves (root `new`) begins with that of `first` (`old`)."""
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not path and old == EMPTY
    if first == second:
        return not path and old == new
    steps = [old, *path] if first & (first - 1) == 0 else list(path)
    if not steps:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    left = right = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            left, right = node_hash(step, left), node_hash(step, right)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            right = node_hash(right, step)
        place, last = place >> 1, last >> 1
    return last == 0 and left == old and right == new


def _split(count: int) -> int:
    """Give the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _root(nodes: Nodes, low: int, high: int) -> bytes:
    """Hash the leaves [low, high), whose first is where the tree would split."""
    level = (high - low).bit_length() - 1
    if 1 << level == high - low:
        return _perfect(nodes, level, low >> level)
    middle = low + _split(high - low)
    return node_hash(_root(nodes, low, middle), _root(nodes, middle, high))


def _perfect(nodes: Nodes, level: int, index: int) -> bytes:
    """Give the root of one perfect subtree, out of the nearest stored level below."""
    above = level % TILE
    row = list(nodes(level - above, index << above, 1 << above))
    if len(row) != 1 << above:
        raise LookupError(f"a node of level {level - above} under {index << level} is missing")
    while len(row) > 1:
        row = [node_hash(row[each], row[each + 1]) for each in range(0, len(row), 2)]
    return row[0]
