"""`try` and `demo`: the daemon's own core under a manual clock, with the plain ways of doing without it beside.

Must never do anything that the daemon would not do. A training job imports this package for its entry point, so the
rest is loaded only when it is called.
"""

from healerd.offline.options import DemoOptions, TryOptions

__all__ = ["DemoOptions", "TryOptions", "run_demo", "run_try"]


def run_try(options: TryOptions) -> int:
    """Run the loop over a person's table; give the exit code. Raises HealerdError with the mend."""
    from healerd.offline.trial import run_try as run  # the whole daemon: not for a training job

    return run(options)


def run_demo(options: DemoOptions) -> int:
    """Run the loop over a year of flights; 0 only if every claim it prints was measured true."""
    from healerd.offline.demo import run_demo as run  # the whole daemon: not for a training job

    return run(options)
