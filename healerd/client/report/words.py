"""A figure in words: its value with the unit, and its interval. Pure; must never write a number for what is unknown."""

from collections.abc import Mapping
from typing import Any

from healerd.client.words import duration

__all__ = ["say_interval", "say_value"]


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
