"""How much of a row is run: the short or the long form, until when, and from which seed."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`pick(short, long)` chooses a number; `over()` tells whether the row's time has run out."""

    quick: bool = False
    until: float | None = None
    seed: int = 0

    def pick(self, short: int, long: int) -> int:
        """Choose by the form."""
        return short if self.quick else long

    def over(self) -> bool:
        """Tell whether time has run out."""
        return self.until is not None and time.monotonic() > self.until
