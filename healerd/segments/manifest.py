"""The record of one segment file, as the manifest keeps it. Must never touch the file itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

__all__ = ["FOLDER", "SCORE", "ColumnSpec", "Content", "Segment"]

FOLDER = "segments"
"""Where segments lie in the state folder; a segment's `path` is relative to it."""


SCORE = "(score)"
"""The name under which a segment keeps how sure the model was, after the features."""


class Content(StrEnum):
    """What the rows of a segment are."""

    PREDICTIONS = "predictions"
    LABELS = "labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """One column of a segment: its `name` here, the name it is `stored` under in the file, and its kind.

    The names differ where the file format cannot tell two columns apart (`Age` and `age`) or the name is taken.
    """

    name: str
    stored: str
    kind: Literal["numeric", "categorical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One closed Parquet file: `rows` rows of one pipeline with times in [start_at, end_at).

    `columns` lists the features in their order, after `output` (predictions) or `label` (labels); `schema_hash`
    is the sha256 of their canonical form, so that segments of one shape are told apart from the rest at a glance.
    """

    path: str
    pipeline: str
    content: Content
    rows: int
    start_at: datetime
    end_at: datetime
    sha256: str
    schema_hash: str
    columns: tuple[ColumnSpec, ...]

    def __post_init__(self) -> None:
        assert self.rows > 0, "a segment has rows"
        assert self.start_at < self.end_at, "a segment ends after it starts"
