"""The audit log as people search it: pages of leaves, newest first, and one leaf whole. Must never leave one out.

A search for a text looks through a bounded stretch and says where it stopped: an empty page with `before` set is not
the end.
"""

from collections.abc import Sequence
from datetime import datetime

from healerd.audit.notes import read_checkpoint, read_notes
from healerd.client.asked import Asked, choices, number, whole
from healerd.client.briefs import EntryBrief
from healerd.client.views import Json, Reader, entry_view, plain
from healerd.client.words import say_event
from healerd.errors import ConfigError, NotFound

__all__ = ["audit", "entry"]

CHAIN_SHOWN = 16


def audit(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at a page of the log; `kind`, `actor` and `pipeline` may name several, parted by commas."""
    filters = {each: wanted for each in ("kind", "actor", "pipeline") if (wanted := choices(asked, each))}
    found, older = reader.leaf_page(
        as_type=EntryBrief,
        before=whole(asked, "before"),
        after=whole(asked, "after"),
        limit=number(asked, "limit", usual=200, most=1000),
        text=asked.get("text"),
        **filters,
    )
    chains, head = reader.chains([seq for seq, _ in found]), reader.head()
    return {
        "schema": 1,
        "entries": [_line(one, chains[seq]) for seq, one in found],
        "before": older,
        "after": found[0][0] if found else None,
        "head": {"seq": head[0], "chain": head[1]},
        "checkpoint": _short(reader.checkpoint()),
    }


def entry(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at one leaf with its whole record. Raises NotFound."""
    seq = whole(asked, "seq")
    if seq is None:
        raise ConfigError("`seq` must be a whole number")
    found = reader.leaves(after=seq - 1, limit=1) if seq else ()
    if not found or found[0].seq != seq:
        raise NotFound(f"no leaf {seq}; the log has {reader.head()[0]}")
    return {"schema": 1, **entry_view(found[0]), "chain": reader.chains([seq])[seq]}


def _short(text: str | None) -> Json | None:
    """What people compare of a checkpoint: how many leaves it covers, and how its root begins."""
    if text is None:
        return None
    (note,) = read_notes(text)
    said = read_checkpoint(note)
    return {"seq": said.size, "root": said.root.hex()[:CHAIN_SHOWN], "number": said.number}


def _line(one: EntryBrief, chain: str) -> Json:
    told = {"kind": one.kind, "actor": one.actor, "pipeline": one.pipeline, "table": one.table}
    return {
        "seq": one.seq,
        "at": plain(one.at),
        **told,
        "key": one.key,
        "said": say_event({**told, "record": one.record}),
        "chain": chain[:CHAIN_SHOWN],
    }
