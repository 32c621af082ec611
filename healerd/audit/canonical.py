"""Turn a plain value into its one canonical JSON form (RFC 8785), so that equal values have equal hashes.

Must never round a number or drop a key: what has no exact form (NaN, an integer beyond 2^53, a key that is not
text) is a ValueError that names where it stands.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring

__all__ = ["canonical", "stamp"]

_EXACT = 2**53


def canonical(value: object) -> bytes:
    """Encode a value of dicts, lists, text, numbers, booleans, None and aware datetimes.

    >>> canonical({"b": 1.0, "a": [1e-7, None, "é"]}).decode()
    '{"a":[1e-7,null,"é"],"b":1}'

    Raises:
        ValueError: a part has no exact form in JSON; the message names the part.
    """
    try:
        return "".join(_parts(value, "$")).encode("utf-8")
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


def _parts(value: object, place: str) -> Iterator[str]:
    match value:
        case str():
            yield encode_basestring(value)
        case None | bool():
            yield {None: "null", True: "true", False: "false"}[value]
        case int() | float():
            yield _number(value, place)
        case datetime():
            yield f'"{stamp(value)}"'
        case Mapping():
            yield from _object(value, place)
        case list() | tuple():
            yield from _array(value, place)
        case _:
            raise ValueError(f"a {type(value).__name__} at `{place}` has no form in JSON")


def _object(members: Mapping[object, object], place: str) -> Iterator[str]:
    bad = next((key for key in members if not isinstance(key, str)), None)
    if bad is not None:
        raise ValueError(f"the key {bad!r} at `{place}` is not text")
    comma = "{"
    for key in sorted(members, key=_utf16):
        yield f"{comma}{encode_basestring(str(key))}:"
        yield from _parts(members[key], f"{place}.{key}")
        comma = ","
    yield "}" if members else "{}"


def _array(items: list[object] | tuple[object, ...], place: str) -> Iterator[str]:
    yield "["
    for index, item in enumerate(items):
        if index:
            yield ","
        yield from _parts(item, f"{place}[{index}]")
    yield "]"


def _utf16(key: object) -> bytes:
    return str(key).encode("utf-16-be", "surrogatepass")


def _number(value: float, place: str) -> str:
    """Write a number as ECMAScript does: the shortest digits that read back as the same double."""
    if isinstance(value, int):
        digits = str(int(value))
        if abs(value) > _EXACT and (abs(value) >= 10**21 or _float(float(value)) != digits):
            raise ValueError(f"the integer at `{place}` is beyond 2^53: write it as text")
        return digits
    if not math.isfinite(value):
        raise ValueError(f"the number at `{place}` is {value}: write None for what is unknown")
    return _float(float(value))


def _float(value: float) -> str:
    if value == 0:
        return "0"
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
