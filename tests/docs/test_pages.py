"""The guides are true: what a page says to save is saved, what it says to type is typed, in one folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from healerd.client import Client
from healerd.errors import HealerdError
from tests.house.pages import GUIDES, SHELL, Block, blocks, name_of

CONTINUES = re.compile(r"<!-- continues (\S+\.md) -->")
PATIENCE_S = 300.0
"""Far beyond what any block takes, for machines that are busy."""
STEP_S = 0.05
SHIM = '#!/bin/sh\nexec "{python}" {arguments} "$@"\n'

Play = Callable[[Path], Path]


@pytest.fixture(scope="session")
def tools() -> Iterator[Path]:
    """A folder with the commands of a page: `healerd` and `python` are those under test."""
    with tempfile.TemporaryDirectory(prefix="hd-") as folder:
        for name, arguments in (("healerd", "-m healerd"), ("python", "")):
            shim = Path(folder, name)
            shim.write_text(SHIM.format(python=sys.executable, arguments=arguments))
            shim.chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def play(tools: Path) -> Iterator[Play]:
    """Play pages, each at most once, and give the folder that each leaves behind."""
    played: dict[Path, Path] = {}
    # A control socket needs a short path, shorter than pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="hd-") as root:

        def play(page: Path) -> Path:
            if page not in played:
                folder = Path(root, page.stem)
                before = CONTINUES.search(page.read_text(encoding="utf-8"))
                if before:
                    shutil.copytree(play(page.parent / before[1]), folder)
                else:
                    folder.mkdir()
                play_page(page, folder, tools)
                played[page] = folder
            return played[page]

        yield play


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_a_guide_does_what_it_says(page: Path, play: Play) -> None:
    """Followed literally, a guide leads from its first block to its last without an error."""
    if any(is_played(block) for block in blocks(page)):
        assert play(page).is_dir()


def is_played(block: Block) -> bool:
    """Tell whether a block is run or saved, and not only looked at."""
    mine = block.language in {*SHELL, "python"} and block.marks.get("needs", "daemon") == "daemon"
    return "file" in block.marks or mine


def play_page(page: Path, folder: Path, tools: Path) -> None:
    """Save and run the blocks of a page; a daemon runs from the first block that needs one to the end."""
    here = environment(tools)
    with ExitStack() as until_the_end:
        attended = False
        for block in filter(is_played, blocks(page)):
            if "file" in block.marks:
                path = folder / block.marks["file"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
                continue
            if block.marks.get("needs") == "daemon" and not attended:
                until_the_end.enter_context(daemon(folder, here))
                attended = True
            run(block, folder, here)


def environment(tools: Path) -> dict[str, str]:
    """What the commands of a page see: the code under test, and nothing of the person who runs the tests."""
    return {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([*filter(None, sys.path)]),
        "XDG_CACHE_HOME": str(tools / "cache"),
    }


def run(block: Block, folder: Path, here: dict[str, str]) -> None:
    """Run a block as it stands; what fails is shown with all that it printed."""
    command = ["bash", "-euo", "pipefail", "-c"] if block.language in SHELL else ["python", "-c"]
    done = subprocess.run(
        [*command, block.text],
        cwd=folder, env=here, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}{done.stderr}"


@contextmanager
def daemon(folder: Path, here: dict[str, str]) -> Iterator[None]:
    """Run the daemon of a folder until the block ends; ready once it has judged what lay there."""
    with open(folder / "daemon.log", "wb") as log:  # noqa: PTH123
        process = subprocess.Popen(["healerd", "run"], cwd=folder, env=here, stdout=log, stderr=log)
    try:
        client = Client(folder / "healerd-state")
        waited_s = 0.0
        while not judged(client):
            said = (folder / "daemon.log").read_text(encoding="utf-8")
            assert process.poll() is None, f"the daemon ended:\n{said}"
            assert waited_s < PATIENCE_S, f"the daemon judged nothing:\n{said}"
            waited_s += STEP_S
            try:
                process.wait(STEP_S)
            except subprocess.TimeoutExpired:
                continue
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def judged(client: Client) -> bool:
    """Tell whether a live daemon has judged a window of each pipeline, and its last tick has ended."""
    try:
        told = client.status()
    except HealerdError:
        return False
    live = told["daemon"]["state"] == "live"
    return live and all(view.get("window_end_at") for view in told["pipelines"])
