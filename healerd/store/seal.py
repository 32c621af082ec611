"""The tree over the leaves as the writer grows it, and the signed checkpoints that it leaves behind.

Must never commit: what it writes belongs to the transaction whose leaves it covers, and costs no fsync of its own.
"""

from typing import TYPE_CHECKING

from healerd.audit.notes import Checkpoint, origin_of
from healerd.audit.seals import must_sign
from healerd.audit.tree import Frontier, Nodes
from healerd.errors import StoreError
from healerd.store.library import sqlite

if TYPE_CHECKING:
    from healerd.audit.signatures import Signer

__all__ = ["Seal", "nodes_of"]


def nodes_of(connection: sqlite.Connection) -> Nodes:
    """Give what reads stored nodes of the tree; those of level 0 are the hashes of the leaves."""

    def nodes(level: int, first: int, count: int) -> list[bytes]:
        if level == 0:
            sql, bound = "SELECT leaf_hash FROM audit_leaf WHERE seq > ? AND seq <= ? ORDER BY seq", [first]
        else:
            sql = 'SELECT hash FROM audit_node WHERE level = ? AND "index" >= ? AND "index" < ? ORDER BY "index"'
            bound = [level, first]
        return [bytes(row[0]) for row in connection.execute(sql, [*bound, first + count])]

    return nodes


class Seal:
    """The frontier of the tree, the key that signs, and what is new since the last commit."""

    def __init__(self, frontier: Frontier, *, number: int, sealed: int, origin: bytes | None) -> None:
        self.frontier, self.number, self.sealed, self.origin = frontier, number, sealed, origin
        self.signer: Signer | None = None
        self._nodes = list[tuple[int, int, bytes]]()
        self._due = False

    @classmethod
    def of(cls, connection: sqlite.Connection, size: int) -> "Seal":
        """Take up the tree of a database with `size` leaves, whose nodes are as they were written.

        Raises:
            StoreError: a node or a leaf that it needs is missing.
        """
        newest = connection.execute("SELECT number, size FROM checkpoint ORDER BY number DESC LIMIT 1").fetchone()
        first = connection.execute("SELECT leaf_hash FROM audit_leaf WHERE seq = 1").fetchone()
        number, sealed = newest or (0, 0)
        try:
            frontier = Frontier.of(size, nodes_of(connection))
        except LookupError as problem:
            raise StoreError(
                "the stored tree over the audit log is damaged: `healerd audit verify` names the first bad leaf; "
                "restore a backup, healerd does not act on it"
            ) from problem
        return cls(frontier, number=number, sealed=sealed, origin=bytes(first[0]) if first else None)

    def copy(self) -> "Seal":
        """Give one that a transaction may grow, and drop when it is rolled back."""
        made = Seal(self.frontier.copy(), number=self.number, sealed=self.sealed, origin=self.origin)
        made.signer = self.signer
        return made

    def sign_with(self, signer: "Signer") -> None:
        """Sign with this key from the next checkpoint on."""
        self.signer = signer

    def add(self, hashed: bytes, *, table: str | None, kind: str) -> None:
        """Take in a leaf that was appended."""
        if self.origin is None:
            self.origin = hashed
        self._nodes += self.frontier.add(hashed)
        self._due = self._due or must_sign(table, kind)

    def write(self, connection: sqlite.Connection) -> None:
        """Store the new nodes, and a checkpoint where one is due: before the commit, in its transaction."""
        connection.executemany('INSERT INTO audit_node (level, "index", hash) VALUES (?, ?, ?)', self._nodes)
        if self._due and self.signer is not None:
            self._checkpoint(connection)
        self._nodes, self._due = [], False

    def last(self, connection: sqlite.Connection) -> None:
        """Sign what was written since the newest checkpoint, at the end of a run."""
        if self.signer is not None and self.frontier.size > self.sealed:
            self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite.Connection) -> None:
        assert self.signer is not None, "only a log with a key signs"
        assert self.origin is not None, "a log with leaves has a first one"
        size = self.frontier.size
        said = Checkpoint(origin=origin_of(self.origin), size=size, root=self.frontier.root(), number=self.number + 1)
        note = str(self.signer.sign(str(said)))
        connection.execute("INSERT INTO checkpoint (number, size, note) VALUES (?, ?, ?)", [said.number, size, note])
        self.number, self.sealed = said.number, size
