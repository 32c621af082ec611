"""Completion as the shells themselves do it: the script that healerd prints, evaluated by each shell that is here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served import Served

BASH = """
eval "$(healerd completion bash)"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_healerd_completion healerd
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "healerd completion fish | source; complete -C '{line}'"
ZSH = """
autoload -Uz compinit && compinit -u -D
eval "$(healerd completion zsh)"
print -r -- $_comps[healerd]
"""


def run_in(shell: str, script: str, folder: Path) -> str:
    """Run a script with `healerd` on the path."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    tool = folder / "healerd"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m healerd "$@"\n')
    tool.chmod(0o755)
    here = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HOME": str(folder),
    }
    option = ["-f"] if shell == "zsh" else []
    done = subprocess.run(
        [shell, *option, "-c", script], capture_output=True, text=True, check=True, timeout=60, env=here, cwd=folder
    )
    return done.stdout


def offered_by_bash(words: str, folder: Path) -> list[str]:
    return run_in("bash", BASH.format(words=words), folder).split()


def test_bash_completes_verbs_and_options(tmp_path: Path) -> None:
    """bash offers the verbs, the verbs of a verb, options and choices."""
    assert offered_by_bash("healerd st", tmp_path) == ["status", "stop-all"]
    assert offered_by_bash("healerd policy promote --to l", tmp_path) == ["live"]


def test_bash_completes_what_is_there(tmp_path: Path, daemon: Served) -> None:
    """bash offers the pipelines that the daemon has."""
    assert offered_by_bash(f"healerd pause --state {daemon.state} ch", tmp_path) == ["churn"]


def test_fish_completes(tmp_path: Path) -> None:
    """fish offers the verbs with what they do."""
    told = run_in("fish", FISH.format(line="healerd st"), tmp_path)
    assert [line.split("\t")[0] for line in told.splitlines()] == ["status", "stop-all"]


def test_zsh_takes_the_script(tmp_path: Path) -> None:
    """zsh evaluates the script, and completes `healerd` by its function."""
    assert run_in("zsh", ZSH, tmp_path).strip() == "_healerd_completion"
