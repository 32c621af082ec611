"""The records that every part of healerd speaks in: frozen, checked when made, without behaviour.

Must never hold arrays, read or write anything, or import another part of healerd. Times are aware UTC
datetimes, durations are seconds, probabilities lie in [0, 1], costs are in the currency of the configuration.

The module is long because the words of the whole house stand in one place, each once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = [
    "ACTIONS_THAT_HEAL",
    "ACTS_ALONE",
    "ANSWERABLE",
    "AUTONOMOUS_FROM",
    "AWAITED",
    "DAEMON",
    "EVERYTHING",
    "HOLD",
    "NOT_STARTED",
    "OPEN_STATES",
    "STEPS",
    "TERMINAL_STATES",
    "Answer",
    "AnswerKind",
    "ApprovalNeed",
    "Bar",
    "Cohort",
    "Decision",
    "Incident",
    "Intent",
    "IntentState",
    "Layer",
    "Measurement",
    "Option",
    "Outcome",
    "PairedTest",
    "Pause",
    "Quality",
    "Reference",
    "Result",
    "Rival",
    "Stage",
    "StageChange",
    "Version",
    "VersionKind",
    "Window",
]

HOLD = "hold"
DAEMON = "daemon"
"""The author of what nobody asked for."""
ACTIONS_THAT_HEAL = ("retrain", "rollback", "fallback")
STEPS = ("promote", "undo", "return")
AUTONOMOUS_FROM = 0.80
"""P(cheaper than holding) from which the base rules let an action run without a person's word (SAFETY S2)."""


class Stage(StrEnum):
    """How far a pipeline is trusted to act alone (SAFETY S5)."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    CANARY = "canary"
    LIVE = "live"


ACTS_ALONE = (Stage.CANARY, Stage.LIVE)
"""The highest rungs: the order of the stages is the ladder, from the least to the most trusted."""


class Quality(StrEnum):
    """The verdict on a window's data; unknown counts as bad (SAFETY S13)."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Layer(StrEnum):
    """What a measurement is about; each has its share of the false-alarm budget, but operations, which only warn."""

    HARM = "harm"
    REGRET = "regret"
    QUALITY = "quality"
    DRIFT = "drift"
    SCORE = "score"
    OPERATIONS = "operations"


class VersionKind(StrEnum):
    """What sort of model a stored version is."""

    MODEL = "model"
    FALLBACK = "fallback"


class Result(StrEnum):
    """What an action did, judged after the fact."""

    HEALED = "healed"
    NO_CHANGE = "no change"
    WORSE = "worse"
    FAILED = "failed"
    UNKNOWN = "unknown"


class AnswerKind(StrEnum):
    """What a person said to an intent."""

    APPROVE = "approve"
    DENY = "deny"
    VETO = "veto"
    LIFT = "lift"


class IntentState(StrEnum):
    """Where an intent stands; each move is a compare-and-set, committed before the effect it allows."""

    ANNOUNCED = "announced"
    AWAITING_APPROVAL = "awaiting approval"
    READY = "ready"
    EXECUTING = "executing"
    CONFIRMED = "confirmed"
    VERIFYING = "verifying"
    UNDOING = "undoing"
    NEEDS_PERSON = "needs person"
    VERIFIED = "verified"
    INCONCLUSIVE = "inconclusive"
    UNDONE = "undone"
    FAILED = "failed"
    VETOED = "vetoed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


TERMINAL_STATES = frozenset(
    {
        IntentState.VERIFIED,
        IntentState.INCONCLUSIVE,
        IntentState.UNDONE,
        IntentState.FAILED,
        IntentState.VETOED,
        IntentState.EXPIRED,
        IntentState.WITHDRAWN,
        IntentState.REFUSED,
    }
)
OPEN_STATES = frozenset(IntentState) - TERMINAL_STATES
ANSWERABLE = frozenset({IntentState.ANNOUNCED, IntentState.AWAITING_APPROVAL})
"""A person may still let it run or stop it, and silence decides in the end."""
NOT_STARTED = ANSWERABLE | {IntentState.READY}
AWAITED = ANSWERABLE | {IntentState.NEEDS_PERSON}
"""It waits for a person's word."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Window:
    """The half-open interval [start_at, end_at) of one pipeline's predictions that one tick judges."""

    pipeline: str
    start_at: datetime
    end_at: datetime

    def __post_init__(self) -> None:
        _check_aware(self.start_at, self.end_at)
        assert self.start_at < self.end_at, "a window ends after it starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured value with its evidence.

    `log_evidence` is the natural logarithm of the detector's accumulated evidence and `log_limit` the line at
    which it is an alarm; both are None for a number that is only displayed (KS, PSI).
    """

    name: str
    layer: Layer
    subject: str | None = None
    value: float | None
    n: int
    effect: float | None = None
    log_evidence: float | None = None
    log_limit: float | None = None
    p_value: float | None = None
    since_at: datetime | None = None
    reference_id: str | None = None
    assumptions: tuple[str, ...] = ()
    alarm: bool | None = False

    def __post_init__(self) -> None:
        assert self.n >= 0, "a sample size is not negative"
        _check_probability(self.p_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The labels of one window's predictions by one model version: counts only (SAFETY S12).

    `loss_sum` is the sum of the 0/1 losses of the `labelled` rows; `rows` counts the rows that deserve a label.
    `mature_at` is when the cohort is judged, whatever is still missing then.
    """

    pipeline: str
    version: str
    window_start_at: datetime
    window_end_at: datetime
    mature_at: datetime
    rows: int
    labelled: int
    loss_sum: float

    def __post_init__(self) -> None:
        _check_aware(self.window_start_at, self.window_end_at, self.mature_at)
        assert 0 <= self.labelled <= self.rows, "labels beyond rows"
        assert 0 <= self.loss_sum <= self.labelled, "a loss lies in [0, 1]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A stored version shadowed on a cohort of the active one, `against`: counts of rows on which they differ.

    `better` rows it gets right and the active one wrong; `worse` the other way about. It trained on none of them.
    """

    version: str
    against: str
    rows: int
    better: int
    worse: int

    def __post_init__(self) -> None:
        assert 0 <= self.better + self.worse <= self.rows, "rows that differ are rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a version is held against: its held-out error, and the frozen window its inputs are compared with.

    `error` is the mean 0/1 loss on `error_rows` held-out rows that did not train it, capped so that references
    cannot ratchet upward (SAFETY S12). `error_sd` is the standard deviation of the error between the `error_windows`
    windows of those rows, beyond chance: healthy days differ. The fitted profile lies beside it under `id`, a hash
    of its content.
    """

    id: str
    pipeline: str
    version: str
    at: datetime
    error: float
    error_rows: int
    error_sd: float = 0.0
    error_windows: int = 1
    capped_from: float | None = None
    limit_max: float = 1.0
    rows: int
    start_at: datetime
    end_at: datetime

    def __post_init__(self) -> None:
        _check_probability(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One stored model of a pipeline's registry. It trained on rows served in [trained_from_at, trained_to_at)."""

    pipeline: str
    name: str
    kind: VersionKind
    sha256: str
    created_at: datetime
    trained_from_at: datetime | None = None
    trained_to_at: datetime | None = None
    trained_rows: int = 0
    key: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What is wrong with one pipeline, from its first alarm until healed or clean (SAFETY S6)."""

    id: str
    pipeline: str
    opened_at: datetime
    kind: Layer
    severity: int
    reason: str
    opened_by: str
    clean_windows: int = 0
    generation: int = 0
    closed_at: datetime | None = None
    closed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One action as the decision saw it: what the guards said, and what the policy expects it to cost."""

    action: str
    level: str
    by: tuple[str, ...]
    permitted: bool
    target: str | None = None
    p_failure: float | None = None
    cost_mean: float | None = None
    cost_sd: float | None = None
    confidence: float | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNeed:
    """A consent without which an intent does not run; each is satisfied separately (SAFETY S3)."""

    role: str
    deadline_at: datetime | None
    otherwise: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one tick decided about one pipeline, and every reason.

    `trace` holds what the decision stood on (facts, alarms, measurements, signals, verdicts with their leaves,
    posterior numbers, hashes), as plain JSON values: enough to recompute the decision and to explain it.
    """

    id: str
    pipeline: str
    at: datetime
    window_start_at: datetime | None
    window_end_at: datetime | None
    stage: Stage
    incident_id: str | None
    severity: int
    chosen: str
    target: str | None
    rule_action: str
    rule: str | None
    candidate: str
    p_cheaper_than_rule: float | None
    confidence: float | None
    propensity: float
    level: str
    reason: str
    options: tuple[Option, ...]
    veto_within_s: float | None = None
    approvals: tuple[ApprovalNeed, ...] = ()
    deferred_until: datetime | None = None
    author: str = DAEMON
    rules_id: str
    trace: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_aware(self.at)
        _check_probability(self.confidence)
        _check_probability(self.propensity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """How a step or a heal is judged, fixed before it (SAFETY S11): the paired difference of losses on the same rows.

    Gain is the loss of `against` minus the loss of `version`, a mean over rows: positive is better. `error_limit` is
    the error up to which a window counted as clean when the incident opened: what stays above it is better at most.
    """

    version: str
    against: str
    rows_min: int
    windows_min: int
    level: float
    deadline_at: datetime
    from_at: datetime
    error_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an action did, judged by its test: the numbers, and what follows.

    `error` is the mean loss of what was served, on the rows of the test, and `error_limit` the test's.
    """

    intent_id: str
    at: datetime
    result: Result
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_better: float | None
    n: int
    paired: bool
    note: str = ""
    error: float | None = None
    error_limit: float | None = None

    @property
    def resolved(self) -> bool | None:
        """Whether the error is back where it counts as clean; None where nobody can tell."""
        return None if self.error is None or self.error_limit is None else self.error <= self.error_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The durable promise of one effect on one target, from its announcement on.

    `key` = sha256(pipeline, incident, action, target, generation) is stable over restarts. `version` counts the moves
    (compare-and-set), `revision` the evidence: it rises when the action, target, severity or data-quality verdict
    changes, and disarms earlier approvals. `decision_id` names the decision that chose it; `asked_on_id`, once it is
    asked anew, the newest one by then. `parent_id` names the heal whose step this is. `countdown_s` is the part of a
    veto window that has counted so far (SAFETY S9); `executed_at` and `effect_at` bound the effect itself.
    """

    id: str
    key: str
    pipeline: str
    incident_id: str | None
    decision_id: str
    action: str
    target: str | None
    current: str | None
    args: Mapping[str, Any] = field(default_factory=dict)
    state: IntentState
    version: int = 0
    revision: int = 0
    parent_id: str | None = None
    author: str = DAEMON
    confidence: float | None
    severity: int
    created_at: datetime
    veto_within_s: float | None = None
    countdown_s: float = 0.0
    counted_at: datetime | None = None
    deadline_at: datetime | None = None
    approvals: tuple[ApprovalNeed, ...] = ()
    approved_by: tuple[str, ...] = ()
    default: str
    attempt: int = 0
    epoch: int = 0
    executed_at: datetime | None = None
    effect_at: datetime | None = None
    ended_at: datetime | None = None
    test: PairedTest | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    asked_on_id: str | None = None

    def __post_init__(self) -> None:
        _check_aware(self.created_at)
        _check_probability(self.confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person said to an intent, with the reason; the author is what the daemon saw, not what was claimed."""

    id: str
    intent_id: str
    pipeline: str
    kind: AnswerKind
    author: str
    roles: tuple[str, ...]
    reason: str
    revision: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The memory of a veto or denial: `action` may not be proposed on `pipeline` while it stands (SAFETY S8)."""

    id: str
    pipeline: str
    action: str
    incident_id: str | None
    author: str
    reason: str
    since_at: datetime
    severity: int
    lifted_at: datetime | None = None
    lifted_by: str | None = None


EVERYTHING = "*"
"""What stands for all pipelines where a record names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A person's stop of one pipeline, or of everything when `pipeline` is `*` (SAFETY S15)."""

    pipeline: str
    since_at: datetime
    author: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """The stage of a pipeline, and who put it there: only people promote, demotion is automatic (SAFETY S5)."""

    pipeline: str
    stage: Stage
    at: datetime
    author: str
    reason: str


def _check_aware(*times: datetime) -> None:
    assert all(at.tzinfo is not None for at in times), "times are aware UTC datetimes"


def _check_probability(p: float | None) -> None:
    assert p is None or 0.0 <= p <= 1.0, f"a probability lies in [0, 1], not {p}"
