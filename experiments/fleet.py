"""How long the status of a thousand pipelines takes: read anew, after one has changed, and when nothing has.

    healerd demo --headless --state demo
    python -m experiments.fleet demo [PIPELINES]

Takes real decisions and measurements from the state folder of a demo, and never writes there. Prints CPU milliseconds,
the least of five tries, which says more on a busy machine than the mean.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec

from healerd.client.fleet import Fleet, status_view
from healerd.clock import ManualClock
from healerd.model import Decision, Window
from healerd.store import ReadStore, Store, Watermark

WINDOWS, TRIES = 24, 5


def main(state: Path, count: int) -> None:
    """Build the fleet in a temporary folder and print what looking at it costs."""
    with ReadStore.open(state) as source:
        decisions = source.find(Decision, order="-seq", limit=4 * WINDOWS)
        ticks = [one for one in decisions if one.window_end_at is not None][:WINDOWS]
        measured = {one.window_end_at: source.measurements(one.pipeline, one.window_end_at) for one in ticks}
    newest = ticks[0]
    names = [f"pipeline-{number:04d}" for number in range(count)]
    at = newest.at + timedelta(hours=1)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder), clock=ManualClock(at)) as store:
        for name in names:
            with store.transaction() as tx:
                tx.put(replace(newest, id=f"{name}-d", pipeline=name))
                tx.put(Watermark(pipeline=name, end_at=newest.window_end_at))
                for end_at, values in measured.items():
                    window = Window(pipeline=name, start_at=end_at - timedelta(days=1), end_at=end_at)
                    tx.put_measurements(window, values)
        kept = Fleet()
        view = status_view(store, names, at=at, fleet=kept)
        tell(f"{count} pipelines read anew", lambda: status_view(store, names, at=at))

        def one_changed() -> None:
            with store.transaction() as tx:
                tx.note("test", {}, pipeline=names[0])
            status_view(store, names, at=at, fleet=kept)

        tell("one has changed", one_changed)
        tell("nothing has changed", lambda: status_view(store, names, at=at, fleet=kept))
        tell("written as JSON", lambda: msgspec.json.encode(view))
        print(f"{len(msgspec.json.encode(view)) / 1e6:.2f} MB, {len(measured[newest.window_end_at])} measured a window")


def tell(said: str, work: Callable[[], object]) -> None:
    """Print the least CPU time of several tries."""
    spent = []
    for _ in range(TRIES):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    print(f"{said:28} {1000 * min(spent):7.1f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
