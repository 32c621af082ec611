"""What in a leaf is about a person, and the form in which it is hashed: a salted commitment in the value's place.

Must never tell one of two values by its commitment while the salt is gone. The rule is one for every kind of leaf, so
that somebody else can check a log without knowing the records; see the README.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring

import msgspec

__all__ = ["PERSONAL", "SALT_BYTES", "hashed_form", "is_erased"]

SALT_BYTES = 16
PERSONAL = frozenset(
    {"approved_by", "author", "closed_by", "ended_by", "lifted_by", "note", "opened_by", "reason", "trace", "why"}
)
"""Fields of a record that name people or hold their words; besides them `actor`, and `why_not` of each option."""

_PLAIN = frozenset({b"null", b'""', b"[]", b"{}", b'"daemon"'})
"""Values that tell nothing about anybody: they are hashed as they are."""
_ERASED = re.compile(rb'"erased:[0-9a-f]{64}"')

Raw = msgspec.Raw
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class _Record(msgspec.Struct):
    approved_by: Raw = Raw()
    author: Raw = Raw()
    closed_by: Raw = Raw()
    ended_by: Raw = Raw()
    lifted_by: Raw = Raw()
    note: Raw = Raw()
    opened_by: Raw = Raw()
    options: Raw = Raw()
    reason: Raw = Raw()
    trace: Raw = Raw()
    why: Raw = Raw()


class _Glance(msgspec.Struct):
    actor: Raw
    record: Raw


_glance = msgspec.json.Decoder(_Glance).decode
_fields = msgspec.json.Decoder(_Record).decode


def hashed_form(body: bytes, salt: bytes) -> bytes:
    """Put a commitment in the place of each personal value; without any, the body itself.

    The commitment to the bytes v at the path p is sha256(salt || p || 0x00 || v), written as `erased:HEX`: an array
    becomes an array of it, an object an object with the key `erased`.

    Raises:
        msgspec.MsgspecError: the body is not a leaf's.
    """
    if not _has_personal(body):
        return body
    members = _members(body)
    changed = {name: bytes(value) for name, value in members.items()}
    changed["actor"] = _committed(changed["actor"], "actor", salt)
    record = changed["record"]
    if record.startswith(b"{"):
        changed["record"] = _record(record, salt)
    return _object(changed)


def is_erased(body: bytes) -> bool:
    """Tell whether a body holds commitments where values were."""
    return _ERASED.search(body) is not None


def _has_personal(body: bytes) -> bool:
    found = _glance(body)
    if bytes(found.actor) not in _PLAIN:
        return True
    if bytes(found.record)[:1] != b"{":
        return False
    record = _fields(found.record)
    return any(bytes(getattr(record, name)) not in _NOTHING for name in _Record.__struct_fields__)


_NOTHING = _PLAIN | {b""}


def _record(record: bytes, salt: bytes) -> bytes:
    changed = {name: bytes(value) for name, value in _members(record).items()}
    for name in PERSONAL & changed.keys():
        changed[name] = _committed(changed[name], f"record.{name}", salt)
    if changed.get("options", b"").startswith(b"[{"):
        changed["options"] = _options(changed["options"], salt)
    return _object(changed)


def _options(options: bytes, salt: bytes) -> bytes:
    """Commit to why each option was not taken: the words of a pause or a veto may stand there."""
    done = list[bytes]()
    for index, members in enumerate(_items(options)):
        changed = {name: bytes(value) for name, value in members.items()}
        if "why_not" in changed:
            changed["why_not"] = _committed(changed["why_not"], f"record.options.{index}.why_not", salt)
        done.append(_object(changed))
    return b"[" + b",".join(done) + b"]"


def _committed(value: bytes, path: str, salt: bytes) -> bytes:
    if value in _PLAIN:
        return value
    text = b'"erased:%s"' % sha256(salt + path.encode() + b"\x00" + value).hexdigest().encode()
    if value.startswith(b"["):
        return b"[" + text + b"]"
    return b'{"erased":' + text + b"}" if value.startswith(b"{") else text


def _object(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(encode_basestring(name).encode() + b":" + value for name, value in members.items()) + b"}"
