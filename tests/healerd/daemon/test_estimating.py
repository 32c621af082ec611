"""Estimates of the error in the running core: shown and told as estimates, never counted as harm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from healerd.client.reproduce import decisions, reproduce
from healerd.columns import Predictions
from healerd.config import Config, parse_config
from healerd.decision import page
from healerd.model import Layer, Measurement
from tests.healerd.daemon.loop import CONFIG, NAME, START, Loop

NAMES = ("estimated_error", "estimated_error_low", "estimated_error_high", "p_estimated_error_high")


@dataclass
class Scored(Loop):
    """A loop whose model says how sure it is: the further from zero, the surer; near zero it is as often wrong."""

    with_score: bool = True
    estimate: bool = False
    hard: bool = False

    @property
    def config(self) -> Config:
        text = CONFIG.replace("clean_windows = 3", f"clean_windows = 3\nestimate = {str(self.estimate).lower()}")
        text = text.format(daemon=self.daemon, window=self.window_s, horizon=self.horizon_s, kind="memory", late=0)
        return parse_config(text, path=self.folder / "healerd.toml")

    def _rows(self, *args: object, **kwargs: object) -> Predictions:
        rows = super()._rows(*args, **kwargs)  # type: ignore[arg-type]
        rng = np.random.Generator(np.random.PCG64([9, len(rows), int(kwargs["seed"])]))  # type: ignore[call-overload]
        served = kwargs.get("model") is not None
        sure = rng.random(len(rows)) < (0.3 if self.hard and served else 0.9)
        wrong = ~sure & (rng.random(len(rows)) < 0.5)
        label = np.where(wrong, 1 - rows.output, rows.output)
        if kwargs["turned"]:
            label = 1 - label
        score = np.where(sure, 0.95, 0.5) if self.with_score else None
        return replace(rows, label=label, score=score)


Make = Callable[..., Scored]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Scored] = []

    def build(**changes: object) -> Scored:
        made.append(Scored(tmp_path / str(len(made)), **changes))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for each in made:
        each.core.close()


def measured(loop: Scored, *names: str) -> list[Measurement]:
    told = {one.name: one for one in loop.core.store.measurements(NAME, loop.core.store.watermark(NAME))}
    return [told[name] for name in names if name in told]


def test_without_labels_the_scores_say_how_often_the_model_errs(make: Make) -> None:
    """Where inputs became harder the estimate rises to the true error, within its interval, with no label at all."""
    loop = make()
    loop.play(1, labelled=False)
    easy = measured(loop, *NAMES)
    loop.hard = True
    loop.play(1, labelled=False)
    hard = measured(loop, *NAMES)
    assert easy[1].value <= 0.05 <= easy[2].value
    assert hard[1].value <= 0.35 <= hard[2].value
    assert hard[3].value > 0.99
    assert loop.decision().trace["facts"]["estimated_error"] == hard[0].value


def test_an_estimate_is_no_harm_and_says_what_it_is_blind_to(make: Make) -> None:
    """However high it is, harm stays unknown without labels; the trace marks it and names its blindness."""
    loop = make(hard=True)
    loop.play(4, labelled=False)
    decision = loop.decision()
    assert decision.trace["alarms"]["harm"] is None
    estimates = measured(loop, *NAMES)
    assert all(one.alarm is None and one.log_limit is None and one.layer is Layer.SCORE for one in estimates)
    assert all("no concept shift" in " ".join(one.assumptions) for one in estimates)
    assert "an estimate without labels, blind to concept shift; it is no harm" in page(decision)


def test_a_turned_relation_is_invisible_to_it(make: Make) -> None:
    """When the relation turns, labels show it and the estimate by scores does not: that is what its text says."""
    loop = make()
    loop.play(3, turned=True)
    error, estimate = measured(loop, "error", "estimated_error")
    assert error.value is not None and estimate.value is not None  # noqa: PT018 - one fact: both are known
    assert error.value > 0.9
    assert estimate.value < 0.1


def test_without_a_score_nothing_is_estimated_unless_it_is_asked_for(make: Make) -> None:
    """The outputs alone serve where the pipeline says `estimate = true`, and the basis is told."""
    silent, asked = make(with_score=False), make(with_score=False, estimate=True)
    silent.play(1)
    asked.play(1)
    assert measured(silent, *NAMES) == []
    assert measured(asked, *NAMES)[0].assumptions[0] == "by its outputs alone"
    assert 0.03 < measured(asked, "estimated_error")[0].value < 0.08


def test_labels_give_a_posterior_with_the_chance_above_the_limit(make: Make) -> None:
    """The posterior of the error is told beside the error; few labels make it wide, and it never alarms."""
    loop = make()
    loop.play(1)
    low, high, chance = measured(loop, "error_posterior_low", "error_posterior_high", "p_error_above_limit")
    assert low.value < 0.05 < high.value
    assert chance.value < 0.9
    assert chance.log_limit is None
    assert loop.decision().trace["facts"]["p_error_above_limit"] == chance.value


def test_scores_are_stored_with_the_rows_and_no_model_reads_them(make: Make) -> None:
    """What the segments give back has the score apart from the features, after a restart too; replay reproduces all."""
    loop = make()
    loop.play(2)
    loop.reopen()
    rows = loop.core.store.rows(NAME, START, loop.clock.now())
    assert rows.score is not None
    assert set(np.unique(rows.score)) == {0.5, 0.95}
    assert set(rows.features) == {"x", "z"}
    loop.play(1)
    assert measured(loop, *NAMES)
    found = decisions(loop.core.store)
    assert [one.problem for one in reproduce(loop.core.store, found)] == [""] * 3
