"""Hand each thread its own DuckDB connection, and turn its answers into columns.

Must never keep data in it: files go in, columns come out.
"""

import threading
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Kind

__all__ = ["SQL_TYPES", "connection", "fetch", "filled", "literal", "quoted"]

SQL_TYPES: Mapping[Kind, str] = {"numeric": "DOUBLE", "categorical": "VARCHAR"}

_threads = threading.local()


def connection() -> duckdb.DuckDBPyConnection:
    """Give this thread's connection to an empty database in memory, made on first use.

    One thread a query keeps the order of rows, and leaves the other cores to the daemon; nothing is downloaded.
    """
    found: duckdb.DuckDBPyConnection | None = getattr(_threads, "connection", None)
    if found is None:
        found = duckdb.connect(
            ":memory:",
            config={
                "threads": 1,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "temp_directory": "",
                # It would keep a note of every file that was ever read; each is read once or twice.
                "enable_external_file_cache": "false",
            },
        )
        # A time without a zone is UTC here, whatever the machine's zone.
        found.execute("SET TimeZone = 'UTC'")
        _threads.connection = found
    return found


def fetch(sql: str, bound: Mapping[str, Any]) -> list[Column]:
    """Run a query with the `$name` values that it uses; give its columns in order, masked where a value is NULL."""
    used = {name: bound[name] for name in duckdb.extract_statements(sql)[0].named_parameters}
    return list(connection().execute(sql, used).fetchnumpy().values())


def filled(column: Column, kind: Kind) -> Column:
    """Put what is missing in place of NULL: NaN in a numeric column, None in a categorical one."""
    values: npt.NDArray[Any] = np.ma.getdata(column).astype(np.float64 if kind == "numeric" else np.object_)
    values[np.ma.getmaskarray(column)] = np.nan if kind == "numeric" else None
    return values


def literal(text: str) -> str:
    """Write a text as SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Quote a name for SQL.

    >>> quoted('the "best" column')
    '"the ""best"" column"'
    """
    return '"' + name.replace('"', '""') + '"'
