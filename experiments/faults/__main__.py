"""Run the fault suite and print its table: fault, tries, what was doubled, lost or ignored, figure wanted and reached.

    python -m experiments.faults [--quick] [--minutes M] [ROW...]

Each row is a file of `experiments/faults`. `--quick` takes minutes in all, `--minutes` ends each row when its time is
over and says how far it came. With `--keep DIR` a row that was ended goes on where it stood; `--workers N` plays that
many batches of a row at a time. Exit 1 when a row found something wrong or did not reach its figure.
"""

import argparse
import importlib
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.tally import Tally

ROWS = {
    "power": "the power fails after every sync of every phase",
    "disks": "writes fail from every point of every phase on",
    "hung": "trainings that hang, crash, lie, fork or are stopped",
    "mutations": "a safeguard is taken away, and the suite is red",
    "corrupted": "one byte of the database is another",
    "leaders": "two daemons on one folder",
    "tampering": "audit logs are edited, and clean ones looked at",
    "kills": "SIGKILL of a real process that heals, and of the daemon itself",
    "crashes": "the process ends at every commit and effect point, 1-3 times",
    "days": "simulated days with every fault at once",
}


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m experiments.faults", description="The fault suite.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="short forms")
    parser.add_argument("--minutes", type=float, default=None, help="how long a row may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="go on with the batches kept there")
    parser.add_argument("--workers", type=int, default=1, help="batches of a row that are played at a time")
    asked = parser.parse_args()
    unknown = set(asked.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    logging.getLogger("healerd").setLevel(logging.CRITICAL)
    if asked.keep is not None:
        asked.keep.mkdir(parents=True, exist_ok=True)
    held = True
    print(HEAD)
    for name in asked.rows or ROWS:
        row = importlib.import_module(f"experiments.faults.{name}").row
        with timed(name):
            until = None if asked.minutes is None else time.monotonic() + 60 * asked.minutes
            size = Size(quick=asked.quick, until=until, seed=asked.seed, keep=asked.keep, workers=asked.workers)
            for tally in row(size):
                print(line(tally), flush=True)
                held = held and tally.held
    return 0 if held else 1


HEAD = (
    f"{'fault':44} {'tries':>8} {'doubled':>7} {'lost':>5} {'cooldown':>8} {'vetoes':>6} {'other':>5}  wanted / reached"
)


def line(tally: Tally) -> str:
    """Write one row; what was wrong goes to stderr, the first few of it."""
    for said in tally.said[:5]:
        print(f"{tally.fault}: {said}", file=sys.stderr)
    wrong = tally.wrong
    counts = f"{wrong['doubled']:7} {wrong['lost']:5} {wrong['cooldown']:8} {wrong['ignored']:6} {tally.other:5}"
    verdict = "" if tally.held else "  FAILED"
    return f"{tally.fault:44} {tally.tries:8} {counts}  {tally.wanted} / {tally.reached}{verdict}"


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Say on stderr what a row took."""
    began, spent = time.monotonic(), time.process_time()
    yield
    took = f"{time.monotonic() - began:.0f} s, {time.process_time() - spent:.0f} s of CPU in this process"
    print(f"[{name}: {took}]", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
