"""Signed texts: the signed note and the checkpoint of C2SP (signed-note, tlog-checkpoint), and the keys they name.

Must never sign or check a signature itself (`signatures` does, which loads cryptography), nor accept a text that would
be written differently.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["Checkpoint", "Note", "Signature", "VerifierKey", "origin_of", "read_checkpoint", "read_key", "read_notes"]

_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "
_NUMBER = "number "
_EVERY_ROW = "every row"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name it signs under; `str` gives the text that C2SP calls a verifier key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that a signature names its key by."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One line under a note: who signed, with which key, and the 64 bytes of Ed25519."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and its signatures. The text ends with a line feed, which is signed as well."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint says: which log, how many leaves, the root of their tree, and its own running number.

    `every_row` promises that from here on no row, and no word for a gap, is written without a checkpoint over it; those
    of an older healerd do not.
    """

    origin: str
    size: int
    root: bytes
    number: int
    every_row: bool = True

    def __str__(self) -> str:
        promise = f"{_EVERY_ROW}\n" if self.every_row else ""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n{_NUMBER}{self.number}\n{promise}"


def origin_of(first_leaf: bytes) -> str:
    """Name a log by the hash of its first leaf, which says when and where it was begun."""
    return f"healerd.log/{first_leaf.hex()[:32]}"


def read_notes(text: str) -> Iterator[Note]:
    """Read the notes of a file, one after another; blank lines part them.

    Raises:
        ValueError: something in the text is no signed note.
    """
    blocks = [block for block in re.split(r"\n\n+", text.replace("\r\n", "\n").strip("\n")) if block]
    if not blocks or len(blocks) % 2:
        raise ValueError("a signed note is a text, a blank line, and a line of signature")
    for said, signed in zip(blocks[::2], blocks[1::2], strict=True):
        yield Note(text=f"{said}\n", signatures=tuple(_signature(line) for line in signed.split("\n")))


def read_checkpoint(note: Note) -> Checkpoint:
    """Read what a note says as a checkpoint. Raises ValueError when it says something else."""
    lines = note.text.split("\n")
    if len(lines) < 4 or not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
        raise ValueError("a checkpoint is the name of a log, its size and the root of its tree")
    root = _bytes(lines[2])
    if len(root) != 32:
        raise ValueError("the root in the checkpoint is not 32 bytes")
    number = next((line.removeprefix(_NUMBER) for line in lines[3:] if line.startswith(_NUMBER)), "0")
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise ValueError("the number in the checkpoint is none")
    every_row = _EVERY_ROW in lines[3:]
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root, number=int(number), every_row=every_row)


def read_key(text: str) -> VerifierKey:
    """Read a verifier key as `str` writes it. Raises ValueError."""
    found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text.strip())
    if not found:
        raise ValueError("a public key is written as NAME+ID+KEY on one line")
    data = _bytes(found[3])
    key = VerifierKey(name=found[1], public=data[1:])
    if data[:1] != _ED25519 or len(data) != 33 or key.id.hex() != found[2]:
        raise ValueError("the public key does not have the id it says, or is not one of Ed25519")
    return key


def _signature(line: str) -> Signature:
    name, _, value = line.removeprefix(_DASH).partition(" ")
    data = _bytes(value)
    if not line.startswith(_DASH) or not name or len(data) < 5:
        raise ValueError("a line of signature is a dash, the name of the key, and the signature")
    return Signature(name=name, key_id=data[:4], value=data[4:])


def _bytes(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError) as problem:
        raise ValueError(f"`{text[:60]}` is not base64") from problem
    if b64encode(data).decode() != text:
        raise ValueError(f"`{text[:60]}` is not written as base64 is")
    return data
