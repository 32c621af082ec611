"""The gateway as its clients see it, without a network."""

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.clock import SystemClock
from healerd.columns import Labels
from healerd.errors import StoreError
from healerd.serving.signature import signature_of
from tests.healerd.serving.gate import Moody, Shelf, Sums, ask, asked, opened, outputs, run, until


def test_an_answer_has_its_version_and_an_id_for_each_row(tmp_path: Path) -> None:
    """Every response carries the version that answered, the id of the prediction, and the id of the request."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            said = (await ask(gate, [1, 2], [10, 20], id="r7")).json()
            assert (said["model_name"], said["model_version"], said["id"]) == ("m", "one", "r7")
            assert said["outputs"][0]["data"] == [11.0, 22.0]
            wanted = [{"name": "prediction_id"}]
            other = (await ask(gate, [1, 2], outputs=wanted)).json()
            ids = other["outputs"][0]["data"]
            instance, first = said["parameters"]["prediction_id"].split("-")
            assert ids == [f"{instance}-{int(first) + 2 + row}" for row in (0, 1)]
            assert other["parameters"]["prediction_id"] == ids[0]

    run(body)


def test_one_matrix_holds_all_features(tmp_path: Path) -> None:
    """A tensor of shape [n, d] is the model's features in their order."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            matrix = {"name": "any", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}
            found = await gate.client.post("/v2/models/m/infer", json={"inputs": [matrix]})
            assert outputs(found) == [3.0, 7.0]

    run(body)


BAD = [
    ({"inputs": []}, 400, "no inputs"),
    ({}, 400, "required field `inputs`"),
    ([], 400, "expected"),
    ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1]}]}, 400, "feature `b` is missing"),
    ({"inputs": [{"name": "aa", "datatype": "FP64", "shape": [1], "data": [1]}]}, 400, "no feature `aa`"),
    ({"inputs": [{"name": "m", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}]}, 400, "has 3 columns"),
    ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [0], "data": []}] * 2}, 400, "two inputs have one name"),
    (
        {"inputs": [{"name": "a", "datatype": "FP64", "shape": [1, 1, 1], "data": [1]}]},
        400,
        "a feature has [n] or [n, 1]",
    ),
    (
        {"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]},
        400,
        "bytes left",
    ),
]


@pytest.mark.parametrize(("said", "status", "problem"), BAD)
def test_a_wrong_request_is_told_where_it_is_wrong(tmp_path: Path, said: object, status: int, problem: str) -> None:
    """A request that does not fit is refused with a sentence, and nothing is asked or recorded."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            found = await gate.client.post("/v2/models/m/infer", json=said)
            assert (found.status_code, problem in found.json()["error"]) == (status, True), found.text
            assert gate.service["m"].recorder.recorded == 0

    run(body)


def test_raw_bytes_that_are_no_request_are_refused(tmp_path: Path) -> None:
    """Broken JSON, NaN, a wrong length of the JSON, a wrong packing, an unknown model, a body that is too large."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums()), body_bytes=5000) as gate:
            post, place = gate.client.post, "/v2/models/m/infer"
            for content, headers, status in (
                (b"{", {}, 400),
                (asked([1]).replace(b"1]", b"NaN]"), {}, 400),
                (b"\xff\xfe", {}, 400),
                (asked([1]), {"Inference-Header-Content-Length": "99999"}, 400),
                (asked([1]), {"Inference-Header-Content-Length": "x"}, 400),
                (asked([1]) + b"tail", {"Inference-Header-Content-Length": str(len(asked([1])))}, 400),
                (asked([1]), {"Content-Encoding": "gzip"}, 400),
                (asked([1]), {"Content-Encoding": "zebra"}, 415),
                (asked([1]), {"Inference-Header-Content-Length": "9" * 5000}, 400),
                (b'{"inputs": ' + b"[" * 2000, {}, 400),
                (asked([1]).replace(b"[1]}", b"[" * 2000 + b"]" * 2000 + b"}", 1), {}, 400),
                (gzip.compress(asked([1]))[:-12], {"Content-Encoding": "gzip"}, 400),
                (b"x" * 6000, {}, 413),
                (gzip.compress(b"x" * 6000), {"Content-Encoding": "gzip"}, 413),
            ):
                found = await post(place, content=content, headers=headers)
                assert (found.status_code, "error" in found.json()) == (status, True), (content[:40], found.text)
            assert (await post("/v2/models/nope/infer", content=asked([1]))).status_code == 404
            assert (await post("/v2/models/m/versions/nope/infer", content=asked([1]))).status_code == 404
            assert outputs(await ask(gate, [1], [1])) == [2.0]

    run(body)


def test_an_output_that_no_model_has_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    """A request that cannot be answered in the end leaves no row: there is one row for each answer."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            for name in ("nonsense", "probabilities"):
                found = await ask(gate, [1], outputs=[{"name": name}])
                assert (found.status_code, name in found.json()["error"]) == (400, True)
            assert gate.service["m"].recorder.recorded == 0

    run(body)


class Odd(Sums):
    """Raises or answers what models of people raise and answer, as `a` says."""

    def predict(self, features: Any) -> Any:
        kind = int(features["a"][0])
        if kind > 0:
            raise (StopIteration, TimeoutError, SystemExit, KeyError, RecursionError)[kind - 1]("odd")
        return np.array([{0: 1.0, -1: {}, -2: "\ud800", -3: None}.get(kind, object())] * len(features["a"]), object)


def test_whatever_a_model_raises_or_answers_the_gateway_goes_on(tmp_path: Path) -> None:
    """Exceptions that mean something to Python, and answers that are no text, end neither thread nor record."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Odd()), timeout=5) as gate:
            for kind in (1, 2, 3, 4, 5):
                found = await ask(gate, [kind])
                assert (found.status_code, "odd" in found.json()["error"]) == (500, True), found.text
            for kind in (-1, -2, -3, -4):
                assert (await ask(gate, [kind])).status_code == 200
            assert outputs(await ask(gate, [0])) == ["1.0"]
            service = gate.service["m"]
            assert (service.recorder.recorded, service._worker._hung) == (5, 0)

    run(body)


@pytest.mark.parametrize("wrong", [OSError("gone"), KeyError("x"), ImportError("no package")])
def test_a_version_that_cannot_be_loaded_stops_nothing(tmp_path: Path, wrong: Exception) -> None:
    """Whatever loading a version raises, the gateway goes on following: the next good version serves."""

    class Cursed(Shelf):
        def load(self, name: str) -> Any:
            if name == "two":
                raise wrong
            return super().load(name)

    async def body() -> None:
        shelf = Cursed(one=Sums(), two=Sums(), three=Sums(3.0))
        async with opened(tmp_path, shelf) as gate:
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.refusals == 1)
            shelf.move("three")
            await until(lambda: gate.service["m"].slot.swaps == 2)
            assert outputs(await ask(gate, [1])) == [4.0]

    run(body)


def test_requests_of_many_shapes_at_once_keep_their_rows(tmp_path: Path) -> None:
    """Requests of one row and of more than a batch holds, of numbers and of texts, each get their own rows back."""

    class Lengths:
        def predict(self, features: Any) -> Any:
            (column,) = features.values()
            return np.array([len(each) if isinstance(each, str) else each for each in column], float)

    async def one(gate: Any, number: int) -> None:
        n = (1, 3, 1500)[number % 3]
        texts = number % 2 == 0
        data = ["x" * (number % 7)] * n if texts else [float(number)] * n
        tensor = {"name": "a", "datatype": "BYTES" if texts else "FP64", "shape": [n], "data": data}
        found = outputs(await gate.client.post("/v2/models/m/infer", json={"inputs": [tensor]}))
        assert found == [float(number % 7 if texts else number)] * n

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Lengths()), flush=0.01, timeout=20) as gate:
            await asyncio.gather(*(one(gate, number) for number in range(60)))
            recorder = gate.service["m"].recorder
            await until(lambda: recorder.waiting == 0)
            assert (recorder.recorded, recorder.lost) == (20 * (1 + 3 + 1500), 0)

    run(body)


def test_a_model_that_raises_is_answered_for_and_the_answer_says_so(tmp_path: Path) -> None:
    """S18: the substitute is marked in the response, in the record and in a metric; a good request beside it is not."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Moody()), substitute={"m": -7.0}) as gate:
            bad, good = await asyncio.gather(ask(gate, [-1]), ask(gate, [1]))
            assert (outputs(bad), bad.json()["parameters"]["substitute"], bad.json()["model_version"]) == (
                [-7.0],
                True,
                "substitute",
            )
            assert outputs(good) == [1.0]
            assert "substitute" not in good.json()["parameters"]
            metrics = (await gate.client.get("/metrics")).text
            assert 'substitutes_total{answered="yes",cause="error",model="m"} 1.0' in metrics

    run(body)


def test_an_answer_that_is_no_number_is_not_usual(tmp_path: Path) -> None:
    """Answers that are not finite count for nothing in the usual one, nor in how many make something usual."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Moody())) as gate:
            for _ in range(19):
                await ask(gate, [3])
            gate.service["m"]._substitute.learn(np.array([np.inf, -np.inf]))
            assert outputs(await ask(gate, [3], [None])) == [None]
            assert (await ask(gate, [-1])).status_code == 500
            assert outputs(await ask(gate, [3])) == [3.0]
            assert outputs(await ask(gate, [-1])) == [3.0]

    run(body)


def test_without_a_substitute_a_failing_model_is_an_error(tmp_path: Path) -> None:
    """Before anything is usual, a model that raises gives 500 with its reason, and nothing is recorded as answered."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Moody())) as gate:
            found = await ask(gate, [-1])
            assert (found.status_code, "a is below zero" in found.json()["error"]) == (500, True)
            for number in range(20):
                await ask(gate, [float(number)])
            assert outputs(await ask(gate, [-1])) == [9.5]

    run(body)


def test_a_hanging_model_holds_up_nobody_else(tmp_path: Path) -> None:
    """A request whose model hangs gets 504 at its deadline; after four the model is asked no more."""

    async def body() -> None:
        model = Moody()
        async with opened(tmp_path, Shelf(one=model)) as gate:
            assert (await ask(gate, [2000])).status_code == 504
            assert outputs(await ask(gate, [3])) == [3.0]
            for _ in range(3):
                assert (await ask(gate, [2000])).status_code == 504
            assert (await ask(gate, [3])).status_code == 504
            model.release.set()
            await until(lambda: not gate.service["m"]._worker.hangs)
            assert outputs(await ask(gate, [3])) == [3.0]

    run(body)


def test_requests_that_wait_together_are_asked_together(tmp_path: Path) -> None:
    """Batching of what waits gives everybody the answer to their own rows, in fewer calls."""

    async def body() -> None:
        model = Moody()
        async with opened(tmp_path, Shelf(one=model), timeout=20) as gate:
            held = asyncio.ensure_future(ask(gate, [2000]))
            await until(model.hangs.is_set)
            queue = gate.service["m"]._worker._queue
            others = asyncio.gather(*(ask(gate, [float(n)] * (1 + n % 3)) for n in range(200)))
            await until(lambda: queue.qsize() == 200)
            model.release.set()
            assert [outputs(each) for each in await others] == [[float(n)] * (1 + n % 3) for n in range(200)]
            assert outputs(await held) == [2000.0]
            assert model.calls < 20

    run(body)


def test_the_alias_is_followed_without_a_mixed_answer(tmp_path: Path) -> None:
    """Under a stream of requests a swap loses none, and each answer is wholly of the version that it names."""

    async def body() -> None:
        shelf = Shelf(one=Sums(), two=Sums(1000.0))
        async with opened(tmp_path, shelf, timeout=20) as gate:
            versions = []
            for turn in range(200):
                if turn == 50:
                    shelf.move("two")
                said = (await ask(gate, [float(turn), 1.0])).json()
                plus = {"one": 0.0, "two": 1000.0}[said["model_version"]]
                assert said["outputs"][0]["data"] == [turn + plus, 1.0 + plus]
                versions.append(said["model_version"])
                if turn >= 50 and versions[-1] == "one":
                    await asyncio.sleep(0.01)
            assert versions == sorted(versions), "there is no way back"
            assert versions[-1] == "two"

    run(body)


@pytest.mark.parametrize("worse", ["raising", "wide", "nan", "text", "missing"])
def test_a_model_that_fails_its_self_test_never_serves(tmp_path: Path, worse: str) -> None:
    """A version that raises, gives too much, gives no number, or another kind than before, is refused and counted."""

    class Bad(Sums):
        def predict(self, features):
            found = {"raising": 1 / 0 if worse == "raising" else 0, "wide": np.zeros((1, 2))}
            return {**found, "nan": np.full(1, np.nan), "text": np.array(["x"], object)}[worse]

    async def body() -> None:
        shelf = Shelf(one=Sums(), **({} if worse == "missing" else {"bad": Bad()}), good=Sums(5.0))
        async with opened(tmp_path, shelf) as gate:
            await ask(gate, [1])
            shelf.move("bad")
            await until(lambda: gate.service["m"].slot.refusals == 1)
            assert (await ask(gate, [1])).json()["model_version"] == "one"
            index = (await gate.client.post("/v2/repository/index")).json()
            assert "bad" in index[0]["reason"]
            shelf.move("good")
            await until(lambda: gate.service["m"].slot.current.version == "good")
            assert outputs(await ask(gate, [1])) == [6.0]

    run(body)


def test_a_registry_that_cannot_be_reached_leaves_the_model_serving(tmp_path: Path) -> None:
    """While the registry is away the version in memory goes on, and what is wrong is told."""

    async def body() -> None:
        shelf = Shelf(one=Sums())
        async with opened(tmp_path, shelf) as gate:
            shelf.away = True
            await until(lambda: "cannot be reached" in gate.service["m"].slot.problem)
            assert outputs(await ask(gate, [1])) == [1.0]

    run(body)


def test_a_sweep_that_fails_leaves_the_alias_followed(tmp_path: Path) -> None:
    """An old file that can be neither read nor removed is said, and the next version serves all the same."""

    async def body() -> None:
        shelf = Shelf(one=Sums(), two=Sums(100))
        async with opened(tmp_path, shelf, sweep_s=0, keep=100) as gate:
            unreadable = tmp_path / "m" / "old-000001.spool"
            unreadable.mkdir()
            os.utime(unreadable, (1, 1))
            await until(lambda: any("old-000001.spool" in each for each in gate.said))
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.current.version == "two")
            assert outputs(await ask(gate, [1])) == [101.0]

    run(body)


@pytest.mark.parametrize("wrong", [OSError("the share went away"), StoreError("the registry is torn")])
def test_a_registry_that_raises_anything_of_the_world_is_said_once_and_followed(
    tmp_path: Path, wrong: Exception
) -> None:
    """Whatever failure of the world reading the alias raises, it is said once, and the next version serves."""

    async def body() -> None:
        shelf = Torn(one=Sums(), two=Sums(100))
        async with opened(tmp_path, shelf) as gate:
            shelf.wrong, asked = wrong, shelf.asked
            await until(lambda: shelf.asked > asked + 2)
            assert outputs(await ask(gate, [1])) == [1.0]
            shelf.wrong = None
            shelf.move("two")
            await until(lambda: gate.service["m"].slot.current.version == "two")
            assert sum(str(wrong) in each for each in gate.said) == 1

    run(body)


class Torn(Shelf):
    """A registry whose alias cannot be read while something is wrong; counts how often it is asked."""

    wrong: Exception | None = None
    asked = 0

    def alias(self) -> Any:
        self.asked += 1
        if self.wrong is not None:
            raise self.wrong
        return super().alias()


def test_a_model_can_be_unloaded_and_loaded(tmp_path: Path) -> None:
    """The repository's calls take a model out of service and back, and readiness says so."""

    async def body() -> None:
        async with opened(tmp_path, {"m": Shelf(one=Sums()), "n": Shelf(one=Sums(1.0))}) as gate:
            post, get = gate.client.post, gate.client.get
            assert (await post("/v2/repository/models/m/unload")).status_code == 200
            assert (await get("/v2/models/m/ready")).status_code == 503
            assert (await ask(gate, [1])).status_code == 503
            assert outputs(await ask(gate, [1], model="n")) == [2.0]
            assert (await get("/v2/health/ready")).status_code == 200
            assert (await post("/v2/repository/models/m/load")).status_code == 200
            assert outputs(await ask(gate, [1])) == [1.0]
            empty = Shelf()
        async with opened(tmp_path, empty) as gate:
            assert (await gate.client.get("/v2/health/ready")).status_code == 503
            assert (await gate.client.post("/v2/repository/models/m/load")).status_code == 503

    run(body)


def test_labels_join_by_id_once(tmp_path: Path) -> None:
    """A label is accepted once for an id that was given; before it was given, or for any other, it is unknown."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            post = gate.client.post
            name = (await ask(gate, [1])).json()["parameters"]["prediction_id"]
            early = f"{name.rpartition('-')[0]}-9"
            found = await post("/labels", json={"labels": [{"id": n, "label": 3.0} for n in (name, early, "nobody")]})
            assert found.json() == {"accepted": 1, "repeated": [], "unknown": [early, "nobody"]}
            later = (await ask(gate, [1])).json()["parameters"]["prediction_id"]
            twice = [{"id": later, "label": 1.0}, {"id": later, "label": 2.0}]
            assert (await post("/labels", json={"labels": twice})).json()["repeated"] == [later]
            again = await post("/labels", json={"labels": [{"id": name, "label": 4.0}]})
            assert again.json() == {"accepted": 0, "repeated": [name], "unknown": []}
            assert (await post("/labels", json={"labels": [{"id": early, "label": 3.0}]})).status_code == 404
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            later = await gate.client.post("/labels", json={"labels": [{"id": name, "label": 4.0}]})
            assert later.json() == {"accepted": 0, "repeated": [name], "unknown": []}, "also after a start anew"

    run(body)


@pytest.mark.parametrize(
    "said",
    [
        {"labels": 1},
        {"labels": [{"id": "x"}]},
        {"labels": [{"id": "x", "label": None}]},
        {"labels": [{"id": "x", "label": 1, "at": "2026-01-01T00:00:00"}]},
        {"labels": [{"id": "x", "label": 1, "at": "2926-01-01T00:00:00Z"}]},
        {"labels": [{"id": "x", "label": 1, "extra": 1}]},
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, said: object) -> None:
    """A label without a value, with a time without a zone or in the future, or an unknown key, is a 400."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            found = await gate.client.post("/labels", content=json.dumps(said))
            assert (found.status_code, "error" in found.json()) == (400, True)

    run(body)


class Names(Sums):
    """Answers with the name of a class."""

    def predict(self, features: Any) -> Any:
        return np.array(["big" if each else "small" for each in features["a"] > 1], object)


@pytest.mark.parametrize(
    ("model", "wrong", "right", "mend"), [(Sums, "1", 1.0, "send a number"), (Names, 1.0, "big", "send text")]
)
def test_a_label_of_another_kind_than_the_outputs_is_refused(
    tmp_path: Path, model: type, wrong: object, right: object, mend: str
) -> None:
    """Such a label is a 400 with its id and the mend, nothing of the request is kept, and the right one is then new."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=model())) as gate:
            first, second = [(await ask(gate, [1])).json()["parameters"]["prediction_id"] for _ in range(2)]
            both = {"labels": [{"id": first, "label": right}, {"id": second, "label": wrong}]}
            refused = await gate.client.post("/labels", json=both)
            assert refused.status_code == 400
            assert f"label of `{second}`" in refused.json()["error"]
            assert mend in refused.json()["error"]
        async with opened(tmp_path, Shelf(one=model())) as gate:
            refused = await gate.client.post("/labels", json=both)
            assert refused.status_code == 400, "also before anything is asked"
            mended = {"labels": [{"id": name, "label": right} for name in (first, second)]}
            assert (await gate.client.post("/labels", json=mended)).json()["accepted"] == 2

    run(body)


def test_a_recorded_label_of_another_kind_may_be_sent_again(tmp_path: Path) -> None:
    """A record that holds a text label of a model that gives numbers takes the right one, and only once."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            name = (await ask(gate, [1])).json()["parameters"]["prediction_id"]
            now = np.array([SystemClock().now().replace(tzinfo=None)], "datetime64[us]")
            text = Labels(ids=np.array([name], object), label=np.array(["yes"], object), at=now)
            await gate.service["m"].recorder.keep_labels(text)
        for accepted in (1, 0):
            async with opened(tmp_path, Shelf(one=Sums())) as gate:
                again = await gate.client.post("/labels", json={"labels": [{"id": name, "label": 1.0}]})
                assert again.json()["accepted"] == accepted

    run(body)


def test_what_a_model_takes_is_told(tmp_path: Path) -> None:
    """Metadata, the server's name, the list of models and the description of the interface are there."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Sums())) as gate:
            about = (await gate.client.get("/v2/models/m")).json()
            assert [each["name"] for each in about["inputs"]] == ["a", "b"]
            assert (await gate.client.get("/v2")).json()["name"] == "healerd"
            described = (await gate.client.get("/openapi.json")).json()
            paths = {route.path for route in gate.gateway.app().routes} - {"/openapi.json"}
            assert set(described["paths"]) == paths

    run(body)


class Anything:
    """A model that does not say what it takes, and adds up all of it."""

    def predict(self, features: Any) -> Any:
        return np.sum([*features.values()], axis=0)


def test_a_matrix_without_columns_is_refused(tmp_path: Path) -> None:
    """Where a model does not say what it takes, a tensor of no columns is a 400 and not a model's failure."""

    async def body() -> None:
        async with opened(tmp_path, Shelf(one=Anything())) as gate:
            for shape in ([5, 0], [0, 0]):
                none = {"name": "x", "datatype": "FP64", "shape": shape, "data": []}
                found = await gate.client.post("/v2/models/m/infer", json={"inputs": [none]})
                assert (found.status_code, "has no columns" in found.text) == (400, True), found.text
            some = {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
            assert outputs(await gate.client.post("/v2/models/m/infer", json={"inputs": [some]})) == [3.0]

    run(body)


def test_models_that_do_not_say_take_anything() -> None:
    """A model without features of its own is asked with what the request names."""
    assert signature_of(object()).features == ()
