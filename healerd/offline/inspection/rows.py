"""A file's columns by what they are, and the file cut into windows. Must never drop a row that has a time.

Without a time column a window is so many rows, in the order of the file, and stands for a day of the budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Mask, Times, is_missing, kind_of, window_starts
from healerd.errors import ConfigError, SourceError
from healerd.offline.estimator import task_of
from healerd.offline.inspection.options import DAY_S, ROWS, Columns
from healerd.profiles import Loss, losses, parse_loss
from healerd.profiles.losses import Losses
from healerd.segments.times import aware, naive
from healerd.sources import Flaw, Survey

__all__ = ["Cut", "Stretch", "Table", "cut_of", "loss_of", "part_of", "stretches", "table_of", "taken", "within"]

EPOCH = datetime.fromtimestamp(0, UTC)
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
"""Where windows of rows are taken to begin, a day apart; never shown."""
WINDOWS_MAX = 100_000
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a file is cut: windows of `window_s` seconds, or of `window_rows` rows."""

    window_s: float | None = None
    window_rows: int | None = None

    @property
    def seconds(self) -> float:
        """How much of a year's budget a window stands for."""
        return DAY_S if self.window_s is None else self.window_s

    def __str__(self) -> str:
        if self.window_rows is not None:
            return f"{self.window_rows:,} rows"
        return next(
            f"{self.seconds / unit:g} {name}{'' if self.seconds == unit else 's'}"
            for unit, name in ((DAY_S, "day"), (3600.0, "hour"), (60.0, "minute"), (0.0, "second"))
            if self.seconds >= unit > 0 or unit == 0
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """One window: its interval, its name, and the places of its rows; `empty` windows without rows came before it."""

    start_at: datetime
    end_at: datetime
    name: str
    rows: npt.NDArray[np.intp]
    empty: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """n rows by what their columns are. `inputs` holds features and scores; `places` says which rows of the file."""

    inputs: Mapping[str, Column]
    scores: tuple[str, ...]
    output: Column | None
    label: Column | None
    score: npt.NDArray[np.float64] | None
    at: Times | None
    ids: Column | None
    others: Mapping[str, Column]
    rows: int
    places: npt.NDArray[np.intp]
    flaws: tuple[Flaw, ...]
    notes: tuple[str, ...]

    def losses(self, loss: Loss, output: Column | None = None) -> Losses | None:
        """The loss of each row, NaN where there is no label; None without labels or predictions."""
        said = self.output if output is None else output
        return None if said is None or self.label is None else losses(loss, said, self.label)

    def features(self) -> Mapping[str, Column]:
        """The inputs that are no scores."""
        return {name: column for name, column in self.inputs.items() if name not in self.scores}


def table_of(found: Survey, names: Columns, *, others: tuple[str, ...] = ()) -> Table:
    """Sort a file's columns; `others` are kept apart. Raises SourceError when one is missing or of the wrong kind."""
    given = (names.label, names.prediction, names.score, names.id, *others)
    for name in given:
        if name is not None and name not in found.columns:
            why = found.left_out.get(name)
            flaw = (
                f"cannot be used: {why}"
                if why
                else f"is not there; it has {', '.join(map('`{}`'.format, found.columns))}"
            )
            raise SourceError(f"`{found.path}`, column `{name}` {flaw}")
    label, label_flaws = _label(found, names)
    score = None if names.score is None else _numeric(found, names.score)
    output, notes = _output(found, names, label, score)
    inputs = {name: column for name, column in found.columns.items() if name not in {names.label, names.id, *others}}
    return Table(
        inputs=inputs,
        scores=tuple(name for name in (names.prediction, names.score) if name is not None),
        output=output,
        label=label,
        score=score,
        at=found.at,
        ids=None if names.id is None else found.columns[names.id],
        others={name: found.columns[name] for name in others},
        rows=found.rows,
        places=np.arange(found.rows),
        flaws=(*found.flaws, *label_flaws),
        notes=notes,
    )


def _numeric(found: Survey, name: str) -> npt.NDArray[np.float64]:
    column = found.columns[name]
    if kind_of(column) != "numeric":
        raise SourceError(f"`{found.path}`, column `{name}` holds text, a score is a number")
    return column


def _label(found: Survey, names: Columns) -> tuple[Column | None, tuple[Flaw, ...]]:
    """The labels; one that is known before its row was predicted is no truth about a prediction, and left out."""
    if names.label is None:
        return None, ()
    label = found.columns[names.label].copy()
    if found.known_at is None or found.at is None:
        return label, ()
    early = np.flatnonzero((found.known_at < found.at) & ~is_missing(label))
    if not len(early):
        return label, ()
    numbers = sorted(found.numbers[early].tolist())
    label[early] = None if kind_of(label) == "categorical" else np.nan
    said = "labels known before the prediction are left out: is the label an input of the model?"
    flaw = Flaw(
        column=names.label,
        count=len(early),
        first=numbers[0],
        last=numbers[-1],
        said=f"{len(early):,} {said}",
    )
    return label, (flaw,)


def _output(
    found: Survey, names: Columns, label: Column | None, score: npt.NDArray[np.float64] | None
) -> tuple[Column | None, tuple[str, ...]]:
    """The predictions; of a probability without them, class 1 from one half on."""
    if names.prediction is not None:
        return found.columns[names.prediction], ()
    two = label is not None and kind_of(label) == "numeric" and bool(np.isin(label[~is_missing(label)], (0, 1)).all())
    if score is None or not two:
        return None, ()
    output = np.where(np.isnan(score), np.nan, (score >= HALF).astype(np.float64))
    return output, (f"no prediction was named: `{names.score}` of 0.5 or more was taken as class 1",)


def loss_of(text: str | None, label: Column | None, *, name: str | None) -> Loss | None:
    """When a prediction is wrong; None without labels. Raises ConfigError when it must be said and is not."""
    if text is not None:
        return parse_loss(text)
    if label is None:
        return None
    if task_of(label) == "classification":
        return Loss(kind="zero-one")
    raise ConfigError(
        f'`{name}` is a quantity: say when a prediction is wrong, with `--loss "relative 10%"` or `--loss "absolute 5"`'
    )


def cut_of(*, timed: bool, window_s: float | None, window_rows: int | None, default: Cut | None) -> Cut:
    """Choose the windows. Raises ConfigError when they cannot be cut that way, or not as the reference's were."""
    if window_s is not None and not timed:
        raise ConfigError("`--window` needs times: name their column with `--time`, or use `--window-rows`")
    if window_s is not None and window_rows is not None:
        raise ConfigError("give `--window` or `--window-rows`, not both")
    asked = Cut(window_s=window_s, window_rows=window_rows) if window_s or window_rows else None
    if default is not None and asked not in (None, default):
        raise ConfigError(
            f"the reference has windows of {default}, not of {asked}: fit it anew, or leave the window out"
        )
    if default is not None and default.window_s is not None and not timed:
        raise ConfigError(f"the reference has windows of {default}: name the column of times with `--time`")
    if asked or default:
        return asked or default or Cut()
    return Cut(window_s=DAY_S) if timed else Cut(window_rows=ROWS)


def stretches(table: Table, cut: Cut) -> list[Stretch]:
    """Cut a table in the order of time into windows that hold rows; a part of a file is cut where the file is.

    Raises SourceError when there would be too many.
    """
    if cut.window_rows is not None:
        numbers, begin, length = table.places // cut.window_rows, BEGIN, timedelta(days=1)
    else:
        assert table.at is not None
        assert cut.window_s is not None
        numbers, begin, length = window_starts(table.at, cut.window_s), EPOCH, timedelta(seconds=cut.window_s)
    starts, first = np.unique(numbers, return_index=True)
    if cut.window_s is not None and len(starts) > WINDOWS_MAX:
        raise SourceError(f"{len(starts):,} windows of {cut}, more than {WINDOWS_MAX:,}: choose a longer `--window`")
    parts = np.split(np.arange(table.rows), first[1:]) if table.rows else []
    gaps = np.diff(starts, prepend=starts[:1] - 1) - 1
    begins = [begin + int(number) * length for number in starts]
    return [
        Stretch(start_at=at, end_at=at + length, name=_named(at, cut, table.places[part]), rows=part, empty=int(gap))
        for at, part, gap in zip(begins, parts, gaps, strict=True)
    ]


def _named(at: datetime, cut: Cut, places: npt.NDArray[np.intp]) -> str:
    if cut.window_rows is not None:
        start = int(places[0]) // cut.window_rows * cut.window_rows
        return f"rows {start + 1:,} to {int(places[-1]) + 1:,}"
    return f"{at:%Y-%m-%d}" if cut.seconds % DAY_S == 0 else f"{at:%Y-%m-%d %H:%M}"


def part_of(table: Table, name: str, value: object) -> Table:
    """The rows of which a column has a value, without that column."""
    column = table.inputs[name]
    which = np.flatnonzero(np.array([each == value for each in column.tolist()], np.bool_))
    inputs = {one: values for one, values in table.inputs.items() if one != name}
    return replace(
        table,
        inputs=taken(inputs, which),
        output=None if table.output is None else table.output[which],
        label=None if table.label is None else table.label[which],
        score=None if table.score is None else table.score[which],
        at=None if table.at is None else table.at[which],
        ids=None if table.ids is None else table.ids[which],
        others=taken(table.others, which),
        rows=len(which),
        places=table.places[which],
    )


def taken(columns: Mapping[str, Column], which: npt.NDArray[np.intp] | Mask) -> dict[str, Column]:
    """These rows of every column."""
    return {name: column[which] for name, column in columns.items()}


def within(found: Survey, from_at: datetime | None, to_at: datetime | None) -> Survey:
    """The rows of a stretch of time. Raises ConfigError without times, SourceError when nothing is left."""
    if from_at is None and to_at is None:
        return found
    if found.at is None:
        raise ConfigError("`--from` and `--to` need times: name their column with `--time`")
    keep = np.ones(found.rows, np.bool_)
    if from_at is not None:
        keep &= found.at >= naive(from_at)
    if to_at is not None:
        keep &= found.at < naive(to_at)
    if not keep.any():
        raise SourceError(
            f"`{found.path}` has no rows in that stretch of time: "
            f"it goes from {aware(found.at[0])} to {aware(found.at[-1])}"
        )
    return replace(
        found,
        rows=int(keep.sum()),
        columns=taken(found.columns, keep),
        at=found.at[keep],
        known_at=None if found.known_at is None else found.known_at[keep],
        numbers=found.numbers[keep],
    )
