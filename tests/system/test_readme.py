"""The worked example of the README, done literally: three files, a daemon, a model that goes wrong, a veto."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATIENCE_S = 120.0


@contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def healerd(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "healerd", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def first_question(folder: Path) -> str:
    """Wait until something is asked; it is, as long as harm is seen at all."""
    for _ in range(int(PATIENCE_S)):
        answer = healerd(folder, "inbox", "--json")
        found = json.loads(answer.stdout)["intents"] if answer.returncode == 0 else []
        if found:
            return str(found[0]["id"])
        time.sleep(1)
    pytest.fail("nothing was asked")


@pytest.mark.slow
def test_the_readme_leads_to_a_veto(tmp_path: Path) -> None:
    """Whoever follows the README sees the harm, is asked, and stops the retraining; the record verifies."""
    for name, text in FILE.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "serve.py", "begin"], cwd=tmp_path, check=True, timeout=60)
    with running(tmp_path, "-m", "healerd", "run"), running(tmp_path, "serve.py"):
        question = first_question(tmp_path)
        vetoed = healerd(tmp_path, "veto", question, "--reason", "the sensor was mounted the wrong way round")
        assert vetoed.returncode == 0, vetoed.stderr
        shown = json.loads(healerd(tmp_path, "review", question, "--json").stdout)
        assert "vetoed" in json.dumps(shown)
    verified = healerd(tmp_path, "audit", "verify")
    assert verified.returncode == 0, verified.stderr
