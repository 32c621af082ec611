"""The features of a window beside their reference: shares of all rows, in the same bins, and nothing else."""

import numpy as np
import pytest

from healerd.client.distributions import distributions
from healerd.errors import NotFound
from healerd.model import Measurement
from healerd.profiles import fit, make_reference, profile
from healerd.profiles.reference import reference_to_bytes
from tests.healerd.client.conftest import Past


@pytest.fixture
def view(past: Past, name: str) -> dict:
    return past.client.distributions(name)


def test_every_row_lies_in_one_bin(view: dict) -> None:
    """The shares of the reference, and those of the window, each add up to one, feature by feature."""
    assert [one["name"] for one in view["features"]]
    for one in view["features"]:
        for side in ("reference", "window"):
            assert sum(each[side] for each in one["bins"]) == pytest.approx(1.0)
        edges = [each["low"] for each in one["bins"][1:]]
        assert edges == sorted(edges)
        assert [each["high"] for each in one["bins"][:-1]] == edges


def test_the_numbers_beside_them_are_the_recorded_ones(past: Past, name: str, view: dict) -> None:
    """KS, PSI and the drift evidence are what the tick measured on that window, not computed again."""
    with past.store() as store:
        end = store.watermark(name)
        assert view["window_end_at"] == end.isoformat().replace("+00:00", "Z")
        told: dict[tuple[str, str | None], Measurement] = {
            (one.name, one.subject): one for one in store.measurements(name, end)
        }
    for one in view["features"]:
        assert one["ks"] == told["ks", one["name"]].value
        assert one["ks_p"] == told["ks", one["name"]].p_value
        drift = told["score" if one["score"] else "drift", one["name"]]
        assert (one["log_evidence"], one["alarm"]) == (drift.log_evidence, drift.alarm)


def test_the_most_drifted_comes_first(view: dict) -> None:
    """What alarms stands before what does not, then more evidence before less."""
    ranks = [(not one["alarm"], -one["log_evidence"]) for one in view["features"]]
    assert ranks == sorted(ranks)


def test_a_distribution_function_rises_to_one(view: dict) -> None:
    """The points go up on both sides, and the largest gap between them is no larger than the distance measured."""
    numbers = [one for one in view["features"] if one["kind"] == "number"]
    assert numbers
    for one in numbers:
        points = np.array(one["ecdf"])
        assert (np.diff(points, axis=0) >= 0).all()
        assert points[-1, 1:] == pytest.approx([1.0, 1.0], abs=0.05)
        assert np.abs(points[:, 1] - points[:, 2]).max() <= one["ks"] + 1e-9
        assert points[0, 0] <= one["gap_at"] <= points[-1, 0]


def test_an_earlier_window_can_be_asked_for(past: Past, name: str) -> None:
    """The end of a window, as the timeline gives it, shows that window; an end that none has is not found."""
    ends = [one["end_at"] for one in past.client.timeline(name)["windows"]]
    assert past.client.distributions(name, window=ends[0])["window_end_at"] == ends[0]
    with pytest.raises(NotFound, match="its timeline lists them"):
        past.client.distributions(name, window="1999-01-01")


class Stub:
    """A reader of one profile and one reference, for shapes that the loop does not have."""

    def __init__(self, usual: dict, now: dict) -> None:
        from healerd.model import Reference
        from healerd.profiles import to_bytes
        from healerd.store import SavedProfile
        from tests.served import NOW

        maps = fit(usual)
        self.maps = maps
        made = make_reference(maps, [profile(usual, maps)])
        self._values = {"reference r": reference_to_bytes(made)}
        self._profile = to_bytes(profile(now, maps))
        self.records = {
            SavedProfile: SavedProfile(
                pipeline="p", version="v", window_start_at=NOW, window_end_at=NOW, sha256="", size=0
            ),
            Reference: Reference(
                id="r", pipeline="p", version="v", at=NOW, error=0.1, error_rows=9, rows=9, start_at=NOW, end_at=NOW
            ),
        }

    def find(self, record: type, **asked: object) -> tuple:
        return (self.records[record],)

    def profile(self, *key: object) -> bytes:
        return self._profile

    def measurements(self, *key: object) -> tuple:
        return ()

    def state(self, pipeline: str, name: str) -> bytes | None:
        return self._values.get(name)


def shown(usual: dict, now: dict) -> dict:
    view = distributions(Stub(usual, now), ["p"], None, {"name": "p"})
    return {one["name"]: one for one in view["features"]}


def test_a_shift_is_seen_where_it_happened() -> None:
    """Rows that moved up by a sixth of the range leave the low bins and fill the high ones."""
    x = np.linspace(0, 60, 6001)
    one = shown({"x": x}, {"x": np.clip(x + 10, 0, 60)})["x"]
    low = [each for each in one["bins"] if each["high"] is not None and each["high"] <= 9]
    assert sum(each["reference"] for each in low) > 0.1
    assert sum(each["window"] for each in low) < 0.01
    assert 9 <= one["gap_at"] <= 51


def test_what_lies_outside_every_bin_has_its_own() -> None:
    """Rows beyond the reference's range are counted in an open bin at the end."""
    x = np.linspace(0, 1, 1000)
    one = shown({"x": x}, {"x": np.where(x > 0.7, 5.0, x)})["x"]
    assert one["bins"][-1]["high"] is None
    assert one["bins"][-1]["window"] == pytest.approx(0.3, abs=0.01)


def test_names_that_the_reference_did_not_have_are_together() -> None:
    """The commonest names have a bin each, the rest one, and unseen ones one of their own."""
    usual = np.array([f"n{k:02d}" for k in range(30) for _ in range(31 - k)], dtype=object)
    now = np.array(["n00"] * 50 + ["strange"] * 50, dtype=object)
    one = shown({"name": usual}, {"name": now})["name"]
    labels = [each["label"] for each in one["bins"]]
    assert labels[0] == "n00"
    assert labels[-2:] == ["(other)", "(unseen)"]
    assert one["bins"][-1]["window"] == 0.5
    assert one["ecdf"] is None


def test_missing_values_are_shares_of_all_rows() -> None:
    """What is missing or of the wrong type is in no bin, and counted beside them."""
    usual = {"x": np.linspace(0, 1, 100)}
    now = {"x": np.array([0.5, None, None, "text"], dtype=object)}
    one = shown(usual, now)["x"]
    assert (one["n"], one["missing"], one["wrong_type"]) == (1, 0.5, 0.25)
