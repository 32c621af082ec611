"""What a test block says, with every name resolved and every amount in base units: ready to be played.

It never plays anything; that is the part of `testing`.
"""

from dataclasses import dataclass

from healerd_rules.core import Core
from healerd_rules.inputs import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """`on pipeline "name" tags "a", "b"`."""

    pipeline: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`at 2026-11-23 10:00`, in UTC, as seconds since the epoch."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`given name[member] = value`; `kind` is `fact`, `alarm` or the name of what is built in."""

    kind: str
    name: str
    member: str | None
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """`advance 3 windows` or `advance 11m`; one of the two is zero."""

    windows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """`did action q ago` (closed) or `doing action for q` (open); `pipeline` None means the one of the test."""

    action: str
    ago_s: float
    is_open: bool
    pipeline: str | None
    tags: tuple[str, ...]
    in_incident: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One expectation: `kind` is `signal`, `unknown`, `verdict`, `proposed` or `notify`, `name` what it is about.

    `by` holds the identities of rules. `role`, `within_s` and `otherwise` are what the consent must be, `before` is
    an action that is proposed and ranked lower; None: any.
    """

    kind: str
    name: str
    negated: bool
    by: tuple[str, ...] = ()
    level: str = ""
    node: Core | None = None
    role: str | None = None
    within_s: float | None = None
    otherwise: str | None = None
    before: str | None = None


Said = Where | Moment | Given | Pass | Done | Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, its line, and the text as written."""

    line: int
    text: str
    said: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A whole test block and where it stands."""

    title: str
    path: str
    line: int
    steps: tuple[Step, ...]
