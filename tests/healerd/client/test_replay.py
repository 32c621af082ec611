"""The past, looked at again: what was shown then is shown now."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Replay
from healerd.errors import ConfigError, ControlError, StoreError
from tests.healerd.client.conftest import Past


@pytest.fixture
def replay(past: Past) -> Replay:
    return Replay(past.state)


def test_a_replay_shows_what_was_shown_then(past: Past, replay: Replay) -> None:
    """At each leaf after which somebody looked, every pipeline and every intent stands as it stood."""
    assert len(past.seen) > 10
    for seq, shown in past.seen:
        replay.go(seq)
        now = replay.status()
        then = shown["status"]
        assert (now["head"], now["stop_revision"]) == (seq, then["stop_revision"])
        assert replay.intents(all_states=True) == shown["intents"]
        for row, before in zip(now["pipelines"], then["pipelines"], strict=True):
            # The clock of a replay is that of the leaf, and the people's was a moment later.
            assert row | {"state": "", "cooldown_until": ""} == before | {"state": "", "cooldown_until": ""}


def test_the_end_of_a_replay_is_the_present(past: Past, replay: Replay, name: str) -> None:
    """At the last leaf nothing differs from the folder itself."""
    client = past.client
    assert replay.timeline(name) == client.timeline(name)
    assert replay.versions(name) == client.versions(name)
    assert replay.distributions(name) == client.distributions(name)
    assert replay.audit() == client.audit()
    assert replay.rules(name)["sources"] == client.rules(name)["sources"]


def test_nothing_is_known_before_it_happened(replay: Replay, name: str) -> None:
    """At every leaf the log ends there, and no decision, version or window is from a later one."""
    for seq in range(1, replay.last_seq + 1, 37):
        replay.go(seq)
        assert replay.audit(limit=1)["entries"][0]["seq"] == seq
        traces = replay.traces(limit=1000)["traces"]
        assert all(trace["seq"] <= seq for trace in traces)
        if replay.status()["pipelines"]:
            assert len(replay.timeline(name)["windows"]) <= len(traces)


def test_it_goes_from_leaf_to_leaf_and_stays_at_the_ends(replay: Replay) -> None:
    """A step is one leaf; there is nothing before the first and after the last."""
    replay.go(5)
    assert (replay.step().seq, replay.step(-2).seq, replay.step(-99).seq) == (6, 4, 1)
    assert replay.go(replay.last_seq).step(1).seq == replay.last_seq


def test_a_time_is_the_newest_leaf_by_then(replay: Replay) -> None:
    """Going to the time of a leaf shows what was written at that time, and a time before all shows the first."""
    replay.go(40)
    at = replay.now
    replay.at(at)
    assert replay.now == at
    assert replay.step(1).now > at
    assert replay.at("1999-01-01").seq == 1
    assert replay.at(datetime.fromisoformat(replay.last_at)).seq == replay.last_seq
    with pytest.raises(ConfigError, match="`noon` is no time"):
        replay.at("noon")


def test_a_replay_changes_nothing(past: Past, tmp_path: Path, name: str) -> None:
    """Moving about leaves the file as it was, byte by byte, and the log sound."""
    file = tmp_path / "copy.db"
    shutil.copy(past.state / "healerd.db", file)
    before = file.read_bytes()
    replay = Replay(file)
    for seq in (1, 60, 20):
        replay.go(seq).distributions(name) if replay.go(seq).status()["pipelines"] else None
    assert replay.verify()["sound"]
    assert replay.status()["daemon"]["state"] == "replay"
    replay.close()
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db"]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """No file, and a file that is none of ours, are errors that say so."""
    with pytest.raises(ControlError, match="name a state folder"):
        Replay(tmp_path)
    (tmp_path / "healerd.db").write_bytes(b"this is no database, and long enough to be looked at as one " * 40)
    with pytest.raises(StoreError, match="damaged"):
        Replay(tmp_path)


def test_an_export_replays_as_the_folder_it_came_from(past: Past, replay: Replay, name: str, tmp_path: Path) -> None:
    """At every moment an exported log shows what the database shows, but for profiles and what a pipeline keeps aside
    (its actions, its registry), which are in no export."""

    def without(status: dict[str, Any]) -> dict[str, Any]:
        rows = [{key: row[key] for key in row if key not in ("actions", "registry")} for row in status["pipelines"]]
        return status | {"daemon": None, "pipelines": rows}

    with past.client.open_store() as reader:
        reader.export(tmp_path / "out.db")
    exported = Replay(tmp_path / "out.db")
    for seq in range(1, replay.last_seq + 1, 61):
        replay.go(seq)
        exported.go(seq)
        assert without(exported.status()) == without(replay.status())
        assert exported.traces() == replay.traces()
        assert exported.audit() == replay.audit()
    end = replay.go(replay.last_seq), exported.go(exported.last_seq)
    assert exported.timeline(name) == replay.timeline(name)
    assert exported.rules(name)["sources"] == replay.rules(name)["sources"]
    assert exported.verify()["sound"] is True
    assert [each.seq for each in end] == [replay.last_seq] * 2
    exported.close()
    with past.client.open_store() as reader:
        reader.export(tmp_path / "part.db", pipelines=("none",))
    with pytest.raises(StoreError, match="is a part of a log"):
        Replay(tmp_path / "part.db")
