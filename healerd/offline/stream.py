"""A person's table as a stream: rows in the order of time, cut into windows, with a part that trains the first model.

Must never guess what a column means: what it cannot use is an error that names the column and the mend.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.columns import Column, Strings, Times, is_missing, kind_of
from healerd.config import utc
from healerd.errors import ConfigError, SourceError
from healerd.offline.estimator import Task, task_of
from healerd.offline.options import TryOptions
from healerd.offline.windows import choose_window, cut, in_words
from healerd.segments.times import aware, naive
from healerd.sources import TableFile, read_table

__all__ = ["Stream", "load_stream"]

CLASSES_MAX = 100
"""Texts with more different values than this are names or free text, not classes."""
COLUMNS_MAX = 1000
"""More columns than this make a decision's record larger than the log takes."""
TRAIN_ROWS_MIN = 50
"""Fewest labelled rows a first model is trained on; with fewer its own error says nothing."""
WINDOWS_MIN = 3
"""Fewest windows after the training that make a story."""
FIRST_ROW_AT = np.datetime64("2000-01-01", "us")
ONE_MINUTE = np.timedelta64(60_000_000, "us")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """n rows in the order of time. The first `first` of them train the first model, the others are served.

    `known_at` says when each label becomes known. Windows start at multiples of `window_s` since 1970. `notes` say
    what was chosen for the person.
    """

    name: str
    path: Path
    sha256: str
    columns: int
    at: Times
    features: Mapping[str, Column]
    label: Column
    known_at: Times
    task: Task
    window_s: float
    first: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.at)

    @property
    def start_at(self) -> datetime:
        """Start of the window that holds the first served row."""
        return cut(aware(self.at[self.first]), self.window_s)

    @property
    def end_at(self) -> datetime:
        """End of the last window."""
        return cut(aware(self.at[-1]), self.window_s) + timedelta(seconds=self.window_s)

    @property
    def windows(self) -> int:
        """How many windows are served."""
        return round((self.end_at - self.start_at).total_seconds() / self.window_s)

    def between(self, start_at: datetime, end_at: datetime) -> slice:
        """Find the rows of [start_at, end_at)."""
        low, high = np.searchsorted(self.at, np.array([naive(start_at), naive(end_at)]))
        return slice(int(low), int(high))

    def served(self, start_at: datetime, end_at: datetime) -> slice:
        """Find the rows of [start_at, end_at) that did not train the first model."""
        rows = self.between(start_at, end_at)
        return slice(max(rows.start, self.first), max(rows.stop, self.first))

    def ids(self, rows: slice) -> Strings:
        """Name rows by their place in the file: the same names in every run."""
        return np.array([f"row-{place}" for place in range(rows.start, rows.stop)], dtype=np.object_)

    def inputs(self, rows: slice) -> dict[str, Column]:
        """Give the features of some rows."""
        return {name: column[rows] for name, column in self.features.items()}


def load_stream(options: TryOptions) -> Stream:
    """Read the table, check that a model can be tried on it, and choose what was not said.

    Raises:
        ConfigError: the file, a column or a choice makes no sense; the message says which, and the mend.
    """
    try:
        table = read_table(options.file, time=options.time)
    except SourceError as error:
        raise ConfigError(str(error)) from error
    label = _target(table, options.target)
    task = task_of(label)
    _check_target(label, options.target, task)
    features = _features(table, options)
    if not features:
        raise ConfigError(f"`{table.path}` has no column beside `{options.target}` and the time: nothing to learn from")
    if len(features) > COLUMNS_MAX:
        raise ConfigError(
            f"`{table.path}` has {len(features):,} columns to learn from, more than {COLUMNS_MAX:,}: leave some out"
        )
    at = table.at if table.at is not None else FIRST_ROW_AT + ONE_MINUTE * np.arange(table.rows)
    window_s = options.window_s or choose_window(at)
    first = _first_served(at, label, options, window_s)
    stream = Stream(
        name=_pipeline_name(options.file),
        path=options.file,
        sha256=table.sha256,
        columns=len(table.columns) + (table.at is not None),
        at=at,
        features=features,
        label=label,
        known_at=_ends(at, window_s),
        task=task,
        window_s=window_s,
        first=first,
        notes=tuple(_notes(options, task, window_s=window_s, first=first)),
    )
    _check_split(stream, options.target)
    return stream


def _features(table: TableFile, options: TryOptions) -> dict[str, Column]:
    for name in options.ignored:
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, n=1)
            help_ = f"did you mean `{near[0]}`?" if near else f"it has {_listed(list(table.columns))}"
            raise ConfigError(f"`{table.path}` has no column `{name}` to ignore: {help_}")
    left_out = {options.target, *options.ignored}
    return {name: column for name, column in table.columns.items() if name not in left_out}


def _target(table: TableFile, target: str) -> Column:
    found = table.columns.get(target)
    if found is None:
        near = difflib.get_close_matches(target, table.columns, n=1)
        help_ = f"did you mean `{near[0]}`?" if near else f"it has {_listed(list(table.columns))}"
        raise ConfigError(f"`{table.path}` has no column `{target}` to predict: {help_}")
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:12]) + (", ..." if len(names) > 12 else "")


def _check_target(label: Column, target: str, task: Task) -> None:
    known = label[~is_missing(label)]
    if not len(known):
        raise ConfigError(f"the target `{target}` is missing in every row: name another column, or fill it")
    distinct = len(set(known)) if kind_of(label) == "categorical" else len(np.unique(known))
    if distinct == 1:
        raise ConfigError(f"the target `{target}` is always `{known[0]}`: there is nothing to predict")
    if task == "classification" and distinct > CLASSES_MAX:
        raise ConfigError(
            f"the target `{target}` has {distinct:,} different texts, too many to be classes: "
            "name a column of numbers, or of few classes"
        )


def _first_served(at: Times, label: Column, options: TryOptions, window_s: float) -> int:
    """Find the first row that is served."""
    if options.train_rows is not None and options.train_until is not None:
        raise ConfigError("give `--train-rows` or `--train-until`, not both")
    if options.train_rows is not None:
        return options.train_rows
    if options.train_until is not None:
        return int(np.searchsorted(at, naive(utc(options.train_until))))
    return _default_split(at, ~is_missing(label), window_s)


def _default_split(at: Times, labelled: Column, window_s: float) -> int:
    """Train on the first 28 windows, or the first third of a short table; on 200 labelled rows or half the table."""
    end = cut(aware(at[0]), window_s) + timedelta(seconds=28 * window_s)
    windows = int(np.searchsorted(at, naive(end)))
    enough = int(np.searchsorted(np.cumsum(labelled), 200)) + 1
    return max(min(windows, len(at) // 3), min(enough, len(at) // 2))


def _ends(at: Times, window_s: float) -> Times:
    """Give the end of each row's window: when its label becomes known, unless the data says otherwise."""
    length = np.int64(round(window_s * 1e6))
    numbers = at.astype("datetime64[us]").astype(np.int64) // length
    ends: Times = ((numbers + 1) * length).astype("datetime64[us]")
    return ends


def _check_split(stream: Stream, target: str) -> None:
    first, rows = stream.first, len(stream)
    trained = stream.label[:first]
    known = int((~is_missing(trained)).sum())
    if known < TRAIN_ROWS_MIN:
        raise ConfigError(
            f"{known:,} labelled rows to train on are too few, {TRAIN_ROWS_MIN} are needed (the table has {rows:,} "
            "rows): give more rows, or raise `--train-rows`"
        )
    if first >= rows or stream.windows < WINDOWS_MIN:
        left = 0 if first >= rows else stream.windows
        raise ConfigError(
            f"{left} windows of {in_words(stream.window_s)} are left after the {min(first, rows):,} rows that train, "
            f"{WINDOWS_MIN} are needed: train on fewer rows, or choose a shorter `--window`"
        )
    values = trained[~is_missing(trained)]
    if np.all(values == values[0]):
        kind = "class" if stream.task == "classification" else "value"
        raise ConfigError(
            f"the first {first:,} rows hold only one {kind} of `{target}` (`{values[0]}`): "
            "train on more rows with `--train-rows`"
        )
    if is_missing(stream.label[first:]).all():
        raise ConfigError(f"no row after the first {first:,} has a `{target}`: nothing could be judged")


def _notes(options: TryOptions, task: Task, *, window_s: float, first: int) -> list[str]:
    notes = [f"`{options.target}` is taken as a {'class' if task == 'classification' else 'quantity'}"]
    if options.time is None:
        notes.append("no time column: rows are taken in the file's order, one a minute from 2000-01-01")
    if options.window_s is None:
        notes.append(f"windows of {in_words(window_s)}; choose others with `--window`")
    if options.train_rows is None and options.train_until is None:
        notes.append(f"the first {first:,} rows train the first model; choose others with `--train-rows`")
    return notes


def _pipeline_name(file: Path) -> str:
    """Make a pipeline's name of the file's: letters, digits, dots, dashes and underscores."""
    stem = file.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:40] or "table"
