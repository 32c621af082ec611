"""The tables `[listen]` and `[notify]`: what a monitoring system is shown and may tell, and who is told of what.

Must never hold a secret in the clear where a file can hold it: tokens and addresses of channels are read from files.
"""

import difflib
import ipaddress
import re
from datetime import time
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from healerd.settings import Duration, Settings, require

__all__ = ["AlertsSettings", "ListenSettings", "NotifySettings", "parse_address", "parse_hours"]

LOOPBACK = "a loopback address with a port, such as `127.0.0.1:9464`"
HOURS = "hours of a day such as `22:00-07:00`"
ZONE = "a time zone such as `Europe/Berlin`"


class AlertsSettings(Settings, frozen=True, kw_only=True):
    """`[listen.alerts]`: take what Alertmanager's webhook sends, as facts for rules; nothing is taken without it."""

    token_file: str | None = None
    """File with the bearer token that the sender must show; without it only the control socket takes alerts."""
    label: str = "pipeline"
    """The label of an alert whose value names its pipeline; `*` stands for all of them."""
    expire: Duration = Duration(18000)
    """How long what was heard counts; longer than the sender's `repeat_interval`, which is 4 h by default."""

    def __post_init__(self) -> None:
        require(self.label != "", "label", "the name of a label")
        require(60 <= self.expire <= 30 * 86400, "expire", "from 1m to 30d")


class ListenSettings(Settings, frozen=True, kw_only=True):
    """`[listen]`: an optional listener for `/metrics`, `/healthz`, `/readyz` and `/alerts`; on loopback alone."""

    address: str | None = None
    """Where to listen; nothing listens without it. Others reach it through a proxy or an ssh tunnel of yours."""
    alerts: AlertsSettings | None = None
    """Alerts of other monitoring; off without it."""

    def __post_init__(self) -> None:
        require(self.address is None or parse_address(self.address) is not None, "address", LOOPBACK)


class NotifySettings(Settings, frozen=True, kw_only=True):
    """`[notify]`: people are told through Apprise, which speaks to a hundred kinds of channels by their address."""

    urls_file: str | None = None
    """File with one Apprise address a line; they hold passwords, so the file belongs to the daemon's user alone."""
    kinds: list[Literal["asks", "acts", "failed", "incident", "trouble", "rule"]] = msgspec.field(
        default_factory=lambda: ["asks", "failed", "trouble", "rule"]
    )
    """What is worth a message; by default what asks for a person, and what `notify` rules say."""
    quiet: str | None = None
    """Hours without messages, such as `22:00-07:00`, in `zone`; what was kept back is told when they end."""
    zone: str = "UTC"
    """The time zone of `quiet`."""
    urgent: bool = True
    """Break the quiet for an approval, or a veto window that counts already, that ends in it, and for trouble."""
    repeat: Duration = Duration(21600)
    """The same thing is not told again within this time; a question that still stands is told again after it.

    It does not change how often what nobody answered is asked anew: at most every 6 h (SAFETY S8).
    """
    title: str = "healerd: $what"
    """Template of a message's title; `$what`, `$pipeline`, `$kind`, `$host` and `$text` are filled in."""
    body: str = "$text"
    """Template of its body."""
    heartbeat_url: str | None = None
    """Address that is fetched for as long as ticks end well: whoever misses it raises the alarm."""
    heartbeat_every: Duration = Duration(60)
    """How often."""

    def __post_init__(self) -> None:
        require(self.quiet is None or parse_hours(self.quiet) is not None, "quiet", HOURS)
        near = unknown_zone(self.zone)
        require(near is None, "zone", f"{ZONE}{near}")
        require(self.repeat > 0, "repeat", "above 0")
        require(self.heartbeat_every >= 1, "heartbeat_every", "1s or more")
        url = self.heartbeat_url
        require(url is None or url.startswith(("https://", "http://")), "heartbeat_url", "an http or https address")


def parse_address(text: str) -> tuple[str, int] | None:
    """Read `host:port`; None for anything that is not on loopback."""
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None
    return (host, int(port)) if loopback and port.isdecimal() and int(port) < 65536 else None


def unknown_zone(name: str) -> str | None:
    """Tell whether a time zone is not known to this machine, with what may have been meant; None for one that is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        return f"; did you mean `{near[0]}`?" if near else ""
    return None


def parse_hours(text: str) -> tuple[time, time] | None:
    """Read two times of day; they may span midnight."""
    found = re.fullmatch(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*", text)
    try:
        return (time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))) if found else None
    except ValueError:
        return None
