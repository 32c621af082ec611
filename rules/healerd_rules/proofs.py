"""What a proof about a rule set comes to: the records of `verify` and `diff`, and how they read.

It never proves anything and needs no solver.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a claim fared. Assumed: refuted in a model that allows more than can happen, and not confirmed."""

    PROVED = "proved"
    REFUTED = "refuted"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


class Weight(StrEnum):
    """An error breaks a promise; a warning is about a rule that does nothing."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One moment of a counterexample: facts in the units people write, everything else unknown, and the verdicts."""

    title: str
    facts: Mapping[str, str]
    verdicts: Mapping[str, str]

    def __str__(self) -> str:
        """On one line, as `{confidence: missing, rows: 120} -> retrain is allowed`."""
        facts = ", ".join(f"{name}: {value}" for name, value in self.facts.items())
        verdicts = ", ".join(f"{name} is {level}" for name, level in self.verdicts.items())
        return f"{self.title + ': ' if self.title else ''}{{{facts}}} -> {verdicts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """Moments that break a claim; `confirmed` says that the evaluator itself gave these verdicts on them.

    `assumes` names the free choices it stands on: what was remembered, which a model does not derive.
    """

    moments: tuple[Shown, ...]
    confirmed: bool
    assumes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "moments": [
                {"title": shown.title, "facts": dict(shown.facts), "verdicts": dict(shown.verdicts)}
                for shown in self.moments
            ],
            "confirmed": self.confirmed,
            "assumes": list(self.assumes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim about one thing: an action, a rule, or the whole set (`about` empty).

    `says` is the finding in words, `needs` the rules that a proof stood on or that overrule a rule.
    """

    claim: str
    about: str
    status: Status
    weight: Weight = Weight.ERROR
    says: str = ""
    path: str = ""
    line: int = 0
    needs: tuple[str, ...] = ()
    counterexample: Counterexample | None = None

    @property
    def failed(self) -> bool:
        """Whether a promise is not proved; what is not proved does not hold."""
        return self.weight is Weight.ERROR and self.status is not Status.PROVED

    def lines(self) -> Iterator[str]:
        """The finding in plain lines."""
        place = f" ({self.path}:{self.line})" if self.path else ""
        yield f"{self.status.value}: {self.claim}{' of ' + self.about if self.about else ''}{place}"
        if self.says:
            yield f"  {self.says}"
        if self.needs:
            yield f"  by {', '.join(self.needs)}"
        if self.counterexample is not None:
            yield from (f"  {shown}" for shown in self.counterexample.moments)
            yield from (f"  given that {assumed}" for assumed in self.counterexample.assumes)
            if self.counterexample.moments:
                seen = self.counterexample.confirmed
                yield "  confirmed by the evaluator" if seen else "  not confirmed by the evaluator: may be spurious"

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "claim": self.claim,
            "about": self.about,
            "status": self.status.value,
            "weight": self.weight.value,
            "says": self.says,
            "path": self.path,
            "line": self.line,
            "needs": list(self.needs),
            "counterexample": None if self.counterexample is None else self.counterexample.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every check; `loose` says where the model allows more than can happen."""

    checks: tuple[Check, ...]
    loose: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> tuple[Check, ...]:
        """The promises that are not proved."""
        return tuple(check for check in self.checks if check.failed)

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {"checks": [check.to_json() for check in self.checks], "loose": list(self.loose)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which two rule sets differ about an action, with a moment that shows it; None means not decided."""

    way: str
    action: str
    witness: Counterexample | None

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        witness = None if self.witness is None else self.witness.to_json()
        return {"way": self.way, "action": self.action, "witness": witness}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changes from one rule set to another: rules by name, and what that means for actions.

    `uncompared` are the rules that differ in what no moment shows: ranks, notifications, ends of deferrals, and
    limits of money where prices differ.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[Change, ...]
    uncompared: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both give the same answer for all inputs."""
        return not self.changes and not self.uncompared

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "same": self.same,
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": list(self.changed),
            "changes": [change.to_json() for change in self.changes],
            "uncompared": list(self.uncompared),
        }
