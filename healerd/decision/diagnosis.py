"""What was diagnosed of an incident: a record that a tick writes down once, and its words.

Must never be computed while deciding: a decision that is replayed reads it, and no verdict hangs on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from healerd.detectors.diagnosis import Change
from healerd.model import Layer

__all__ = ["Apart", "Diagnosis", "Moved", "diagnosis_said"]

SURE = 0.8
"""Probability from which a stored version is said to be better."""
FEATURES_SAID = 3
CHANCE = 0.5
GIVES = 0.005
"""What of the area a feature must give to be named."""
BLIND = "labels alone can show whether that harms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One feature beside its reference, over merged windows: distances, false-discovery rate, and its law in words."""

    name: str
    layer: Layer
    n: int
    ks: float | None
    q_value: float | None
    psi: float | None
    wasserstein: float | None
    since_at: datetime | None
    law: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How well a classifier tells n[0] rows since from n[1] rows before: an area with its interval; .5 is chance."""

    area: float
    low: float
    high: float
    level: float
    n: tuple[int, int]
    importances: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """An incident looked into: the rows of [from_at, to_at), `looked` of `rows` of them, the features most moved.

    `layers` are the alarms it was made for. `expected_high` is the most that scores let expect of the error,
    `found_low` the least that labels found, each at the end of its interval. `course` says whether `course_of` moved
    at once or little by little.
    `stored` is the best stored version with its gain on the newest labels; `nearest` the one whose reference the
    inputs resemble most, with its distance beside the present one's.
    """

    incident_id: str
    layers: tuple[Layer, ...]
    from_at: datetime
    to_at: datetime
    rows: int
    looked: int
    change: Change
    features: tuple[Moved, ...]
    compared: int
    apart: Apart | None = None
    not_apart: str = ""
    course: str = "unclear"
    course_of: str = ""
    p_sudden: float | None = None
    course_at: datetime | None = None
    course_windows: int | None = None
    expected_high: float | None = None
    found_low: float | None = None
    stored: str | None = None
    stored_gain: float | None = None
    p_stored_better: float | None = None
    nearest: str | None = None
    distance: float | None = None
    distance_now: float | None = None


def diagnosis_said(one: Diagnosis) -> tuple[str, ...]:
    """Tell a diagnosis for a person, a sentence a line."""
    return tuple(_said(one))


def _said(one: Diagnosis) -> Iterator[str]:
    part = "" if one.looked == one.rows else f" ({one.looked:,} of them looked at)"
    yield f"Looked at {one.rows:,} rows{part} from {_at(one.from_at)}, when the evidence began, to {_at(one.to_at)}."
    if one.change is not Change.NONE:
        yield _kind(one) + _explained(one)
    yield from _course(one)
    moved = [each for each in one.features if each.q_value is not None and each.q_value < 0.05][:FEATURES_SAID]
    if moved:
        yield f"Most moved of {one.compared} inputs and outputs: {'; '.join(map(_moved, moved))}."
    elif one.features:
        yield f"None of {one.compared} inputs and outputs moved by more than chance (false-discovery rate 5%)."
    yield from _apart(one)
    yield from _recurring(one)


def _kind(one: Diagnosis) -> str:
    match one.change:
        case Change.CONCEPT:
            return "It looks like a concept shift: errors rose while no input is known to have moved."
        case Change.BOTH:
            return (
                "Inputs moved and errors rose: covariate drift with harm; that the one caused the other is not shown."
            )
        case Change.COVARIATE:
            return "It is covariate drift: inputs moved, and the errors of labelled rows did not rise measurably."
        case Change.UNJUDGED:
            return f"It is covariate drift as far as is known: inputs moved; {BLIND}."
        case Change.NONE:
            return ""


def _explained(one: Diagnosis) -> str:
    """Whether a rise of the error is one that the scores let expect; a concept shift is what they do not."""
    if one.change not in (Change.CONCEPT, Change.BOTH) or one.expected_high is None or one.found_low is None:
        return ""
    if one.found_low > one.expected_high:
        return (
            f" The scores alone let expect at most {one.expected_high:.1%} errors, labels show at least "
            f"{one.found_low:.1%}: what the scores mean has changed, a concept shift."
        )
    return " The scores explain the rise."


def _course(one: Diagnosis) -> Iterator[str]:
    if one.p_sudden is None or one.course_at is None:
        yield "Whether it came at once or little by little cannot be told yet: too few windows."
        return
    sure = f"(P(sudden) = {one.p_sudden:.2f}, from {one.course_of})"
    if one.course == "sudden":
        yield f"It came at once, at {_at(one.course_at)} {sure}."
    elif one.course == "gradual":
        yield f"It came little by little, over about {one.course_windows} windows from {_at(one.course_at)} {sure}."
    else:
        yield f"Whether it came at once or little by little cannot be told {sure}."


def _moved(one: Moved) -> str:
    numbers = [("KS", one.ks), ("PSI", one.psi), ("Wasserstein", one.wasserstein), ("q", one.q_value)]
    told = ", ".join(f"{name} {value:.2g}" for name, value in numbers if value is not None)
    since = "" if one.since_at is None else f", since {_at(one.since_at)}"
    return f"`{one.name}` ({one.law}; {told}{since})"


def _apart(one: Diagnosis) -> Iterator[str]:
    if one.apart is None:
        if one.not_apart:
            yield f"All features together were not compared: {one.not_apart}."
        return
    found = one.apart
    verdict = "cannot be told from" if found.low <= CHANCE else "can be told from"
    named = ", ".join(f"`{name}` ({lost:.2f})" for name, lost in found.importances[:FEATURES_SAID] if lost > GIVES)
    yield (
        f"All features together {verdict} the rows before: a classifier's area is {found.area:.2f} "
        f"({found.level:.0%} between {found.low:.2f} and {found.high:.2f}; .5 is chance)"
        + (f", mostly by {named}." if named and found.low > CHANCE else ".")
    )


def _recurring(one: Diagnosis) -> Iterator[str]:
    if one.stored is not None and one.stored_gain is not None and (one.p_stored_better or 0.0) >= SURE:
        yield (
            f"It may be a concept that returns: the stored `{one.stored}` errs on {one.stored_gain:.1%} fewer of the "
            f"newest labelled rows (P(better) {one.p_stored_better:.2f}); a rollback offers it, the best on record."
        )
    if one.nearest is not None and one.distance is not None and one.distance_now is not None:
        yield (
            f"The inputs look more like the reference of `{one.nearest}` (mean KS {one.distance:.2f}, against "
            f"{one.distance_now:.2f} for the present one)."
        )


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
