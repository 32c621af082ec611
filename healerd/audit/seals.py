"""Check the signed checkpoints of a log, those that were saved outside, and the keys that sign them.

Must never trust a key before the leaf that made it known, nor a checkpoint because it lies beside the log: both are
checked against the leaves, as these pass by.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from healerd.audit.gaps import ERASED, PRUNED
from healerd.audit.leaves import EMPTY, Leaf
from healerd.audit.notes import Checkpoint, Note, VerifierKey, origin_of, read_checkpoint, read_key, read_notes
from healerd.audit.tree import Frontier

__all__ = ["SIGNING_KEY", "Seals", "must_sign"]

SIGNING_KEY = "signing_key"
"""The table of the keys."""
_ALWAYS = frozenset({"watermark", "decision", "intent", "answer", "outcome", SIGNING_KEY, "epoch"})
"""The tables that every healerd signed: each window, each acting decision, each start."""
_STATEMENTS = frozenset({PRUNED, ERASED})

Flaw = tuple[str | None, int]
"""What is wrong, and from which leaf on."""


class _Key(msgspec.Struct):
    id: str
    key: str
    how: str
    before: str | None
    statement: str


_key = msgspec.json.Decoder(_Key).decode


def must_sign(table: str | None, kind: str, *, every_row: bool = True) -> bool:
    """Tell whether the transaction that writes a leaf ends with a checkpoint: the leaf writes a row, or excuses a gap.

    Without `every_row`, as an older healerd kept it: some rows, and gaps, stood there on what nobody signed.
    """
    return table in _ALWAYS or (every_row and (table is not None or kind in _STATEMENTS))


class Seals:
    """The checkpoints of one log, met in order while its leaves are read.

    `checkpoints` gives (number, size, text) as they were signed; `saved` are notes kept outside; `pinned` are the keys
    that whoever checks trusts: without any, the keys that the log itself names are taken.
    """

    def __init__(
        self,
        checkpoints: Iterable[tuple[int, int, str]],
        *,
        saved: Sequence[Note] = (),
        pinned: Sequence[VerifierKey] = (),
        due: bool = True,
    ) -> None:
        self.count, self.agreed = 0, 0
        self.newest: str | None = None
        self.remarks = list[str]()
        self._rows: Iterator[tuple[int, int, str]] = iter(checkpoints)
        self._next, self._number = next(self._rows, None), 0
        self._saved = sorted(((read_checkpoint(note), note) for note in saved), key=lambda each: each[0].size)
        self._pinned, self._due_wanted = list(pinned), due
        self._keys, self._origin = list[VerifierKey](), ""
        self._sealed = self._due = self._agreed_size = 0
        self._is_pinned = self._every_row = False

    def begin(self, first_leaf: bytes, *, number: int = 0) -> None:
        """Name the log by its first leaf; in the middle of one, say the number of the newest checkpoint before."""
        self._origin, self._number = origin_of(first_leaf), number

    def listen(self, leaf: Leaf, table: str | None, record: msgspec.Raw, *, kind: str = "") -> str | None:
        """Hear what a leaf says: a key from now on, or a change that must be signed. Raises msgspec.MsgspecError."""
        if self._due <= self._sealed and must_sign(table, kind, every_row=self._every_row):
            self._due = leaf.seq
        return self._learn(leaf.seq, _key(record)) if table == SIGNING_KEY else None

    def after(self, frontier: Frontier) -> Flaw:
        """Compare the tree as it stands now with what was signed and saved of this size."""
        size = frontier.size
        while self._next is not None and self._next[1] <= size:
            flaw = self._signed(self._next, frontier)
            if flaw:
                return flaw, self._sealed + 1
            self._next = next(self._rows, None)
        while self._saved and self._saved[0][0].size <= size:
            flaw = self._kept(*self._saved.pop(0), frontier)
            if flaw:
                return flaw, self._agreed_size + 1
        return None, 0

    def end(self, size: int) -> tuple[int, str] | None:
        """Say what is missing after the last leaf."""
        if self._saved:
            said = self._saved[0][0]
            words = f"a checkpoint that was kept speaks of {said.size} leaves, the log has {size}"
            return size + 1, f"{words}: it was cut off, or an old copy was put in its place"
        if self._next is not None:
            return size + 1, f"a checkpoint speaks of {self._next[1]} leaves, the log has {size}: it was cut off"
        if self._due_wanted and self._keys and self._due > self._sealed:
            words = "it was added by somebody without the key, or checkpoints were taken out"
            return self._due, f"no checkpoint was signed over leaf {self._due}: {words}"
        if self._pinned and not self._is_pinned:
            return 1, "the log is signed by another key than the one given: it is another log, or was written anew"
        if self._keys and size > self._sealed:
            self.remarks.append(f"the newest {size - self._sealed} leaves are not signed yet")
        if not self._keys and not self._pinned and size:
            words = "the log is of an older healerd, and the daemon's next start signs it"
            self.remarks.append(f"nothing is signed yet: {words}; or somebody without the key wrote it anew")
        return None

    def _signed(self, row: tuple[int, int, str], frontier: Frontier) -> str | None:
        number, size, text = row
        if number != self._number + 1:
            return f"checkpoint {self._number + 1} is missing: the next one has number {number}"
        try:
            (note,) = read_notes(text)
            said = read_checkpoint(note)
        except ValueError as problem:
            return f"checkpoint {number} cannot be read: {problem}"
        flaw = self._flaw(said, note, frontier, keys=self._keys[-1:], name=f"checkpoint {number}")
        if flaw or (said.number, said.size) != (number, size):
            return flaw or f"checkpoint {number} says that it has number {said.number} and {said.size} leaves"
        self._number, self._sealed, self.count, self.newest = number, size, self.count + 1, text
        self._every_row = said.every_row
        return None

    def _kept(self, said: Checkpoint, note: Note, frontier: Frontier) -> str | None:
        if said.size < frontier.size:
            self.remarks.append(
                f"a checkpoint of {said.size} leaves lies before what was checked, and was not compared"
            )
            return None
        flaw = self._flaw(said, note, frontier, keys=self._keys, name=f"the kept checkpoint of {said.size} leaves")
        self.agreed, self._agreed_size = self.agreed + (flaw is None), said.size if flaw is None else self._agreed_size
        return flaw

    def _flaw(
        self, said: Checkpoint, note: Note, frontier: Frontier, *, keys: Sequence[VerifierKey], name: str
    ) -> str | None:
        from healerd.audit.signatures import is_signed  # loads cryptography, which only a signed log is worth

        if said.origin != self._origin:
            return f"{name} is of another log (`{said.origin}`, this one is `{self._origin}`)"
        if said.size != frontier.size:
            return f"{name} is of {said.size} leaves, and stands out of order"
        if said.root != (frontier.root() if said.size else EMPTY):
            return (
                f"{name} was signed over other leaves: one up to {said.size} was changed, or the log was written anew"
            )
        if not is_signed(note, [*keys, *self._pinned]):
            return f"{name} is not signed by a key of this log"
        return None

    def _learn(self, seq: int, said: _Key) -> str | None:
        """Take in a key, if it is known the way it says."""
        from healerd.audit.signatures import is_signed  # as above

        try:
            key = read_key(said.key)
            (note,) = read_notes(said.statement)
        except ValueError as problem:
            return f"the key in leaf {seq} cannot be read: {problem}"
        before = self._keys[-1] if self._keys else None
        signers = [before] if said.how == "rotated" and before else [key]
        if note.text != f"healerd signing key\n{key}\n{said.how}\n" or not is_signed(note, signers):
            return f"the key in leaf {seq} is not signed the way it says (`{said.how}`)"
        if key.id.hex() != said.id or said.before != (before.id.hex() if before else None):
            return f"the key in leaf {seq} does not follow the key before it"
        if (said.how == "first") != (before is None):
            return f"the key in leaf {seq} is not the first, or is not said to be"
        trusted = key in self._pinned
        if said.how == "lost":
            words = f"from leaf {seq} on a key signs that the one before did not sign, because it was lost"
            if self._is_pinned and not trusted:
                return f"{words}: give the new key's file too, if you know of the loss"
            self.remarks.append(f"{words}: compare its id {said.id} with what you were told")
        self._is_pinned = self._is_pinned or trusted
        self._keys.append(key)
        return None
