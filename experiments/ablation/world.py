"""Sites and their incidents as streams: a drifting world, what reaches the model of it, and when labels come.

Must never know which system plays: a scenario is drawn from its seeds alone, so that all systems meet the same one.

A site has four numeric features, a linear truth with one bend, and costs of its own; a scenario has 16 healthy windows
that train the first model and 20 that are served. Labels come one window late. The truth's probabilities are kept
beside the rows, so that a served answer is judged by its expected error and not by the luck of 100 draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.ablation.faults import FAULTS, Fault, Happening
from healerd.columns import Column, Times
from healerd.offline.stream import Stream

__all__ = [
    "PIPELINE",
    "PLAYED",
    "ROWS",
    "TRAINED",
    "WINDOW_S",
    "Costs",
    "Scenario",
    "Site",
    "make_scenario",
    "make_site",
]

Floats = npt.NDArray[np.float64]

PIPELINE = "site"
FEATURES = 4
ROWS = 100
"""Rows of one window."""
TRAINED, PLAYED = 16, 20
"""Windows that train the first model, and windows that are served."""
WINDOW_S = 86_400.0
DAY = np.timedelta64(86_400_000_000, "us")
EPOCH = np.datetime64("2020-01-01", "us")
BETWEEN = 120
"""Days from the beginning of one scenario of a site to the beginning of the next: the log's longest memory is 64."""
SLOPE = 2.2
"""How steeply the probability of a 1 rises: the best model errs in about one row of ten."""
ALIKE_MAX = 0.2
"""Largest cosine between two relations of one site."""
BEND = 6.0
"""How much the truth bends back beyond `BEND_AT` on the first feature, where few healthy rows lie."""
BEND_AT = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a site pays, in one unit of money: for each action, and for one window served with the full harm."""

    retrain: float
    rollback: float
    fallback: float
    degraded: float

    def of(self, action: str) -> float:
        """Give the cost of an action; steps of a heal cost nothing by themselves."""
        return {"retrain": self.retrain, "rollback": self.rollback, "fallback": self.fallback}.get(action, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """One learner: its seed, costs, today's relation of inputs to labels, and the one it had in the past."""

    seed: int
    number: int
    costs: Costs
    weights: Floats
    past_weights: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """One incident, or none: what is served, what a feed does to it, the truth behind it, and what happens when.

    `chance` is the probability of a 1 for each row; `arrived` the features as they reach the model.
    """

    site: Site
    number: int
    fault: str
    happening: Happening
    stream: Stream
    past: Stream
    chance: Floats
    arrived: Mapping[str, Column]

    def feed(self, features: Mapping[str, Column], at: Times) -> Mapping[str, Column]:
        """Give what arrives in the place of what the world says at these times."""
        if not len(at):
            return features
        first = int(np.searchsorted(self.stream.at, at[0]))
        rows = slice(first, first + len(at))
        return {name: column[rows] for name, column in self.arrived.items()}


def make_site(seed: int, number: int) -> Site:
    """Draw a site."""
    rng = _drawn(seed, number, 0)
    weights = _relation(rng)
    return Site(
        seed=seed,
        number=number,
        costs=Costs(
            retrain=_money(rng, 60.0, 0.7),
            rollback=_money(rng, 4.0, 0.5),
            fallback=_money(rng, 10.0, 0.5),
            degraded=_money(rng, 60.0, 0.7),
        ),
        weights=weights,
        past_weights=_unlike(rng, weights),
    )


def make_scenario(site: Site, number: int, *, slot: int | None = None, fault: str | None = None) -> Scenario:
    """Draw the site's scenario of a number; each eleven numbers in a row have each fault once.

    It takes place in the site's time slot of that number, or in another that is named; earlier ones are negative.
    """
    rng = _drawn(site.seed, site.number, 1 + number)
    name = fault or _fault_of(site, number)
    happening = Happening.draw(rng, other=_unlike(rng, site.weights, site.past_weights), past=site.past_weights)
    n = ROWS * (TRAINED + PLAYED)
    window = np.arange(n) // ROWS - TRAINED
    made: Fault = FAULTS[name]
    x = made.inputs(rng.normal(size=(n, FEATURES)), window, happening)
    chance = _chance(x, made.relation(site.weights, window, happening))
    label = (rng.random(n) < chance).astype(np.float64)
    at = (
        EPOCH
        + DAY * (BETWEEN * (number if slot is None else slot))
        + (np.arange(n) * (DAY // ROWS)).astype("timedelta64[us]")
    )
    told = made.labels(label, window, happening, rng)
    day: Times = at.astype("datetime64[D]").astype("datetime64[us]")
    known_at: Times = day + DAY * (1 + made.delay(window, happening))
    features = {f"x{place}": x[:, place].copy() for place in range(FEATURES)}
    arrived = made.arrives(x, window, happening, rng)
    return Scenario(
        site=site,
        number=number,
        fault=name,
        happening=happening,
        stream=_stream(at, features, told, known_at),
        past=_past(rng, site, at),
        chance=chance,
        arrived={f"x{place}": arrived[:, place].copy() for place in range(FEATURES)},
    )


def _past(rng: np.random.Generator, site: Site, at: Times) -> Stream:
    """Draw the rows that an older stored version learned from: as many as train the first, under the past relation."""
    n = ROWS * TRAINED
    x = rng.normal(size=(n, FEATURES))
    relation = np.repeat(site.past_weights[None, :], n, axis=0)
    label = (rng.random(n) < _chance(x, relation)).astype(np.float64)
    earlier: Times = at[:n] - DAY * TRAINED
    known_at: Times = earlier + DAY
    return _stream(earlier, {f"x{place}": x[:, place].copy() for place in range(FEATURES)}, label, known_at)


def _stream(at: Times, features: Mapping[str, Column], label: Column, known_at: Times) -> Stream:
    return Stream(
        name=PIPELINE,
        path=Path("drawn"),
        sha256="",
        columns=len(features) + 2,
        at=at,
        features=features,
        label=label,
        known_at=known_at,
        task="classification",
        window_s=WINDOW_S,
        first=ROWS * TRAINED,
    )


def _fault_of(site: Site, number: int) -> str:
    """Deal the faults as a shuffled pack of cards, a new one when it is used up."""
    names = tuple(FAULTS)
    pack, card = divmod(number, len(names))
    order = _drawn(site.seed, site.number, 10_000 + pack).permutation(len(names))
    return names[int(order[card])]


def _chance(x: Floats, relation: Floats) -> Floats:
    bend = np.sign(relation[:, 0]) * BEND * np.maximum(0.0, x[:, 0] - BEND_AT)
    score = (x * relation).sum(axis=1) - bend
    found: Floats = 1.0 / (1.0 + np.exp(-2.0 * score))
    return found


def _relation(rng: np.random.Generator) -> Floats:
    """Draw weights of one length; the last feature never matters, whatever happens."""
    weights = rng.normal(size=FEATURES)
    weights[3:] = 0.0
    found: Floats = SLOPE * weights / np.linalg.norm(weights)
    return found


def _unlike(rng: np.random.Generator, *others: Floats) -> Floats:
    """Draw a relation that points away from each of the others: what learned one of them errs often on this one."""
    while True:
        drawn = _relation(rng)
        if all(float(drawn @ other) < ALIKE_MAX * SLOPE**2 for other in others):
            return drawn


def _money(rng: np.random.Generator, median: float, spread: float) -> float:
    return float(np.round(median * np.exp(spread * rng.normal()), 2))


def _drawn(seed: int, site: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, site, number))))
