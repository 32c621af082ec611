"""A running core whose training program misbehaves: nothing of it serves, and the trace of the decision says why."""

import json
import sys
from pathlib import Path

import pytest

from healerd.client.traces import trace
from healerd.config import Config, parse_config
from healerd.model import IntentState, Stage
from tests.healerd.daemon.loop import NAME, Loop

S = IntentState
MODEL = "os.environ['HEALERD_MODEL']"
DUMPS = (
    "import os, numpy as np, skops.io\nfrom sklearn.dummy import DummyRegressor\n"
    "m = DummyRegressor(strategy='constant', constant={value}).fit(np.ones((9, {columns})), np.full(9, 5.0))\n"
    f"skops.io.dump(m, {MODEL} + '.skops')"
)
BAD = {
    "writes nothing": ("", "ended well and wrote no model"),
    "fails": ("raise SystemExit('no such column')", "exit code 1: no such column"),
    "a worse model": (DUMPS.format(value=7.0, columns=2), "no sure gain"),
    "a corrupt file": (f"import os; open({MODEL} + '.skops', 'w').write('rubbish')", "cannot be loaded"),
    "a wrong shape": (
        "import os, numpy as np, skops.io\nfrom sklearn.linear_model import LinearRegression\n"
        f"x = np.ones((9, 5)); skops.io.dump(LinearRegression().fit(x, x[:, 0]), {MODEL} + '.skops')",
        "5 features",
    ),
    "prints without end": (
        "import os\nfor _ in range(800): os.write(1, b'x' * 65536)\nraise SystemExit('\\nthat was it')",
        "that was it",
    ),
    "forks and hangs": (
        "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(600)",
        "killed at its deadline of 1 s",
    ),
    "fills the disk": (f"import os; open({MODEL} + '.skops', 'wb').write(b'x' * 9_000_000)", "too large"),
}


class Bad(Loop):
    """A loop whose retraining is a command."""

    code: str

    @property
    def config(self) -> Config:
        text = super().config_text.replace(
            'entry = "tests.healerd.daemon.loop:fit"',
            f"command = {json.dumps([sys.executable, '-c', self.code])}\ndeadline = {1 if 'fork' in self.code else 60}"
            "\noutput_mb = 5",
        )
        return parse_config(text, path=self.folder / "healerd.toml")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_training_serves_nothing_and_stands_in_the_trace(tmp_path: Path, kind: str) -> None:
    """The retraining fails or is refused with its reason, which the decision's trace tells; what served goes on."""
    code, said = BAD[kind]
    loop = Bad.__new__(Bad)
    loop.code = code
    loop.__init__(tmp_path)  # type: ignore[misc]
    loop.trust(Stage.LIVE)
    loop.play(3)
    while not loop.intents(action="retrain"):
        loop.play(turned=True)
    loop.wait()
    for _ in range(5):
        if loop.intents(action="retrain")[0].state in {S.FAILED, S.REFUSED}:
            break
        loop.play(turned=True)
    intent = loop.intents(action="retrain")[0]
    assert (intent.state, said in intent.reason) == (S.REFUSED if "worse" in kind else S.FAILED, True), intent.reason
    assert loop.active == "first"
    told = trace(loop.core.store, [NAME], loop.clock.now(), {"id": intent.decision_id})
    assert said in json.dumps(told), "the trace tells what came of the decision"
    assert said in " ".join(str(leaf.record) for leaf in loop.core.store.leaves(kind="intent"))
    assert loop.core.store.verify().problem is None
    loop.core.close()
