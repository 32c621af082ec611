"""Tries the service under a real systemd: `make booted`, or `python -m tests.booted [--only WORD]`.

Makes the root of a small Debian, installs the wheel of this checkout there as the guides say, boots it, and tries what
they promise, claim by claim. Must never be part of a test run: it needs root, packages and minutes.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.booted import site
from tests.booted.claims import CLAIMS, FIRST, REBOOT_BEFORE, Claim
from tests.booted.machine import NEEDED, Machine, booted
from tests.booted.root import install_healerd, make_root, missing

SEEN_MAX = 110


def main() -> int:
    """Try every claim, print the table, and end with 1 when one does not hold; with 0 when nothing can be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.booted", description=(__doc__ or "").partition("\n")[0])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "healerd-booted")
    parser.add_argument("--folder", type=Path, default=cache, help="where the machine's root is kept [default: cache]")
    parser.add_argument("--only", action="append", metavar="WORD", help="install, and try claims with this word")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the machine is halted before we end
    reason = missing(NEEDED)
    if reason:
        say(f"skipped: {reason}")
        return 0
    root = given.folder.absolute() / "root"
    make_root(root)
    with tempfile.TemporaryDirectory(prefix="healerd-booted-") as work:
        install_healerd(root, Path(work))
    site.place(root)
    words = given.only or [""]
    tried = [each for each in CLAIMS if each.tried in FIRST or any(word in each.says for word in words)]
    held = try_all(root, tried)
    say(f"{sum(held)} of {len(held)} claims held")
    return 0 if all(held) else 1


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def try_all(root: Path, claims: list[Claim]) -> list[bool]:
    """Try them on one machine, started anew where a claim is about that."""
    cut = next((n for n, each in enumerate(claims) if each.tried is REBOOT_BEFORE), len(claims))
    held: list[bool] = []
    for part in (claims[:cut], claims[cut:]):
        if part:
            with booted(root) as machine:
                site.begin(machine)
                held += [try_one(machine, each) for each in part]
    return held


def try_one(machine: Machine, claim: Claim) -> bool:
    """Try one claim and print its line of the table."""
    began = time.monotonic()
    try:
        seen, held = claim.tried(machine), True
    except AssertionError as error:
        seen, held = str(error), False
    except Exception:  # a trial that breaks is a claim that was not seen to hold
        seen, held = traceback.format_exc(), False
    shown = " ".join(seen.split())[:SEEN_MAX] if held else seen
    say(f"{'held' if held else 'NOT HELD'}\t{claim.says}\t{time.monotonic() - began:.0f} s\t{shown}")
    return held


if __name__ == "__main__":
    sys.exit(main())
