"""Audit logs are tampered with, and clean ones are looked at: what `experiments.tamper` does, in batches."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.batches import Batch, play_batches
from experiments.faults.sizes import Size
from experiments.tamper import clean, tamper
from tests.faults.tally import Tally

EDITS = 48
"""Twice each kind of edit in each place."""
LOGS = 25


def row(size: Size) -> Iterator[Tally]:
    """Edit logs, each edit to be found and named; and look at clean logs, none to be accused."""
    wanted = size.pick(EDITS, 1000)
    edited = Tally(fault="the audit log tampered with", wanted=f"{wanted:,} edits, all found, first bad number named")
    seen = play_batches(size, edited, wanted, edits)
    edited.reached = f"{seen['found']:,} found, {seen['named']:,} named right"
    yield edited
    wanted = size.pick(LOGS, 1000)
    accused = Tally(fault="clean audit logs", wanted=f"{wanted:,} logs, none accused")
    seen = play_batches(size, accused, wanted, logs)
    accused.reached = f"{accused.tries:,} logs, {seen['crashed']} of them through a crash"
    yield accused


def edits(seed: int, number: int) -> Batch:
    """Do some edits, on a few logs."""
    with tempfile.TemporaryDirectory() as folder:
        found = tamper(Path(folder), edits=EDITS, seed=1_000 * seed + number, logs=2)
    wrong = Counter(missed=len(found.missed), misnamed=len(found.misnamed))
    said = "; ".join([*found.missed, *found.misnamed][:5])
    return Batch(tries=EDITS, wrong=wrong, said=said, seen=Counter(found=EDITS - len(found.missed), named=found.named))


def logs(seed: int, number: int) -> Batch:
    """Write some logs, a third through a crash, and look at them."""
    with tempfile.TemporaryDirectory() as folder:
        accused, crashed = clean(Path(folder), logs=LOGS, seed=1_000 * seed + number)
    return Batch(
        tries=LOGS, wrong=Counter(accused=len(accused)), said="; ".join(accused[:5]), seen=Counter(crashed=crashed)
    )
