"""A report on a file, without a daemon: what changed against a reference, since when, how sure, what is promised.

Must never act, nor need a daemon, a store or a configuration. The rest is loaded only when it is called.
"""

from typing import TYPE_CHECKING

from healerd.offline.inspection.options import Columns, FitOptions, InspectOptions

if TYPE_CHECKING:
    from healerd.offline.inspection.findings import Inspection
    from healerd.offline.inspection.reference import Fitted
    from healerd.workers import Crew

__all__ = ["Columns", "FitOptions", "InspectOptions", "fit_reference", "inspect_file"]


def inspect_file(options: InspectOptions, crew: "Crew | None" = None) -> "Inspection":
    """Look through a file, window by window; a crew shares the counting. Raises HealerdError with the mend."""
    from healerd.offline.inspection.findings import inspect  # readers and detectors: only when asked
    from healerd.workers import ALONE

    return inspect(options, crew or ALONE)


def fit_reference(options: FitOptions) -> "Fitted":
    """Fit a reference to a file. Raises HealerdError with the mend."""
    from healerd.offline.inspection.reference import fit_file  # readers and detectors: only when asked

    return fit_file(options)
