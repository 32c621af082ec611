"""What a model registry is: the stored versions of one pipeline, and the alias that says which one serves.

Retraining, rollback, promotion and every other move reach a registry through this protocol alone, wherever it lies.
Must never know a storage: a kind of registry is a file of its own and a line in `registries.REGISTRIES`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from healerd.actions.alias import Alias, Move
from healerd.columns import Column
from healerd.model import Version, VersionKind

__all__ = ["Draft", "Model", "Registry", "version_name"]


class Model(Protocol):
    """What a registry stores: something that predicts n outputs from columns of n values."""

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be said of a version that is being stored."""

    name: str
    kind: VersionKind
    created_at: datetime
    key: str | None = None
    trained_from_at: datetime | None = None
    trained_to_at: datetime | None = None
    trained_rows: int = 0
    note: str = ""


def version_name(action: str, key: str) -> str:
    """Name the version that the intent with `key` makes: the same one after any crash."""
    return f"{action}-{key[:12]}"


class Registry(Protocol):
    """The versions of one pipeline and the alias `active`. It can be pickled: a job opens it in its own process.

    What cannot be read raises ActionError with the mend, RegistryAway where nobody answers, and changes nothing: an
    answer that nobody has is never an empty one. Every write is durable when it returns.
    """

    pipeline: str

    @property
    def place(self) -> str:
        """Where it lies, for people: a folder or an address."""
        ...

    def prepare(self) -> None:
        """Make what must be there before the first version. Raises ActionError with the mend."""
        ...

    def sweep(self) -> None:
        """Remove what a crash left half made. Only for the daemon that holds the lock, before any job runs."""
        ...

    # The alias.

    def alias(self) -> Alias:
        """Read where `active` stands, with its latest moves. Raises ActionError."""
        ...

    @property
    def active(self) -> str:
        """The version that serves. Raises ActionError when there is none."""
        ...

    def set_alias(self, target: str, *, if_current: str | None, key: str, epoch: int, by: str, at: datetime) -> Move:
        """Point `active` at a stored, whole `target` if it stands at `if_current`: one compare-and-set.

        A key that has moved it before changes nothing and gives that move. Raises StaleEpoch when a newer daemon has
        been here, AliasMoved when the alias stands elsewhere, ActionError when `target` is missing or not whole.
        """
        ...

    def raise_fence(self, epoch: int) -> Alias:
        """Read the alias, and turn away every daemon with an epoch below this one from now on. Raises StaleEpoch."""
        ...

    # The versions.

    def add(self, model: Model, draft: Draft) -> Version:
        """Store a model under its name, whole or not at all. Storing the same key again gives what is there."""
        ...

    def get(self, name: str) -> Version:
        """Read what is said of a version. Raises ActionError when it is not stored or makes no sense."""
        ...

    def made_by(self, key: str, name: str) -> Version | None:
        """Find the version that an intent made; None only when it is surely absent. Raises ActionError."""
        ...

    def names(self) -> tuple[str, ...]:
        """List the names of the stored versions."""
        ...

    def versions(self) -> tuple[Version, ...]:
        """List the stored versions that make sense, the newest first; `faults` names the others."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Say what is wrong with versions that cannot be used, with the mend."""
        ...

    def check(self, name: str) -> Version:
        """Check that a version is whole. Raises ActionError when it is missing or its content is another."""
        ...

    def load(self, name: str) -> Model:
        """Load a model whose content is the recorded one. Raises ActionError."""
        ...

    def prune(self, *, keep: int, referenced: Collection[str] = ()) -> tuple[str, ...]:
        """Remove versions beyond `keep`; one that is active, was just replaced or is referenced stays."""
        ...
