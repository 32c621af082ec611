"""Finds the numbers, times and names of a text that a record does not hold: what nobody may have made up."""

import json
import re
from collections.abc import Iterator
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?")
NAME = re.compile(r"`([^`]*)`")
WORD = re.compile(r"(?<!\w)[A-Za-z_][\w.:/-]*\d[\w.:/-]*")
PLACE = re.compile(r"([\w./-]+\.heal):(\d+)")
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")


def unfounded(text: str, record: Any) -> set[str]:
    """Give what stands in the text and not in the record.

    A number stands there when it is one of the record, also in points of a hundred, either way, or in minutes, rounded
    to the digits that are shown; or the number of things in one of its lists.
    """
    flat = json.dumps(record, ensure_ascii=False)
    spaced = flat.replace("T", " ")
    missing = {name for name in NAME.findall(text) if json.dumps(name, ensure_ascii=False)[1:-1] not in flat}
    text = NAME.sub(" ", text)
    missing |= {time for time in TIME.findall(text) if time not in spaced}
    text = TIME.sub(" ", text)
    # A place in a rule file is a path and a line, which the record keeps apart.
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = PLACE.sub(lambda place: f"{place[1]} {place[2]}", text)
    missing |= {word for word in WORD.findall(text) if word.strip(".:/-") not in flat}
    text = WORD.sub(" ", text)
    held = set(_numbers(record))
    return missing | {shown for shown in NUMBER.findall(text) if not any(_shows(shown, value) for value in held)}


def _shows(shown: str, value: float) -> bool:
    """Tell whether a text is a value, or one of its usual units, rounded to the digits that it shows."""
    mantissa, _, exponent = shown.partition("e")
    places = len(mantissa.partition(".")[2])
    step = 10.0 ** (-places + int(exponent or 0))
    units = (value, 100 * value, -100 * value, value / 60)
    return any(abs(float(shown) - scaled) <= step / 2 + 1e-9 * abs(scaled) for scaled in units)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, str):
        yield from (float(found) for found in NUMBER.findall(TIME.sub(" ", value)))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, list):
        yield float(len(value))
        for each in value:
            yield from _numbers(each)
