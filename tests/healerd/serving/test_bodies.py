"""Bodies that are too large, too slow, cut short; and values that are missing or of the wrong kind."""

import asyncio
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.errors import ServingError
from healerd.segments.spool import BlockKind, read_blocks, spool_files
from healerd.serving.bodies import Bodies
from tests.healerd.serving.gate import Shelf, Sums, ask, opened, outputs, run

Message = dict[str, Any]


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """Sends the parts of a body, and then nothing."""

    def __init__(self, parts: Sequence[Message]) -> None:
        self.parts = list(parts)

    async def receive(self) -> Message:
        return self.parts.pop(0) if self.parts else await asyncio.Future()


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ([], 408, "did not come in time"),
        ([part(b"ab", more=True)], 408, "did not come in time"),
        ([part(b"ab", more=True), {"type": "http.disconnect"}], 400, "left before"),
        ([part(b"abcdef", more=True), part(b"abcdef", more=False)], 413, "more than 10"),
    ],
)
def test_a_body_that_is_not_whole_in_time_is_given_up(parts: list[Message], status: int, said: str) -> None:
    """Whatever a client sends or leaves out, its request ends with a sentence, and those beside it are read."""

    async def body() -> None:
        bodies = Bodies(most=10, limit_s=0.05)
        wrong = asyncio.create_task(bodies.read({}, Client(parts).receive))
        beside = asyncio.create_task(bodies.read({}, Client([part(b"ab", more=True), part(b"c", more=False)]).receive))
        with pytest.raises(ServingError, match=said) as found:
            await wrong
        assert (found.value.status, await beside) == (status, b"abc")
        assert await bodies.read({}, Client([part(b"later", more=False)]).receive) == b"later"

    run(body)


def test_a_request_that_is_given_up_by_others_is_not_told_to_be_slow() -> None:
    """A task that is cancelled while it reads is cancelled: only the limit makes a 408."""

    async def body() -> None:
        reading = asyncio.create_task(Bodies(most=10, limit_s=60.0).read({}, Client([]).receive))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    run(body)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"datatype": "FP64", "shape": [1], "data": ["x"]}, "`'x'` is no FP64"),
        ({"datatype": "FP63", "shape": [1], "data": [1]}, "no datatype `FP63`"),
        ({"datatype": "FP64", "shape": [2], "data": [1, 2]}, "unequal numbers of rows"),
        ({"datatype": "FP64", "shape": [2], "data": [1]}, "has 2 elements, `data` has 1"),
        ({"datatype": "FP64", "shape": [-1], "data": [1]}, "needs 1 to 4 dimensions"),
        ({"datatype": "INT8", "shape": [1], "data": [300]}, "out of the range"),
    ],
)
def test_wrong_types_and_shapes_are_told(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    """A tensor that is not what it says, or does not fit the others, is a 400 that names it."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            other = {"name": "b", "datatype": "FP64", "shape": [1], "data": [1]}
            asked = {"inputs": [{"name": "a", **given}, other]}
            found = await gate.client.post("/v2/models/m/infer", json=asked)
            assert (found.status_code, said in found.json()["error"]) == (400, True), found.text

    run(body)


def test_a_number_that_is_none_is_missing_in_answer_and_record(tmp_path: Path) -> None:
    """NaN in binary and `null` in JSON reach the model as missing, come back as `null`, and are recorded."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            head = {
                "inputs": [
                    {"name": name, "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}
                    for name in "ab"
                ]
            }
            json_part = json.dumps(head).encode()
            sent = await gate.client.post(
                "/v2/models/m/infer",
                content=json_part + struct.pack("<dd", np.nan, 1.0),
                headers={"Inference-Header-Content-Length": str(len(json_part))},
            )
            assert outputs(sent) == outputs(await ask(gate, [None], [1.0])) == [None]
        (path,) = spool_files(tmp_path / "m")
        recorded = [block.rows().features["a"] for block in read_blocks(path, kind=BlockKind.ROWS)]
        assert np.isnan(np.concatenate(recorded)).tolist() == [True, True]

    run(body)
