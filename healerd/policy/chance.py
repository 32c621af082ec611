"""The only chance in the policy: streams keyed by a name, so that the same decision draws the same numbers.

Must never draw from a stream without a key: `key` is a decision's id, `purpose` keeps its draws apart.
"""

import hashlib

import numpy as np

__all__ = ["coin", "stream"]


def stream(key: str, purpose: str) -> np.random.Generator:
    """Give the stream of numbers that belongs to a key: Philox (Salmon et al., 2011) keyed by its hash."""
    digest = hashlib.sha256(f"{purpose}\n{key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def coin(key: str) -> bool:
    """Toss the fair coin of a decision: the same decision, the same side."""
    return bool(stream(key, "coin").random() < 0.5)
