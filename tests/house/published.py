"""Writes the schema of a trace into healerd/client: `python -m tests.house.published`."""

import json
from pathlib import Path

from healerd.client.published import SCHEMA_FILE, make_schema

FILE = Path(__file__).parents[2] / "healerd" / "client" / SCHEMA_FILE


def written() -> str:
    """The schema as it should be written."""
    return json.dumps(make_schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
