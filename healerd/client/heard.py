"""When Alertmanager was last heard, for whoever watches the watcher. Must never say what its alerts were."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from healerd.model import EVERYTHING

if TYPE_CHECKING:
    from healerd.store import Reader

__all__ = ["HEARD", "heard_at"]

HEARD = "alerts heard"
"""The name under which it is saved, for the fleet as a whole, what was heard."""


def heard_at(reader: "Reader") -> datetime | None:
    """Tell when a notification was last taken; None when none ever was."""
    saved = reader.state(EVERYTHING, HEARD)
    at = json.loads(saved)["heard_at"] if saved else None
    return None if at is None else datetime.fromisoformat(at)
