"""Sets up logging to stderr, plain or as one JSON object a line. Must never be the only place of a fact."""

import json
import logging
import sys
from datetime import UTC, datetime

__all__ = ["set_up_logging"]


class JsonLines(logging.Formatter):
    """Writes a log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the time, level, origin and message; a traceback under `error`."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send log records of `level` and above to stderr; what libraries say only when it is an error."""
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else plain)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # The ticker warns of each tick that it leaves out while one runs, which is what it is told to do.
    for library in ("apscheduler", "uvicorn"):
        logging.getLogger(library).setLevel(logging.ERROR)
