"""The facts: the flat, named values that rules may read, each with type, unit and meaning.

Must never guess: what the situation does not hold is unknown (None). A new fact is a function and a line in `FACTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from healerd.decision.payback import payback
from healerd.decision.segments import SegmentTold, segments_told
from healerd.decision.situation import Situation
from healerd.detectors import p_error_high
from healerd.detectors.segments import segment_of
from healerd.model import Layer, Measurement, Quality, VersionKind
from healerd_rules import ActionDecl, FactDecl, Schema

__all__ = ["ALARMS", "FACTS", "SCHEMA", "Fact", "FactValue", "alarms", "facts", "schema"]

FactValue = float | bool | str | None | Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact: its type and unit in the rule language, what it means, and how it is found."""

    type: str
    unit: str
    meaning: str
    of: Callable[[Situation], FactValue]
    per: str | None = None


def facts(situation: Situation) -> dict[str, FactValue]:
    """Find every fact of a situation."""
    return {name: fact.of(situation) for name, fact in FACTS.items()}


def alarms(situation: Situation) -> dict[str, bool | None]:
    """Tell which alarms stand; None while nobody can tell."""
    return {layer.value: _alarm(situation, layer) for layer in ALARMS}


def schema() -> Schema:
    """Give the vocabulary that rule files may use."""
    return Schema(
        facts=tuple(
            FactDecl(name=name, type=fact.type, per=fact.per, meaning=fact.meaning) for name, fact in FACTS.items()
        ),
        actions=ACTION_WORDS,
        alarms=tuple(layer.value for layer in ALARMS),
        dimensions=("feature", "segment", "operation", "alert"),
        marks_stale=False,
    )


NEVER = 1e6
"""Windows since what has not happened yet."""
ALARMS = (Layer.HARM, Layer.REGRET, Layer.DRIFT, Layer.SCORE, Layer.QUALITY, Layer.OPERATIONS)
"""The alarms a rule may name, as in `alarm(harm)`. That of operations is a warning: it opens no incident."""

ACTION_WORDS = (
    ActionDecl(name="retrain", risk=3, undo="undo", meaning="fit a candidate on the newest labelled rows"),
    ActionDecl(name="rollback", risk=1, undo="undo", meaning="let the best stored version serve"),
    ActionDecl(name="fallback", risk=1, undo="return", meaning="let a fresh safe model serve"),
    ActionDecl(name="promote", step=True, undo="undo", meaning="let a judged candidate serve"),
    ActionDecl(name="undo", step=True, meaning="let the replaced version serve again"),
    ActionDecl(name="return", step=True, meaning="go back from the safe model"),
)


def _alarm(situation: Situation, layer: Layer) -> bool | None:
    """The verdict on the data is the alarm of its layer; elsewhere one measurement speaks for the whole layer.

    A segment may raise the alarm, and never says that all is well where nobody can tell of the whole.
    """
    if layer is Layer.QUALITY:
        return {Quality.BAD: True, Quality.GOOD: False, Quality.UNKNOWN: None}[situation.quality]
    if layer is Layer.OPERATIONS:
        return next((one.alarm for one in situation.measurements if one.layer is layer and one.name == layer), None)
    evidence = [one for one in situation.measurements if one.layer is layer and one.log_limit is not None]
    if any(one.alarm for one in evidence):
        return True
    whole = next((one for one in evidence if one.subject is None and segment_of(one.name) is None), None)
    return None if whole is None else whole.alarm


def _error(situation: Situation) -> tuple[float | None, int]:
    """The error of the cohorts that matured in this window, and how many labels it stands on."""
    found = next((one for one in situation.measurements if one.layer is Layer.HARM and one.name == "error"), None)
    return (None, 0) if found is None else (found.value, found.n)


def _error_rate(situation: Situation) -> FactValue:
    return _error(situation)[0]


def _labelled_rows(situation: Situation) -> FactValue:
    return sum(cohort.labelled for cohort in situation.cohorts) if situation.cohorts else None


def _label_coverage(situation: Situation) -> FactValue:
    rows = sum(cohort.rows for cohort in situation.cohorts)
    return sum(cohort.labelled for cohort in situation.cohorts) / rows if rows else None


def _reference_error(situation: Situation) -> FactValue:
    return None if situation.reference is None else situation.reference.error


def _told(name: str) -> Callable[[Situation], FactValue]:
    """A measurement of the window as a whole, by its name."""

    def of(situation: Situation) -> FactValue:
        found = next((one for one in situation.measurements if one.name == name and one.subject is None), None)
        return None if found is None else found.value

    return of


def _windows_since_training(situation: Situation) -> FactValue:
    """Count from fits that are over; one that waits or runs bars the next by itself."""
    fits = [one for one in situation.log if (one.action, one.pipeline) == ("retrain", situation.pipeline)]
    began = [one.started_at for one in fits if one.ended_at is not None]
    return (situation.now - max(began)).total_seconds() / situation.window_s if began else NEVER


def _incident(situation: Situation) -> FactValue:
    incident = situation.open_incident
    return "none" if incident is None else incident.kind.value


def _p_error_high(situation: Situation) -> FactValue:
    error, n = _error(situation)
    if error is None or n == 0 or situation.reference is None:
        return None
    return p_error_high(error * n, n, situation.reference.error)


def _expected_loss(situation: Situation) -> FactValue:
    found = payback(situation.stake)
    return None if found is None else found.expected_loss


def _p_retrain_pays(situation: Situation) -> FactValue:
    found = payback(situation.stake)
    return None if found is None else found.p_pays


def _quality(situation: Situation) -> FactValue:
    return None if situation.quality is Quality.UNKNOWN else situation.quality.value


def _rows(situation: Situation) -> FactValue:
    return situation.rows


def _serving_fallback(situation: Situation) -> FactValue:
    return None if situation.active is None else situation.active.kind is VersionKind.FALLBACK


def _model_age(situation: Situation) -> FactValue:
    """Age of what the model knows: since the end of its training rows, or since it was made where those are unknown."""
    active = situation.active
    if active is None:
        return None
    return max(0.0, (situation.now - (active.trained_to_at or active.created_at)).total_seconds())


def _measured(name: str) -> Callable[[Situation], FactValue]:
    """A measurement of each feature, by its name; scores are no features."""

    def of(situation: Situation) -> FactValue:
        return {
            one.subject: one.value
            for one in situation.measurements
            if one.name == name and one.subject is not None and one.layer in (Layer.DRIFT, Layer.QUALITY)
        }

    return of


def _of_operations(value: Callable[[Measurement], float | None]) -> Callable[[Situation], FactValue]:
    """A number of each metric of operation, by its name."""
    return lambda situation: {
        one.subject: value(one)
        for one in situation.measurements
        if one.layer is Layer.OPERATIONS and one.name == "operation" and one.subject is not None
    }


def _of_alerts(value: Callable[[Situation, Measurement], float | None]) -> Callable[[Situation], FactValue]:
    """A number of each alert of other monitoring, by its name."""
    return lambda situation: {
        one.subject: value(situation, one)
        for one in situation.measurements
        if one.layer is Layer.OPERATIONS and one.name == "alert" and one.subject is not None
    }


def _alert_age(situation: Situation, alert: Measurement) -> float | None:
    """How long the oldest of a name has fired: nothing while none does, unknown while nobody can tell."""
    if alert.value is None or alert.since_at is None:
        return None if alert.value is None else 0.0
    return max(0.0, (situation.now - alert.since_at).total_seconds())


def _of_segments(value: Callable[[SegmentTold], float | None]) -> Callable[[Situation], FactValue]:
    """A number of each segment that was measured, by its name."""
    return lambda situation: {one.name: value(one) for one in segments_told(situation.measurements)}


FACTS: Mapping[str, Fact] = {
    "error_rate": Fact(
        type="ratio", unit="share", meaning="error of the label cohorts that matured in this window", of=_error_rate
    ),
    "reference_error": Fact(
        type="ratio", unit="share", meaning="error of the active version on held-out rows", of=_reference_error
    ),
    "p_error_high": Fact(
        type="ratio",
        unit="probability",
        meaning="posterior probability that the error is above the reference's",
        of=_p_error_high,
    ),
    "rows": Fact(type="count", unit="rows", meaning="predictions in this window", of=_rows),
    "labelled_rows": Fact(
        type="count", unit="rows", meaning="labelled rows of the cohorts that matured in this window", of=_labelled_rows
    ),
    "label_coverage": Fact(type="ratio", unit="share", meaning="share of those cohorts' rows", of=_label_coverage),
    "data_quality": Fact(
        type="text", unit="`good` or `bad`", meaning="verdict on this window's data; unknown otherwise", of=_quality
    ),
    "missing_rate": Fact(
        type="ratio", unit="share", per="feature", meaning="values that are missing", of=_measured("missing")
    ),
    "wrong_type_rate": Fact(
        type="ratio", unit="share", per="feature", meaning="values of the wrong type", of=_measured("wrong_type")
    ),
    "unseen_rate": Fact(
        type="ratio", unit="share", per="feature", meaning="values unlike any in the reference", of=_measured("unseen")
    ),
    "out_of_range_rate": Fact(
        type="ratio",
        unit="share",
        per="feature",
        meaning="values outside the reference's range",
        of=_measured("out_of_range"),
    ),
    "stuck_rate": Fact(
        type="ratio", unit="share", per="feature", meaning="share of the most frequent value", of=_measured("stuck")
    ),
    "scale_ratio": Fact(
        type="number", unit="factor", per="feature", meaning="factor of all quartiles", of=_measured("scaled")
    ),
    "ks": Fact(
        type="number", unit="distance", per="feature", meaning="Kolmogorov-Smirnov distance", of=_measured("ks")
    ),
    "psi": Fact(type="number", unit="index", per="feature", meaning="population stability index", of=_measured("psi")),
    "segment_rows": Fact(
        type="count",
        unit="rows",
        per="segment",
        meaning="predictions of the segment in this window",
        of=_of_segments(lambda one: one.rows),
    ),
    "segment_error_rate": Fact(
        type="ratio",
        unit="share",
        per="segment",
        meaning="error of the segment's labels that matured in this window",
        of=_of_segments(lambda one: one.error),
    ),
    "segment_alarms": Fact(
        type="count",
        unit="alarms",
        per="segment",
        meaning="kinds of alarm that stand in the segment; unknown while nobody can tell of one kind",
        of=_of_segments(lambda one: len(one.alarms) if one.known else None),
    ),
    "operation_value": Fact(
        type="number",
        unit="of the metric",
        per="operation",
        meaning="mean of the metric over this window's points",
        of=_of_operations(lambda one: one.value),
    ),
    "operation_oddness": Fact(
        type="ratio",
        unit="score",
        per="operation",
        meaning="how odd its oddest point was, from 0 to 1",
        of=_of_operations(lambda one: one.effect),
    ),
    "alerts_firing": Fact(
        type="count",
        unit="alerts",
        meaning="alerts of other monitoring that fire now; unknown while it is silent",
        of=_told("alerts"),
    ),
    "alert_firing": Fact(
        type="count",
        unit="alerts",
        per="alert",
        meaning="how many of that name fire now",
        of=_of_alerts(lambda situation, one: one.value),
    ),
    "alert_age": Fact(
        type="duration",
        unit="s",
        per="alert",
        meaning="since the oldest of that name began to fire; 0 while none does",
        of=_of_alerts(_alert_age),
    ),
    "error_limit": Fact(
        type="ratio",
        unit="share",
        meaning="error up to which a window of the active version counts as clean",
        of=_told("error_limit"),
    ),
    "estimated_error": Fact(
        type="ratio",
        unit="share",
        meaning="estimate without labels of this window's error; blind to concept shift",
        of=_told("estimated_error"),
    ),
    "estimated_error_low": Fact(
        type="ratio", unit="share", meaning="lower end of its 95% interval", of=_told("estimated_error_low")
    ),
    "estimated_error_high": Fact(
        type="ratio", unit="share", meaning="upper end of its 95% interval", of=_told("estimated_error_high")
    ),
    "p_estimated_error_high": Fact(
        type="ratio",
        unit="probability",
        meaning="probability by that estimate that the error is above `error_limit`",
        of=_told("p_estimated_error_high"),
    ),
    "p_error_above_limit": Fact(
        type="ratio",
        unit="probability",
        meaning="posterior probability, by the labels there are, that the error is above `error_limit`",
        of=_told("p_error_above_limit"),
    ),
    "incident_kind": Fact(
        type="text",
        unit="`harm`, `regret`, `quality`, `drift`, `score` or `none`",
        meaning="the gravest alarm that the open incident has had",
        of=_incident,
    ),
    "windows_since_training": Fact(
        type="count",
        unit="windows",
        meaning="since the last fit on this pipeline began; very many when there was none",
        of=_windows_since_training,
    ),
    "stored_gain": Fact(
        type="ratio",
        unit="share",
        meaning="how much less the best stored version errs than the active one on fresh labels",
        of=lambda situation: situation.stored_gain,
    ),
    "p_stored_better": Fact(
        type="ratio",
        unit="probability",
        meaning="posterior probability that this stored version is better at all",
        of=lambda situation: situation.p_stored_better,
    ),
    "expected_loss": Fact(
        type="number",
        unit="cost",
        meaning="what the errors that a new fit would spare are expected to cost while it would serve",
        of=_expected_loss,
    ),
    "p_retrain_pays": Fact(
        type="ratio",
        unit="probability",
        meaning="posterior probability that this is more than an accepted candidate costs",
        of=_p_retrain_pays,
    ),
    "alias_moved": Fact(
        type="bool",
        unit="true or false",
        meaning="somebody else moved the alias since the window before",
        of=lambda situation: situation.alias_moved,
    ),
    "serving_fallback": Fact(type="bool", unit="true or false", meaning="a safe model serves", of=_serving_fallback),
    "rejected_candidates": Fact(
        type="count",
        unit="candidates",
        meaning="candidates rejected in this incident",
        of=lambda situation: len(situation.rejected_at),
    ),
    "model_age": Fact(type="duration", unit="s", meaning="age of what the active model learned from", of=_model_age),
}
"""Every fact by its name."""

SCHEMA = schema()
