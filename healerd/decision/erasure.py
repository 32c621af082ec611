"""What stays of a decision when what it stood on was erased from the record. Must never make up what is gone."""

from healerd.model import Decision

__all__ = ["ERASED", "held", "is_erased"]

ERASED = b'"trace":{"erased":'
"""How the trace of such a decision begins in the canonical bytes of its record."""


def is_erased(decision: Decision) -> bool:
    """Tell whether the trace was erased: nobody can decide again, or say why."""
    return "erased" in decision.trace and "situation" not in decision.trace


def held(words: str) -> str:
    """Give words as they were recorded, or say that they were erased."""
    return "(erased from the record)" if words.startswith("erased:") else words
