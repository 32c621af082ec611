"""The shape of what a decision's trace holds, as types: the published schema is made from them.

Must never be what a trace is written with: `record.py` and `steps.py` write it, and a test holds every recorded trace
against these types. Times inside a trace are ISO 8601; what has its default is left out of `situation`.
"""

from datetime import datetime
from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from healerd.decision.situation import Situation
from healerd.model import Incident
from healerd.policy import Estimate

__all__ = ["Recorded"]

Value = bool | float | str | None
Truth = bool | None


class RecordedLeaf(TypedDict):
    """One comparison of a rule: what was compared, and how it came out; `truth` null is unknown."""

    text: str
    value: Value
    threshold: Value
    truth: Truth
    unit: str
    members: list[str]


class RecordedActing(TypedDict):
    """A rule that acts in a verdict, and where it stands; `path` is empty for the guards that no file can loosen."""

    rule: str
    kind: str
    path: str
    line: int
    because: str
    enforcement: str
    leaves: list[RecordedLeaf]


class RecordedApproval(TypedDict):
    """A consent that a verdict asks for; `otherwise` is what silence means."""

    role: str
    within_s: float | None
    otherwise: str
    rule: str


class RecordedVerdict(TypedDict):
    """What the guards said of one action, and every rule that brought them to it."""

    level: str
    autonomous: bool
    veto_within_s: float | None
    approvals: list[RecordedApproval]
    deferred_until: datetime | None
    acting: list[RecordedActing]


class RecordedSecondPass(RecordedVerdict):
    """The verdict with the confidence known, on the action that would be taken."""

    action: str


class RecordedProposal(TypedDict):
    """A rule that proposed an action; the first whose action is permitted is the rule's action."""

    rule: str
    action: str
    priority: int
    severity: str
    last_resort: bool
    because: str


class RecordedNotification(TypedDict):
    """A message that a rule sent."""

    channel: str
    rule: str


class RecordedPolicy(TypedDict):
    """What the policy answered, or in `failure` why it did not; `state` is the hash of what it had learned."""

    name: str
    events: int
    state: str
    failure: str
    estimates: list[Estimate]
    corners: int
    propensities: dict[str, float]


class RecordedLedger(TypedDict):
    """The conservative ledger's sum as it would be with the deviation; above 0 at the upper end it is barred."""

    mean: float
    sd: float
    upper: float


class RecordedCoin(TypedDict):
    """A coin that was tossed between the policy's action and the rules'."""

    key: str
    policy: str
    rule: str
    up: str


class RecordedGate(TypedDict):
    """The tests between the policy's candidate and a deviation; `p` is P(candidate cheaper than the rule's action)."""

    sure_enough: float
    p: float | None
    deviates: bool
    severity: NotRequired[float]
    barred_by: NotRequired[str]
    ledger: NotRequired[RecordedLedger | None]
    coin: NotRequired[RecordedCoin | None]


class RecordedStep(TypedDict):
    """The question whose answer this decision is, where it judged a step of a heal."""

    step: str
    heal_id: str
    heal_action: str
    target: str | None
    confidence: float | None


class RecordedWithdrawal(TypedDict):
    """A waiting intent that the decision replaces."""

    intent: str
    because: str


class Recorded(TypedDict):
    """All that a decision stood on; `situation` with the rule set alone is enough to decide again."""

    schema: int
    situation: Situation
    facts: Annotated[
        dict[str, Value | dict[str, Value]],
        Meta(description="What rules may read: name -> value, or name -> feature -> value; null is unknown."),
    ]
    alarms: Annotated[dict[str, Truth], Meta(description="Layer -> whether its alarm stands; null is unknown.")]
    incident: Incident | None
    on_silence: str | None
    second_pass: RecordedSecondPass | None
    step: NotRequired[RecordedStep]
    signals: NotRequired[dict[str, Truth]]
    proposals: NotRequired[list[RecordedProposal]]
    notifications: NotRequired[list[RecordedNotification]]
    context: NotRequired[dict[str, float]]
    policy: NotRequired[RecordedPolicy]
    gate: NotRequired[RecordedGate]
    first_pass: NotRequired[dict[str, RecordedVerdict]]
    withdraws: NotRequired[list[RecordedWithdrawal]]
