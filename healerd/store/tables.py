"""Which record type lies in which table, under which key; and how a record becomes bytes and comes back.

Must never touch the database. A new record type is one line in `TABLES` and one migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from healerd.audit import canonical, stamp
from healerd.errors import StoreError
from healerd.model import (
    Answer,
    Bar,
    Cohort,
    Decision,
    Incident,
    Intent,
    Outcome,
    Pause,
    Reference,
    StageChange,
    Version,
)
from healerd.segments import Segment

__all__ = [
    "HOLDS",
    "TABLES",
    "TOLD",
    "Epoch",
    "Key",
    "Saved",
    "SavedProfile",
    "SigningKey",
    "Table",
    "Watermark",
    "decode",
    "key_of",
    "plain",
    "table_of",
]

R = TypeVar("R")
HOLDS = "policy holds"
"""The name under which the decisions are saved that held in the place of what the rules proposed."""
TOLD = "policy told"
"""The name under which is saved what erased decisions tell the policy's account."""
Key = str | int | datetime | tuple[str | int | datetime, ...]
"""What names a row: the value of its key field, or a tuple of them where the key has several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One start of the daemon on this state folder; targets refuse whoever comes with an older number."""

    number: int
    at: datetime
    boot_id: str
    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """Every window of the pipeline up to `end_at` has been judged."""

    pipeline: str
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The state that a part keeps between ticks under a name: bytes, known to the log by hash."""

    pipeline: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedProfile:
    """The profile of one window's predictions by one version: bytes, known to the log by hash."""

    pipeline: str
    version: str
    window_start_at: datetime
    window_end_at: datetime
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A public key that signs checkpoints from this record on, until the next one.

    `how` it came: `first`, `rotated` (the key before signed the `statement`), or `lost` (it is signed by itself: the
    key before was gone). `key` and `statement` are the texts of C2SP's signed notes.
    """

    id: str
    key: str
    at: datetime
    how: str
    before: str | None
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one record type is kept: `once` means that a row, once written, is never written again."""

    name: str
    record: type[Any]
    key: tuple[str, ...]
    once: bool = False
    with_value: bool = False


TABLES: Mapping[type[Any], Table] = {
    table.record: table
    for table in (
        Table(name="epoch", record=Epoch, key=("number",), once=True),
        Table(name="intent", record=Intent, key=("id",)),
        Table(name="incident", record=Incident, key=("id",)),
        Table(name="decision", record=Decision, key=("id",), once=True),
        Table(name="answer", record=Answer, key=("id",), once=True),
        Table(name="bar", record=Bar, key=("id",)),
        Table(name="outcome", record=Outcome, key=("intent_id",)),
        Table(name="pause", record=Pause, key=("pipeline", "since_at")),
        Table(name="stage_change", record=StageChange, key=("pipeline", "at"), once=True),
        Table(name="version", record=Version, key=("pipeline", "name")),
        Table(name="reference", record=Reference, key=("id",)),
        Table(name="cohort", record=Cohort, key=("pipeline", "version", "window_start_at")),
        Table(name="watermark", record=Watermark, key=("pipeline",)),
        Table(name="segment", record=Segment, key=("path",), once=True),
        Table(name="saved", record=Saved, key=("pipeline", "name"), with_value=True),
        Table(
            name="saved_profile",
            record=SavedProfile,
            key=("pipeline", "version", "window_end_at"),
            with_value=True,
        ),
        Table(name="signing_key", record=SigningKey, key=("id",), once=True),
    )
}


def table_of(record: type[Any]) -> Table:
    """Find the table of a record type; a type that has none is a mistake of the caller."""
    assert record in TABLES, f"{record.__name__} has no table"
    return TABLES[record]


def key_of(table: Table, key: Key) -> str:
    """Write a key as the text that the row is found by: the value itself, or a canonical array of values."""
    parts = key if isinstance(key, tuple) else (key,)
    assert len(parts) == len(table.key), f"the key of {table.name} is {table.key}"
    texts = [stamp(part) if isinstance(part, datetime) else str(part) for part in parts]
    return texts[0] if len(texts) == 1 else canonical(texts).decode()


def plain(record: object) -> Any:
    """Take a record apart into dicts, lists and values that have a form in JSON; times stay times."""
    return msgspec.to_builtins(record, builtin_types=(datetime,), str_keys=True)


def decode(record: type[R], body: bytes) -> R:
    """Put a record together again from its canonical bytes.

    Raises:
        StoreError: they are not those of such a record: somebody changed them.
    """
    try:
        return msgspec.json.decode(body, type=record)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise StoreError(
            f"a stored {record.__name__.lower()} is damaged: {problem}; `healerd audit verify` names it"
        ) from problem
