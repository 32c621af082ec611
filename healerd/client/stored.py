"""The views made from a database that no daemon serves. Must never write to it, nor say that anything is live."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from healerd.audit import AuditReport
from healerd.client.looks import find_look, view_of
from healerd.client.views import plain
from healerd.clock import Clock, SystemClock
from healerd.errors import ControlError, NotAllowed
from healerd.store import Reader, ReadStore, Watermark

__all__ = ["Verifiable", "known_pipelines", "make_view", "open_state", "stored_view", "verified"]

Json = dict[str, Any]
Query = Mapping[str, str | int | None]


def open_state(state: Path) -> ReadStore:
    """Open the database of a state folder read-only. Raises ControlError without one, NotAllowed where it is closed."""
    try:
        there = (state / "healerd.db").exists()
    except PermissionError:
        raise NotAllowed(f"the state folder `{state}` is not open to you; ask to be put into its group") from None
    if not there:
        raise ControlError(f"no database in `{state}`; name the state folder with --state DIR")
    return ReadStore.open(state)


def stored_view(state: Path, path: str, query: Query, *, clock: Clock | None = None) -> Json:
    """Make the view behind a path of the control API from the database of a state folder."""
    with open_state(state) as reader:
        view = make_view(reader, path, query, at=(clock or SystemClock()).now())
    return {**view, "daemon": {"state": "away"}, "you": None, "present": []} if path == "/v1/status" else view


def make_view(reader: Reader, path: str, query: Query, *, at: datetime) -> Json:
    """Make the view behind a path as of `at`. Raises NotFound and ConfigError as the daemon does."""
    look, parts = find_look(path)
    asked = {**{name: str(value) for name, value in query.items() if value is not None}, **parts}
    return view_of(look)(reader, known_pipelines(reader), at, asked)


def known_pipelines(reader: Reader) -> Sequence[str]:
    """Name the pipelines of which windows were judged: the configuration may lie elsewhere."""
    return sorted(mark.pipeline for mark in reader.find(Watermark))


class Verifiable(Protocol):
    """What can check itself: a database, or an exported log."""

    def verify(self) -> AuditReport:
        """Check everything."""
        ...


def verified(reader: Verifiable, *, at: datetime) -> Json:
    """Check the whole audit log, and every row against it: it may take long."""
    report = reader.verify()
    return {
        "schema": 1,
        "at": plain(at),
        "sound": report.problem is None,
        "leaves": report.leaves,
        "head": report.head,
        "first_bad": report.first_bad,
        "problem": report.problem,
    }
