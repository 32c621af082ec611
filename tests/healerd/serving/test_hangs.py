"""A version that hangs, in service or while it is tried, holds up nothing but itself."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from healerd.columns import Column
from tests.healerd.serving.gate import Moody, Shelf, Sums, ask, opened, outputs, run, until


class Stuck(Sums):
    """Does not answer before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.release = threading.Event(), threading.Event()

    def predict(self, features: Mapping[str, Column]) -> Column:
        self.begun.set()
        self.release.wait(30)
        return super().predict(features)


class Ends(Sums):
    """Asks the process to end."""

    def predict(self, features: Mapping[str, Column]) -> Column:
        raise SystemExit(3)


def test_a_version_that_hangs_does_not_bar_the_next(tmp_path: Path) -> None:
    """While one hangs the gateway says that it is not ready; the version that a heal puts in its place answers."""

    async def body() -> None:
        bad = Moody()
        shelf = Shelf(one=bad, two=Sums(1.0))
        async with opened(tmp_path, shelf) as gate:
            for _ in range(4):
                assert (await ask(gate, [2000])).status_code == 504
            assert (await gate.client.get("/v2/health/ready")).status_code == 503
            assert (await gate.client.get("/v2/models/m/ready")).status_code == 503
            assert (await gate.client.get("/healthz")).json()["status"] == "failing"
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.current.version == "two")
            assert (await gate.client.get("/v2/health/ready")).status_code == 200
            assert (await gate.client.get("/healthz")).json()["status"] == "ok"
            assert [outputs(await ask(gate, [1.0])) for _ in range(8)] == [[2.0]] * 8
            bad.release.set()

    run(body)


def test_a_version_that_hangs_while_it_is_tried_is_refused(tmp_path: Path) -> None:
    """Once it has taken too long it is refused aloud; the one before it serves on, and the alias is followed on."""

    async def body() -> None:
        stuck = Stuck()
        shelf = Shelf(one=Sums(), two=stuck, three=Sums(3.0))
        async with opened(tmp_path, shelf, load_timeout=1) as gate:
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.refusals == 1)
            assert "not loaded and tried within 1 s" in gate.said[-1]
            assert outputs(await ask(gate, [1.0])) == [1.0]
            shelf.move("three")
            await until(lambda: gate.service["m"].slot.current.version == "three")
            stuck.release.set()

    run(body)


def test_the_end_waits_for_no_version_that_is_being_tried(tmp_path: Path) -> None:
    """A gateway that is told to end while a version hangs in its self-test ends at once."""

    async def body() -> None:
        stuck = Stuck()
        shelf = Shelf(one=Sums(), two=stuck)
        async with opened(tmp_path, shelf, load_timeout=3600) as gate:
            shelf.move("two")
            await asyncio.to_thread(stuck.begun.wait)
        await until(lambda: gate.said[-1].endswith("the gateway ends"))
        stuck.release.set()

    run(body)


def test_a_version_that_wants_to_end_the_process_is_refused(tmp_path: Path) -> None:
    """`SystemExit` in a self-test is one more way to fail it."""

    async def body() -> None:
        shelf = Shelf(one=Sums(), two=Ends())
        async with opened(tmp_path, shelf) as gate:
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.refusals == 1)
            assert "it raised SystemExit: 3" in gate.said[-1]
            assert outputs(await ask(gate, [1.0])) == [1.0]

    run(body)


def test_what_does_not_serve_is_not_kept_in_memory(tmp_path: Path) -> None:
    """A version that was refused, or unloaded, leaves the room to the one that serves."""

    class Shape(Sums):
        """Gives one output too many."""

        def predict(self, features: Mapping[str, Column]) -> Column:
            return np.zeros(len(features["a"]) + 1)

    async def body() -> None:
        refused, served = Shape(), Sums()
        gone = [weakref.ref(refused), weakref.ref(served)]
        shelf = Shelf(one=served, two=refused)
        async with opened(tmp_path, shelf) as gate:
            await ask(gate, [1.0])
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.refusals == 1)
            await gate.client.post("/v2/repository/models/m/unload")
            shelf.models.clear()
            del refused, served
            await until(lambda: gc.collect() >= 0 and not any(each() for each in gone))

    run(body)


def test_a_substitute_of_another_kind_is_told_when_a_version_is_tried(tmp_path: Path) -> None:
    """A text in the place of numbers would stop the daemon that reads the record: the version does not serve."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), substitute={"m": "unknown"}) as gate:
            assert (await ask(gate, [1.0])).status_code == 503
            assert "it gives numbers, but `serving.substitute` is `unknown`" in gate.said[-1]

    run(body)
