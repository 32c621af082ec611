"""Where an expression stands, and how faults in it are reported.

It never resolves a name.
"""

from dataclasses import dataclass
from enum import StrEnum

from healerd_rules.module import Module
from healerd_rules.schema import Type
from healerd_rules.tree import Span


class Place(StrEnum):
    """Where an expression stands; `confidence` has a meaning in guards and invariants alone."""

    GUARD = "guard"
    PLAIN = "plain"
    INVARIANT = "invariant"


@dataclass(frozen=True, slots=True)
class Context:
    """The module, the place, and the dimension whose member is being looked at."""

    module: Module
    place: Place
    dimension: str | None = None

    def error(self, code: str, span: Span, message: str, mend: str = "") -> None:
        """Report in the module's file."""
        self.module.findings.error(code, span, message, mend)

    def text(self, span: Span) -> str:
        """What is written there."""
        return self.module.source.slice(span)


def with_article(kind: Type) -> str:
    """A type as it stands in a sentence."""
    return {Type.MONEY: "money", Type.TEXT: "text", Type.BYTES: "bytes", Type.BOOL: "a truth", Type.TIME: "a time"}.get(
        kind, f"a {kind.value}"
    )
