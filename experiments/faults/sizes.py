"""How much of a row is run: the short or the long form, until when, from which seed, and by how many processes."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`pick(short, long)` chooses a number; `over()` tells whether the row's time has run out.

    `keep` is the folder in which batches are kept that were played, None to keep none; `workers` play at a time.
    """

    quick: bool = False
    until: float | None = None
    seed: int = 0
    keep: Path | None = None
    workers: int = 1

    def pick(self, short: int, long: int) -> int:
        """Choose by the form."""
        return short if self.quick else long

    def over(self) -> bool:
        """Tell whether time has run out."""
        return self.until is not None and time.monotonic() > self.until
