"""Counts what a question costs the database, whatever the machine does meanwhile. Must never change the database."""

from collections.abc import Callable

from healerd.store.library import sqlite

__all__ = ["steps"]


def steps(connection: sqlite.Connection, run: Callable[[], object]) -> int:
    """Count the steps of SQLite's machine that a connection takes in a run."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 1)
    run()
    connection.set_progress_handler(None, 0)
    return counted
