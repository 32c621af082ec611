"""A pipeline's windows and versions as they were lived: gaps stay gaps, and each mark is where it happened."""

from datetime import timedelta

from healerd.client.timeline import timeline
from healerd.clock import ManualClock
from healerd.daemon.recording import MemoryStore
from healerd.model import Cohort, Decision, Incident, Intent, Version
from tests.healerd.client.conftest import Past
from tests.served import NOW, a_decision


def test_a_window_is_what_its_tick_and_its_labels_say(past: Past, name: str) -> None:
    """Each judged window is there once, oldest first, with the error of its own cohort of labels."""
    view = past.client.timeline(name)
    with past.store() as store:
        ticks = [one for one in store.find(Decision, pipeline=name) if one.window_end_at]
        cohorts = {one.window_end_at.isoformat().replace("+00:00", "Z"): one for one in store.find(Cohort)}
    assert [one["decision_id"] for one in view["windows"]] == [one.id for one in ticks]
    assert [one["end_at"] for one in view["windows"]] == sorted(one["end_at"] for one in view["windows"])
    assert view["window_s"] == 3600.0
    for one in view["windows"]:
        cohort = cohorts[one["end_at"]]
        assert one["error"] == cohort.loss_sum / cohort.labelled
        assert (one["labelled"], one["version"]) == (cohort.labelled, cohort.version)


def test_pages_of_windows_join(past: Past, name: str) -> None:
    """Read back page by page, the windows are those of one long page."""
    whole, pages, before = past.client.timeline(name)["windows"], [], None
    for _ in range(100):
        view = past.client.timeline(name, windows=3, before=before)
        pages = [*view["windows"], *pages]
        before = view["before"]
        if before is None:
            break
    assert pages == whole


def test_a_window_that_was_not_judged_is_not_there() -> None:
    """Nothing is filled in: two windows with an hour between them stay two, and the hour between them is a gap."""
    store = MemoryStore(ManualClock(NOW))
    for number, hour in enumerate((10, 12)):
        at = NOW.replace(hour=hour, minute=0)
        store.put(a_decision(id=f"d{number}", at=at, window_start_at=at - timedelta(hours=1), window_end_at=at))
    windows = timeline(store, ["churn"], NOW, {"name": "churn"})["windows"]
    assert [(one["start_at"][11:16], one["end_at"][11:16]) for one in windows] == [
        ("09:00", "10:00"),
        ("11:00", "12:00"),
    ]
    assert {one["error"] for one in windows} == {None}


def test_alarms_stand_at_the_windows_that_alarmed(past: Past, name: str) -> None:
    """The healthy windows at the beginning have no alarm, and the turned ones have one of harm."""
    windows = past.client.timeline(name)["windows"]
    assert all(one["alarms"] == [] for one in windows[:3])
    assert any("harm" in one["alarms"] for one in windows)


def test_each_heal_and_incident_is_marked_where_it_happened(past: Past, name: str) -> None:
    """What took effect, what was opened and closed, and each version stored has its mark, in the order of time."""
    marks = past.client.timeline(name)["marks"]
    assert [mark["at"] for mark in marks] == sorted(mark["at"] for mark in marks)
    with past.store() as store:
        effects = {one.id for one in store.find(Intent) if one.effect_at}
        incidents = {one.id for one in store.find(Incident)}
        stored = {one.name for one in store.find(Version) if one.name != "first"}
    assert {mark["id"] for mark in marks if mark["kind"] in {"heal", "promote", "undo", "return"}} == effects
    assert {mark["id"] for mark in marks if mark["kind"] == "incident"} == incidents
    assert {mark["id"] for mark in marks if mark["kind"] == "version"} >= stored


def test_versions_have_their_own_record(past: Past, name: str) -> None:
    """One version serves, by the heal that put it there; each has the labels of the windows that it served."""
    view = past.client.versions(name)
    (active,) = [one for one in view["versions"] if one["active"]]
    assert active["name"] == view["active"]
    with past.store() as store:
        moved = store.find(Intent, target=view["active"])
        labelled = sum(one.labelled for one in store.find(Cohort, version="first", order="-window_end_at", limit=7))
    assert active["since_at"] == max(one.effect_at for one in moved if one.effect_at).isoformat().replace("+00:00", "Z")
    first = next(one for one in view["versions"] if one["name"] == "first")
    assert first["served"]["labelled"] == labelled
    assert (first["by"], active["by"]) == (None, "daemon")
    assert view["return_cost"] == 0.02
