"""Segments in the running core: evidence by value of a column, under the one budget of the whole model."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.client.fleet import pipeline_view
from healerd.client.reproduce import decisions, reproduce
from healerd.client.review import intent
from healerd.client.words import say_intent
from healerd.columns import Predictions
from healerd.config import Config, parse_config
from healerd.decision import page, sentences
from healerd.decision.segments import segments_told
from healerd.detectors.segments import named
from healerd.errors import ConfigError
from healerd.model import Decision, Layer, Measurement, Quality, Reference
from tests.healerd.daemon.loop import CONFIG, NAME, RULES, START, Loop

WATCHED = 'degraded_cost = 1.0\nsegments = ["lane"]'
RULES_OF_A_SEGMENT = RULES.replace(
    'propose learn: retrain\n  when wrong and data_quality == "good"',
    "propose learn: retrain\n  when any segment where (segment_alarms > 0)",
)


@dataclass
class Lanes(Loop):
    """A loop whose rows have a lane: `left` and `right` are common, `bus` is rare, the others come once."""

    settings: str = WATCHED
    wrong_in: str = ""
    moved_in: str = ""
    broken_in: str = ""
    shares: tuple[float, ...] = (0.6, 0.37, 0.016)
    seen: list[str] = field(default_factory=list)

    @property
    def config(self) -> Config:
        text = CONFIG.replace("degraded_cost = 1.0", self.settings)
        kind = "memory"
        text = text.format(
            daemon=self.daemon, window=self.window_s, horizon=self.horizon_s, kind=kind, late=self.late_s
        )
        return parse_config(text, path=self.folder / "healerd.toml")

    def _rows(self, *args: object, **kwargs: object) -> Predictions:
        rows = super()._rows(*args, **kwargs)  # type: ignore[arg-type]
        rng = np.random.Generator(np.random.PCG64([7, len(rows), int(kwargs["seed"])]))  # type: ignore[call-overload]
        rest = 1 - sum(self.shares)
        lane = rng.choice(np.array(["left", "right", "bus", "odd"], object), len(rows), p=[*self.shares, rest])
        label, x = rows.label.copy(), rows.features["x"].copy()
        z = rows.features["z"].copy()
        if kwargs.get("model") is not None:
            label[lane == self.wrong_in] = 1 - label[lane == self.wrong_in]
            z[lane == self.moved_in] += 2.0
            z[lane == self.broken_in] = np.nan
        return replace(rows, label=label, features={"x": x, "z": z, "lane": lane})


Make = Callable[..., Lanes]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Lanes] = []

    def build(**changes: object) -> Lanes:
        made.append(Lanes(tmp_path / str(len(made)), **changes))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for each in made:
        each.core.close()


def measured(loop: Lanes) -> tuple[Measurement, ...]:
    return loop.core.store.measurements(NAME, loop.core.store.watermark(NAME))


def alarms(loop: Lanes) -> dict[str, tuple[Layer, ...]]:
    return {one.name: one.alarms for one in segments_told(measured(loop)) if one.alarms}


def reproduced(loop: Lanes) -> tuple[int, int]:
    found = decisions(loop.core.store)
    return len(found), sum(not one.problem for one in reproduce(loop.core.store, found))


def test_harm_in_one_segment_is_found_named_and_raises_the_alarm_of_its_layer(make: Make) -> None:
    """Errors that rise in one lane raise the alarm of harm and open an incident that names this lane alone."""
    loop = make(wrong_in="right", rules=RULES_OF_A_SEGMENT)
    loop.play(4)
    decision = loop.decision()
    assert alarms(loop)["lane=right"][0] is Layer.HARM
    assert "lane=left" not in alarms(loop)
    assert decision.trace["alarms"]["harm"] is True
    assert "`lane=right`" in sentences(decision)[0]
    assert "`lane=right`: it errs more" in page(decision)
    assert decision.trace["facts"]["segment_error_rate"]["lane=right"] > 0.5
    assert loop.intents(action="retrain"), "the rule asked for an alarm in a segment"


def test_drift_and_bad_data_in_a_segment_name_the_feature(make: Make) -> None:
    """A feature that moves in one lane alarms there by name; one that is missing there makes the data bad."""
    moved, broken = make(moved_in="left"), make(broken_in="right")
    moved.play(3)
    broken.play(3)
    told = {one.name: one for one in segments_told(measured(moved))}
    assert (told["lane=left"].alarms, told["lane=left"].features) == ((Layer.DRIFT,), ("z",))
    assert told["lane=left"].since_at == START
    assert Layer.QUALITY in alarms(broken)["lane=right"]
    assert broken.core.pipelines[NAME].qualities[START] is Quality.BAD


def test_rare_values_stand_together_and_small_segments_say_so(make: Make) -> None:
    """Values with too few rows of the reference are `(other)`; a segment too small to judge says how small it is."""
    loop = make()
    loop.play(1)
    told = {one.name: one for one in segments_told(measured(loop))}
    assert set(told) == {"lane=left", "lane=right", "lane=(other)"}
    assert sum(one.rows for one in told.values()) == 240
    assert "too few rows: " in told["lane=(other)"].note
    tiny = make(shares=(0.6, 0.39, 0.006))
    tiny.play(1)
    other = next(one for one in segments_told(measured(tiny)) if one.name == "lane=(other)")
    assert other.note.startswith("too few rows in the reference: ")


def test_nothing_is_alarmed_while_nothing_changes(make: Make) -> None:
    """Healthy segments alarm in none of thirty windows."""
    loop = make()
    loop.play(30)
    found = [one for one in loop.core.store.find(Decision) if any(one.trace["alarms"].values())]
    assert found == []


def test_the_whole_and_the_segments_share_one_budget(make: Make) -> None:
    """The expected alarms of all layers, over the whole and every segment, add up to the budget at most."""
    loop = make()
    loop.play(1)
    windows = 365.25 * 24
    lines: dict[tuple[str, Layer], float] = {}
    for one in measured(loop):
        if one.log_limit is not None and one.subject is None and one.layer is not Layer.QUALITY:
            lines[one.name, one.layer] = one.log_limit
    a_year = sum(windows / np.exp(line) for line in lines.values())
    assert 0.5 < a_year <= 1.0
    harm = [line for (_, layer), line in lines.items() if layer is Layer.HARM]
    assert len(harm) == 4
    assert np.isclose(max(harm) - min(harm), np.log(3))


def test_evidence_of_segments_outlives_a_restart_and_every_decision_is_reproduced(make: Make) -> None:
    """A core that is stopped between windows goes on as one that was not, and replay decides all the same."""
    whole, parted = make(moved_in="left"), make(moved_in="left")
    whole.play(3)
    parted.play(2)
    parted.reopen()
    parted.play(1)
    assert measured(whole) == measured(parted)
    assert reproduced(parted) == (3, 3)


def test_the_memory_of_segments_is_saved_with_that_of_the_whole(make: Make) -> None:
    """What segments keep is in the same saved state, known to the log by its hash."""
    loop = make()
    loop.play(2)
    state = json.loads(loop.core.store.state(NAME, "detectors"))
    assert set(state["segments"]) == {"lane=left", "lane=right", "lane=(other)"}
    assert {"harm", "drift", "quality", "score"} == set(state["segments"]["lane=left"])


def test_s12_the_error_of_a_segment_is_capped_at_its_first(make: Make) -> None:
    """Accepted inputs move what a segment is compared with, never the error it is held against."""
    loop = make()
    loop.play(3)
    loop.play(3, moved=0.5)
    first = next(one for one in measured(loop) if one.name == named("error", "lane=left"))
    accepted = loop.core.accept(NAME, since=loop.clock.now() - timedelta(hours=3), author="ada", reason="planned")
    loop.play(1, moved=0.5)
    after = next(one for one in measured(loop) if one.name == named("error", "lane=left"))
    assert after.reference_id == f"{accepted.id}/lane=left"
    assert first.value is not None and after.value is not None  # noqa: PT018 - one fact: both are known
    assert np.isclose(first.value - (first.effect or 0), after.value - (after.effect or 0))


def test_status_and_the_question_to_people_name_the_segments(make: Make) -> None:
    """The look at a pipeline lists its segments with their alarms; the question tells those in which one stands."""
    loop = make(wrong_in="right", rules=RULES_OF_A_SEGMENT)
    loop.play(4)
    row = pipeline_view(loop.core.store, NAME, at=loop.clock.now())
    assert {one["name"]: one["alarms"] for one in row["segments"]}["lane=right"][0] == "harm"
    assert len(row["segments"]) == 3
    asked = loop.intents(action="retrain")[0]
    view = intent(loop.core.store, [NAME], loop.clock.now(), {"id": asked.id})
    assert any(line.startswith("`lane=right`: it errs more") for line in view["review"]["segments"])
    assert any("lane=right" in line for line in say_intent({**view, "answers": []}))


def test_a_segment_configured_late_says_that_it_waits_for_a_reference(make: Make) -> None:
    """Segments named after the reference was made are told as unmeasured, with what makes one."""
    loop = make(settings="degraded_cost = 1.0")
    loop.play(2)
    loop.settings = WATCHED
    loop.reopen()
    loop.play(1)
    told = segments_told(measured(loop))
    assert [one.name for one in told] == ["lane"]
    assert "healerd reference accept" in told[0].note


def test_a_pipeline_without_segments_measures_none(make: Make) -> None:
    """Without the key nothing is measured by segment, and the facts know none."""
    loop = make(settings="degraded_cost = 1.0")
    loop.play(1)
    assert segments_told(measured(loop)) == ()
    assert loop.decision().trace["facts"]["segment_alarms"] == {}
    assert loop.core.store.find(Reference)


def test_segments_are_few_and_different() -> None:
    """More than three columns, or one twice, is an error of the configuration."""
    for segments in (["a", "b", "c", "d"], ["a", "a"]):
        text = f'[pipeline.p]\nsource = {{ kind = "memory" }}\nsegments = {json.dumps(segments)}\n'
        with pytest.raises(ConfigError, match="at most 3 different features"):
            parse_config(text, path=Path("healerd.toml"))
