"""What a person asks of a report on a file, and of a reference. Must never read a file or decide a default from it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

__all__ = ["DAY_S", "ROWS", "Columns", "FitOptions", "InspectOptions"]

DAY_S = 86_400.0
ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are; every other one is a feature."""

    label: str | None = None
    """The truth, where it is known."""
    prediction: str | None = None
    """What the model said."""
    score: str | None = None
    """How sure the model was: a probability, a margin, any number."""
    time: str | None = None
    """When a row was predicted; without one, windows are cut by rows."""
    label_time: str | None = None
    """When a label became known."""
    id: str | None = None
    """What tells a row from its copy; without one, duplicates are not counted."""
    ignored: tuple[str, ...] = ()
    """Columns left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """`healerd reference fit FILE`: a reference from the rows of [from_at, to_at)."""

    file: Path
    columns: Columns = Columns()
    window_s: float | None = None
    """Length of a window in seconds, with a time column [default: a day]."""
    window_rows: int | None = None
    """Rows of a window, without one [default: 1000]."""
    loss: str | None = None
    """When a prediction is wrong; for a quantity it must be said."""
    from_at: datetime | None = None
    to_at: datetime | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """`healerd detect FILE --reference REF`: REF is a table like FILE, or what `healerd reference fit` wrote."""

    file: Path
    reference: Path
    columns: Columns = Columns()
    window_s: float | None = None
    window_rows: int | None = None
    loss: str | None = None
    false_alarms_per_year: float = 1.0
    """The budget of the whole report."""
    rivals: tuple[str, ...] = ()
    """Columns with what stored versions would have said on the same rows."""
    earlier: tuple[Path, ...] = ()
    """Fitted references of earlier times, to see whether one of them has come back."""
    segment: str | None = None
    """A column whose values are also looked at one by one."""
    now: datetime | None = None
    """The present; times after it are a flaw."""
