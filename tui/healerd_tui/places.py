"""Where one can be in the terminal UI. It must never hold a screen: a place can be gone to again."""

from dataclasses import dataclass

__all__ = ["MODES", "Place"]

MODES = ("fleet", "inbox", "rules", "audit", "health")
"""The first views, by the keys 1 to 5."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mode, or a pushed view of one thing: `kind` is a mode, pipeline, traces, trace, diff or prompt.

    `keep` is what a list is filtered by from the start.
    """

    kind: str
    name: str = ""
    keep: str = ""
