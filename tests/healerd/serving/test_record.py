"""What the gateway recorded, and what the daemon reads of it."""

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.clock import SystemClock
from healerd.columns import Labels, Predictions
from healerd.config import SourceSettings
from healerd.errors import SourceError, StoreError
from healerd.segments.spool import Block, BlockKind, SpoolWriter, read_blocks, spool_files
from healerd.serving.ids import row_ids
from healerd.serving.recorder import Recorder, Served
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
            instance = first.partition("-")[0]
            assert [*found.ids] == [first, f"{instance}-2", second]
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

    def add_labels(self, labels: Labels) -> None:
        if self.full:
            raise StoreError("no room")
        super().add_labels(labels)


def test_rows_that_cannot_be_kept_are_counted_and_said(tmp_path: Path) -> None:
    """While the disk is full requests are answered, each lost row is counted, and the record says how many later."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), flush=0.01) as gate:
            recorder = gate.service["m"].recorder
            recorder.writer = writer = Failing(tmp_path / "m", "bb")
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


def recorder_of(folder: Path, writer: SpoolWriter, said: list[str], **more: Any) -> Recorder:
    return Recorder(writer, loop=asyncio.get_running_loop(), report=said.append, **{"flush_s": 3600, **more})


def served(number: int, rows: int = 1) -> Served:
    ids = row_ids("0123456789ab", number, rows)
    at_us = 1_777_000_000_000_000
    columns = {"a": np.zeros(rows)}
    return Served(
        last_number=number + rows - 1, ids=ids, at_us=at_us, version="v", output=np.zeros(rows), columns=columns
    )


def blocks(folder: Path, kind: BlockKind) -> list[Block]:
    return [block for path in spool_files(folder) for block in read_blocks(path, kind=kind)]


def test_memory_is_bounded_and_loses_nothing(tmp_path: Path) -> None:
    """When the rows that may wait are full, requests wait for the disk; none is lost, however long the flush."""

    async def body() -> None:
        said = list[str]()
        recorder = recorder_of(tmp_path, SpoolWriter(tmp_path, "aa"), said, rows_max=10)
        await asyncio.gather(*(recorder.keep(served(n)) for n in range(1, 200)))
        await recorder.keep(served(200, rows=50))
        assert recorder.lost == 0
        recorder.close()
        assert sum(len(block.rows()) for block in blocks(tmp_path, BlockKind.ROWS)) == 249

    run(body)


def test_while_the_disk_is_full_memory_is_bounded_and_losses_are_said(tmp_path: Path) -> None:
    """Whatever the disk refused, in however many turns, the record says how many rows are missing when it can."""

    async def body() -> None:
        said, writer = list[str](), Failing(tmp_path, "aa")
        writer.full = True
        recorder = recorder_of(tmp_path, writer, said, rows_max=10, flush_s=0.01)
        for number in range(1, 101):
            await recorder.keep(served(number))
            assert recorder.waiting <= 10
            if number % 20 == 0:
                await until(lambda: recorder.waiting == 0)
        assert (recorder.lost, recorder.failing) == (100, True)
        writer.full = False
        await until(lambda: not recorder.failing)
        recorder.close()
        assert sum(block.lost() for block in blocks(tmp_path, BlockKind.LOST)) == 100
        assert [each.partition(":")[0] for each in said] == ["recording fails", "recording again"]

    run(body)


def test_with_flush_zero_a_row_that_cannot_be_kept_is_not_answered(tmp_path: Path) -> None:
    """When each answer must be durable, a full disk is a 503, and nothing counts as served and lost."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), flush=0) as gate:
            recorder = gate.service["m"].recorder
            recorder.writer = writer = Failing(tmp_path / "m", "bb")
            writer.full = True
            refused = await ask(gate, [1])
            assert (refused.status_code, recorder.lost) == (503, 0)
            assert (await gate.client.get("/healthz")).json()["status"] == "failing"
            writer.full = False
            assert outputs(await ask(gate, [2])) == [2.0]

    run(body)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    """What the system says of a full disk reaches the reader, and the writer goes on when there is room."""
    writer = SpoolWriter(tmp_path, "aa")
    writer.add_rows(rows(0), last_number=1)
    assert writer._file is not None
    kept, writer._file = writer._file, os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(StoreError, match="No space left"):
        writer.add_rows(rows(5), last_number=2)
    writer.close()
    os.close(kept)
    writer.add_rows(rows(10), last_number=3)
    writer.flush()
    assert [*source(tmp_path).fetch(NOW, NOW + timedelta(hours=1)).ids] == ["x0", "x10"]


def test_old_files_go_and_take_their_labels_along(tmp_path: Path) -> None:
    """Files older than they are kept are removed, also those of this run, but never the one that is written."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), keep=100) as gate:
            service, writer = gate.service["m"], gate.service["m"].recorder.writer
            name = (await ask(gate, [1])).json()["parameters"]["prediction_id"]
            await gate.client.post("/labels", json={"labels": [{"id": name, "label": 1.0}]})
            old = writer.path
            writer.close()
            await ask(gate, [2])
            for path in spool_files(tmp_path / "m"):
                os.utime(path, (1, 1))
            await service.sweep()
            assert old is not None
            assert ([*spool_files(tmp_path / "m")], old.exists()) == ([writer.path], False)
            assert service._labelled == set()

    run(body)


def test_how_sure_the_model_was_is_recorded_where_wanted(tmp_path: Path) -> None:
    """With `serving.scores` the probability of the likeliest class stands beside each row that the model answered."""

    class Sure(Moody):
        def predict_proba(self, features: Any) -> Any:
            return np.column_stack([features["a"] / 10, 1 - features["a"] / 10])

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sure()), scores=True, substitute={"m": 0.0}) as gate:
            first = (await ask(gate, [1, 7])).json()
            assert [each["name"] for each in first["outputs"]] == ["output"]
            both = await ask(gate, [3], outputs=[{"name": "output"}, {"name": "probabilities"}])
            assert both.json()["outputs"][1]["data"] == [0.3, 0.7]
            await ask(gate, [-1])
            now = SystemClock().now()
            found = source(tmp_path / "m").fetch(now - timedelta(hours=1), now + timedelta(hours=1))
            assert found.score is not None
            assert np.allclose(found.score, [0.9, 0.7, 0.7, np.nan], equal_nan=True)

    run(body)


class Turn:
    """The recorder's lock; the first time that it is given back, something else is done before anything follows."""

    def __init__(self, between: Callable[[], None]) -> None:
        self._lock, self._between = threading.Lock(), [between]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._between:
            self._between.pop()()


@pytest.mark.parametrize("what", ["row", "label"])
def test_what_is_lost_is_never_confirmed(tmp_path: Path, what: str) -> None:
    """However soon the disk refuses what was handed over, and works again after it, who waits for it is told."""

    async def body() -> None:
        writer = Failing(tmp_path, "aa")
        recorder = recorder_of(tmp_path, writer, [], flush_s=0)

        def refuse() -> None:
            writer.full = True
            recorder._write()
            writer.full = False

        recorder._lock = Turn(refuse)  # type: ignore[assignment]
        late = np.array(["2026-05-01T13:00"], "datetime64[us]")
        label = Labels(ids=np.array(["x"], object), label=np.array([1.0]), at=late)
        with pytest.raises(StoreError, match="no room"):
            await (recorder.keep(served(1)) if what == "row" else recorder.keep_labels(label))
        recorder.close()
        assert blocks(tmp_path, BlockKind.ROWS) == blocks(tmp_path, BlockKind.LABELS) == []

    run(body)


def test_a_label_that_could_not_be_kept_is_new_when_it_comes_again(tmp_path: Path) -> None:
    """While the disk is full a label is a 503, and what is sent again is accepted, not repeated."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            name = (await ask(gate, [1])).json()["parameters"]["prediction_id"]
            gate.service["m"].recorder.writer = writer = Failing(tmp_path / "m", "bb")
            said = {"labels": [{"id": name, "label": 1.0}]}
            writer.full = True
            assert (await gate.client.post("/labels", json=said)).status_code == 503
            writer.full = False
            assert (await gate.client.post("/labels", json=said)).json()["accepted"] == 1

    run(body)
