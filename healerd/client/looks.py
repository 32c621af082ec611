"""The table of looks: which path shows which view. Must never read anything itself.

The daemon serves each row, and a client without a daemon makes the same view from the database: one function, handed
the same text. A new look is a view and a row here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import unquote

from healerd.client.asked import Asked

__all__ = ["LOOKS", "Look", "find_look", "view_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One path of the API; `view` is `module:function` in this package, loaded when it is first asked for.

    `attended` says that whoever looks at it sees what waits for an answer (SAFETY S9).
    """

    path: str
    view: str
    attended: bool = False


class View(Protocol):
    """Makes what a look shows from what is stored."""

    def __call__(self, reader: Any, names: Sequence[str], at: datetime, asked: Asked) -> dict[str, Any]:
        """Read, for the pipelines `names` at the moment `at`; raises NotFound and ConfigError."""
        ...


LOOKS = (
    Look(path="/v1/status", view="fleet:status"),
    Look(path="/v1/pipelines/{name}", view="fleet:pipeline"),
    Look(path="/v1/pipelines/{name}/distributions", view="distributions:distributions"),
    Look(path="/v1/pipelines/{name}/timeline", view="timeline:timeline"),
    Look(path="/v1/pipelines/{name}/versions", view="versions:versions"),
    Look(path="/v1/pipelines/{name}/rules", view="firing:rules"),
    Look(path="/v1/pipelines/{name}/policy", view="trust:policy"),
    Look(path="/v1/intents", view="views:intents", attended=True),
    Look(path="/v1/intents/{id}", view="review:intent", attended=True),
    Look(path="/v1/traces", view="traces:traces"),
    Look(path="/v1/traces/{id}", view="traces:trace"),
    Look(path="/v1/why-not", view="whynot:why_not"),
    Look(path="/v1/audit", view="leaves:audit"),
    Look(path="/v1/audit/{seq}", view="leaves:entry"),
    Look(path="/v1/health", view="health:health"),
)


def view_of(look: Look) -> View:
    """Load the function behind a look."""
    module, _, function = look.view.partition(":")
    view: View = getattr(import_module(f"healerd.client.{module}"), function)
    return view


def find_look(path: str) -> tuple[Look, dict[str, str]]:
    """Find the look behind a path, and what its parts say; a path that none has is a mistake of the caller."""
    parts = path.split("/")
    for look in LOOKS:
        pattern = look.path.split("/")
        if len(pattern) == len(parts) and all(p == q or p[:1] == "{" for p, q in zip(pattern, parts, strict=True)):
            return look, {p[1:-1]: unquote(q) for p, q in zip(pattern, parts, strict=True) if p[:1] == "{"}
    raise AssertionError(f"no look has the path {path}")
