"""What the parts share: rows of the table, waiting, and the blocks of the page that they play.

Must never guess a block.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.house.pages import ROOT, blocks

PAGE = ROOT / "docs" / "kserve-sagemaker.md"
PATIENCE_S = 180.0


def claim(text: str, holds: Callable[[], str]) -> bool:
    """Try it and print its row."""
    try:
        seen = holds()
    except (AssertionError, OSError, subprocess.SubprocessError) as problem:
        print(f"| {text} | NO | {' '.join(str(problem).split())[:600]} |", flush=True)
        return False
    print(f"| {text} | yes | {seen} |", flush=True)
    return True


def wait_for(holds: Callable[[], object], *, patience_s: float = PATIENCE_S) -> None:
    """Wait until `holds()` does. Raises AssertionError when it never does."""
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.3)


def block(language: str, word: str) -> str:
    """Give the one block of the page in a language that holds a word."""
    (found,) = (each.text for each in blocks(PAGE) if each.language == language and word in each.text)
    return found


def script(place: Path, text: str) -> Path:
    """Save what the page shows as a command."""
    place.write_text(f"#!/bin/sh\nset -eu\n{text}\n", encoding="utf-8")
    place.chmod(0o755)
    return place


def run(*words: object, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command and give what it said."""
    return subprocess.run(
        [str(word) for word in words], env=dict(env), cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def outside(**more: str) -> dict[str, str]:
    """The environment without what belongs to this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, **more}


@contextmanager
def background(*words: object, env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the block ends."""
    with log.open("ab") as file:
        process = subprocess.Popen(list(map(str, words)), env=dict(env), cwd=cwd, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last(lines: Sequence[str] | str) -> str:
    """The last line of what was said."""
    found = lines.strip().splitlines() if isinstance(lines, str) else list(lines)
    return found[-1] if found else ""
