"""A report on a file: what it says of healthy, shifted, harmful and broken files."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from healerd.detectors.diagnosis import Change
from healerd.errors import ConfigError, SourceError
from healerd.model import Layer, Quality
from healerd.offline.inspection import Columns, FitOptions, InspectOptions, fit_reference, inspect_file
from healerd.offline.inspection.contract import inspection_json
from healerd.offline.inspection.findings import Inspection
from healerd.offline.inspection.page import inspection_page
from healerd.offline.inspection.reference import fitted_from_bytes, fitted_to_bytes, read_fitted
from healerd.offline.inspection.words import story
from healerd.workers import Crew
from tests.healerd.offline.inspection.files import changed, served, write

NAMES = Columns(label="label", prediction="prediction", score="score", time="time")
UNLABELLED = Columns(time="time", ignored=("label", "prediction", "score"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("reference") / "usual.csv", served(20, seed=1))


def look(reference: Path, tmp_path: Path, columns: dict, names: Columns = NAMES, **options) -> Inspection:
    path = write(tmp_path / "found.csv", columns)
    return inspect_file(InspectOptions(file=path, reference=reference, columns=names, **options))


def layers(found: Inspection) -> set[Layer]:
    return {one.layer for one in found.alarms}


def test_a_healthy_file_has_no_alarm(reference: Path, tmp_path: Path) -> None:
    """Rows of the reference's own law raise nothing, and the promise is printed with its assumptions."""
    found = look(reference, tmp_path, served(20, start=30, seed=2))
    assert not found.alarms
    assert found.change is Change.NONE
    told = story(found)
    assert "no alarm" in told[0]
    assert "on average at most 1 a year" in told[-1]
    assert "independent" in told[-1]
    assert found.estimate is not None
    assert found.estimate.low <= found.fitted.error.error <= found.estimate.high


def test_moved_inputs_are_covariate_drift(reference: Path, tmp_path: Path) -> None:
    """A shift of one input alarms there, names it first, and begins where it began."""
    found = look(reference, tmp_path, served(20, start=30, seed=2, shift=10.0))
    assert Layer.DRIFT in layers(found)
    assert found.change in (Change.COVARIATE, Change.BOTH)
    foremost = found.features[0]
    assert foremost.name == "speed"
    assert foremost.q_value < 1e-6
    assert foremost.since_at == datetime(2026, 2, 10, tzinfo=UTC)
    assert 8 < foremost.wasserstein < 12
    assert found.course is not None
    assert found.course.said == "sudden"
    assert found.joint is not None
    assert found.joint.area.low > 0.6
    assert found.joint.importances[0][0] == "speed"


def test_harm_without_moved_inputs_is_a_concept_shift(reference: Path, tmp_path: Path) -> None:
    """Flipped labels alarm as harm alone; the scores do not explain it, and features together tell nothing apart."""
    found = look(reference, tmp_path, served(20, start=30, seed=2, flips=0.4))
    assert layers(found) == {Layer.HARM}
    assert found.change is Change.CONCEPT
    assert found.posterior.low > found.estimate.high
    assert found.joint.area.low < 0.5
    assert any("concept shift" in text for text in story(found))


def test_what_has_ended_does_not_stand(reference: Path, tmp_path: Path) -> None:
    """An alarm whose cause is gone long enough ends, and the report says when."""
    first, then = served(16, start=30, seed=2, shift=10.0), served(20, start=46, seed=3)
    both = {name: np.concatenate([first[name], then[name]]) for name in first}
    found = look(reference, tmp_path, both, UNLABELLED)
    assert [one.layer for one in found.alarms] == [Layer.DRIFT]
    assert not found.stands
    assert "none stands" in story(found)[0]


def test_bad_data_is_bad_data(reference: Path, tmp_path: Path) -> None:
    """Kilometres for miles and missing values are a verdict on the data, with the reason."""
    rows = served(10, start=30, seed=2)
    lost = changed(rows, "lane", lambda v: np.where(np.arange(len(v)) % 2 == 0, None, v))
    found = look(reference, tmp_path, lost, UNLABELLED)
    assert Layer.QUALITY in layers(found)
    assert all(one.quality is Quality.BAD for one in found.windows)
    assert any("`lane`: 50% of the values are missing" in text for text in story(found))


def test_a_fitted_reference_does_as_well(reference: Path, tmp_path: Path) -> None:
    """A reference that was fitted, written and read gives the same alarms and features as its table."""
    fitted = fit_reference(FitOptions(file=reference, columns=NAMES))
    path = tmp_path / "usual.reference"
    path.write_bytes(fitted_to_bytes(fitted))
    rows = served(20, start=30, seed=2, shift=10.0)
    one, other = look(reference, tmp_path, rows), look(path, tmp_path, rows)
    assert one.alarms == other.alarms
    assert one.features == other.features
    assert one.estimate == other.estimate
    assert other.joint is None
    assert any("holds no rows" in note for note in other.notes)


def test_a_reference_is_named_by_its_content(reference: Path) -> None:
    """Equal rows give equal ids and bytes; other rows another id; reading gives back what was written."""
    one, again = (fit_reference(FitOptions(file=reference, columns=NAMES)) for _ in range(2))
    part = fit_reference(FitOptions(file=reference, columns=NAMES, to_at=datetime(2026, 1, 11, tzinfo=UTC)))
    assert one.id == again.id
    assert fitted_to_bytes(fitted_from_bytes(fitted_to_bytes(one))) == fitted_to_bytes(one)
    assert part.id != one.id
    assert part.profile.windows == 10


def test_damaged_references_are_refused(reference: Path, tmp_path: Path) -> None:
    """What is no reference, or no whole one, is an error that names the file."""
    whole = fitted_to_bytes(fit_reference(FitOptions(file=reference, columns=NAMES)))
    (tmp_path / "cut").write_bytes(whole[:-20])
    with pytest.raises(SourceError, match="damaged"):
        read_fitted(tmp_path / "cut")
    with pytest.raises(SourceError, match="no fitted reference"):
        read_fitted(reference)


def test_few_labels_give_a_posterior(reference: Path, tmp_path: Path) -> None:
    """With a tenth of the labels harm is unknown, and what they say is marked as an estimate."""
    rows = served(20, start=30, seed=2, flips=0.4)
    some = changed(rows, "label", lambda v: np.where(np.arange(len(v)) % 10 == 0, v, None))
    found = look(reference, tmp_path, some)
    assert Layer.HARM not in layers(found)
    assert found.posterior.n == 400
    assert found.posterior.p_high > 0.9
    assert any("random sample" in text for text in story(found))


def test_scores_speak_without_labels(reference: Path, tmp_path: Path) -> None:
    """Where the inputs moved to easier rows, the estimate without labels follows the true error."""
    rows = served(20, start=30, seed=2, shift=10.0)
    truth = float(np.mean((rows["prediction"] != rows["label"])[2000:]))
    hidden = changed(rows, "label", lambda v: np.full(len(v), None))
    found = look(reference, tmp_path, hidden)
    assert found.posterior is None
    assert found.estimate.low <= truth <= found.estimate.high
    assert found.estimate.value < found.fitted.error.error - 0.03


def test_a_quantity_has_an_estimated_absolute_error(tmp_path: Path) -> None:
    """A model of the absolute error foretells how far off predictions will be where the rows became harder."""
    rng = np.random.Generator(np.random.Philox(4))

    def rows(n: int, wide: float) -> dict:
        x = rng.uniform(0, 1, n)
        hard = rng.random(n) < wide
        label = 100 + 20 * x + np.where(hard, 8.0, 1.0) * rng.normal(size=n)
        kind = np.where(hard, "hard", "easy").astype(object)
        return {"x": x.round(4), "kind": kind, "said": (100 + 20 * x).round(4), "label": label.round(4)}

    names = Columns(label="label", prediction="said")
    usual = write(tmp_path / "usual.csv", rows(3000, 0.2))
    found = look(usual, tmp_path, rows(3000, 0.8), names, window_rows=300, loss="absolute 5")
    estimate, before = found.absolute
    assert before == pytest.approx(0.2 * 8 * 0.798 + 0.8 * 0.798, rel=0.15)
    assert estimate.low <= 0.8 * 8 * 0.798 + 0.2 * 0.798 <= estimate.high
    with pytest.raises(ConfigError, match="is a quantity"):
        look(usual, tmp_path, rows(300, 0.2), names, window_rows=300)


def test_a_stored_version_that_does_better_is_regret(reference: Path, tmp_path: Path) -> None:
    """A rival column that is right where the model is wrong alarms as regret, with its gain."""
    rows = served(20, start=30, seed=2, flips=0.5)
    rows["stored"] = np.where(np.arange(4000) % 5 == 0, 1 - rows["label"], rows["label"])
    found = look(reference, tmp_path, rows, rivals=("stored",))
    assert Layer.REGRET in layers(found)
    assert found.walk.gains["stored"].low > 0


def a_shop_table(path: Path, shops: list[str], *, from_row: int | None = None) -> Path:
    """A speed a row, in shops that take turns; from a row on shop A's is higher."""
    rng = np.random.Generator(np.random.PCG64(5))
    held = ["shop,speed"]
    for number in range(8000):
        shop, moved = shops[number % len(shops)], from_row is not None and number >= from_row
        held.append(f"{shop},{rng.normal(90, 10) + (25 if moved and shop == 'A' else 0):.3f}")
    path.write_text("\n".join(held) + "\n")
    return path


def test_windows_of_rows_of_a_segment_are_those_of_the_file(tmp_path: Path) -> None:
    """Since when a segment has changed is said by the rows of the file, though a segment has only some of them."""
    usual = a_shop_table(tmp_path / "usual.csv", ["A", "B", "B", "B"])
    now = a_shop_table(tmp_path / "now.csv", ["A", "B", "B", "B"], from_row=6000)
    asked = InspectOptions(file=now, reference=usual, columns=Columns(), window_rows=500, segment="shop")
    found = inspection_json(inspect_file(asked))["segments"][0]
    assert found["value"] == "A"
    assert found["feature"]["since"] == "rows 6,001 to 6,500"
    assert {each["since"] for each in found["alarms"]} == {"rows 6,001 to 6,500"}


def test_what_was_not_looked_at_is_said_with_its_reason(tmp_path: Path) -> None:
    """Values beyond the commonest and values with few reference rows are told apart."""
    usual = a_shop_table(tmp_path / "usual.csv", [f"s{number}" for number in range(25)])
    asked = InspectOptions(file=usual, reference=usual, columns=Columns(), window_rows=1000, segment="shop")
    notes = [each for each in inspect_file(asked).notes if each.startswith("segments")]
    assert notes == ["segments: 1,600 rows have a value of `shop` beyond its 20 commonest, which alone are looked at"]


def test_a_segment_alone_is_found(reference: Path, tmp_path: Path) -> None:
    """What happens in one segment only is named as that segment's, and comes first."""
    rows = served(20, start=30, seed=2)
    late = (np.arange(4000) >= 2000) & (rows["lane"] == "mid")
    rows["label"] = np.where(late, 1 - rows["prediction"], rows["label"])
    found = look(reference, tmp_path, rows, segment="lane")
    worst = found.segments[0]
    assert worst.value == "mid"
    assert Layer.HARM in {one.layer for one in worst.alarms}
    assert all(not any(one.layer is Layer.HARM for one in each.alarms) for each in found.segments[1:])
    assert found.stands


def test_who_counts_and_walks_changes_nothing(reference: Path, tmp_path: Path) -> None:
    """With workers that count windows and walk segments, the report is that of one who does it all."""
    rows = served(20, start=30, seed=2, shift=4.0, flips=0.2)
    path = write(tmp_path / "found.csv", rows)
    options = InspectOptions(file=path, reference=reference, columns=NAMES, segment="lane", window_s=21_600.0)
    alone = inspection_json(inspect_file(options))
    with ThreadPoolExecutor(2) as pool:
        shared = inspection_json(inspect_file(options, Crew(open=lambda: nullcontext(pool), size=2)))
    assert json.dumps(shared) == json.dumps(alone)
    assert len(alone["segments"]) == 3


def test_a_reference_that_comes_back_is_recurring(reference: Path, tmp_path: Path) -> None:
    """Inputs that look like an earlier reference are said to; a reference that fits no better is not."""
    old = write(tmp_path / "old.csv", served(10, seed=8, shift=0.0) | {"speed": served(10, seed=8)["speed"] + 10})
    for name, path in (("old", old), ("same", reference)):
        made = fit_reference(FitOptions(file=path, columns=UNLABELLED))
        (tmp_path / f"{name}.reference").write_bytes(fitted_to_bytes(made))
    earlier = (tmp_path / "old.reference", tmp_path / "same.reference")
    found = look(reference, tmp_path, served(20, start=30, seed=2, shift=10.0), UNLABELLED, earlier=earlier)
    assert found.earlier[0].name == "old.reference"
    assert any("recurring: the inputs look more like `old.reference`" in text for text in story(found))
    only = look(reference, tmp_path, served(20, start=30, seed=2, shift=10.0), UNLABELLED, earlier=earlier[1:])
    assert any("not recurring" in text for text in story(only))


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen, self.open = set(), []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br", "path", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"path", "rect"}:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_trusts_no_text(tmp_path: Path) -> None:
    """The page loads nothing, closes its tags, and shows names of columns and values as text."""
    evil = "<script>alert('x')</script>"
    usual, now = served(8, seed=1), served(8, start=30, seed=2, shift=20.0)
    for rows in (usual, now):
        rows[evil] = np.where(rows["lane"] == "left", evil, "b").astype(object)
    names = replace(NAMES, ignored=("lane",))
    found = look(write(tmp_path / "usual.csv", usual), tmp_path, now, names, segment=evil)
    page = inspection_page(found)
    tags = Tags(page)
    assert not tags.open
    assert "script" not in tags.seen
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert page.count("<svg") == 3


def test_the_json_is_json(reference: Path, tmp_path: Path) -> None:
    """All of the report is plain JSON without NaN or infinity, with the keys that the README names."""
    rows = changed(served(10, start=30, seed=2), "speed", lambda v: np.where(np.arange(len(v)) == 7, 1e308, v))
    tree = inspection_json(look(reference, tmp_path, rows))
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    readme = (Path(__file__).parents[4] / "healerd/offline/inspection/README.md").read_text(encoding="utf-8")
    assert [key for key in tree if f"| `{key}` |" not in readme] == []


def test_a_daily_cycle_is_held_against_its_hour(tmp_path: Path) -> None:
    """With hourly windows a feature that follows the time of day has a season, and its cycle is no alarm."""

    def rows(days: int, start: int, seed: int) -> dict:
        rng, n = np.random.Generator(np.random.Philox(seed)), days * 24 * 50
        hour = np.repeat(np.arange(days * 24), 50)
        at = np.datetime64("2026-01-05") + np.timedelta64(start, "D") + hour.astype("timedelta64[h]")
        load = np.sin(2 * np.pi * hour / 24) * 1.5 + rng.normal(size=n)
        return {"time": np.array([f"{each}:00:00Z" for each in at], object), "load": load.round(4)}

    usual = write(tmp_path / "usual.csv", rows(7, 0, 1))
    found = look(usual, tmp_path, rows(7, 7, 2), Columns(time="time"), window_s=3600.0)
    assert not found.alarms
    assert any("`load` (time of the day)" in note for note in found.notes)


def test_a_file_without_the_label_column_is_a_file_without_labels(reference: Path, tmp_path: Path) -> None:
    """The reference is labelled and the file is not yet: the error is estimated, by a table or a fitted reference."""
    rows = served(20, start=30, seed=2, shift=10.0)
    del rows["label"]
    path = tmp_path / "usual.reference"
    path.write_bytes(fitted_to_bytes(fit_reference(FitOptions(file=reference, columns=NAMES))))
    for usual in (reference, path):
        found = look(usual, tmp_path, rows)
        assert found.estimate.value < found.fitted.error.error - 0.03
        assert found.posterior is None
        assert found.lost == found.new == ()
        assert any("no labels" in note for note in found.notes)
