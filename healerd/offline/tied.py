"""A program that ends with the process that started it, however that ends. Must never leave one behind on Linux.

A block that is left ends its program; a process that is killed leaves no block. So the program's group has one end of
a pipe as its input, and the kernel kills the group when the other end, which only the starting process holds, closes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

__all__ = ["tied"]

STOP_S = 15.0
"""How long a program may take to end before it is killed."""
ARM = """
import fcntl, os, select, signal, sys
if sys.platform == "linux":
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
looked = select.poll()
looked.register(0, 0)
if looked.poll(0):
    sys.exit(1)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""What becomes the program once its input is armed; one whose starter is gone already does not begin."""


@contextmanager
def tied(command: Sequence[str], *, log: IO[bytes], env: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends, in a group of its own, with what it prints in `log`."""
    program = subprocess.Popen(  # noqa: S603 - the caller's own command
        [sys.executable, "-ISc", ARM, *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=env,
        start_new_session=True,
    )
    try:
        yield program
    finally:
        _end(program)


def _end(program: "subprocess.Popen[bytes]") -> None:
    """End the program with all that it has started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(program.pid, how)
        with suppress(subprocess.TimeoutExpired):
            program.wait(timeout=STOP_S)
            break
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    if program.stdin is not None:
        program.stdin.close()
