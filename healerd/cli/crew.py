"""The options that say who does long work. Must never open a worker: the work itself does, when there is some."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from healerd.workers import Crew

__all__ = ["crew_options", "crew_wanted"]

F = TypeVar("F", bound=Callable[..., Any])


def crew_options(f: F) -> F:
    """Add `--processes` and `--scheduler`."""
    f = click.option(
        "--scheduler", metavar="ADDRESS", help="Share the work out to a Dask cluster, such as tcp://10.0.0.5:8786."
    )(f)
    return click.option(
        "--processes",
        default=1,
        show_default=True,
        metavar="N",
        type=click.IntRange(1, 256),
        help="Share the work out to processes of this machine, or of the cluster's.",
    )(f)


def crew_wanted(given: Mapping[str, Any]) -> "Crew":
    """Give the workers that were asked for; this process alone where none were."""
    from healerd.config import WorkersSettings  # most who ask for a report share nothing out
    from healerd.workers import crew_of

    return crew_of(WorkersSettings(processes=given["processes"], scheduler=given["scheduler"]))
