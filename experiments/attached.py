"""What the terminal UI costs while it is attached: the real app, headless, on a control API of another process.

    python -m experiments.attached serve FOLDER PIPELINES TRACES    the scripted core: builds its store, then serves it
    python -m experiments.attached look FOLDER WHAT                 one UI, which prints what it measured as JSON

`experiments.bench.tui` runs both. Every UI is a process of its own, so that imports, memory and CPU are those that an
operator pays for. Must never touch a state folder that it did not make.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

PIPELINES, TRACES, ROWS = 1000, 1_000_000, 10_000
PAINT_MS, CHANGES_SHARE, KEY_MS, OPEN_MS, IDLE_SHARE, MEMORY_MB = 700.0, 0.10, 10.0, 100.0, 0.01, 120.0
CHANGES_S, SECONDS, KEYS, OPENED, BATCH = 1000, 10.0, 30, 15, 50
SIZE = (120, 36)


def claims() -> Iterator[dict[str, object]]:
    """Give one claim after another, each measured in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "fleet", Path(folder) / "traces"
        with serving(small, PIPELINES, 0) as server:
            first = [_look(small, "attach") for _ in range(3)]
            yield _claim(
                f"process start to the first paint of {PIPELINES} pipelines, imports and all",
                "cpu_ms",
                median(each["paint_ms"] for each in first),
                PAINT_MS,
                imports_ms=median(each["imports_ms"] for each in first),
            )
            yield _claim("attached to them, memory", "mb", max(each["mb"] for each in first), MEMORY_MB)
            yield _claim("attached and idle, share of a core", "share", _look(small, "idle")["share"], IDLE_SHARE)
            tell(server, f"change {CHANGES_S} {SECONDS + 8}")
            busy = _look(small, "changes")
            yield _claim(
                f"{CHANGES_S} changes a second asked for, share of a core",
                "share",
                busy["share"],
                CHANGES_SHARE,
                changes_a_second=busy["leaves_s"],
            )
        begun = time.monotonic()
        with serving(large, 1, TRACES):
            built_s = round(time.monotonic() - begun)
            traces = _look(large, "traces")
        yield _claim(f"a key in a list of {traces['rows']} traces, to the frame", "cpu_ms", traces["key_ms"], KEY_MS)
        more = {"wall_ms": traces["open_wall_ms"], "built_s": built_s}
        yield _claim(f"a trace among {TRACES} opened, to the frame", "cpu_ms", traces["open_ms"], OPEN_MS, **more)


def _claim(what: str, unit: str, value: float, at_most: float, **more: object) -> dict[str, object]:
    return {"what": what, unit: round(value, 4), "at_most": at_most, **more, "held": value < at_most}


def _look(folder: Path, what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "experiments.attached", "look", str(folder), what]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


# the scripted core -----------------------------------------------------------


@contextmanager
def serving(folder: Path, pipelines: int, traces: int) -> Iterator[subprocess.Popen[str]]:
    """Build a store and serve it from another process until the block ends."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "experiments.attached", "serve", str(folder), str(pipelines), str(traces)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n", "the scripted core did not start"
        try:
            yield server
        finally:
            tell(server, "end")


def tell(server: "subprocess.Popen[str]", line: str) -> None:
    """Tell the scripted core what to do next."""
    assert server.stdin is not None
    server.stdin.write(line + "\n")
    server.stdin.flush()


def serve(folder: Path, pipelines: int, traces: int) -> None:
    """Serve a store of so many pipelines and traces, and do what is told on stdin."""
    from healerd.clock import ManualClock
    from healerd.store import Store
    from tests.served import NOW, served

    names = [f"pipeline-{number:04d}" for number in range(pipelines)]
    clock = ManualClock(NOW + timedelta(minutes=1))
    with Store.open(folder, clock=clock) as store:
        fill(store, names)
    if traces:
        many(folder / "healerd.db", names[0], traces)
    with Store.open(folder, clock=clock) as store, served(folder, pipelines=names, store=store, clock=clock) as daemon:
        print("ready", flush=True)
        for line in sys.stdin:
            word, *numbers = line.split()
            if word == "end":
                return
            threading.Thread(target=change, args=(daemon, names, *map(float, numbers)), daemon=True).start()


def fill(store: Any, names: list[str]) -> None:
    """Put one decision, a day of measurements and, on one pipeline in ten, an incident."""
    from healerd.model import Layer, Measurement, Window
    from healerd.store import Watermark
    from tests.served import NOW, a_decision

    for number, name in enumerate(names):
        with store.transaction() as tx:
            tx.put(a_decision(id=f"{name}-d", pipeline=name, chosen="hold", incident_id=None))
            tx.put(Watermark(pipeline=name, end_at=NOW))
            for hour in range(24):
                end_at = NOW - timedelta(hours=hour)
                values = [
                    Measurement(name=word, layer=layer, n=200, value=0.01 * (number % 30) + 0.001 * hour)
                    for word, layer in (("drift", Layer.DRIFT), ("error", Layer.HARM))
                ]
                tx.put_measurements(Window(pipeline=name, start_at=end_at - timedelta(hours=1), end_at=end_at), values)
            if number % 10 == 0:
                tx.put(an_incident(name, 0))


def an_incident(name: str, generation: int) -> Any:
    """An incident that is more or less clean, so that its pipeline stands in drift or in watch."""
    from healerd.model import Incident, Layer
    from tests.served import NOW

    return Incident(
        id=f"{name}-i",
        pipeline=name,
        opened_at=NOW - timedelta(hours=2),
        kind=Layer.HARM,
        severity=2,
        reason="the error rose",
        opened_by="error",
        clean_windows=generation % 2,
        generation=generation,
    )


def change(daemon: Any, names: list[str], a_second: float, seconds: float) -> None:
    """Move so many incidents a second, in small transactions as a core writes them, evenly in time."""
    begun, done = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        if done > passed * a_second:
            time.sleep(0.005)
            continue
        with daemon.store.transaction() as tx:
            for number in range(done, done + BATCH):
                tx.put(an_incident(names[number % len(names)], number // len(names)))
        done += BATCH
        with suppress(RuntimeError):  # the server may have ended meanwhile
            daemon.ring()


def many(path: Path, pipeline: str, count: int) -> None:
    """Copy one decision until there are so many, in SQL alone: leaves without a chain, which no look reads."""
    from healerd.store.library import sqlite
    from healerd.store.tables import canonical, plain
    from tests.served import a_decision

    body = canonical(plain(a_decision(pipeline=pipeline, reason="the error rose, copy"))).decode()
    steps = "WITH RECURSIVE step(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM step WHERE n < ?) "
    connection = sqlite.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    ((head,),) = connection.execute("SELECT max(seq) FROM audit_leaf")
    leaf = json.dumps(
        {"at": "2026-05-07T14:17:00.000000Z", "kind": "decision", "actor": "daemon", "pipeline": pipeline}
    )
    connection.execute(
        "INSERT INTO audit_leaf (seq, body, leaf_hash, chain) "
        f"{steps}SELECT ? + n, ?, zeroblob(32), zeroblob(32) FROM step",
        [count, head, leaf],
    )
    connection.execute(
        f"INSERT INTO decision (seq, row_key, leaf, body) {steps}"
        "SELECT ? + n, 'd' || n, ? + n, replace(?, '\"id\":\"dec-1\"', '\"id\":\"d' || n || '\"') FROM step",
        [count, head, head, body],
    )
    for level in (8, 16):
        connection.execute(
            f'INSERT OR IGNORE INTO audit_node (level, "index", hash) {steps}SELECT ?, n - 1, zeroblob(32) FROM step',
            [(head + count) >> level, level],
        )
    connection.execute("COMMIT")
    connection.close()


# one terminal UI -------------------------------------------------------------


def look(folder: Path, what: str) -> None:
    """Run the app headless, and print what it cost."""
    from healerd.client import Client, TuiOptions
    from healerd_tui.app import HealerdApp
    from healerd_tui.glyphs import GlyphSet

    imports_s = time.process_time()
    found: dict[str, float] = {"imports_ms": round(imports_s * 1000)}
    access = Client(folder, attended=True)
    app = HealerdApp(TuiOptions(access=access, title="bench"), glyphs=GlyphSet.BRAILLE)

    async def pilot(pilot: Any) -> None:
        try:
            await _painted(app)
            found["paint_ms"] = round(time.process_time() * 1000)
            await {"attach": _attach, "idle": _idle, "changes": _changes, "traces": _traces}[what](app, pilot, found)
            found["mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        finally:
            app.exit(0)

    app.run(headless=True, size=SIZE, auto_pilot=pilot)
    print(json.dumps(found))


async def _painted(app: Any) -> None:
    """Wait until the table of the fleet holds rows, and these are on the screen."""
    from healerd_tui.widgets import RowTable

    async with asyncio.timeout(120):
        while not (app.state.live and (tables := app.screen.query(RowTable)) and tables.first().count):
            await asyncio.sleep(0.01)
    await _frame(app)


async def _frame(app: Any) -> None:
    """Wait until everything that was asked for has been drawn."""
    for _ in range(2):
        done = asyncio.Event()
        app.screen.call_after_refresh(done.set)
        await done.wait()


async def _attach(app: Any, pilot: Any, found: dict[str, float]) -> None:
    await asyncio.sleep(1)


async def _share(seconds: float) -> float:
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - wall)


async def _idle(app: Any, pilot: Any, found: dict[str, float]) -> None:
    await asyncio.sleep(3)
    found["share"] = await _share(2 * SECONDS)


async def _changes(app: Any, pilot: Any, found: dict[str, float]) -> None:
    await asyncio.sleep(2)
    seq = app.state.seq
    found["share"] = await _share(SECONDS)
    found["leaves_s"] = round((app.state.seq - seq) / SECONDS)


async def _traces(app: Any, pilot: Any, found: dict[str, float]) -> None:
    from healerd_tui.places import Place
    from healerd_tui.screens.trace import TraceScreen
    from healerd_tui.widgets import RowList

    app.visit(Place("traces"))
    await _frame(app)
    rows = app.screen.query_one(RowList)
    async with asyncio.timeout(300):
        while rows.count <= ROWS:
            rows.move_to(rows.count - 1)
            await asyncio.sleep(0.005)
    found["rows"] = rows.count - 1
    await asyncio.sleep(1)
    spent = []
    for key in ("up", "pageup", "down") * KEYS:
        there = rows.cursor
        spent.append(await _cost(app, lambda key=key: _press(app, key), until=lambda at=there: rows.cursor != at))
    found["key_ms"] = median(cpu for cpu, _ in spent)
    opened = []
    for number in range(OPENED):
        place = Place("trace", f"d{1 + (number * 7919 * 101) % TRACES}")
        opened.append(await _cost(app, lambda place=place: app.visit(place), until=lambda: _is_open(app, TraceScreen)))
        app.leave()
        await _frame(app)
    found["open_ms"] = median(cpu for cpu, _ in opened)
    found["open_wall_ms"] = round(median(wall for _, wall in opened), 1)


def _press(app: Any, key: str) -> None:
    from textual import events

    event = events.Key(key, None)
    event.set_sender(app)
    app._driver.send_message(event)


def _is_open(app: Any, kind: type) -> bool:
    return isinstance(app.screen, kind) and app.screen.view is not None


async def _cost(app: Any, do: Any, until: Any = lambda: True) -> tuple[float, float]:
    """Give the CPU and the wall time of something in milliseconds, to the frame after it."""
    cpu, wall = time.process_time(), time.monotonic()
    do()
    while not until():
        await asyncio.sleep(0.002)
    await _frame(app)
    return (time.process_time() - cpu) * 1000, (time.monotonic() - wall) * 1000


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder, pipelines, traces]:
            serve(Path(folder), int(pipelines), int(traces))
        case ["look", folder, what]:
            look(Path(folder), what)
        case _:  # the claims alone, without those of the parts
            for claim in claims():
                print(json.dumps({"bench": "tui", **claim}), flush=True)
