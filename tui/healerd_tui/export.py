"""Writes a trace into a file, as `healerd trace show --json` prints it. Must never overwrite a file."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from healerd.errors import ControlError

__all__ = ["write_trace"]


def write_trace(view: Mapping[str, Any], folder: Path) -> Path:
    """Write one trace into `folder`, and give the path. Raises ControlError when that cannot be done."""
    id_ = re.sub(r"[^A-Za-z0-9_-]+", "-", str(view["decision"]["id"]))[:100]
    path = folder / f"trace-{id_}.json"
    text = json.dumps({"schema": 1, **view}, indent=2, ensure_ascii=False)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise ControlError(f"`{path.name}` is there already; move it away to export this trace again") from None
    except OSError as error:
        raise ControlError(
            f"`{path}` could not be written: {error.strerror}; start healerd in a folder of yours"
        ) from None
    return path
