"""Filters and orders of a search, as SQL with bound values. Must never put a value into the text of a query."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from healerd.audit import stamp

__all__ = ["Checked", "Holding", "Range", "order_by", "where"]


@dataclass(frozen=True, slots=True)
class Range:
    """A filter for `find`: values from `low` on and below `high`; None leaves a side open."""

    low: Any = None
    high: Any = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A filter by which rows are never looked up, only checked: where another one finds fewer.

    The library knows nothing of how many rows share a value, and may look up what half of all rows have in common.
    """

    wanted: Any


@dataclass(frozen=True, slots=True)
class Holding:
    """A filter of `body`: the rows whose record has a value in a field, which need not be a column."""

    name: str


def where(filters: Mapping[str, object]) -> tuple[str, list[Any]]:
    """Give the clause that keeps the rows whose fields have the given values, and what to bind; empty for no filter."""
    clauses, values = list[str](), list[Any]()
    for field, wanted in filters.items():
        clause, bound = _clause(f'"{field}"', wanted)
        clauses += clause
        values += bound
    return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), values


def order_by(field: str) -> str:
    """Give the terms of an order: a field, with `-` before it for the newest or largest first."""
    name = field.removeprefix("-")
    way = "DESC" if field.startswith("-") else "ASC"
    return f'"{name}" {way}' if name == "seq" else f'"{name}" {way}, seq {way}'


def _clause(field: str, wanted: object) -> tuple[list[str], list[Any]]:
    match wanted:
        case None:
            return [f"{field} IS NULL"], []
        case Checked(wanted=value):
            return _clause(f"+{field}", value)
        case Holding(name=name):
            return [f"{field} ->> ? IS NOT NULL"], [name]
        case Range(low=low, high=high):
            bounds = [(f"{field} >= ?", low), (f"{field} < ?", high)]
            given = [(clause, _bound(value)) for clause, value in bounds if value is not None]
            return [clause for clause, _ in given], [value for _, value in given]
        case str():
            return [f"{field} = ?"], [_bound(wanted)]
        case Collection():
            values = [_bound(value) for value in wanted]
            return [f"{field} IN ({', '.join('?' * len(values))})"], values
        case _:
            return [f"{field} = ?"], [_bound(wanted)]


def _bound(value: object) -> object:
    match value:
        case datetime():
            return stamp(value)
        case Enum():
            return value.value
        case _:
            return value
