"""A copy of a control database, looked at as it stood at any moment of its life. Must never write to it.

The same looks as through `Client`, made from what the audit log holds up to a leaf; the clock is that leaf's.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healerd.client.access import Json, Looking
from healerd.errors import ConfigError, ControlError, StoreError

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

__all__ = ["Replay"]


class Replay(Looking):
    """A state folder, a database file or an exported log, at first as it stood at its end.

    Raises ControlError when there is none, StoreError when it is no database of this version.
    """

    def __init__(self, path: Path) -> None:
        from healerd.store.replay import ReplayStore  # only who replays pays for loading the store

        file = path / "healerd.db" if path.is_dir() else path
        if not file.exists():
            raise ControlError(f"no database at `{file}`; name a state folder, a copy of its healerd.db, or an export")
        self.path = file
        self._folder: TemporaryDirectory[str] | None = None
        self._store: ReplayStore = ReplayStore(self._rebuilt(file))
        self.last_seq = self._store.last()
        if not self.last_seq:
            raise ControlError(f"the audit log of `{file}` is empty: there is nothing to replay")
        self.seq = 0
        self._go(self.last_seq)

    def at(self, moment: datetime | str) -> "Replay":
        """Go to the newest leaf at `moment` or before; before the first one, to the first."""
        self._store.move(self.last_seq)
        return self._go(self._store.leaf_at(_moment(moment)))

    def step(self, leaves: int = 1) -> "Replay":
        """Go on by so many leaves, or back; at the ends it stays."""
        return self._go(self.seq + leaves)

    def go(self, seq: int) -> "Replay":
        """Go to a leaf by its number."""
        return self._go(seq)

    @property
    def now(self) -> str:
        """The time of the leaf it stands at, as ISO text."""
        return self._time(self.seq)

    @property
    def first_at(self) -> str:
        """The time of the first leaf."""
        return self._time(1)

    @property
    def last_at(self) -> str:
        """The time of the last leaf."""
        return self._time(self.last_seq)

    def look(self, path: str, **query: str | int | None) -> Json:
        """Make the view behind a path as of the moment."""
        from healerd.client.stored import make_view  # as above

        view = make_view(self._store, path, query, at=datetime.fromisoformat(self.now))
        replayed: Json = {"state": "replay", "path": str(self.path), "seq": self.seq}
        match path:
            case "/v1/status":
                return {**view, "daemon": replayed, "you": None, "present": [], "stop_file": None}
            case "/v1/health":
                return {**view, "daemon": replayed}
            case _:
                return view

    def verify(self) -> Json:
        """Check the whole audit log of the file."""
        from healerd.client.stored import verified  # as above

        if self._folder is not None:
            from healerd.store.exported import ExportedLog  # as above

            return verified(ExportedLog(self.path), at=datetime.fromisoformat(self.now))
        return verified(self._store, at=datetime.fromisoformat(self.now))

    def what_if(self, name: str, *, rules_id: str, path: str, text: str, days: int = 7) -> Json:
        """What the decisions of the days before this moment would have been with another text of one rule file."""
        from healerd.client.backtest.whatif import what_if  # as above

        at = datetime.fromisoformat(self.now)
        return what_if(self._store, name, rules_id=rules_id, path=path, text=text, days=days, at=at)

    def close(self) -> None:
        """Let go of the file, and of the database that was made from an export."""
        self._store.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _rebuilt(self, file: Path) -> Path:
        """Give the database to read: the file itself, or one made from it when it is an export."""
        from healerd.store.exported import is_export  # as above

        if not is_export(file):
            return file
        from tempfile import TemporaryDirectory  # as above

        from healerd.store.rebuild import rebuild

        self._folder = TemporaryDirectory(prefix="healerd-replay-")
        made = Path(self._folder.name) / "healerd.db"
        try:
            rebuild(file, made)
        except StoreError:
            self._folder.cleanup()
            raise
        return made

    def _go(self, seq: int) -> "Replay":
        self.seq = max(1, min(self.last_seq, seq))
        self._store.move(self.seq)
        return self

    def _time(self, seq: int) -> str:
        at: Any = self._store.stamp_of(seq)
        return str(at)


def _moment(moment: datetime | str) -> datetime:
    """Read a time; without a zone it is UTC."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(f"`{moment}` is no time; write one such as `2026-05-07T09:11`") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
