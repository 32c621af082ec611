"""What is answered when a model raises or takes too long (SAFETY S18). Must never be taken for the model's own answer.

A configured value, or else the usual answer of late: the median of finite numbers, the most frequent of texts.
"""

from collections import Counter, deque
from itertools import islice

import numpy as np

from healerd.serving.tensors import Array

__all__ = ["Substitute"]

REMEMBERED = 1000
KNOWN_MIN = 20
"""Fewest answers of which something is usual."""
PER_REQUEST = 10


class Substitute:
    """The substitute of one model."""

    def __init__(self, configured: float | str | None) -> None:
        self._configured = configured
        self._answers: deque[float | str] = deque(maxlen=REMEMBERED)

    def learn(self, outputs: Array) -> None:
        """Remember what the model answered."""
        if self._configured is None:
            self._answers.extend(islice(outputs.tolist(), PER_REQUEST))

    def answer(self, rows: int) -> Array | None:
        """Give n outputs, or None where nothing is configured and nothing usual yet."""
        value = self._configured if self._configured is not None else self._usual()
        if value is None:
            return None
        return np.full(rows, value, np.object_ if isinstance(value, str) else np.float64)

    def _usual(self) -> float | str | None:
        if len(self._answers) < KNOWN_MIN:
            return None
        if isinstance(self._answers[-1], str):
            return Counter(self._answers).most_common(1)[0][0]
        numbers = np.array(self._answers)
        usual = numbers[np.isfinite(numbers)]  # one NaN would make the median NaN
        return float(np.median(usual)) if len(usual) >= KNOWN_MIN else None
