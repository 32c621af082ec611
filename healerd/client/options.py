"""What the terminal UI is started with. Must never hold behaviour."""

from dataclasses import dataclass

from healerd.client.access import Client
from healerd.client.replay import Replay

__all__ = ["TuiOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiOptions:
    """Where it looks, and how it starts.

    `pipeline` is opened first; `ascii` and `plain` keep to letters that every terminal has; `title` names the place in
    the header: a host, or the database that is replayed. A replay is always `read_only`.
    """

    access: Client | Replay
    read_only: bool = False
    pipeline: str | None = None
    ascii: bool = False
    plain: bool = False
    title: str = ""
