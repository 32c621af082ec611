"""Peers live apart: what they answer is taken, what keeps them from answering is said, never raised."""

import sys
from pathlib import Path

from experiments.bench.detection import SMALL, against_report
from experiments.environments import ask, environment


def a_script(folder, text):
    path = folder / "peer.py"
    path.write_text(text)
    return path


def test_a_peer_is_asked_in_json_and_answers_in_json(tmp_path):
    """The last line a peer prints is its answer, whatever it says before."""
    script = a_script(
        tmp_path, "import json, sys; asked = json.load(sys.stdin); print('hm'); print(json.dumps({'b': asked['a']}))"
    )
    assert ask(Path(sys.executable), script, {"a": 7}) == ({"b": 7}, "")


def test_a_peer_that_breaks_is_a_reason(tmp_path):
    """A peer that cannot be imported gives no answer and its last line."""
    answer, reason = ask(Path(sys.executable), a_script(tmp_path, "import no_such_peer"), {})
    assert answer is None
    assert "no_such_peer" in reason


def test_a_peer_knows_nothing_of_the_project(tmp_path, monkeypatch):
    """The project's path is not handed on."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    script = a_script(tmp_path, "import json, os; print(json.dumps({'path': os.environ.get('PYTHONPATH')}))")
    assert ask(Path(sys.executable), script, {}) == ({"path": None}, "")


def test_what_cannot_be_installed_is_a_reason_and_no_win(tmp_path, monkeypatch):
    """A requirement that is none gives no environment, the reason, and a line that is neither held nor failed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    python, reason = environment("nannyml", ["not a requirement"])
    assert python is None
    assert "not a requirement" in reason
    monkeypatch.setattr("experiments.bench.detection.PEERS", {"nannyml": ("not a requirement",)})
    line = against_report("nannyml", SMALL, 1.0, 10.0)
    assert line["held"] is None
    assert "not a requirement" in line["skipped"]


def test_an_environment_is_made_once(tmp_path, monkeypatch):
    """One whose stamp says what is wanted is taken as it is, and not made again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "healerd-bench" / f"peer-{sys.version_info.major}.{sys.version_info.minor}"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").touch()
    (place / "installed").write_text("peer==1")
    assert environment("peer", ["peer==1"]) == (place / "bin" / "python", "")
