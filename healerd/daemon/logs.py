"""Sets up logging to stderr, plain or as JSON lines, and keeps the newest lines; never the only place of a fact."""

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

__all__ = ["LINES_MAX", "LogTail", "set_up_logging"]

LINES_MAX = 500
"""Lines that are kept for whoever looks."""
MESSAGE_MAX = 4000
"""Characters of one line; a traceback is longer, and stands in the log itself."""


class JsonLines(logging.Formatter):
    """Writes a log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the time, level, origin and message; the newest audit number, where one belongs; a traceback."""
        line = _line(record)
        if (audit := getattr(record, "audit", None)) is not None:
            line["audit"] = audit
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class JournalLines(JsonLines):
    """The same, each after its priority as journald reads it (sd-daemon(3)), so that `journalctl -p err` finds it."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the line after `<N>`."""
        priority = next(number for level, number in PRIORITIES if record.levelno >= level)
        return f"<{priority}>{super().format(record)}"


PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


class LogTail(logging.Handler):
    """Keeps the newest lines in memory, numbered from the start of the process."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[dict[str, Any]] = deque(maxlen=LINES_MAX)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; the oldest makes room."""
        self._count += 1
        line = _line(record)
        self._lines.append({"n": self._count, **line, "message": line["message"][:MESSAGE_MAX]})

    def lines(self) -> list[dict[str, Any]]:
        """Give what is kept, the newest last."""
        return list(self._lines)

    @contextmanager
    def listening(self, logger: logging.Logger) -> Iterator["LogTail"]:
        """Listen to `logger` until the block ends."""
        logger.addHandler(self)
        try:
            yield self
        finally:
            logger.removeHandler(self)


def _line(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, "level": record.levelname.lower(), "from": record.name, "message": record.getMessage()}


def set_up_logging(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send log records of `level` and above to stderr; what libraries say only when it is an error."""
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    in_journal = "JOURNAL_STREAM" in os.environ
    handler.setFormatter((JournalLines() if in_journal else JsonLines()) if as_json else plain)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # The ticker warns of each tick that it leaves out while one runs, which is what it is told to do.
    for library in ("apscheduler", "uvicorn"):
        logging.getLogger(library).setLevel(logging.ERROR)
