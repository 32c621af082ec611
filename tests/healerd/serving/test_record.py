"""What the gateway recorded, and what the daemon reads of it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.clock import SystemClock
from healerd.columns import Labels, Predictions
from healerd.config import SourceSettings
from healerd.errors import SourceError, StoreError
from healerd.segments.spool import BlockKind, SpoolWriter, read_blocks, spool_files
from healerd.serving import recorder as recording
from healerd.sources import SOURCES
from tests.healerd.serving.gate import Moody, Shelf, Sums, ask, opened, outputs, run, until

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def rows(*minutes: int, name: str = "x") -> Predictions:
    at = np.array(["2026-05-01T12:00"], "datetime64[us]") + np.array(minutes) * np.timedelta64(1, "m")
    n = len(minutes)
    return Predictions(
        ids=np.array([f"{name}{m}" for m in minutes], object),
        at=at,
        version=np.array(["v1"] * n, object),
        output=np.arange(n, dtype=float),
        label=np.full(n, np.nan),
        features={"a": np.arange(n, dtype=float), "city": np.array(["Bern", None] * n, object)[:n]},
    )


def source(folder: Path):
    return SOURCES["gateway"](SourceSettings(kind="gateway", path=folder.name), folder.parent, lambda: "v1")


def test_rows_come_back_by_their_times(tmp_path: Path) -> None:
    """The source gives the rows of a stretch of time, whatever blocks and files they lie in, with texts and numbers."""
    writer = SpoolWriter(tmp_path / "m", "aa", bytes_max=300)
    for block in ((0, 5, 10), (15, 20), (25,)):
        writer.add_rows(rows(*block), last_number=1)
        writer.flush()
    assert len(spool_files(tmp_path / "m")) > 1
    found = source(tmp_path / "m").fetch(NOW + timedelta(minutes=5), NOW + timedelta(minutes=20))
    assert [*found.ids] == ["x5", "x10", "x15"]
    assert [*found.features["city"]] == [None, "Bern", "Bern"]
    assert found.features["a"].tolist() == [1.0, 2.0, 0.0]


def test_labels_come_back_when_they_are_known(tmp_path: Path) -> None:
    """A label is there from its own time on, for rows of the stretch that is asked about."""
    writer = SpoolWriter(tmp_path / "m", "aa")
    writer.add_rows(rows(0, 5), last_number=1)
    late = np.array(["2026-05-01T13:00"], "datetime64[us]")
    writer.add_labels(Labels(ids=np.array(["x5"], object), label=np.array([1.0]), at=late))
    writer.flush()
    ask_for = source(tmp_path / "m").labels
    hour = timedelta(hours=1)
    assert len(ask_for(NOW, NOW + hour, NOW + timedelta(minutes=59))) == 0
    assert [*ask_for(NOW, NOW + hour, NOW + hour).ids] == ["x5"]
    assert len(ask_for(NOW + hour, NOW + 2 * hour, NOW + hour)) == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    """Whatever a crash cuts off at the end, the blocks before it are read, and the torn one is not."""
    writer = SpoolWriter(tmp_path / "m", "aa")
    writer.add_rows(rows(0), last_number=1)
    writer.add_rows(rows(5), last_number=2)
    writer.close()
    (path,) = spool_files(tmp_path / "m")
    path.write_bytes(path.read_bytes()[:-cut])
    assert [*source(tmp_path / "m").fetch(NOW, NOW + timedelta(hours=1)).ids] == ["x0"]


def test_a_changed_byte_is_left_out(tmp_path: Path) -> None:
    """A block whose content is not what was written is never given."""
    writer = SpoolWriter(tmp_path / "m", "aa")
    writer.add_rows(rows(0), last_number=1)
    writer.close()
    (path,) = spool_files(tmp_path / "m")
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    assert [*read_blocks(path, kind=BlockKind.ROWS)] == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """No record is not an empty one: the gateway may never have run."""
    with pytest.raises(SourceError, match="start `healerd serve`"):
        source(tmp_path / "m").fetch(NOW, NOW + timedelta(hours=1))


def test_with_flush_zero_an_answer_is_durable(tmp_path: Path) -> None:
    """What was answered is in the record before the answer, with the substitute marked as such."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Moody()), substitute={"m": -7.0}) as gate:
            first = (await ask(gate, [1, 2])).json()["parameters"]["prediction_id"]
            second = (await ask(gate, [-1])).json()["parameters"]["prediction_id"]
            now = SystemClock().now()
            found = source(tmp_path / "m").fetch(now - timedelta(hours=1), now + timedelta(hours=1))
            assert [*found.ids] == [f"{first}.0", f"{first}.1", second]
            assert [*found.version] == ["one", "one", "substitute"]
            assert found.output.tolist() == [1.0, 2.0, -7.0]

    run(body)


class Failing(SpoolWriter):
    """A writer whose disk is full while `full`."""

    full = False

    def add_rows(self, rows: Predictions, *, last_number: int) -> None:
        if self.full:
            raise StoreError("no room")
        super().add_rows(rows, last_number=last_number)


def test_rows_that_cannot_be_kept_are_counted_and_said(tmp_path: Path) -> None:
    """While the disk is full requests are answered, each lost row is counted, and the record says how many later."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), flush=0.01) as gate:
            recorder = gate.service["m"].recorder
            recorder._writer = writer = Failing(tmp_path / "m", "bb")
            writer.full = True
            assert outputs(await ask(gate, [1, 2])) == [1.0, 2.0]
            await until(lambda: recorder.lost == 2)
            assert any("recording fails" in each for each in gate.said)
            writer.full = False
            assert outputs(await ask(gate, [1])) == [1.0]
            await until(lambda: recorder.recorded == 1)
            assert "rows_lost" in (await gate.client.get("/metrics")).text
        lost = [b.lost() for path in spool_files(tmp_path / "m") for b in read_blocks(path, kind=BlockKind.LOST)]
        assert sum(lost) == 2

    run(body)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the rows that may wait, rows are counted as lost; none vanishes without a trace."""
    monkeypatch.setattr(recording, "ROWS_MAX", 10)

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), flush=3600) as gate:
            await asyncio.gather(*(ask(gate, [1.0]) for _ in range(25)))
            recorder = gate.service["m"].recorder
            assert (recorder.waiting, recorder.lost) == (10, 15)

    run(body)


SERVER = """
import sys
from pathlib import Path
from healerd.config import ServingSettings
from healerd.serving.run import serve
from tests.healerd.serving.gate import Shelf, Sums
import logging; logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stdout)
serve({"m": Shelf(one=Sums())}, ServingSettings(port=0, flush=float(sys.argv[2])), folder=Path(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("flush", ["0", "0.2"])
def test_a_kill_loses_at_most_a_flush(tmp_path: Path, flush: str) -> None:
    """After kill -9 every row that was answered before the last flush is there once; with flush 0 every row at all."""
    answered = []
    for _ in range(3):
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path), flush],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        server.stdout.readline()
        turn = []
        for number in range(60):
            request = urllib.request.Request(f"{url}/v2/models/m/infer", data=_body(float(number)), method="POST")
            turn.append(_answered(request)["parameters"]["prediction_id"])
            if flush != "0" and number == 30:
                durable = len(turn)
                _wait_for(tmp_path / "m", turn[-1])
        server.send_signal(signal.SIGKILL)
        server.wait()
        server.stdout.close()
        answered.append(turn if flush == "0" else turn[:durable])
    now = SystemClock().now()
    found = [*source(tmp_path / "m").fetch(now - timedelta(hours=1), now + timedelta(hours=1)).ids]
    assert len(found) == len(set(found))
    assert {each for turn in answered for each in turn} <= set(found)


def _answered(request: urllib.request.Request) -> dict[str, Any]:
    """Ask, again and again while the server is not yet there."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request) as response:
                found: dict[str, Any] = json.load(response)
                return found
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _body(value: float) -> bytes:
    inputs = [{"name": name, "datatype": "FP64", "shape": [1], "data": [value]} for name in ("a", "b")]
    return json.dumps({"inputs": inputs}).encode()


def _wait_for(folder: Path, name: str) -> None:
    async def there() -> None:
        now = SystemClock().now()
        stretch = (now - timedelta(hours=1), now + timedelta(hours=1))
        await until(lambda: name in set(source(folder).fetch(*stretch).ids))

    asyncio.run(there())
