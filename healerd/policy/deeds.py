"""What was done about incidents and what came of it, as the ledger, the prior check and promotion count it.

Must never be a lesson: an outcome that is missing or inconclusive counts as failed here, and teaches nothing (S11).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Deed", "over_first", "sound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One heal that began, or one hold in the place of what the rules proposed, in the order of the decisions.

    `failed` is the paired verdict, None while there is none; `over` says that none is waited for any more. `earns`:
    decided without a person's word while the policy was active. `active`: while it was active at all. `severity` is
    what the incident was worth, `predicted` the P(failure) that the decision claimed. `person`: approved or asked for
    by somebody, which tells nothing about what would have happened otherwise. `wished`: no rule proposed it.
    """

    key: str
    at: datetime
    action: str
    rule_action: str
    context: tuple[float, ...]
    severity: float
    failed: bool | None = None
    over: bool = False
    active: bool = False
    earns: bool = False
    person: bool = False
    wished: bool = False
    coin: bool = False
    predicted: float | None = None

    @property
    def deviates(self) -> bool:
        """Whether the policy's choice took the place of what the rules proposed."""
        return self.action != self.rule_action and not self.wished

    @property
    def counted(self) -> bool | None:
        """Whether it failed, for the ledger and for promotion: what is over without a verdict has failed."""
        return self.failed if self.failed is not None else (True if self.over else None)


def sound(deeds: Iterable[Deed]) -> tuple[tuple[Deed, ...], tuple[str, ...]]:
    """Leave out what is told twice; give what is left, and each refusal in words."""
    kept: dict[str, Deed] = {}
    refused: list[str] = []
    for deed in deeds:
        if deed.key in kept:
            refused.append(f"`{deed.key}` has a second outcome, which is not counted")
        else:
            kept[deed.key] = deed
    return tuple(kept.values()), tuple(refused)


def over_first(deeds: Iterable[Deed]) -> Iterator[Deed]:
    """List deeds up to the first whose outcome is not in: an order that no outcome can move.

    Outcomes arrive sooner or later depending on what they are; counting them as they come would favour the quick.
    """
    for deed in deeds:
        if deed.counted is None:
            return
        yield deed
