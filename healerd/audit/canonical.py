"""Turn a plain value into its one canonical JSON form (RFC 8785), so that equal values have equal hashes.

Must never round a number or drop a key: what has no exact form (NaN, an integer beyond 2^53, a key that is not
text) is a ValueError that names where it stands.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from math import isfinite
from typing import TypeAlias

__all__ = ["canonical", "stamp"]

_EXACT = 2**53
_Place: TypeAlias = "tuple[_Place, str | int] | None"
"""Where a value stands: what holds it, and its key or index there; None at the top."""


def canonical(value: object) -> bytes:
    """Encode a value of dicts, lists, text, numbers, booleans, None and aware datetimes.

    >>> canonical({"b": 1.0, "a": [1e-7, None, "é"]}).decode()
    '{"a":[1e-7,null,"é"],"b":1}'

    Raises:
        ValueError: a part has no exact form in JSON; the message names the part.
    """
    try:
        out: list[str] = []
        _write(value, None, out)
        return "".join(out).encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ValueError(f"text with a lone surrogate has no UTF-8 form: {problem.object[:40]!r}") from problem


def stamp(at: datetime) -> str:
    """Write an aware time as fixed-width ISO text in UTC, so that text order is time order.

    >>> stamp(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000Z'
    """
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be recorded: {at}")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write(value: object, place: _Place, out: list[str]) -> None:
    """Append the parts of a value; by far most values are text, numbers and objects, so these come first."""
    kind = type(value)
    if kind is str:
        out.append(encode_basestring(value))  # type: ignore[arg-type]
    elif kind is float:
        out.append(_float(value, place))  # type: ignore[arg-type]
    elif kind is int:
        out.append(_integer(value, place))  # type: ignore[arg-type]
    elif value is None:
        out.append("null")
    elif kind is dict:
        _object(value, place, out)  # type: ignore[arg-type]
    elif kind is list or kind is tuple:
        _array(value, place, out)  # type: ignore[arg-type]
    elif kind is bool or kind is datetime:
        out.append(_rare(value, place))
    elif isinstance(value, list | tuple):
        _array(value, place, out)
    elif isinstance(value, Mapping):
        _object(value, place, out)
    else:
        out.append(_rare(value, place))


def _rare(value: object, place: _Place) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return encode_basestring(str(value))
        case int():
            return _integer(int(value), place)
        case float():
            return _float(float(value), place)
        case datetime():
            return f'"{stamp(value)}"'
        case _:
            raise ValueError(f"a {type(value).__name__} at `{_said(place)}` has no form in JSON")


def _object(members: Mapping[object, object], place: _Place, out: list[str]) -> None:
    comma = "{"
    for key in _ordered(members, place):
        out.append(f"{comma}{encode_basestring(key)}:")
        _write(members[key], (place, key), out)
        comma = ","
    out.append("}" if members else "{}")


def _ordered(members: Mapping[object, object], place: _Place) -> list[str]:
    """Sort keys by UTF-16 units; for ASCII, which nearly all are, that is the order of text."""
    try:
        plain = "".join(members).isascii()  # type: ignore[arg-type]
    except TypeError:
        bad = next(key for key in members if not isinstance(key, str))
        raise ValueError(f"the key {bad!r} at `{_said(place)}` is not text") from None
    return sorted(members) if plain else sorted(members, key=_utf16)  # type: ignore[arg-type]


def _array(items: list[object] | tuple[object, ...], place: _Place, out: list[str]) -> None:
    comma = "["
    for index, item in enumerate(items):
        out.append(comma)
        _write(item, (place, index), out)
        comma = ","
    out.append("]" if items else "[]")


def _said(place: _Place) -> str:
    """Write a place as `$.key[0]`."""
    if place is None:
        return "$"
    parent, step = place
    return f"{_said(parent)}[{step}]" if isinstance(step, int) else f"{_said(parent)}.{step}"


def _utf16(key: object) -> bytes:
    return str(key).encode("utf-16-be", "surrogatepass")


def _integer(value: int, place: _Place) -> str:
    digits = str(value)
    if abs(value) > _EXACT and (abs(value) >= 10**21 or _float(float(value), place) != digits):
        raise ValueError(f"the integer at `{_said(place)}` is beyond 2^53: write it as text")
    return digits


def _float(value: float, place: _Place) -> str:
    """Write a number as ECMAScript does: the shortest digits that read back as the same double."""
    if not isfinite(value):
        raise ValueError(f"the number at `{_said(place)}` is {value}: write None for what is unknown")
    text = repr(value)
    if "e" not in text:  # within 1e-4 and 1e16 Python and ECMAScript write the same digits
        return text.removesuffix(".0") if value else "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    return sign + _place_point(digits.rstrip("0"), point)


def _place_point(digits: str, point: int) -> str:
    """Set the decimal point after `point` of the digits, or use an exponent outside 1e-7 < x < 1e21."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{tail}e{point - 1:+d}"
