"""What the terminal UI costs: its parts in milliseconds of CPU (a plot, a change of the fleet, a key in a long list),
then the whole of it, attached to a fleet (`experiments.attached`).

Peers: for the plot, the same line drawn point by point in plain Python; for the fleet, Textual's DataTable cleared and
filled again; for the list of 1,000,000 rows, the same list with 10,000.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import DataTable

from experiments import attached
from healerd_tui.glyphs import GlyphSet
from healerd_tui.plots import line_plot
from healerd_tui.widgets import Column, Row, RowList, RowTable, Source

CELLS, LINES, POINTS, RUNS = 160, 40, 2000, 15
FLEET, CHANGED = 10_000, 1000
PLOT_MS, KEY_MS, FLEET_RATIO, KEY_RATIO = 5.0, 10.0, 10.0, 1.5
COLUMNS = (Column("name", "PIPELINE", 16), Column("state", "STATE", 12), Column("more", "LAST", 20, flex=True))
SIZE = (120, 36)
START = 1777593600.0


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    held = []
    for claim in _claims():
        print(json.dumps({"bench": "tui", **claim}), flush=True)
        held.append(bool(claim["held"]))
    return all(held)


def _claims() -> Iterator[dict[str, object]]:
    yield _plots()
    yield asyncio.run(_fleet())
    yield asyncio.run(_keys())
    yield from attached.claims()


def _plots() -> dict[str, object]:
    rng = np.random.default_rng(0)  # noqa: TID251 - a bench seeds itself
    x, y = START + np.arange(POINTS) * 60.0, np.cumsum(rng.normal(size=POINTS))
    points = list(zip(x.tolist(), y.tolist(), strict=True))

    def ours() -> None:
        line_plot(x, {"AUC": y}, width=CELLS, height=LINES, glyphs=GlyphSet.BRAILLE)

    pairs = [(_spent(ours), _spent(lambda: point_by_point(points, CELLS, LINES))) for _ in range(RUNS)]
    mine, peer = (median(each) for each in zip(*pairs[2:], strict=True))
    return {
        "what": f"line plot of {POINTS} points at {CELLS}x{LINES}, axes and all, against dots alone in plain Python",
        "cpu_ms": round(mine, 2),
        "at_most": PLOT_MS,
        "peer_ms": round(peer, 2),
        "ratio": round(peer / mine, 1),
        "held": mine < PLOT_MS and mine < peer,
    }


def point_by_point(points: Sequence[tuple[float, float]], cells: int, lines: int) -> str:
    """Draw a line through points in braille, one dot after another: the peer."""
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    weights = ((1, 8), (2, 16), (4, 32), (64, 128))
    grid = [[0] * cells for _ in range(lines)]
    before = None
    for x, y in points:
        here = (
            round((x - low_x) / (high_x - low_x) * (2 * cells - 1)),
            round((high_y - y) / (high_y - low_y) * (4 * lines - 1)),
        )
        start = before or here
        steps = max(abs(here[0] - start[0]), abs(here[1] - start[1]), 1)
        for step in range(steps + 1):
            across = round(start[0] + (here[0] - start[0]) * step / steps)
            down = round(start[1] + (here[1] - start[1]) * step / steps)
            grid[down // 4][across // 2] |= weights[down % 4][across % 2]
        before = here
    return "\n".join("".join(chr(0x2800 + code) if code else " " for code in line) for line in grid)


async def _fleet() -> dict[str, object]:
    """Change 1,000 of 10,000 rows, to the frame that shows it, in both tables by turns."""
    ours, theirs = RowTable(COLUMNS), DataTable[str]()

    async def change(pilot: Pilot[None], run: int) -> float:
        begun = time.process_time()
        ours.put(_row(number, run) for number in range(CHANGED))
        await pilot.pause()
        return time.process_time() - begun

    async def refill(pilot: Pilot[None], run: int) -> float:
        begun = time.process_time()
        theirs.clear()
        for number in range(FLEET):
            theirs.add_row(*_texts(number, run if number < CHANGED else 0), key=str(number))
        await pilot.pause()
        return time.process_time() - begun

    async with (
        _Shown(ours).run_test(size=SIZE) as mine,
        _Shown(theirs).run_test(size=SIZE) as peer,
    ):
        theirs.add_columns(*(column.title for column in COLUMNS))
        ours.put(_row(number, 0) for number in range(FLEET))
        await mine.pause()
        pairs = [(await change(mine, run), await refill(peer, run)) for run in range(1, 5)]
    spent, peer_spent = (median(each) * 1000 for each in zip(*pairs[1:], strict=True))
    return {
        "what": f"{CHANGED} of {FLEET} rows change, to the frame, against DataTable cleared and filled again",
        "cpu_ms": round(spent, 1),
        "peer_ms": round(peer_spent, 1),
        "ratio": round(peer_spent / spent, 1),
        "at_least": FLEET_RATIO,
        "held": peer_spent / spent >= FLEET_RATIO,
    }


async def _keys() -> dict[str, object]:
    """Press page down in lists of both lengths by turns, the first pages being at hand."""
    lists = [RowList(COLUMNS, _source(total)) for total in (10_000, 1_000_000)]
    async with (
        _Shown(lists[0]).run_test(size=SIZE) as short,
        _Shown(lists[1]).run_test(size=SIZE) as long,
    ):
        spent: list[tuple[float, float]] = []
        for run in range(RUNS):
            if run == 2:
                lists[1].move_to(900_000)
            spent.append((await _press(short), await _press(long)))
    brief, million = (median(each) * 1000 for each in zip(*spent[3:], strict=True))
    return {
        "what": "page down in a list of 1,000,000 rows, key to frame, against one of 10,000",
        "cpu_ms": round(million, 1),
        "at_most": KEY_MS,
        "peer_ms": round(brief, 1),
        "ratio": round(million / brief, 2),
        "held": million < KEY_MS and million / brief < KEY_RATIO,
    }


async def _press(pilot: Pilot[None]) -> float:
    await pilot.app.workers.wait_for_complete()
    begun = time.process_time()
    await pilot.press("pagedown")
    await pilot.pause()
    return time.process_time() - begun


class _Shown(App[None]):
    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self._widget = widget

    def compose(self) -> ComposeResult:
        yield self._widget

    def on_mount(self) -> None:
        self._widget.focus()


def _texts(number: int, run: int) -> tuple[str, str, str]:
    return f"pipeline-{number}", "◆ DRIFT" if run % 2 else "● OK", f"retrain {run}m ago"


def _row(number: int, run: int) -> Row:
    name, state, more = _texts(number, run)
    return Row(f"{number:07d}", (name, (state, "drift" if run % 2 else "ok"), more))


def _source(total: int) -> Source:
    async def page(after: str | None, limit: int) -> Sequence[Row]:
        start = 0 if after is None else int(after) + 1
        return [_row(number, 0) for number in range(start, min(start + limit, total))]

    async def count() -> int:
        return total

    async def seek(position: int) -> str | None:
        return f"{position - 1:07d}" if position else None

    return Source(page=page, count=count, seek=seek)


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000
