from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.audit import EMPTY, Entry, Leaf, Row, entry_of, leaf_hash, link, make_leaf, replay, verify_leaves


def an_entry(seq: int, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "seq": seq,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "boot_id": "boot",
        "boot_s": 1.5,
        "epoch": 1,
        "kind": "intent",
        "actor": "daemon",
        "pipeline": "p",
        "table": "intent",
        "key": f"i{seq % 3}",
        "record": {"n": seq},
    }
    return Entry(**{**fields, **changes})


def a_log(n: int) -> list[Leaf]:
    leaves, chain = list[Leaf](), EMPTY
    for seq in range(1, n + 1):
        leaves.append(make_leaf(an_entry(seq), chain))
        chain = leaves[-1].chain
    return leaves


def test_a_leaf_is_hashed_as_the_standard_says() -> None:
    """A leaf's hash is SHA-256 of a zero byte and its bytes (RFC 6962), the empty log's that of nothing."""
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert sha256(b"").digest() == EMPTY


def test_a_leaf_says_what_was_written() -> None:
    """An entry read from its leaf is the entry."""
    entry = an_entry(1)
    assert entry_of(make_leaf(entry, EMPTY)) == entry


def test_a_sound_log_verifies() -> None:
    """A log as written has no first bad leaf, and its head is that of its last leaf."""
    leaves = a_log(7)
    report = verify_leaves(leaves)
    assert (report.leaves, report.first_bad, report.head) == (7, None, leaves[-1].chain.hex())


def test_an_empty_log_verifies() -> None:
    """A log without leaves is sound, and has the empty head."""
    assert verify_leaves([]).head == EMPTY.hex()


@given(st.integers(0, 8), st.sampled_from(["body", "leaf_hash", "chain", "delete", "swap", "repeat", "rehash"]))
def test_any_change_is_found_at_its_place(index: int, change: str) -> None:
    """A leaf edited, taken out, moved, repeated or hashed anew is found, and the first bad number is named."""
    leaves = a_log(10)
    leaf = leaves[index]
    match change:
        case "delete":
            del leaves[index]
        case "swap":
            leaves[index : index + 2] = leaves[index : index + 2][::-1]
        case "repeat":
            leaves.insert(index + 1, leaf)
        case "rehash":
            body = leaf.body.replace(b'"daemon"', b'"nobody"')
            chain = leaves[index - 1].chain if index else EMPTY
            hashed = leaf_hash(body)
            leaves[index] = replace(leaf, body=body, leaf_hash=hashed, chain=link(chain, hashed))
        case _:
            leaves[index] = replace(leaf, **{change: bytes([getattr(leaf, change)[0] ^ 1]) + getattr(leaf, change)[1:]})
    report = verify_leaves(leaves)
    # A leaf hashed anew, chain and all, holds by itself: the leaf after it does not follow it.
    assert report.first_bad == index + (2 if change in {"rehash", "repeat"} else 1)
    assert report.problem


def test_replay_gives_the_last_record_of_each_row() -> None:
    """Replaying the leaves gives each row as the last leaf about it wrote it."""
    rows = replay([*a_log(5), make_leaf(an_entry(6, table=None, key=None), EMPTY)])
    assert rows[("intent", "i2")] == Row(first=2, leaf=5, body=b'{"n":5}')
    assert set(rows) == {("intent", "i0"), ("intent", "i1"), ("intent", "i2")}


def a_flaw(rows: dict[tuple[str, str], Row], leaves: Sequence[Leaf]) -> int | None:
    return verify_leaves(leaves, row_of=lambda table, key: rows.get((table, key))).first_bad


def test_rows_as_replayed_verify() -> None:
    """A log verifies against the rows that it describes, and counts each of them once."""
    leaves = a_log(9)
    rows = replay(leaves)
    report = verify_leaves(leaves, row_of=lambda table, key: rows.get((table, key)))
    assert report.first_bad is None
    assert report.rows == {"intent": 3}


@pytest.mark.parametrize(("change", "bad"), [("edit", 8), ("lose", 2), ("put back", 8)])
def test_a_changed_row_is_found(change: str, bad: int) -> None:
    """A row edited, deleted or put back to an older record is found, by the leaf that says otherwise."""
    leaves = a_log(9)
    rows = replay(leaves)
    key = ("intent", "i2")
    match change:
        case "edit":
            rows[key] = replace(rows[key], body=b'{"n":9}')
        case "lose":
            del rows[key]
        case _:
            rows[key] = replay(leaves[:5])[key]
    assert a_flaw(rows, leaves) == bad


def test_progress_is_told_as_it_goes() -> None:
    """Every leaf that holds is counted out, so that a long check can show how far it is."""
    seen = list[int]()
    verify_leaves(islice(a_log(4), 3), progress=seen.append)
    assert seen == [1, 2, 3]
