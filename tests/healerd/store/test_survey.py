"""Questions over many pipelines at once: each answer is what asking one by one would give."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.model import Decision, Intent, IntentState, Layer, Measurement, Window
from healerd.store import Range, Store
from tests.served import NOW, a_decision, an_intent

NAMES = [f"p{number}" for number in range(5)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Five pipelines, of which the n-th has n decisions and n intents, every second of them vetoed."""
    with Store.open(tmp_path, clock=ManualClock(NOW)) as opened:
        with opened.transaction() as tx:
            for count, name in enumerate(NAMES):
                for n in range(count):
                    at = NOW + timedelta(minutes=15 * n)
                    tx.put(a_decision(id=f"{name}-d{n}", pipeline=name, at=at))
                    state = IntentState.VETOED if n % 2 else IntentState.ANNOUNCED
                    tx.put(an_intent(id=f"{name}-i{n}", pipeline=name, state=state))
                    window = Window(pipeline=name, start_at=at - timedelta(minutes=15), end_at=at)
                    tx.put_measurements(window, [Measurement(name="drift", layer=Layer.DRIFT, value=n / 10, n=1)])
        yield opened


@pytest.mark.parametrize("filters", [{}, {"state": IntentState.VETOED}, {"id": ("p3-i0", "p4-i2")}, {"ended_at": None}])
def test_many_at_once_are_each_alone(store: Store, filters: dict) -> None:
    """Whatever the filter, the newest and all records of each pipeline are those that `find` gives."""
    alone = {name: store.find(Intent, pipeline=name, **filters) for name in NAMES}
    assert store.find_each(Intent, NAMES, as_type=Intent, **filters) == {n: each for n, each in alone.items() if each}
    newest = {name: found[-1] for name, found in alone.items() if found}
    assert store.newest_each(Intent, NAMES, as_type=Intent, **filters) == newest


def test_an_order_chooses_the_foremost(store: Store) -> None:
    """The order may be any field, and only the pipelines that are asked about answer."""
    first = store.newest_each(Decision, ["p4", "p2", "unknown"], as_type=Decision, order="at")
    assert {name: one.id for name, one in first.items()} == {"p4": "p4-d0", "p2": "p2-d0"}


def test_records_are_read_by_many_keys(store: Store) -> None:
    """A key that names nothing is left out."""
    assert set(store.get_each(Intent, ["p1-i0", "p4-i3", "none"])) == {"p1-i0", "p4-i3"}
    assert store.get_each(Intent, []) == {}


def test_values_are_those_after_each_ones_own_moment(store: Store) -> None:
    """Each pipeline has its own beginning, which is left out; what was not measured is not there."""
    found = store.values_each({"p4": NOW, "p3": NOW - timedelta(days=1), "p0": NOW}, ("drift", "error"))
    assert [value for _, value in found["p4", "drift"]] == [0.1, 0.2, 0.3]
    assert [value for _, value in found["p3", "drift"]] == [0.0, 0.1, 0.2]
    assert set(found) == {("p4", "drift"), ("p3", "drift")}


def test_what_has_changed_is_named_or_too_much(store: Store) -> None:
    """The pipelines of newer leaves are named, none when there are none, and None when there are too many to tell."""
    head = store.head()[0]
    with store.transaction() as tx:
        tx.note("test", {}, pipeline="p2")
        tx.note("test", {})
    assert store.changed_since(head, at_most=2) == {"p2"}
    assert store.changed_since(head + 2, at_most=2) == frozenset()
    assert store.changed_since(head, at_most=1) is None


def test_a_page_takes_filters_on_ranges(store: Store) -> None:
    """A page keeps what `find` keeps, newest first."""
    span = Range(NOW + timedelta(minutes=15), NOW + timedelta(minutes=45))
    page, older = store.page(Decision, as_type=Decision, pipeline="p4", at=span)
    assert ([one.id for _, one in page], older) == (["p4-d2", "p4-d1"], None)
