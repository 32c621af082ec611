"""Which models only compute, so that they cannot hang and need no thread. Must never call one, nor trust one in doubt.

Models of healerd and estimators of scikit-learn compute and nothing else, as long as no part of them is a function or
a class of somebody else's. Any other object may wait for a network or a lock.
"""

from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["only_computes"]


def only_computes(model: Any) -> bool:
    """Tell whether a model, and every part of it, is healerd's or scikit-learn's own."""
    root = type(model).__module__.partition(".")[0]
    if root == "sklearn" and hasattr(model, "get_params"):
        return all(_is_harmless(part) for part in model.get_params(deep=True).values())
    if root != "healerd":
        return False
    parts = [getattr(model, each.name) for each in fields(model)] if is_dataclass(model) else vars(model).values()
    return all(_is_harmless(part) for part in parts)


def _is_harmless(part: Any) -> bool:
    if callable(part):
        return False
    acts = hasattr(part, "predict") or hasattr(part, "transform")
    return only_computes(part) if acts else True
