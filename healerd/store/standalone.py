"""Verify an exported audit log of healerd, without healerd: one file, the standard library and `cryptography`.

    python standalone.py EXPORT.db [--checkpoint FILE] [--pubkey FILE]

It checks the numbering, the hash of every leaf, the tree of RFC 6962 over them, every signed checkpoint, and how each
key became known; then any checkpoint that was kept outside. Exit code 0: sound, 7: not, 2: it cannot be told. It is
written apart from the rest on purpose, and must never import from it.
"""

import argparse
import base64
import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["main", "verify"]

PERSONAL = {
    "approved_by",
    "author",
    "closed_by",
    "ended_by",
    "lifted_by",
    "note",
    "opened_by",
    "reason",
    "trace",
    "why",
}
SIGNED = {"watermark", "decision", "intent", "answer", "outcome", "signing_key", "epoch"}
PLAIN = {"null", '""', "[]", "{}", '"daemon"'}
EXPORT_ID = 0x68656178


class BadLogError(Exception):
    """The log is not what was written; the first argument is the number of the first bad leaf."""


def main(arguments: list[str] | None = None) -> int:
    """Check the file that the arguments name, and say what was found."""
    parser = argparse.ArgumentParser(description="Verify an exported audit log of healerd.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="checkpoints that were kept elsewhere")
    parser.add_argument("--pubkey", type=Path, help="the public key that must have signed the log")
    given = parser.parse_args(arguments)
    try:
        saved = given.checkpoint.read_text(encoding="utf-8") if given.checkpoint else ""
        pinned = given.pubkey.read_text(encoding="utf-8").strip() if given.pubkey else ""
        found = verify(given.export, saved=saved, pinned=pinned)
    except BadLogError as bad:
        sys.stdout.write(f"NOT SOUND from leaf {bad.args[0]} on: {bad.args[1]}\n")
        return 7
    except (OSError, ValueError, sqlite3.Error) as problem:
        sys.stderr.write(f"`{given.export}` cannot be verified: {problem}\n")
        return 2
    sys.stdout.write("".join(f"{name}\t{value}\n" for name, value in found.items()))
    return 0


def verify(path: Path, *, saved: str = "", pinned: str = "") -> dict[str, Any]:
    """Check an export; give what was found. Raises BadLogError with the first bad leaf, or ValueError."""
    if not path.is_file():
        raise ValueError("there is no such file")
    with sqlite3.connect(f"file:{path.absolute()}?mode=ro&immutable=1", uri=True) as db:
        if db.execute("PRAGMA application_id").fetchone()[0] != EXPORT_ID:
            raise ValueError("it is not an export of healerd")
        return _Check(db, saved=saved, pinned=pinned).run()


class _Check:
    """One pass over the leaves, with the peaks of the tree over those that were read."""

    def __init__(self, db: sqlite3.Connection, *, saved: str, pinned: str) -> None:
        self.db, self.peaks, self.size = db, list[bytes](), 0
        self.keys, self.pinned, self.origin, self.pinned_at = list[str](), pinned, "", 0
        self.saved = sorted(
            ((int(text.split("\n")[1]), text, signed) for text, signed in notes(saved)), key=lambda n: n[0]
        )
        self.rows = db.execute("SELECT number, size, note FROM checkpoint ORDER BY number")
        self.next, self.number, self.sealed, self.agreed = self.rows.fetchone(), 0, 0, 0
        self.due, self.every_row = 0, False
        self.gone, self.told, self.left_out, self.remarks = set[int](), set[int](), 0, list[str]()
        self.stubs, self.statements = dict[int, list[Any]](), dict[int, tuple[int, str]]()

    def run(self) -> dict[str, Any]:
        for seq, body, hashed, salt in self.db.execute("SELECT seq, body, leaf_hash, salt FROM leaf ORDER BY seq"):
            self.leaf(seq, body, hashed, salt)
            while self.next and self.next[1] <= self.size:
                self.checkpoint(*self.next)
                self.next = self.rows.fetchone()
            while self.saved and self.saved[0][0] <= self.size:
                _, text, signed = self.saved.pop(0)
                self.signed(text, signed, self.keys, "the kept checkpoint")
                self.agreed += 1
        self.end()
        return {
            "sound": "yes",
            "leaves": self.size,
            "left out": self.left_out,
            "erased": len(self.gone),
            "dropped": sum(stub[1] for stub in self.stubs.values()),
            "checkpoints": self.number,
            "kept checkpoints that agree": self.agreed,
            "root": base64.b64encode(self.root()).decode(),
            "not signed yet": self.size - self.sealed,
            "remarks": "; ".join(self.remarks) or "none",
        }

    def leaf(self, seq: int, body: str | None, hashed: bytes, salt: bytes | None) -> None:
        if seq != self.size + 1:
            raise BadLogError(self.size + 1, "it is missing")
        self.origin = self.origin or f"healerd.log/{hashed.hex()[:32]}"
        self.add(hashed)
        if body is None:
            self.left_out += 1
            return
        said = json.loads(body)
        form = committed(body, salt) if salt else body
        if hashlib.sha256(b"\x00" + form.encode()).digest() != hashed:
            if said.get("kind") != "dropped":
                raise BadLogError(seq, "its bytes do not have its hash")
            stub = self.stubs.setdefault(said["record"]["statement"], [seq, 0, hashlib.sha256()])
            stub[1] += 1
            stub[2].update(len(body.encode()).to_bytes(8, "big") + body.encode())
        elif salt is None and re.search(r'"erased:[0-9a-f]{64}"', body):
            self.gone.add(seq)
        if said["seq"] != seq:
            raise BadLogError(seq, f"it says that it is leaf {said['seq']}")
        self.hear(seq, said)

    def hear(self, seq: int, said: dict[str, Any]) -> None:
        """Take in what a leaf says of the log itself."""
        record = said["record"]
        if self.due <= self.sealed and self.must_be_signed(said):
            self.due = seq
        if said["kind"] == "erased":
            self.told.update(record["leaves"])
        elif said["kind"] == "pruned":
            self.statements[seq] = (record["leaves"], record["stubs"])
        elif said["table"] == "signing_key":
            self.learn(seq, record)

    def must_be_signed(self, said: dict[str, Any]) -> bool:
        """A leaf that writes a row, or excuses a gap, is never above the newest checkpoint, once one has said so."""
        excuses = said["kind"] in {"erased", "pruned"}
        return said["table"] in SIGNED or (self.every_row and (said["table"] is not None or excuses))

    def learn(self, seq: int, record: dict[str, Any]) -> None:
        before = self.keys[-1] if self.keys else ""
        signer = before if record["how"] == "rotated" and before else record["key"]
        ((text, signed),) = notes(record["statement"])
        if text != f"healerd signing key\n{record['key']}\n{record['how']}\n" or not is_signed(text, signed, [signer]):
            raise BadLogError(seq, "the key in it is not signed the way it says")
        if record["how"] == "lost":
            self.remarks.append(f"from leaf {seq} on another key signs, because the one before was lost")
            if self.pinned in self.keys and self.pinned != record["key"]:
                raise BadLogError(seq, "a key signs from here on that the given one did not sign")
        if (record["how"] == "first") != (not before):
            raise BadLogError(seq, "the key in it does not follow the key before it")
        self.pinned_at = seq if record["key"] == self.pinned else self.pinned_at
        self.keys.append(record["key"])

    def checkpoint(self, number: int, size: int, note: str) -> None:
        if number != self.number + 1:
            raise BadLogError(self.sealed + 1, f"checkpoint {self.number + 1} is missing")
        ((text, signed),) = notes(note)
        if f"number {number}" not in text.split("\n")[3:]:
            raise BadLogError(self.sealed + 1, f"checkpoint {number} says that it has another number")
        self.signed(text, signed, self.keys[-1:], f"checkpoint {number}")
        self.number, self.sealed, self.every_row = number, size, "every row" in text.split("\n")[3:]

    def signed(self, text: str, signed: str, keys: list[str], name: str) -> None:
        wanted = [self.origin, str(self.size), base64.b64encode(self.root()).decode()]
        if text.split("\n")[:3] != wanted:
            raise BadLogError(self.sealed + 1, f"{name} was signed over other leaves than these")
        if not is_signed(text, signed, [*keys, *([self.pinned] if self.pinned else [])]):
            raise BadLogError(self.sealed + 1, f"{name} is not signed by a key of this log")

    def end(self) -> None:
        if self.next or self.saved:
            size = self.next[1] if self.next else self.saved[0][0]
            raise BadLogError(self.size + 1, f"a checkpoint speaks of {size} leaves: the log was cut off or put back")
        if self.keys and self.due > self.sealed:
            raise BadLogError(self.due, "no checkpoint was signed over it: it was added, or checkpoints were taken out")
        if self.pinned and (not self.pinned_at or self.sealed < self.pinned_at):
            raise BadLogError(1, "the log is signed by another key than the given one")
        if self.gone - self.told:
            raise BadLogError(min(self.gone - self.told), "its personal values are gone, and no leaf says by whom")
        for number, (first, count, digest) in self.stubs.items():
            said = self.statements.get(number)
            if said and self.left_out and count < said[0]:
                continue  # the others were left out
            if said != (count, digest.hexdigest()):
                raise BadLogError(first, "it or a later one stands in for a body, and no leaf says so")

    def add(self, hashed: bytes) -> None:
        size = self.size
        while size & 1:
            hashed = hashlib.sha256(b"\x01" + self.peaks.pop() + hashed).digest()
            size >>= 1
        self.peaks.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        root = self.peaks[-1] if self.peaks else hashlib.sha256(b"").digest()
        for peak in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root


def notes(text: str) -> list[tuple[str, str]]:
    """Split signed notes into their texts and the lines of signature."""
    blocks = [block for block in re.split(r"\n\n+", text.replace("\r\n", "\n").strip("\n")) if block]
    if len(blocks) % 2:
        raise ValueError("a signed note is a text, a blank line, and a line of signature")
    return [(f"{said}\n", signed) for said, signed in zip(blocks[::2], blocks[1::2], strict=True)]


def is_signed(text: str, signed: str, keys: list[str]) -> bool:
    """Tell whether one of the keys, each written NAME+ID+KEY, signed the text."""
    for line in signed.split("\n"):
        name, _, value = line.removeprefix("\N{EM DASH} ").partition(" ")
        data = base64.b64decode(value)
        for key in keys:
            public = base64.b64decode(key.split("+", 2)[2])
            own = key.split("+", 2)[0]
            if name != own or hashlib.sha256(own.encode() + b"\n" + public).digest()[:4] != data[:4]:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(data[4:], text.encode())
            except InvalidSignature:
                return False
            return True
    return False


def committed(body: str, salt: bytes) -> str:
    """Put a commitment in the place of each personal value of a leaf."""
    top = dict(members(body))
    top["actor"] = hidden(top["actor"], "actor", salt)
    if top["record"].startswith("{"):
        record = dict(members(top["record"]))
        for name in PERSONAL & record.keys():
            record[name] = hidden(record[name], f"record.{name}", salt)
        if record.get("options", "").startswith("[{"):
            record["options"] = "[" + ",".join(options(record["options"], salt)) + "]"
        top["record"] = written(record)
    return written(top)


def options(text: str, salt: bytes) -> Iterator[str]:
    """Hide why each option was not taken."""
    for index, option in enumerate(elements(text)):
        each = dict(members(option))
        if "why_not" in each:
            each["why_not"] = hidden(each["why_not"], f"record.options.{index}.why_not", salt)
        yield written(each)


def hidden(value: str, path: str, salt: bytes) -> str:
    """Write the commitment to one value."""
    if value in PLAIN:
        return value
    digest = hashlib.sha256(salt + path.encode() + b"\x00" + value.encode()).hexdigest()
    text = f'"erased:{digest}"'
    return f"[{text}]" if value[0] == "[" else f'{{"erased":{text}}}' if value[0] == "{" else text


def written(values: dict[str, str]) -> str:
    """Put members together again."""
    return "{" + ",".join(f"{encode_basestring(name)}:{value}" for name, value in values.items()) + "}"


def members(text: str) -> Iterator[tuple[str, str]]:
    """Give each member of a canonical object with the exact text of its value."""
    scan, at = json.JSONDecoder().raw_decode, 1
    while text[at] != "}":
        name, at = scan(text, at)
        begin = at + 1
        _, at = scan(text, begin)
        yield name, text[begin:at]
        at += text[at] == ","


def elements(text: str) -> Iterator[str]:
    """Give the exact text of each element of a canonical array."""
    scan, at = json.JSONDecoder().raw_decode, 1
    while text[at] != "]":
        begin = at
        _, at = scan(text, begin)
        yield text[begin:at]
        at += text[at] == ","


if __name__ == "__main__":
    sys.exit(main())
