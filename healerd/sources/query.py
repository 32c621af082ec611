"""Run a person's own query in DuckDB: one SELECT, read-only, within bounds of memory, time and rows.

Must never paste a value into SQL, change what it reads, or download an extension.
"""

# ruff: noqa: S608 - the query is the configuration's own, and checked; every value is bound

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from healerd.columns import Column
from healerd.config import SourceSettings
from healerd.errors import SourceError
from healerd.segments.duck import literal, quoted
from healerd.sources.relation import COLUMNS_MAX, Relation

__all__ = ["Session", "check_query", "missing_extension", "open_query"]

BOUND = ("start_at", "end_at", "now")
"""What a query may name with a `$`: the window's bounds and, in a query of labels, the present; all naive UTC."""
KINDS = {"postgres": "postgres", "mysql": "mysql", "sqlite": "sqlite", "ducklake": "ducklake"}
"""How an address begins whose database another extension reads."""
MEND = "install it once, as the daemon's user: `python -c \"import duckdb; duckdb.execute('INSTALL {name}')\"`"


class Session:
    """What queries of one source run in: a database in memory with others attached read-only, one per thread."""

    def __init__(self, settings: SourceSettings, folder: Path) -> None:
        """Remember the limits; nothing is opened before the first query. Files in SQL are taken from `folder`."""
        self._settings, self._folder = settings, folder
        self._threads = threading.local()

    def fetch(self, sql: str, bound: Mapping[str, Any]) -> list[Column]:
        """Run a query with those of the bound values that it names; give its columns, masked where NULL.

        Raises:
            SourceError: it cannot be run, takes too long, too much memory, or brings more than `rows_max` rows.
        """
        most = self._settings.rows_max
        with self._told():
            duck = self._connection()
            named = duckdb.extract_statements(sql)[0].named_parameters
            with self._files_attached(duck), self._limited(duck):
                rows = duck.execute(
                    f"SELECT * FROM (\n{sql}\n) LIMIT {most + 1}", {name: bound[name] for name in named}
                )
                found = list(rows.fetchnumpy().values())
        if found and len(found[0]) > most:
            raise SourceError(
                f"the query brings more than {most:,} rows for one window: shorten `window`, or raise `source.rows_max`"
            )
        return found

    def _connection(self) -> duckdb.DuckDBPyConnection:
        found: duckdb.DuckDBPyConnection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = self._opened()
        return found

    def _opened(self) -> duckdb.DuckDBPyConnection:
        settings = self._settings
        duck = duckdb.connect(
            ":memory:",
            config={
                "threads": settings.threads,
                "memory_limit": settings.memory,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "temp_directory": "",
            },
        )
        duck.execute("SET TimeZone = 'UTC'")
        duck.execute("SET file_search_path = $folder", {"folder": str(self._folder.absolute())})
        for name in settings.extensions:
            duck.execute(f"LOAD {name}")
        for name, address in settings.attach.items():
            if not _is_file(address):
                self._attach(duck, name, address)
        duck.execute("SET lock_configuration = true")  # a query cannot loosen what stands above
        return duck

    @contextmanager
    def _files_attached(self, duck: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Attach DuckDB's own files for one query alone: while one is, nobody can write it, nor is a new one seen."""
        files = {name: address for name, address in self._settings.attach.items() if _is_file(address)}
        attached = []
        try:
            for name, address in files.items():
                self._attach(duck, name, address)
                attached.append(name)
            yield
        finally:
            for name in attached:
                duck.execute(f"DETACH {quoted(name)}")

    def _attach(self, duck: duckdb.DuckDBPyConnection, name: str, address: str) -> None:
        scheme, _, rest = address.partition(":")
        kind = KINDS.get(scheme)
        place = rest if kind == "sqlite" else address
        if kind in {None, "sqlite"}:
            place = str(self._folder / place)
        typed = f", TYPE {kind}" if kind else ""
        duck.execute(f"ATTACH {literal(place)} AS {quoted(name)} (READ_ONLY{typed})")  # it takes no bound values

    @contextmanager
    def _limited(self, duck: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt a query that takes too long."""
        timer = threading.Timer(self._settings.timeout, duck.interrupt)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # a thread that outlives the query would meet DuckDB at the end of the process

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn DuckDB's error into one that says what to do."""
        try:
            yield
        except duckdb.InterruptException as problem:
            took = f"{self._settings.timeout:g} s"
            raise SourceError(
                f"the query took longer than {took} and was interrupted: let it use `$start_at` and `$end_at`, or "
                "raise `source.timeout`"
            ) from problem
        except duckdb.OutOfMemoryException as problem:
            raise SourceError(
                f"the query needs more than {self._settings.memory} of memory: let it bring fewer rows or columns, or "
                "raise `source.memory`"
            ) from problem
        except (duckdb.Error, RuntimeError) as problem:
            raise SourceError(_explained(str(problem))) from problem


def _is_file(address: str) -> bool:
    """Tell whether an address names a file of DuckDB's own."""
    return address.partition(":")[0] not in KINDS


def check_query(query: str, place: str) -> str:
    """Give the query as one SELECT without its semicolon; `place` is its key.

    Raises:
        SourceError: it is no SQL, not one SELECT, or names a value that nobody binds.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as problem:
        raise SourceError(f"`{place}` is no SQL: {_first(str(problem))}") from problem
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError(f"`{place}` must be one SELECT: sources only read")
    unknown = sorted(set(statements[0].named_parameters) - set(BOUND))
    if unknown:
        raise SourceError(f"`{place}` names `${unknown[0]}`, which nobody binds: there are `$start_at` and `$end_at`")
    return str(statements[0].query).strip().rstrip(";")


def open_query(session: Session, query: str, place: str, bound: Mapping[str, Any]) -> Relation:
    """Tell the columns of a query; `bound` are the values that it may name.

    Raises:
        SourceError: it cannot be run, or has too many columns.
    """
    text = check_query(query, place)
    # The end of the line keeps a comment at the query's end from swallowing the bracket.
    sql = f"(\n{text}\n)"
    names, kinds = session.fetch(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {sql})", bound)
    if len(names) > COLUMNS_MAX:
        raise SourceError(f"`{place}` has {len(names):,} columns: healerd reads at most {COLUMNS_MAX:,}")
    types = {str(name): str(kind) for name, kind in zip(names, kinds, strict=True)}
    return Relation(
        path=place, files=(), sql=sql, row_sql="row_number() OVER ()", bound=bound, types=types, run=session.fetch
    )


def missing_extension(problem: str) -> str | None:
    """Name the extension that DuckDB says is missing; None where it is about something else."""
    if "extension" not in problem.lower():
        return None
    found = re.search(r'INSTALL "?(\w+)', problem) or re.search(r'[Ee]xtension "(?:[^"]*/)?(\w+)', problem)
    return found[1] if found else None


def _explained(problem: str) -> str:
    name = missing_extension(problem)
    if name:
        return (
            f"DuckDB's extension `{name}` is not there, and is never downloaded by itself: {MEND.format(name=name)}, "
            f'then add it to `source.extensions = ["{name}"]`'
        )
    return f"the query cannot be run: {_first(problem)}"


def _first(problem: str) -> str:
    """The first line; where DuckDB points at a place in the SQL, that line as well."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    pointed = next((line for line in lines if line.startswith("LINE ")), None)
    return f"{lines[0]} ({pointed})" if pointed else lines[0]
