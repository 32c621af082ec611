"""KServe's side of the page: a model server of KServe's own, a daemon beside it, and a heal that it follows.

Must never be called a trial of KServe on Kubernetes: nothing here is an InferenceService.
"""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import skops.io
from sklearn.linear_model import LogisticRegression

from experiments.alias.claims import background, block, claim, last, outside, run, script, wait_for
from experiments.alias.on_sagemaker import answers
from healerd.offline.mlflow_server import mlflow_server
from tests.house.pages import ROOT

PORT, GATEWAY = 18080, 18090
SERVER = Path(__file__).with_name("kserve_model.py")
ROWS, EVERY_S, HEALTHY_S = 20, 0.5, 40.0
HEALERD = (sys.executable, "-m", "healerd")
WHY = ("--reason", "a trial of serving by alias")
TRAINING = """
import numpy as np
from sklearn.linear_model import LogisticRegression


def fit(features, label):
    return LogisticRegression().fit(np.column_stack(list(features.values())), label)
"""
RULES = """\
import "base"
propose again: retrain when alarm(harm) priority 50 severity high
"""
"""What a person has allowed waits for no veto window here."""
OWN = """\
[daemon]
state = "state"
tick = "200ms"

[serving]
port = {gateway}

[pipeline.churn]
window = "5s"
label_horizon = "5s"
model = "model.skops"
reference = {{ path = "reference.parquet" }}
rules = ["churn.heal"]
actions.retrain = {{ entry = "training:fit", cost = 1, failure = 0.2 }}
"""
HEALING = (
    "train_windows = 4\njudge_windows = 1\nchoose_windows = 2\nchoose_rows = 200\nverify_windows = 2\nrows_min = 100"
)
NAMED = """\
from mlflow import MlflowClient
print(MlflowClient().get_model_version_by_alias("churn", "active").tags["healerd.name"])
"""
ASKED = """
NAME=$("{python}" -c '{code}') || exit 2
LATEST=$(ls captured/*.jsonl | tail -n 1) || exit 2
tail -n 1 "$LATEST" | grep -q "\\"version\\": \\"$NAME\\""
"""
"""KServe's server does not tell which version it has loaded; what was captured last does."""
CLIENT = """
import asyncio
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    inputs = [InferInput(name, [2], "FP64", [2.0, -2.0]) for name in ("x0", "x1")]  # the model knows no names
    told = await client.infer("{url}", InferRequest(model_name="churn", infer_inputs=inputs), model_name="churn")
    print(told.outputs[0].data)
asyncio.run(main())
"""


def tried(python: Path, folder: Path) -> bool:
    """Play it, and say which claims held."""
    folder.mkdir()
    with mlflow_server(folder / "mlflow") as registry:
        story = Story(python, folder, registry)
        with story.daemon(), story.server(), story.traffic():
            return all(
                [
                    claim("KServe's own model server: `init --url` finds model and features", story.proposed),
                    claim("... what it captured is read by the page's query and judged, by version", story.judged),
                    claim("... a heal moves the alias, and KServe goes on with the old version", story.healed),
                    claim(
                        "... the timer's line loads what the alias names, while the heal is verified", story.rolled_out
                    ),
                    claim("... the heal is verified on rows that the new version answered", story.verified),
                    claim("KServe's client asks `healerd serve` beside it", story.gateway),
                ]
            )


class Story:
    """A folder with everything, and one after another what is to happen."""

    def __init__(self, python: Path, folder: Path, registry: str) -> None:
        self.python, self.folder, self.turned = python, folder, threading.Event()
        self.url, self.registry = f"http://127.0.0.1:{PORT}", registry
        path = f"{ROOT}:{ROOT}/rules:{ROOT}/tui"
        self.env = outside(
            PYTHONPATH=path, MLFLOW_TRACKING_URI=registry, KSERVE=self.url, OMP_NUM_THREADS="1",
            XDG_CACHE_HOME=str(folder / "cache"),
        )  # fmt: skip
        self.theirs = {name: value for name, value in self.env.items() if name != "PYTHONPATH"}
        self.rng = np.random.default_rng(3)  # noqa: TID251
        self.write()

    def write(self) -> None:
        """Write model, reference, training code, commands and the configuration that the page shows."""
        rows, said = self.world(4000)
        model = LogisticRegression().fit(np.column_stack(list(rows.values())), said)
        skops.io.dump(model, self.folder / "model.skops")
        start = now() - timedelta(days=1)
        rows_of_yesterday = {
            "id": np.array([f"r{i}" for i in range(4000)]),
            "time": np.array([start + i * timedelta(seconds=0.025) for i in range(4000)], dtype="datetime64[us]"),
            **rows,
            "prediction": model.predict(np.column_stack(list(rows.values()))).astype(float),
            "label": said,
            "version": np.full(4000, "first", dtype=object),
        }
        assert rows_of_yesterday
        duckdb.from_query("SELECT * FROM rows_of_yesterday").write_parquet(str(self.folder / "reference.parquet"))
        (self.folder / "training.py").write_text(TRAINING)
        (self.folder / "churn.heal").write_text(RULES)
        out = script(self.folder / "roll-out", block("sh", "/v2/repository/models/churn/load"))
        asked = script(self.folder / "rolled-out", ASKED.format(python=self.python, code=NAMED))
        page = block("toml", "read_json").replace("http://127.0.0.1:5000", self.registry).replace('"10m"', '"1s"')
        action = block("toml", "roll_out").replace("/usr/local/bin/roll-out", str(out))
        whole = page.replace("[pipeline.churn]\n", OWN.format(gateway=GATEWAY)).replace(
            "[pipeline.churn.source]", f"[pipeline.churn.healing]\n{HEALING}\n\n[pipeline.churn.source]"
        )
        text = whole + "\n" + action.replace("/usr/local/bin/rolled-out", str(asked))
        (self.folder / "healerd.toml").write_text(text)
        for name in ("captured", "labels"):
            (self.folder / name).mkdir()

    def world(self, rows: int) -> tuple[dict[str, Any], Any]:
        """Features and truth; once the world has turned, the truth is the other way round."""
        drawn = {"tenure": self.rng.normal(size=rows), "spend": self.rng.normal(size=rows)}
        return drawn, ((drawn["tenure"] > 0) ^ self.turned.is_set()).astype(float)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """The daemon, until the block ends."""
        with background(*HEALERD, "run", env=self.env, cwd=self.folder, log=self.folder / "daemon.log"):
            wait_for(lambda: self.verb("status", "--live").returncode == 0)
            wait_for(lambda: self.told("status")["pipelines"])
            yield

    @contextmanager
    def server(self) -> Iterator[None]:
        """KServe's server, until the block ends."""
        words = (self.python, SERVER, "--http_port", PORT, "--enable_grpc", "false", self.registry, "churn", "captured")
        with background(*words, env=self.theirs, cwd=self.folder, log=self.folder / "kserve.log"):
            wait_for(lambda: answers(self.url))
            yield

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Somebody who asks, and later tells what was true."""
        ended = threading.Event()
        thread = threading.Thread(target=self.ask, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def ask(self, ended: threading.Event) -> None:
        """Ask by the Open Inference Protocol, and write labels of the same rows."""
        labels = self.folder / "labels"
        while not ended.wait(EVERY_S):
            rows, truth = self.world(ROWS)
            name = uuid.uuid4().hex
            inputs = [{"name": n, "shape": [ROWS], "datatype": "FP64", "data": v.tolist()} for n, v in rows.items()]
            body = {"id": name, "parameters": {"content_type": "pd"}, "inputs": inputs}
            httpx.post(f"{self.url}/v2/models/churn/infer", json=body, timeout=10).raise_for_status()
            known = {
                "id": np.array([f"{name}-{i}" for i in range(ROWS)]),
                "label": truth,
                "known_at": np.full(ROWS, np.datetime64(now(), "us")),
            }
            assert known
            with duckdb.connect() as duck:
                part = labels / f"{name}.part"
                duck.execute(f"COPY (SELECT * FROM known) TO '{part}' (FORMAT parquet)")
                part.rename(part.with_suffix(".parquet"))

    def proposed(self) -> str:
        """Without the model's name."""
        out = self.folder / "proposed"
        done = self.verb("init", "--url", self.url, "--out", str(out), "--json", place=False)
        told = json.loads(done.stdout)["proposed"]
        assert (told["served by"], told["features"]) == ("kserve", "`tenure`, `spend`"), told
        return f"served by {told['served by']}, features {told['features'].replace('`', '')}, loss {told['loss']}"

    def judged(self) -> str:
        """Windows of the server's rows are healthy, then harm opens an incident."""
        probed = self.verb("source", "probe", "churn", place=False)
        assert probed.returncode == 0, probed.stderr
        wait_for(lambda: (self.pipeline()["state"], bool(self.windows() >= 3)) == ("ok", True))
        before = self.windows()
        self.turned.set()
        wait_for(lambda: self.pipeline()["incident"])
        return f"{before} healthy windows, then an incident"

    def healed(self) -> str:
        """People approve what is asked; the alias moves."""
        old = self.served()

        def moved() -> bool:
            for each in self.told("inbox")["intents"]:
                if each["state"] == "awaiting approval":
                    self.verb("approve", each["id"], "--if-rev", str(each["revision"]), *WHY)
            return self.alias() != old

        wait_for(moved)
        assert self.served() == old
        assert self.call(self.folder / "rolled-out").returncode == 1
        return f"alias at {self.alias()}, KServe serves {old}"

    def rolled_out(self) -> str:
        """The line of the page for a timer, called as one would."""
        line = block("sh", "rolled-out churn ||").strip()
        here = {**self.env, "PATH": f"{self.folder}:{self.env['PATH']}"}

        def rolled() -> bool:
            self.call("sh", "-c", line, env=here)
            return self.call(self.folder / "rolled-out").returncode == 0

        wait_for(rolled)
        return f"KServe serves {self.served()}"

    def verified(self) -> str:
        """The heal ends, and the record is whole."""
        wait_for(lambda: (self.pipeline()["last_heal"] or {}).get("state") in {"verified", "undone", "inconclusive"})
        heal = self.pipeline()["last_heal"]
        assert heal["state"] == "verified", heal
        assert self.verb("audit", "verify").returncode == 0
        return f"{heal['action']} {heal['state']}"

    def gateway(self) -> str:
        """Inputs by name, answers of the version that the alias names."""
        url = f"http://127.0.0.1:{GATEWAY}"
        with background(*HEALERD, "serve", env=self.env, cwd=self.folder, log=self.folder / "gateway.log"):
            wait_for(lambda: answers(url))
            wait_for(lambda: httpx.get(f"{url}/v2/models/churn/ready").status_code == 200)
            done = self.call(self.python, "-c", CLIENT.replace("{url}", url), env=self.theirs)
            assert done.returncode == 0, last(done.stderr)
            assert self.verb("init", "--url", url, "--out", "of-gateway", "--json", place=False).returncode in {0, 7}
        return f"answers {last(done.stdout)}"

    def windows(self) -> int:
        """How many windows were judged."""
        return len(self.told("trace", "list", "churn")["traces"])

    def pipeline(self) -> Any:
        """The pipeline's status."""
        return self.told("status", "churn")

    def alias(self) -> str:
        """The version that the alias names."""
        return self.call(self.python, "-c", NAMED, env=self.theirs).stdout.strip()

    def served(self) -> str:
        """The version that answered last."""
        newest = max((self.folder / "captured").glob("*.jsonl"))
        return str(json.loads(newest.read_text().splitlines()[-1])["version"])

    def told(self, *words: str) -> Any:
        """What a verb says as JSON."""
        done = self.verb(*words, "--json")
        assert done.returncode in {0, 8}, done.stderr
        return json.loads(done.stdout)

    def verb(self, *words: str, place: bool = True) -> "subprocess.CompletedProcess[str]":
        """Call a verb of ours."""
        return self.call(*HEALERD, *words, *(("--state", "state") if place else ()))

    def call(self, *words: object, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Call anything in the folder."""
        return run(*words, env=env or self.env, cwd=self.folder)


def now() -> datetime:
    """The time, in UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251
