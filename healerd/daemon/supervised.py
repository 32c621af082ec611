"""Talks to the service manager that started the daemon: ready, stopping, and alive while it is.

Must never say that the daemon is alive because a timer fired: a ping stands for ticks that began, ran and ended.
"""

import asyncio
import os
import socket
from collections.abc import Callable

__all__ = ["Progress", "ping_while_it_goes_on", "tell", "watchdog_s"]

PINGS = 3
"""Pings within one watchdog time: one may be late, two may be lost."""
TICKS = 3
"""Ticks that may be missing before progress has stopped, where the watchdog is quicker than the ticker."""


def tell(*lines: str) -> bool:
    """Send lines such as `READY=1` to the socket that systemd named; False where none takes them.

    The protocol is that of sd_notify(3): one datagram to `$NOTIFY_SOCKET`, whose leading `@` is an abstract address.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)  # a manager that does not listen must not stop the loop
        try:
            out.sendto("\n".join(lines).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return False
    return True


def watchdog_s() -> float | None:
    """Read how often the manager wants a sign of life of this very process; None where it wants none."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not usec.isdecimal() or int(usec) == 0 or pid not in {None, str(os.getpid())}:
        return None
    return int(usec) / 1e6


class Progress:
    """When a tick last ended, on the clock since boot. A tick runs on the ticker, the loop, and the writer's thread."""

    def __init__(self, now_s: float) -> None:
        self._ended_s = now_s

    def tick_ended(self, now_s: float) -> None:
        """Note that a tick came to its end, well or not: what the world does wrong is no reason to start anew."""
        self._ended_s = now_s

    def goes_on(self, now_s: float, *, watchdog_s: float, every_s: float) -> bool:
        """Tell whether a tick ended lately: within the watchdog's time, or three ticks where that is longer."""
        return self.age_s(now_s) <= max(watchdog_s, TICKS * every_s)

    def age_s(self, now_s: float) -> float:
        """How long ago the last tick ended."""
        return now_s - self._ended_s


async def ping_while_it_goes_on(progress: Progress, *, now_s: Callable[[], float], every_s: float) -> None:
    """Ping the manager's watchdog from the event loop for as long as ticks come to their end."""
    wanted = watchdog_s()
    while wanted is not None:
        if progress.goes_on(now_s(), watchdog_s=wanted, every_s=every_s):
            tell("WATCHDOG=1")
        await asyncio.sleep(wanted / PINGS)
