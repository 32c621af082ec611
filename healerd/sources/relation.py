"""Find a table's files, tell its columns, and turn what DuckDB says about them into errors that help.

Must never let DuckDB guess a file's dialect: it skips lines that do not fit its guess.
"""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

import csv
import difflib
import glob
import gzip
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import duckdb
import numpy as np

from healerd.columns import Column, Kind
from healerd.errors import SourceError
from healerd.segments.duck import SQL_TYPES, fetch, literal, quoted

__all__ = ["COLUMNS_MAX", "MISSING", "Relation", "Type", "header_of", "number_text", "open_relation"]

COLUMNS_MAX = 10_000
HEADER_BYTES_MAX = 2**20
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
"""What stands for a missing value in a CSV file."""

_ENDINGS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}

Type = Literal["numeric", "categorical", "time", "other"]
"""What a column is for healerd; `other` is one that it cannot use, a list say."""

_PATTERNS: Mapping[Type, re.Pattern[str]] = {
    "numeric": re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)"),
    "time": re.compile(r"TIMESTAMP.*|DATE"),
    "categorical": re.compile(r'VARCHAR|BOOLEAN|UUID|ENUM\(.*\)|TIME.*|INTERVAL|"NULL"'),
}

_WIDER = {r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?": "DOUBLE", r"BOOLEAN|TIME( .*)?": "VARCHAR"}
"""What holds all that may follow, where a column of a CSV file was told from its first rows: DuckDB would round later
fractions to whole numbers, and say of other text that it is no truth."""
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table as SQL: `sql` is what to select from, `bound` its values, `types` the SQL type of each column by name.

    `row_sql` numbers the rows in the order of the files, and of each file. `run` is what carries queries out. `texts`
    are columns that are text as it stands.
    """

    path: str
    files: tuple[str, ...]
    sql: str
    row_sql: str
    bound: Mapping[str, Any]
    types: Mapping[str, str]
    run: Callable[[str, Mapping[str, Any]], list[Column]] = fetch
    texts: Collection[str | None] = ()

    @property
    def is_csv(self) -> bool:
        """Tell whether the files are text."""
        return bool(self.files) and _format(Path(self.files[0])) == "csv"

    def require(self, *names: str) -> None:
        """Check that the columns are there.

        Raises:
            SourceError: one is not; the message names the nearest.
        """
        for name in names:
            if name not in self.types:
                raise SourceError(f"`{self.path}` has no column `{name}`: {_nearest(name, self.types)}")

    def type_of(self, name: str) -> Type:
        """Tell what a column is for healerd."""
        kind = self.types[name]
        return next((found for found, pattern in _PATTERNS.items() if pattern.fullmatch(kind)), "other")

    def kind_of(self, name: str) -> Kind:
        """Tell how a column travels: numbers and times as numbers, the rest as text.

        Raises:
            SourceError: it is of a type that is neither, such as a list.
        """
        match self.type_of(name):
            case "numeric" | "time":
                return "numeric"
            case "categorical":
                return "categorical"
            case "other":
                raise SourceError(
                    f"`{self.path}`, column `{name}` is a {self.types[name]}, which is no number and no text: "
                    "leave it out by naming the features"
                )

    def time_sql(self, name: str) -> str:
        """Write a column as naive UTC time; NULL where it does not parse. A time without a zone is UTC.

        Raises:
            SourceError: the column holds numbers: of which unit and since when is not to be guessed.
        """
        if self.types[name] == "TIMESTAMP":
            return quoted(name)  # as it is, so that Parquet's own index of times is used
        if self.type_of(name) not in {"time", "categorical"}:
            raise SourceError(
                f"`{self.path}`, column `{name}` is a {self.types[name]}, not a time: "
                "write times as `2026-01-31T12:00:00Z`, or name the column that holds them"
            )
        return f"make_timestamp(epoch_us(try_cast({quoted(name)} AS TIMESTAMPTZ)))"

    def number_sql(self, name: str) -> str:
        """Write a column as numbers, true and false as 1 and 0; NULL where it holds none.

        A bare try_cast of a column can be pushed down into the reader of CSV files, which then fails at the first text
        instead of giving NULL; one within another expression cannot.
        """
        text = f"lower({quoted(name)}::VARCHAR)"
        number = f"WHEN NOT contains({text}, '_') THEN try_cast({quoted(name)} AS DOUBLE)"  # DuckDB reads 1_000
        return f"CASE WHEN {text} = 'true' THEN 1.0 WHEN {text} = 'false' THEN 0.0 {number} END"

    def text_sql(self, name: str) -> str:
        """Write a column as text: a whole number without a point, whatever type holds it; truths in small letters.

        What a file of text calls true is so for itself, whatever else stands in the file.
        """
        if self.types[name] in {"DOUBLE", "FLOAT"}:
            return number_text(quoted(name))
        text = f"{quoted(name)}::VARCHAR"
        if self.types[name] != "VARCHAR" or not self.is_csv or name in self.texts:
            return text
        return f"CASE WHEN lower({text}) IN ('true', 'false') THEN lower({text}) ELSE {text} END"

    def value_sql(self, name: str, kind: Kind) -> str:
        """Write a column as a value of a kind; a time becomes seconds since 1970."""
        if kind == "numeric" and self.type_of(name) == "time":
            return f"epoch({quoted(name)})::DOUBLE"
        return self.text_sql(name) if kind == "categorical" else f"{quoted(name)}::{SQL_TYPES[kind]}"

    def fetch(self, sql: str, bound: Mapping[str, Any] | None = None) -> list[Column]:
        """Run a query; give its columns, masked where a value is NULL.

        Raises:
            SourceError: the table cannot be read.
        """
        with _readable(self.path, self.files):
            return self.run(sql, {**self.bound, **(bound or {})})

    def refuse(self, column: str, condition: str, flaw: str) -> None:
        """Check that no row meets a condition.

        Raises:
            SourceError: one does; the message names the first, counted from 1, with its value.
        """
        sql = f"""SELECT n, value FROM (
                SELECT {self.row_sql} AS n, {quoted(column)}::VARCHAR AS value, {condition} AS bad FROM {self.sql}
            ) WHERE bad ORDER BY n LIMIT 1"""
        rows, values = self.fetch(sql)
        if len(rows):
            value = "an empty value" if values[0] is None or values[0] is np.ma.masked else f"`{values[0]}`"
            raise SourceError(f"`{self.path}`, row {rows[0]:,}, column `{column}`: {value} {flaw}")


def open_relation(
    path: str,
    folder: Path,
    *,
    whole: bool = False,
    name: str = "files",
    texts: Collection[str | None] = (),
    times: Collection[str | None] = (),
) -> Relation:
    """Find the files of a path (a file, a glob, or a folder), taken from `folder`, and tell their columns.

    With `whole`, the types of CSV columns are told from every row; else from the first 20,000, and then numbers take
    whatever number may follow. `texts` are columns that are text whatever they look like, so that the id `007` stays
    itself; `times` are those whose zones count, and of which no month is guessed. `name` is the word under which the
    files are bound, so that a query can read two tables.

    Raises:
        SourceError: there are none, they are of unknown or mixed formats, or they are too wide or damaged.
    """
    files = _files(path, folder)
    endings = {_format(file) for file in files}
    if endings == {"csv"}:
        sql, row_sql = _csv_sql(files[0], name, whole=whole), "row_number() OVER ()"
    elif endings == {"parquet"}:
        sql = f"read_parquet(${name}, union_by_name = true)"
        row_sql = "file_index::BIGINT * 1_000_000_000_000 + file_row_number + 1"
    else:
        raise SourceError(f"`{path}` is not all CSV or all Parquet: name files that end in {', '.join(_ENDINGS)}")
    bound = {name: [glob.escape(str(file)) for file in files]}  # DuckDB takes each for a pattern
    with _readable(path, files):
        names, kinds = fetch(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {sql})", bound)
    _check_width(path, len(names))
    types = {str(name): str(kind) for name, kind in zip(names, kinds, strict=True)}
    if endings == {"csv"}:
        forced = {} if whole else {column: kind for column, told in types.items() if (kind := _wider(told))}
        forced |= {column: "TIMESTAMPTZ" for column in types if column in times and types[column] in _TIMES}
        forced |= {column: "VARCHAR" for column in types if column in texts}
        sql, types = _with_types(sql, forced), types | forced
    return Relation(
        path=path, files=tuple(map(str, files)), sql=sql, row_sql=row_sql, bound=bound, types=types, texts=texts
    )


@contextmanager
def _readable(path: str, files: Sequence[Path | str]) -> Iterator[None]:
    """Turn DuckDB's error about a table into one that names the place and the mend."""
    try:
        yield
    except duckdb.Error as problem:
        raise SourceError(_explain(path, files, str(problem))) from problem


def _files(path: str, folder: Path) -> tuple[Path, ...]:
    place = folder / path
    if not path:
        raise SourceError("the source names no `path`: name a CSV or Parquet file, a glob or a folder")
    if place.is_dir():
        found = [file for file in place.rglob("*") if file.is_file() and _format(file)]
    elif place.is_file():
        found = [place]
    else:
        pattern = str(Path(glob.escape(str(folder))) / path)
        named = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 - an absolute pattern
        found = [file for file in named if file.is_file()]
    if not found:
        raise SourceError(f"there is no file `{path}` in `{folder}`: check the path{_near_file(place)}")
    empty = next((file for file in found if file.stat().st_size == 0), None)
    if empty:
        raise SourceError(f"the file `{empty}` is empty: it needs a line of column names, or remove it")
    return tuple(sorted(found))


def _format(file: Path) -> str | None:
    name = file.name.removesuffix(".gz")
    return _ENDINGS.get(Path(name).suffix.lower())


def _near_file(place: Path) -> str:
    names = [each.name for each in place.parent.iterdir()] if place.parent.is_dir() else []
    near = difflib.get_close_matches(place.name, names, n=1)
    return f", did you mean `{near[0]}`?" if near else ""


def _csv_sql(file: Path, name: str, *, whole: bool) -> str:
    delimiter, _ = header_of(file)
    missing = ", ".join(f"'{text}'" for text in MISSING)
    sample = -1 if whole else 20_480
    return (
        f"read_csv(${name}, header = true, skip = 0, comment = '', delim = '{delimiter}', quote = '\"', escape = '\"', "
        f"nullstr = [{missing}], union_by_name = true, sample_size = {sample})"
    )


def _wider(told: str) -> str | None:
    """Name the type that a CSV column is read as, where that is not the one that it was told to be."""
    return next((kind for pattern, kind in _WIDER.items() if re.fullmatch(pattern, told)), None)


def _with_types(sql: str, forced: Mapping[str, str]) -> str:
    listed = ", ".join(f"{literal(column)}: '{kind}'" for column, kind in forced.items())
    return f"{sql.removesuffix(')')}, types = {{{listed}}})" if forced else sql


def number_text(value: str) -> str:
    """Write a number as text, in SQL: as short as can be read back, and a whole one without a point."""
    return f"regexp_replace(({value})::DOUBLE::VARCHAR, '\\.0$', '')"


def header_of(file: Path) -> tuple[str, list[str]]:
    """Read a CSV file's delimiter, which is the one that makes the most columns, and their names."""
    try:
        with _open_text(file) as text:
            header = text.readline(HEADER_BYTES_MAX)
    except (UnicodeDecodeError, OSError) as problem:
        raise SourceError(f"the file `{file}` cannot be read as UTF-8 text: {problem}; save it as UTF-8") from problem
    if len(header) == HEADER_BYTES_MAX:
        raise SourceError(f"the first line of `{file}` is longer than {HEADER_BYTES_MAX:,} characters: {_TOO_WIDE}")
    try:
        splits = {mark: next(csv.reader([header], delimiter=mark), []) for mark in (",", ";", "\t", "|")}
    except csv.Error as problem:  # a name of more than 131,072 characters, by one of the marks
        raise SourceError(f"the first line of `{file}` holds no names of columns: {problem}; {_TOO_WIDE}") from problem
    delimiter = max(splits, key=lambda mark: len(splits[mark]))
    _check_width(str(file), len(splits[delimiter]))
    return delimiter, splits[delimiter]


_TOO_WIDE = f"healerd reads tables of at most {COLUMNS_MAX:,} columns, one row a prediction; is it transposed?"


def _check_width(path: str, width: int) -> None:
    if width > COLUMNS_MAX:
        raise SourceError(f"`{path}` has {width:,} columns: {_TOO_WIDE}")


def _open_text(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _nearest(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = ", ".join(f"`{each}`" for each in list(names)[:12]) + (", ..." if len(names) > 12 else "")
    return f"did you mean `{near[0]}`? It has {listed}" if near else f"it has {listed}"


def _explain(path: str, files: Sequence[Path | str], problem: str) -> str:
    line = re.search(r"CSV Error on Line: (\d+)", problem)
    value = re.search(r'Error when converting column "(.*?)"\. Could not convert string "(.*?)" to \'(.*?)\'', problem)
    file = re.search(r"file = (.+)", problem)
    place = f"`{file.group(1).strip() if file else path}`" + (f", line {line.group(1)}" if line else "")
    if value:
        column, text, kind = value.groups()
        if kind.startswith("TIMESTAMP"):
            return f"{place}, column `{column}`: `{text}` is no time; write times as `2026-01-31T12:00:00Z`"
        return (
            f"{place}, column `{column}`: `{text}` is no {kind.lower()}, but the values before it are; "
            "mend the value, or leave it empty where it is missing"
        )
    if "sniffing" in problem:
        return next(
            (flaw for name in files if (flaw := _ragged(Path(name)))), f"{place} is no table: {_first(problem)}"
        )
    if "unicode" in problem:
        return f"{place} is not UTF-8 text: save it as UTF-8"
    if "magic bytes" in problem or "parquet" in problem.lower():
        return f"{place} is no whole Parquet file: {_first(problem)}; write it again"
    return f"{place} cannot be read: {_first(problem)}"


def _first(problem: str) -> str:
    return problem.partition("\n")[0]


def _ragged(file: Path) -> str | None:
    """Find the first line whose number of fields is not that of the header."""
    with _open_text(file) as text:
        rows = csv.reader(text, delimiter=header_of(file)[0])
        width = len(next(rows, []))
        for row in rows:
            if row and len(row) != width:
                return f"`{file}`, line {rows.line_num}: {len(row)} fields, but the header has {width}; mend the line"
    return None
