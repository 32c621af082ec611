"""The audit log: appending, verifying, proving and exporting, with the bytes of real leaves.

Appending and verifying run in memory against plain SHA-256 of the same bytes, interleaved, CPU time; what is written to
disk is counted by fsyncs, as SQLite asks the system for them. A log of a million leaves is made without the writer (its
leaves are hashed and stored as the writer would), proved from and exported; the peak of memory is that of the process.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from healerd.audit import EMPTY, Entry, Leaf, make_leaf, verify_leaves
from healerd.audit.notes import Checkpoint, origin_of
from healerd.audit.signatures import Signer
from healerd.audit.tree import Frontier
from healerd.clock import ManualClock
from healerd.model import Window
from healerd.store import ReadStore, SigningKey, Store
from healerd.store.library import sqlite
from tests.healerd.store.records import HALF_HOUR, START, a_decision

LEAVES = 20_000
MILLION = 1_000_000
REPETITIONS = 5
APPEND_MIN, VERIFY_MIN = 50_000, 200_000
PROOF_MAX, PEAK_MAX_MB = 1024, 200


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    lines = [*_in_memory(), _fsyncs(), *_million()]
    return all(line["held"] is not False for line in lines)


def entry(seq: int, record: dict[str, Any]) -> Entry:
    """A leaf as a window writes it: a row with a hash of some state."""
    return Entry(
        seq=seq,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        boot_id="b" * 36,
        boot_s=float(seq),
        epoch=1,
        kind="saved",
        actor="daemon",
        pipeline="p",
        table="saved",
        key='["p","detector"]',
        record=record,
    )


def _record(seq: int) -> dict[str, Any]:
    return {"pipeline": "p", "name": "detector", "sha256": sha256(str(seq).encode()).hexdigest(), "size": 20_000 + seq}


def _in_memory() -> list[dict[str, Any]]:
    leaves, chain = list[Leaf](), EMPTY
    for seq in range(1, LEAVES + 1):
        leaves.append(make_leaf(entry(seq, _record(seq)), chain, salt=b"s" * 16))
        chain = leaves[-1].chain
    bodies = [leaf.body for leaf in leaves]
    records = [_record(seq) for seq in range(1, LEAVES + 1)]

    def append() -> None:
        """What the writer does to a leaf but for SQLite: canonical bytes, hash, chain, tree."""
        head, frontier = EMPTY, Frontier()
        for seq, record in enumerate(records, start=1):
            leaf = make_leaf(entry(seq, record), head, salt=b"s" * 16)
            frontier.add(leaf.leaf_hash)
            head = leaf.chain

    def grow() -> None:
        """The hashes alone, of bytes that are canonical already."""
        frontier = Frontier()
        for body in bodies:
            frontier.add(sha256(b"\x00" + body).digest())

    def verify() -> None:
        assert verify_leaves(leaves).problem is None

    def plain() -> None:
        for body in bodies:
            sha256(body).digest()

    hashed = _rates([grow, verify, plain])
    whole = _rates([append, plain])
    return [
        _line("audit: append, hash and tree", hashed[0], hashed[2], at_least=APPEND_MIN),
        _line("audit: append, with the canonical bytes of a leaf", whole[0], whole[1], at_least=APPEND_MIN),
        _line("audit: verify hashes, chain and tree", hashed[1], hashed[2], at_least=VERIFY_MIN),
    ]


def _rates(sides: list[Callable[[], None]]) -> list[float]:
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(REPETITIONS):
        for side, taken in zip(sides, times, strict=True):
            began = time.process_time()
            side()
            taken.append(time.process_time() - began)
    return [LEAVES / median(taken) for taken in times]


def _line(bench: str, rate: float, plain: float, *, at_least: float | None) -> dict[str, Any]:
    line = {
        "bench": bench,
        "peer": "SHA-256 of the same bytes, in the same loop",
        "leaves_per_s": round(rate),
        "peer_per_s": round(plain),
        "ratio": round(rate / plain, 3),
        "at_least_per_s": at_least,
        "held": None if at_least is None else rate >= at_least,
    }
    print(json.dumps(line), flush=True)
    return line


WINDOWS = 50


def _fsyncs() -> dict[str, Any]:
    """Count what a window costs: the transaction with its checkpoint, against one without a key."""
    folder = Path(tempfile.mkdtemp())
    strace = shutil.which("strace")
    counted: dict[str, int] = {}
    if strace is not None:
        for windows in (0, WINDOWS):
            out = folder / f"trace{windows}"
            code = f"from experiments.bench.audit import write; write({str(folder / str(windows))!r}, {windows})"
            command = [strace, "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(out), sys.executable, "-c", code]
            subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
            rows = [row.split() for row in out.read_text().splitlines()]
            counted[str(windows)] = sum(int(row[3]) for row in rows if row and row[-1] in {"fsync", "fdatasync"})
    each = (counted[str(WINDOWS)] - counted["0"]) / WINDOWS if counted else None
    began = time.process_time()
    write(str(folder / "timed"), WINDOWS)
    line = {
        "bench": f"audit: {WINDOWS} windows on disk, each with a decision, a profile, a watermark and a checkpoint",
        "peer": "one fsync a tick",
        "fsyncs_per_tick": each,
        "cpu_ms_per_tick": round((time.process_time() - began) * 1000 / WINDOWS, 2),
        "held": None if each is None else each <= 1.1,
        "said": None if each else "strace is not here",
    }
    print(json.dumps(line), flush=True)
    shutil.rmtree(folder)
    return line


def write(folder: str, windows: int) -> None:
    """Write so many windows, each in one transaction."""
    with Store.open(Path(folder), clock=ManualClock(START)) as store:
        for turn in range(windows):
            window = Window(pipeline="p", start_at=START + turn * HALF_HOUR, end_at=START + (turn + 1) * HALF_HOUR)
            with store.transaction() as tx:
                tx.put(a_decision(id=f"w{turn}", window_end_at=window.end_at))
                tx.put_profile(window, "v1", b"x" * 2000)
                tx.set_watermark("p", window.end_at)


def _million() -> list[dict[str, Any]]:
    """Prove and export out of a log of a million leaves, each in a process of its own."""
    folder = Path(tempfile.mkdtemp())
    try:
        _ask("fill", folder)
        return [_proof(_ask("prove", folder)), _export(_ask("export", folder)), _verified(_ask("verify", folder))]
    finally:
        shutil.rmtree(folder)


def _ask(what: str, folder: Path) -> dict[str, Any]:
    code = f"from experiments.bench.audit import {what}; import json; print(json.dumps({what}({str(folder)!r})))"
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def fill(folder: str) -> dict[str, int]:
    """Write a million leaves without the writer: as it would, but in one transaction."""
    place = Path(folder)
    with Store.open(place, clock=ManualClock(START)) as store:
        (known,) = store.find(SigningKey)
    db = sqlite.connect(place / "healerd.db", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    rows = db.execute("SELECT leaf_hash, chain FROM audit_leaf ORDER BY seq").fetchall()
    frontier, nodes, chain = Frontier(), list[Any](), rows[-1][1]
    for hashed, _ in rows:
        frontier.add(hashed)

    def leaves() -> Any:
        nonlocal chain
        for seq in range(len(rows) + 1, MILLION + 1):
            note = replace(entry(seq, _record(seq)), kind="more", table=None, key=None)
            leaf = make_leaf(note, chain)
            chain = leaf.chain
            nodes.extend(frontier.add(leaf.leaf_hash))
            yield seq, leaf.body.decode(), leaf.leaf_hash, leaf.chain

    db.executemany("INSERT INTO audit_leaf (seq, body, leaf_hash, chain) VALUES (?, ?, ?, ?)", leaves())
    db.executemany('INSERT INTO audit_node (level, "index", hash) VALUES (?, ?, ?)', nodes)
    signer = Signer.of((place / "audit.key").read_bytes(), name=known.key.split("+")[0])
    (number,) = db.execute("SELECT max(number) FROM checkpoint").fetchone()
    origin = origin_of(rows[0][0])
    said = Checkpoint(origin=origin, size=MILLION, root=frontier.root(), number=number + 1)
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", [said.number, said.size, str(signer.sign(str(said)))])
    db.execute("COMMIT")
    db.close()
    return {"leaves": MILLION}


def prove(folder: str) -> dict[str, Any]:
    """Prove a few leaves; give the size of a proof and how long one takes."""
    from healerd.audit.proofs import check_proof

    with ReadStore.open(Path(folder)) as reader:
        taken, sizes = [], []
        for seq in (2, 123_456, 500_000, 999_999, MILLION):
            began = time.process_time()
            proof = reader.prove(str(seq))
            taken.append(time.process_time() - began)
            assert check_proof(proof) is None
            sizes.append(len(json.dumps(proof["proof"], separators=(",", ":"))))
    return {"bytes": max(sizes), "ms": median(taken) * 1000}


def export(folder: str) -> dict[str, Any]:
    """Export the log, and give the peak of memory of this process and what it was before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    with ReadStore.open(Path(folder)) as reader:
        done = reader.export(Path(folder) / "out.db")
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "leaves": done.leaves,
        "s": seconds,
        "peak_mb": peak,
        "before_mb": before,
        "file_mb": done.size_bytes / 2**20,
    }


def verify(folder: str) -> dict[str, Any]:
    """Verify the log of the state folder and the export, with everything that is checked."""
    from healerd.store.exported import ExportedLog

    began = time.process_time()
    with ReadStore.open(Path(folder)) as reader:
        assert reader.verify().problem is None
    own = time.process_time() - began
    began = time.process_time()
    assert ExportedLog(Path(folder) / "out.db").verify().problem is None
    exported = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"per_s": MILLION / own, "export_per_s": MILLION / exported, "peak_mb": peak}


def _proof(told: dict[str, Any]) -> dict[str, Any]:
    line = {
        "bench": "audit: proof of one leaf among 1,000,000, without the leaf and the checkpoint",
        "bytes": told["bytes"],
        "ms": round(told["ms"], 2),
        "at_most_bytes": PROOF_MAX,
        "held": told["bytes"] < PROOF_MAX,
    }
    print(json.dumps(line), flush=True)
    return line


def _export(told: dict[str, Any]) -> dict[str, Any]:
    line = {
        "bench": "audit: export of 1,000,000 leaves",
        "cpu_s": round(told["s"], 1),
        "peak_mb": round(told["peak_mb"]),
        "before_mb": round(told["before_mb"]),
        "file_mb": round(told["file_mb"]),
        "at_most_mb": PEAK_MAX_MB,
        "held": told["peak_mb"] <= PEAK_MAX_MB,
    }
    print(json.dumps(line), flush=True)
    return line


def _verified(told: dict[str, Any]) -> dict[str, Any]:
    line = {
        "bench": "audit: verify 1,000,000 leaves on disk: hashes, tree, what each says, and the rows",
        "leaves_per_s": round(told["per_s"]),
        "export_leaves_per_s": round(told["export_per_s"]),
        "peak_mb": round(told["peak_mb"]),
        "held": None,
    }
    print(json.dumps(line), flush=True)
    return line
