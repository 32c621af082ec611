"""Pages of decisions and of the audit log: nothing twice, nothing left out, whatever was asked."""

from collections.abc import Callable

import pytest

from healerd.client import Client
from healerd.store import survey
from tests.healerd.client.conftest import Past

Page = Callable[..., dict]


def all_pages(page: Page, rows: str, **asked: object) -> list[dict]:
    """Read every page, from the newest on."""
    found: list[dict] = []
    before = None
    for _ in range(1000):
        view = page(before=before, **asked)
        found += view[rows]
        before = view["before"]
        if before is None:
            return found
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_pages_of_the_log_are_the_log(past: Past, limit: int) -> None:
    """Read page by page, of whatever size, the log is there once, newest first."""
    found = [entry["seq"] for entry in all_pages(past.client.audit, "entries", limit=limit)]
    head = past.client.audit(limit=1)["head"]["seq"]
    assert found == list(range(head, 0, -1))


@pytest.mark.parametrize("limit", [2, 50])
@pytest.mark.parametrize(
    "filters", [{}, {"action": "retrain,promote"}, {"level": "forbidden"}, {"text": "RETRAIN"}, {"action": "hold"}]
)
def test_filtered_pages_are_the_filtered_whole(past: Past, limit: int, filters: dict) -> None:
    """A filter keeps exactly the decisions that fit it, on small pages as on large ones."""
    client = past.client
    found = all_pages(client.traces, "traces", limit=limit, **filters)
    seqs = [one["seq"] for one in found]
    assert seqs == sorted(set(seqs), reverse=True)
    for one in all_pages(client.traces, "traces", limit=1000):
        body = str(client.trace(one["id"])["decision"]).lower()
        fits = {
            "action": one["chosen"] in filters.get("action", one["chosen"]).split(","),
            "level": one["level"] in filters.get("level", one["level"]),
            "text": filters.get("text", "").lower() in body,
        }
        assert (one["seq"] in seqs) == all(fits.values())


def test_a_newer_page_joins_where_an_older_one_began(past: Past) -> None:
    """`after` of a page gives the next newer ones, newest first, and an empty page at the end."""
    client = past.client
    whole = [entry["seq"] for entry in all_pages(client.audit, "entries")]
    view = client.audit(before=20, limit=5)
    newer = client.audit(after=view["after"], limit=5)
    assert [entry["seq"] for entry in (*newer["entries"], *view["entries"])] == [n for n in whole if 15 <= n <= 24]
    assert client.audit(after=whole[0])["entries"] == []


def test_a_bounded_search_says_where_it_stopped(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that may not look at everything gives a page, possibly empty, and where to go on: nothing is missed."""
    whole = all_pages(past.client.audit, "entries", text="promote")
    monkeypatch.setattr(survey, "FIRST_SCAN_MAX", 9)
    assert past.client.audit(text="no such words")["before"] is not None
    assert all_pages(past.client.audit, "entries", text="promote") == whole
    assert len(whole) > 3


def test_several_kinds_and_actors_can_be_asked_for(past: Past) -> None:
    """Names parted by commas widen a filter; several filters narrow it."""
    client: Client = past.client
    kinds = {entry["kind"] for entry in all_pages(client.audit, "entries", kind="answer, decision")}
    assert kinds == {"answer", "decision"}
    asked = all_pages(client.audit, "entries", kind="answer", actor="daemon")
    assert asked == []


def test_each_entry_is_said_in_words_and_can_be_opened(past: Past) -> None:
    """A row has its line and the start of its chain, and the leaf itself has the whole record."""
    row = past.client.audit(kind="decision", limit=1)["entries"][0]
    leaf = past.client.entry(row["seq"])
    assert row["said"].startswith("flights: ")
    assert leaf["chain"].startswith(row["chain"])
    assert leaf["record"]["id"] == row["key"]
