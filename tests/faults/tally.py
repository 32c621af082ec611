"""What a row of the fault suite found: how often it was tried, and what was wrong."""

from collections import Counter
from dataclasses import dataclass, field

WRONGS = ("doubled", "lost", "cooldown", "ignored")
"""Effects that happened twice; effects without a record, or records without an effect; heals within the cooldown of
another; effects of what a person had vetoed. Whatever else is wrong counts as `other`."""


@dataclass
class Tally:
    """One row. `wanted` and `reached` say its figure in words; `held` whether it was reached."""

    fault: str
    wanted: str
    tries: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    reached: str = ""
    held: bool = True

    def count(self, wrong: Counter[str], said: str = "", *, tries: int = 1) -> None:
        """Add what one try found; `said` names it when something was wrong."""
        self.tries += tries
        if +wrong:
            self.held = False
            self.wrong.update(+wrong)
            self.said.append(f"{said}: {dict(+wrong)}")

    @property
    def other(self) -> int:
        return sum(count for name, count in self.wrong.items() if name not in WRONGS)
