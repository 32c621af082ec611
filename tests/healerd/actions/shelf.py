"""A double of an MLflow server's face (`Shelf`): one model in memory, that crashes, lies or is silent on cue.

Each call takes effect whole or not at all, as the server's do; nothing else is assumed of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from healerd.actions.mlflow_client import Stand, Stored
from healerd.errors import ActionError

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
WRITES = ("make", "tag", "untag", "point", "begin", "put", "add", "tag_version", "remove", "discard")


T = TypeVar("T")


class Crash(BaseException):
    """The process dies here: nothing catches it."""


@dataclass(slots=True, kw_only=True)
class MemoryShelf:
    """A model in memory. `before` and `after` are told each call, and may raise; both default to doing nothing."""

    tags: dict[str, str] | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict)
    numbered: int = 0
    placed: int = 0
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda call: None
    after: Callable[[str], None] = lambda call: None

    @property
    def place(self) -> str:
        return "memory#flights"

    def _do(self, call: str, what: Callable[[], T]) -> T:
        self.calls.append(call)
        self.before(call)
        done = what()
        self.after(call)
        return done

    def stand(self) -> Stand | None:
        def read() -> Stand | None:
            return None if self.tags is None else Stand(tags=dict(self.tags), aliases=dict(self.aliases))

        return self._do("stand", read)

    def make(self) -> None:
        def make() -> None:
            self.tags = {} if self.tags is None else self.tags

        self._do("make", make)

    def tag(self, key: str, value: str) -> None:
        self._do("tag", lambda: self._tags().__setitem__(key, value))

    def untag(self, key: str) -> None:
        self._do("untag", lambda: self._tags().pop(key, None))

    def point(self, alias: str, number: str) -> None:
        def point() -> None:
            if number not in self.stored:
                raise ActionError(f"no version {number}")
            self.aliases[alias] = number

        self._do("point", point)

    def versions(self) -> tuple[Stored, ...]:
        return self._do("versions", lambda: tuple(reversed(self.stored.values())))

    def begin(self, name: str) -> str:
        def begin() -> str:
            self.placed += 1
            self.places[f"run{self.placed}"] = name
            self.contents[f"run{self.placed}"] = {}
            return f"run{self.placed}"

        return self._do("begin", begin)

    def put(self, place: str, file: str, content: bytes) -> None:
        self._do("put", lambda: self.contents[place].__setitem__(file, content))

    def add(self, place: str, tags: Mapping[str, str]) -> str:
        def add() -> str:
            self.numbered += 1
            number = str(self.numbered)
            self.stored[number] = Stored(number=number, tags=dict(tags), created_at=BEGUN, source=place)
            return number

        return self._do("add", add)

    def tag_version(self, number: str, key: str, value: str) -> None:
        def tag() -> None:
            stored = self.stored[number]
            self.stored[number] = replace(stored, tags={**stored.tags, key: value})

        self._do("tag_version", tag)

    def remove(self, number: str) -> None:
        def remove() -> None:
            place = self.stored.pop(number).source
            self.places.pop(place, None)
            self.contents.pop(place)
            self.aliases = {alias: at for alias, at in self.aliases.items() if at != number}

        self._do("remove", remove)

    def drafts(self) -> Mapping[str, str]:
        return self._do("drafts", lambda: dict(self.places))

    def discard(self, place: str) -> None:
        def discard() -> None:
            self.places.pop(place, None)
            self.contents.pop(place, None)

        self._do("discard", discard)

    def files(self, stored: Stored) -> tuple[str, ...]:
        return self._do("files", lambda: tuple(self.contents[stored.source]))

    def read(self, stored: Stored, file: str) -> bytes:
        def read() -> bytes:
            if file not in self.contents[stored.source]:
                raise ActionError(f"no file {file}")
            return self.contents[stored.source][file]

        return self._do("read", read)

    def by_others(self, files: Mapping[str, bytes], **tags: str) -> str:
        """Let somebody else add a version; returns its number."""
        place = self.begin("")
        del self.places[place]
        self.contents[place] = dict(files)
        return self.add(place, tags)

    def _tags(self) -> dict[str, str]:
        if self.tags is None:
            raise ActionError("no such model")
        return self.tags
