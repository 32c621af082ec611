"""What stands in for a registry that does not answer: whatever it is asked, it says why nobody knows.

So whoever needs the registry is held at once, by the same reason, and nobody waits again for an answer that does not
come. Must never answer anything, nor know what the registry held.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NoReturn

from healerd.actions.alias import Alias, Move
from healerd.actions.registry import Draft, Model
from healerd.errors import RegistryAway
from healerd.model import Version

__all__ = ["AwayRegistry"]


class AwayRegistry:
    """The registry of one pipeline while it is away. Implements `Registry`: every call raises RegistryAway."""

    def __init__(self, pipeline: str, place: str, why: str) -> None:
        self.pipeline, self.place, self._why = pipeline, place, why

    def _away(self) -> NoReturn:
        raise RegistryAway(self._why)

    def prepare(self) -> None:
        """Raise RegistryAway."""
        self._away()

    def sweep(self) -> None:
        """Raise RegistryAway."""
        self._away()

    def alias(self) -> Alias:
        """Raise RegistryAway."""
        self._away()

    @property
    def active(self) -> str:
        """Raise RegistryAway."""
        self._away()

    def set_alias(self, target: str, *, if_current: str | None, key: str, epoch: int, by: str, at: datetime) -> Move:
        """Raise RegistryAway."""
        self._away()

    def raise_fence(self, epoch: int) -> Alias:
        """Raise RegistryAway."""
        self._away()

    def add(self, model: Model, draft: Draft) -> Version:
        """Raise RegistryAway."""
        self._away()

    def get(self, name: str) -> Version:
        """Raise RegistryAway."""
        self._away()

    def made_by(self, key: str, name: str) -> Version | None:
        """Raise RegistryAway."""
        self._away()

    def names(self) -> tuple[str, ...]:
        """Raise RegistryAway."""
        self._away()

    def versions(self) -> tuple[Version, ...]:
        """Raise RegistryAway."""
        self._away()

    def faults(self) -> tuple[str, ...]:
        """Raise RegistryAway."""
        self._away()

    def check(self, name: str) -> Version:
        """Raise RegistryAway."""
        self._away()

    def load(self, name: str) -> Model:
        """Raise RegistryAway."""
        self._away()

    def prune(self, *, keep: int, referenced: Collection[str] = ()) -> tuple[str, ...]:
        """Raise RegistryAway."""
        self._away()
