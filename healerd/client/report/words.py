"""A figure in words: its value with the unit, and its interval. Pure; must never write a number for what is unknown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from healerd.client.words import duration

__all__ = ["say_interval", "say_pruned", "say_value"]


def say_value(value: float | str | None, unit: str) -> str:
    """Write a figure with its unit; None is unknown, a text stands as it is."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    match unit:
        case "s":
            return duration(value)
        case "%":
            return f"{value:.1f}%"
        case "points":
            return f"{value:+.1f} points"
        case "cost":
            return f"{value:.1f}"
        case _:
            return f"{value:.0f}"


def say_interval(figure: Mapping[str, Any]) -> str:
    """Write the interval of a figure; empty where it has none, and an open end is said to be open."""
    if figure["low"] is None and figure["high"] is None:
        return ""
    low, high = ("open" if figure[end] is None else say_value(figure[end], figure["unit"]) for end in ("low", "high"))
    return f"{low} to {high}"


def say_pruned(view: Mapping[str, Any]) -> str:
    """Say what of a report's stretch was pruned, and what that means for it; empty where nothing was ever pruned."""
    pruned, since = (datetime.fromisoformat(at) if (at := view[name]) else None for name in ("pruned_before", "since"))
    if pruned is None:
        return ""
    whole = since is not None and since >= pruned
    said = "only the record from then on is whole" if whole else "of the windows until then only those that acted count"
    return f"entries from before {pruned:%Y-%m-%d} were pruned: {said}"
