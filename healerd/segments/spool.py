"""The gateway's log of what it served and of the labels it was sent: files that only grow, read by the daemon.

    FOLDER/INSTANCE-NUMBER.spool    blocks, each a header, a checksum and its rows; INSTANCE is one run of the gateway

Must never change a block that is written, nor give a torn one: what a crash cut off is left out, by its length or its
checksum. A block is durable once `flush` returns. It is 40 bytes of header (little-endian: kind, length and CRC-32 of
the payload, first and last time in microseconds of UTC, last number used for an id) and the payload in MessagePack.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from healerd.columns import Column, Labels, Predictions, Times
from healerd.errors import StoreError

__all__ = ["SUBSTITUTE", "Block", "BlockKind", "SpoolWriter", "instance_of", "read_blocks", "spool_files", "written_at"]

SUBSTITUTE = "substitute"
"""The version of rows that no model answered (SAFETY S18): they are no evidence about any model."""

_HEADER = struct.Struct("<4sIIqqQ4x")
SUFFIX = ".spool"


class BlockKind(Enum):
    """What a block holds."""

    ROWS = b"rows"
    LABELS = b"labl"
    LOST = b"lost"
    """Rows that were served and could not be kept: their number alone is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block: its kind, the last number used for an id, and what it holds."""

    kind: BlockKind
    last_number: int
    payload: bytes

    def rows(self) -> Predictions:
        """Read the served rows; no label is known of them here."""
        held = msgspec.msgpack.decode(self.payload)
        output = _column(held["output"])
        return Predictions(
            ids=np.array(held["ids"], np.object_),
            at=np.frombuffer(held["at"], np.int64).astype("datetime64[us]"),
            version=np.array(held["version"], np.object_),
            output=output,
            label=np.full(len(output), None if output.dtype == np.object_ else np.nan, output.dtype),
            features={name: _column(column) for name, column in held["features"].items()},
            score=_column(held["score"]) if "score" in held else None,
        )

    def labels(self) -> Labels:
        """Read labels, with the time at which each became known."""
        held = msgspec.msgpack.decode(self.payload)
        return Labels(
            ids=np.array(held["ids"], np.object_),
            label=_column(held["label"]),
            at=np.frombuffer(held["at"], np.int64).astype("datetime64[us]"),
        )

    def lost(self) -> int:
        """Count the rows that were lost."""
        return int(msgspec.msgpack.decode(self.payload))


class SpoolWriter:
    """Appends blocks to files of one run of the gateway; a file is followed by the next one when it is large."""

    def __init__(self, folder: Path, instance: str, *, bytes_max: int = 64 * 2**20) -> None:
        self.folder, self.instance, self._bytes_max = folder, instance, bytes_max
        self._number = 0
        self._file: int | None = None
        self.path: Path | None = None
        self._size = 0

    def add_rows(self, rows: Predictions, *, last_number: int) -> None:
        """Append served rows (at least one), and the last number that an id of them used."""
        held = {
            "ids": rows.ids.tolist(),
            "at": rows.at.astype("datetime64[us]").astype(np.int64).tobytes(),
            "version": rows.version.tolist(),
            "output": _plain(rows.output),
            "features": {name: _plain(column) for name, column in rows.features.items()},
        }
        if rows.score is not None:
            held["score"] = _plain(rows.score)
        self._append(BlockKind.ROWS, msgspec.msgpack.encode(held), rows.at, last_number)

    def add_labels(self, labels: Labels) -> None:
        """Append labels (at least one)."""
        at = labels.at.astype("datetime64[us]").astype(np.int64).tobytes()
        held = {"ids": labels.ids.tolist(), "label": _plain(labels.label), "at": at}
        self._append(BlockKind.LABELS, msgspec.msgpack.encode(held), labels.at, 0)

    def add_lost(self, rows: int, at: Times) -> None:
        """Say that rows were served in the given times and are not recorded."""
        self._append(BlockKind.LOST, msgspec.msgpack.encode(rows), at, 0)

    def flush(self) -> None:
        """Make durable what was appended. Raises StoreError."""
        if self._file is None:
            return
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise self._said(error) from error
        if self._size >= self._bytes_max:
            self.close()

    def close(self) -> None:
        """Close the file; the next block begins another."""
        if self._file is not None:
            os.close(self._file)
            self._file = self.path = None

    def _append(self, kind: BlockKind, payload: bytes, at: Times, last_number: int) -> None:
        times = at.astype("datetime64[us]").astype(np.int64)
        header = _HEADER.pack(
            kind.value, len(payload), zlib.crc32(payload), int(times.min()), int(times.max()), last_number
        )
        try:
            if self._file is None:
                self._open()
            assert self._file is not None
            _write(self._file, header + payload)
        except OSError as error:
            self._cut()
            raise self._said(error) from error
        self._size += len(header) + len(payload)

    def _cut(self) -> None:
        """Take half a block off the end. Where even that fails, readers leave it out and nothing follows it."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.close()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        path = self.folder / f"{self.instance}-{self._number:06d}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self.path, self._size = path, 0
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _said(self, error: OSError) -> StoreError:
        return StoreError(f"`{self.folder}` cannot be written: {error.strerror}; check the disk's room and the rights")


def spool_files(folder: Path) -> tuple[Path, ...]:
    """List the files of a spool, the oldest first."""
    if not folder.exists():
        return ()
    found = ((written_at(path), path) for path in folder.glob(f"*{SUFFIX}"))
    return tuple(path for at, path in sorted(found) if at > 0)


def written_at(path: Path) -> float:
    """Tell when a file was last written to, in seconds since 1970; 0 when it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def instance_of(path: Path) -> str:
    """Name the run of the gateway that wrote a file."""
    return path.stem.rpartition("-")[0]


def read_blocks(
    path: Path, *, kind: BlockKind, from_us: int | None = None, to_us: int | None = None
) -> Iterator[Block]:
    """Read the whole blocks of one kind that reach into [from_us, to_us), in the order in which they were written.

    Raises StoreError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            while len(head := file.read(_HEADER.size)) == _HEADER.size:
                name, length, crc, first_us, last_us, number = _HEADER.unpack(head)
                wanted = name == kind.value and not (
                    (from_us is not None and last_us < from_us) or (to_us is not None and first_us >= to_us)
                )
                if not wanted:
                    file.seek(length, os.SEEK_CUR)
                    continue
                payload = file.read(length)
                if len(payload) < length or zlib.crc32(payload) != crc:
                    return
                yield Block(kind=kind, last_number=number, payload=payload)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"`{path}` cannot be read: {error.strerror}; mend its rights") from error


def _write(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def _plain(column: Column) -> bytes | list[Any]:
    return column.tolist() if column.dtype == np.object_ else column.astype(np.float64).tobytes()


def _column(held: bytes | list[Any]) -> Column:
    if isinstance(held, list):
        texts: Column = np.array(held, np.object_)
        return texts
    return np.frombuffer(held, np.float64).copy()
