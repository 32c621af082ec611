"""Read the audit log again, a little with each tick, so that a change is seen without anybody asking.

Must never hold a tick up for longer than its budget, nor call more verified than a whole pass has read: leaves, tree,
checkpoints, and the rows they describe. What a pass cannot see is a row that no leaf describes; `healerd audit verify`
can.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from healerd.audit import AuditReport
from healerd.audit.verify import Start
from healerd.client.views import Json, plain
from healerd.model import DAEMON
from healerd.store import Reader

__all__ = ["Rereading"]

BUDGET_S = 0.02
"""A tick comes each 5 s: less than half a percent of one core, and a million leaves take about half a day."""
SLICE = 50
log = logging.getLogger("healerd")


class Rereading:
    """One pass after another over the log of a reader; `said` is what the newest whole one found."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._start, self._upto = Start(), 0
        self._said: dict[str, Any] | None = None

    def step(self, reader: Reader, at: datetime) -> None:
        """Go on for as long as the budget lasts, to the end of the log as it was when the pass began."""
        end_s = self._now_s() + BUDGET_S
        if self._start.after >= self._upto:
            self._start, self._upto = Start(), reader.head()[0]
        while self._start.after < self._upto:
            report, self._start = reader.verify_slice(self._start, upto=min(self._start.after + SLICE, self._upto))
            if report.problem is not None:
                self._end(report, at)
                return
            if self._now_s() >= end_s:
                break
        if self._start.after >= self._upto > 0:
            self._end(None, at)

    def said(self) -> Json | None:
        """What the newest whole pass found, and when it ended; None before the first."""
        return self._said

    def _end(self, bad: AuditReport | None, at: datetime) -> None:
        problem = bad.problem if bad else None
        if problem is not None and (self._said or {}).get("problem") != problem:
            log.error("the audit log was changed: %s; see `healerd audit verify`", problem)
        said = {"at": plain(at), "seq": self._upto, "sound": problem is None, "problem": problem, "by": DAEMON}
        self._said = said
        self._start, self._upto = Start(), 0
