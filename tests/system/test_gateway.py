"""The whole loop around the gateway: it serves and records, the daemon sees harm and heals, the gateway swaps."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.actions import Draft, FolderRegistry
from healerd.actions.model_files import ModelFiles
from healerd.columns import Predictions
from healerd.model import VersionKind
from healerd.segments.spool import SUBSTITUTE, SpoolWriter
from healerd.store import ReadStore
from tests.system.installation import HEALERD, MODELS, Installation, end, write_reference

ROWS, PAUSE_S = 25, 0.25
CONFIG = """
[daemon]
state = "state"
tick = "200ms"

[serving]
port = 0
flush = "0s"
poll = "100ms"

[pipeline.spam]
window = "2s"
label_horizon = "2s"
start = {start}
allow_pickle = true
rules = ["my.heal"]
source = {{ kind = "gateway", path = "state/served/spam", id = "id", label = "label", features = ["x"] }}
reference = {{ path = "reference.csv" }}

[pipeline.spam.healing]
rows_min = 50
choose_rows = 50
"""
RULES = 'import "base"\npropose back: rollback when alarm(harm) priority 50 severity high\n'
WHY = ("--reason", "it is upside down")
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class Traffic:
    """Requests of `spam` and their labels, ROWS every PAUSE_S; remembers every id that was answered, and by whom."""

    def __init__(self) -> None:
        self.url, self.flipped = "http://127.0.0.1:9", False
        self.answered: dict[str, str] = {}
        self.newest = ""
        self._rng, self._ends = np.random.default_rng(7), threading.Event()  # noqa: TID251
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(PAUSE_S):
            with contextlib.suppress(OSError, http.client.HTTPException):  # while the gateway is away
                self._send()

    def _send(self) -> None:
        x = self._rng.normal(size=ROWS).tolist()
        inputs = [{"name": "x", "datatype": "FP64", "shape": [ROWS], "data": x}]
        said = self._post("/v2/models/spam/infer", {"inputs": inputs, "outputs": [{"name": "prediction_id"}]})
        ids, self.newest = said["outputs"][0]["data"], said["model_version"]
        self.answered |= dict.fromkeys(ids, self.newest)
        labels = [{"id": id_, "label": float((value > 0) ^ self.flipped)} for id_, value in zip(ids, x, strict=True)]
        assert self._post("/labels", {"labels": labels})["accepted"] == ROWS

    def _post(self, path: str, body: object) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def serving(here: Installation, traffic: Traffic) -> Iterator["subprocess.Popen[str]"]:
    """Run the gateway until the block ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    gateway = subprocess.Popen(
        [*HEALERD, "serve", "--log", "plain"], cwd=here.folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert gateway.stderr is not None
    try:
        line = ""
        while "http://" not in line:
            line = gateway.stderr.readline()
            assert line, "the gateway ended"
        traffic.url = line[line.index("http://") :].strip()
        yield gateway
    finally:
        gateway.kill()
        gateway.wait()
        gateway.stderr.close()


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    """A model that serves, one with the other sign beside it, and what the daemon needs."""
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "my.heal").write_text(RULES)
    start = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251
    start += timedelta(seconds=start.second % 2)
    write_reference(tmp_path, start - timedelta(hours=60), every_s=PAUSE_S / ROWS)
    (tmp_path / "healerd.toml").write_text(CONFIG.format(start=start.isoformat()))
    sys.path.insert(0, str(tmp_path))
    try:
        import models

        registry = FolderRegistry(tmp_path / "state/registry/spam", "spam", files=ModelFiles(allow_pickle=True))
        for name, sign in (("upward", 1.0), ("downward", -1.0)):
            registry.add(models.Threshold(sign), Draft(name=name, kind=VersionKind.MODEL, created_at=start))
        registry.set_alias("upward", if_current=None, key="first", epoch=0, by="test", at=start)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("models", None)
    return Installation(tmp_path)


@pytest.mark.slow
def test_harm_is_seen_healed_and_the_gateway_swaps_with_nothing_lost(here: Installation) -> None:
    """The daemon sees harm, asks, and moves the alias; the gateway follows. Both are killed on the way, and every row
    that was answered is stored once, as it was answered."""
    with Traffic() as traffic:
        with serving(here, traffic) as gateway, here.running() as daemon:
            here.wait_for(lambda: len(stored(here)) > 100, daemon)
            assert traffic.newest == "upward"
            gateway.kill()
            end(daemon, signal.SIGKILL)
        with serving(here, traffic), here.running() as daemon:
            traffic.flipped = True
            question = here.wait_for_question(daemon)
            assert question["action"] == "rollback"
            approved = here.call("approve", question["id"], "--if-rev", str(question["revision"]), *WHY)
            assert approved.code == 0, approved.err
            here.wait_for(lambda: traffic.newest == "downward", daemon)
            seen = dict(traffic.answered)
            here.wait_for(lambda: seen.keys() <= stored(here).keys(), daemon)
            assert end(daemon) == 0
    found = stored(here)
    assert {id_: found[id_] for id_ in seen} == seen
    assert len(found.keys() - traffic.answered.keys()) <= ROWS, "but for the request that was in flight at the kill"
    assert here.call("audit", "verify").code == 0


@pytest.mark.slow
def test_what_was_lost_or_substituted_is_in_the_record_of_the_daemon(here: Installation) -> None:
    """Rows that the gateway could not keep, and rows that no model answered, are told in the audit log."""
    at = np.array([datetime.now(UTC).replace(tzinfo=None)], "datetime64[us]")  # noqa: TID251
    writer = SpoolWriter(here.state / "served/spam", "00")
    at += np.timedelta64(4, "s")
    writer.add_lost(17, at)
    unanswered = Predictions(
        ids=np.array(["00-1"], object),
        at=at,
        version=np.array([SUBSTITUTE], object),
        output=np.zeros(1),
        label=np.full(1, np.nan),
        features={"x": np.zeros(1)},
    )
    writer.add_rows(unanswered, last_number=1)
    writer.flush()
    writer.close()
    with Traffic() as traffic, serving(here, traffic), here.running() as daemon:
        here.wait_for(lambda: "lost 17" in here.call("audit", "list", "--kind", "irregular rows", "--json").out, daemon)
        assert end(daemon) == 0
    told = here.call("audit", "list", "--kind", "irregular rows", "--json").json
    assert "lost 17" in json.dumps(told)
    assert "substituted 1" in json.dumps(told)


def stored(here: Installation) -> dict[str, str]:
    """Every row in the daemon's segments, with the version that answered it."""
    store = ReadStore.open(here.state)
    try:
        rows = store.rows("spam", *EVER, as_of=EVER[1])
    finally:
        store.close()
    assert len(set(rows.ids)) == len(rows)
    return dict(zip(rows.ids, rows.version, strict=True))
