"""What an action's settings mean for a command or a server: limits, and addresses. Must never start anything."""

from healerd.action_settings import ActionSettings
from healerd.actions.command import Limits
from healerd.actions.remote import Remote

__all__ = ["limits_of", "remote_of"]

MEGABYTE = 1_000_000


def limits_of(settings: ActionSettings) -> Limits:
    """Give the limits of a command."""
    return Limits(
        deadline_s=settings.deadline,
        memory_bytes=None if settings.memory_mb is None else settings.memory_mb * MEGABYTE,
        cpu_s=settings.cpu,
        file_bytes=settings.output_mb * MEGABYTE,
    )


def remote_of(settings: ActionSettings) -> Remote | None:
    """Give the addresses of a remote job; None where there are none."""
    if settings.url is None:
        return None
    return Remote(url=settings.url, status_url=settings.status_url, poll_s=settings.poll, deadline_s=settings.deadline)
