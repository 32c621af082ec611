import json
import math
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.audit import canonical, stamp

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def bits(hexadecimal: str) -> float:
    return float(struct.unpack(">d", bytes.fromhex(hexadecimal))[0])


# The number samples of RFC 8785, appendix B: the bits of a double, and its form.
@pytest.mark.parametrize(
    ("given_bits", "form"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_the_standard_says(given_bits: str, form: str) -> None:
    """A double has the digits and the exponent that ECMAScript gives it."""
    assert canonical(bits(given_bits)).decode() == form


def test_keys_are_sorted_by_utf16() -> None:
    """Keys stand in the order of their UTF-16 units, in which a surrogate comes before U+FB33."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    written = json.loads(canonical(dict.fromkeys(keys, 0)))
    assert list(written) == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


def test_text_is_escaped_only_where_it_must_be() -> None:
    """Control characters, quotes and backslashes are escaped in their shortest form, all else is itself."""
    assert canonical('\u20ac$\x0f\nA\'B"\\"/\x7f').decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/\x7f"'


@given(values)
def test_what_is_written_reads_back_equal(value: object) -> None:
    """Reading canonical bytes as JSON, all of whose numbers are doubles, gives the value again."""
    assert json.loads(canonical(value), parse_int=float) == value


@given(values)
def test_writing_what_was_read_changes_nothing(value: object) -> None:
    """A value read from canonical bytes has those bytes."""
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text(), values))
def test_the_order_of_keys_changes_nothing(value: dict[str, object]) -> None:
    """Equal values have the same bytes, however they were put together."""
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, math.nan]}, r"`\$\.a\[1\]` is nan"),
        (math.inf, "is inf"),
        (2**53 + 1, "beyond 2^53"),
        ({1: 2}, "is not text"),
        ({"a": {1, 2}}, r"a set at `\$\.a`"),
        ("\ud800", "lone surrogate"),
        (datetime(2026, 1, 1), "without a zone"),  # noqa: DTZ001 - the mistake itself
    ],
)
def test_what_has_no_exact_form_is_refused(value: object, said: str) -> None:
    """What cannot be written exactly is an error that names the part, never rounded or dropped."""
    with pytest.raises(ValueError, match=said.replace("^", r"\^")):
        canonical(value)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stamps_sort_as_times_do(one: datetime, other: datetime) -> None:
    """The text of a time has a fixed width, so text order is time order; and it reads back as the time."""
    assert (stamp(one) < stamp(other)) == (one < other)
    assert datetime.fromisoformat(stamp(one)) == one


def test_a_time_is_stamped_in_utc() -> None:
    """A time of another zone is written as the same moment in UTC."""
    assert stamp(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T00:00:00.000000Z"
