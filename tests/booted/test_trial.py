"""The trial itself, where no machine is booted: it says why it does nothing, and what it would try."""

import os
import subprocess
import sys

from tests.booted.claims import CLAIMS, FIRST, REBOOT_BEFORE
from tests.booted.machine import NEEDED
from tests.release.building import ROOT


def test_without_its_tools_it_says_so_and_ends_well() -> None:
    """On a machine without debootstrap or systemd-nspawn nothing is made, and the reason is printed."""
    environment = {**os.environ, "PATH": "/nowhere"}
    words = [sys.executable, "-m", "tests.booted"]
    told = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, f"skipped: {', '.join(NEEDED)} not installed\n"), told.stderr


def test_each_claim_is_said_once_and_explained() -> None:
    """Every claim has words of its own and a sentence on how it is tried; what others build on is among them."""
    assert len({each.says for each in CLAIMS}) == len({each.tried for each in CLAIMS}) == len(CLAIMS)
    assert all((each.tried.__doc__ or "").endswith(".") for each in CLAIMS)
    assert {*FIRST, REBOOT_BEFORE} <= {each.tried for each in CLAIMS}
