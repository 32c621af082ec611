"""Sends a message through Apprise, to each address of a file by itself.

Must never print, log or raise an address: it holds a password.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healerd.errors import ConfigError

__all__ = ["Send", "apprise_senders", "read_addresses"]

Send = Callable[[str, str], bool]
"""(title, body) -> whether the channel accepted it."""
ADDRESSES_MAX = 50


def read_addresses(file: Path) -> tuple[str, ...]:
    """Read one address a line; `#` begins a comment. Raises ConfigError when others may read them, or none is there."""
    try:
        mode, text = file.stat().st_mode, file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        said = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigError(f"`notify.urls_file` `{file}` cannot be read: {said}; write one address a line") from problem
    if mode & 0o007:
        raise ConfigError(f"`notify.urls_file` `{file}` can be read by everybody: `chmod o= {file}`")
    lines = (line.strip() for line in text.splitlines())
    found = tuple(line for line in lines if line and not line.startswith("#"))[:ADDRESSES_MAX]
    if not found:
        raise ConfigError(f"`notify.urls_file` `{file}` names no channel: write one Apprise address a line")
    return found


def apprise_senders(file: Path) -> tuple[Send, ...]:
    """Make a sender to each address of a file. Raises ConfigError for what Apprise does not know, by its number."""
    if importlib.util.find_spec("apprise") is None:
        raise ConfigError('`notify.urls_file` needs Apprise: pip install "healerd[notify]"')
    import apprise  # 0.2 s, only for who notifies

    channels: list[Any] = []
    for number, address in enumerate(read_addresses(file), 1):
        channel = apprise.Apprise()
        if not channel.add(address):
            raise ConfigError(f"`{file}`: address {number} is none that Apprise knows; see its list of services")
        channels.append(channel)
    return tuple(_sender(channel) for channel in channels)


def _sender(channel: Any) -> Send:
    return lambda title, body: bool(channel.notify(title=title, body=body))
