"""The published form of a trace: what `healerd trace show --json` prints, and the JSON Schema that it holds to.

Must never be told from memory: the schema is a file made from the records themselves, and a test compares the two.
"""

import json
from importlib.resources import files
from typing import Any, TypedDict

import msgspec

from healerd.decision.aftermath import Deed
from healerd.decision.chain import Link
from healerd.decision.recorded import Recorded
from healerd.model import Decision, Outcome

__all__ = ["SCHEMA_FILE", "make_schema", "trace_schema"]

Json = dict[str, Any]

SCHEMA_FILE = "trace.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "A healerd trace: one decision, everything it stood on, and what came of it"


class IntentLine(TypedDict):
    """An intent as a row of a table; `deadline_at` is the earliest moment at which silence decides about it."""

    id: str
    pipeline: str
    action: str
    target: str | None
    state: str
    revision: int
    confidence: float | None
    severity: int
    created_at: str
    deadline_at: str | None
    ended_at: str | None
    default: str
    reason: str
    author: str


class Published(TypedDict):
    """One trace. `said` are three sentences, `page`, `diagram` and `chain` the longer forms of the same object.

    `deeds` are the intents that came of the decision, each with its moves, answers, outcome and steps.
    """

    schema: int
    decision: Decision
    said: list[str]
    page: str
    diagram: str
    chain: list[Link]
    intents: list[IntentLine]
    outcomes: list[Outcome]
    deeds: list[Deed]


def trace_schema() -> Json:
    """Read the schema that is shipped."""
    shipped: Json = json.loads(files("healerd.client").joinpath(SCHEMA_FILE).read_text(encoding="utf-8"))
    return shipped


def make_schema() -> Json:
    """Make the schema from the records (JSON Schema, draft 2020-12)."""
    _, parts = msgspec.json.schema_components([Published, Recorded], ref_template="#/$defs/{name}")
    parts["Decision"]["properties"]["trace"] = {"$ref": "#/$defs/Recorded"}
    published = parts.pop("Published")
    published["properties"]["schema"] = {"const": 1}
    made: Json = _on_one_line({"$schema": DIALECT, **published, "title": TITLE, "$defs": dict(sorted(parts.items()))})
    return made


def _on_one_line(part: Any) -> Any:
    """Fold the descriptions, which are docstrings, into single lines."""
    if isinstance(part, dict):
        folded = {name: _on_one_line(value) for name, value in part.items()}
        text = folded.get("description")
        return {**folded, "description": " ".join(text.split())} if isinstance(text, str) else folded
    return [_on_one_line(value) for value in part] if isinstance(part, list) else part
