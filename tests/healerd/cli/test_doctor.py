"""`healerd doctor`: each thing that can be wrong is found, named, and mended where that is safe."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Client
from healerd.client.checks import CHECKS, examine
from healerd.client.findings import FIXES
from healerd.client.soundness import try_channels
from healerd.clock import ManualClock, SystemClock
from healerd.config import load_config
from healerd.daemon.alerting import hear
from healerd.model import Reference
from healerd.sources.alertmanager import Message
from healerd.store import Store
from tests.healerd.cli.conftest import Called
from tests.healerd.store.records import EACH

Call = Callable[..., Called]
CONFIG = """
[daemon]
state = "state"
{daemon}
[pipeline.p]
source = {{ path = "rows.csv", id = "id", label = "label" }}
{pipeline}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("id,time,x,prediction,label\n1,2026-01-01T00:00:00,1.0,yes,yes\n")
    configure(tmp_path)
    Store.open(tmp_path / "state", clock=SystemClock()).close()
    return tmp_path


def configure(place: Path, *, daemon: str = "", pipeline: str = "") -> None:
    (place / "healerd.toml").write_text(CONFIG.format(daemon=daemon, pipeline=pipeline))


def found(place: Path, check: str, clock: Any = None) -> dict[str, str]:
    """What one check says, by level."""
    config = load_config(place / "healerd.toml")
    skip = set(CHECKS) - {check}
    return {f.level: f.said for f in examine(Client(config.state), config, clock=clock, skip=skip)}


def test_a_sound_installation_is_healthy(call: Call, place: Path) -> None:
    """Every check runs on a fresh installation, none fails, and the report is JSON with a schema."""
    told = call("doctor", "--config", place / "healerd.toml", "--json")
    assert told.code == 0, told.out
    assert told.json["schema"] == 1
    checked = {row["check"] for row in told.json["findings"]}
    assert {"python", "sqlite", "disk", "clock", "roles", "rules", "proofs", "source", "models", "reference"} <= checked
    assert all(row["mend"] for row in told.json["findings"] if row["level"] != "ok")


def test_a_registry_without_a_version_waits_for_the_first_model(place: Path) -> None:
    """Before the first start a registry that is there holds no version: a warning where one is configured, else not."""
    (place / "state" / "registry" / "p").mkdir(parents=True)
    assert set(found(place, "registries")) == {"fail"}
    (place / "model.skops").touch()
    configure(place, pipeline='model = "model.skops"')
    assert found(place, "registries") == {"warn": "`p`: no version is active yet"}


def test_a_clock_behind_the_record_fails(place: Path) -> None:
    """A record in the future says that the clock was set back."""
    assert "ok" in found(place, "clock") or "warn" in found(place, "clock")
    past = ManualClock(SystemClock().now() - timedelta(hours=1))
    assert "set back" in found(place, "clock", past)["fail"]


def test_people_who_do_not_exist_are_named(place: Path) -> None:
    """A role given to nobody fails; without roles it is a warning; known ones are well."""
    assert "none configured" in found(place, "roles")["warn"]
    configure(place, daemon='roles = { approver = ["group:no-such-group"], viewer = ["root"] }')
    assert "root" in found(place, "roles")["fail"]
    configure(place, daemon='roles = { approver = ["user:root", "group:root"] }')
    assert "2 people" in found(place, "roles")["ok"]


def test_models_that_run_code_are_said(place: Path) -> None:
    """Pickles are a warning where they are allowed and a failure where they are not; safe files are well."""
    (place / "m.joblib").write_bytes(b"m")
    (place / "m.joblib").chmod(0o644)
    configure(place, pipeline='model = "m.joblib"')
    assert "would run code" in found(place, "models")["fail"]
    configure(place, pipeline='model = "m.joblib"\nallow_pickle = true')
    assert "run code" in found(place, "models")["warn"]
    (place / "m.joblib").rename(place / "m.skops")
    configure(place, pipeline='model = "m.skops"')
    assert set(found(place, "models")) == {"ok"}


def test_an_old_reference_is_said(place: Path) -> None:
    """None yet warns, a fresh one is well, one of last year warns with the verb that renews it."""
    assert "none yet" in found(place, "references")["warn"]
    clock = ManualClock(SystemClock().now())
    with Store.open(place / "state", clock=clock) as store, store.transaction() as tx:
        end, reference = clock.now(), next(each for each in EACH if isinstance(each, Reference))
        tx.put(replace(reference, start_at=end - timedelta(days=30), end_at=end))
    assert "ok" in found(place, "references", clock)
    clock.advance(200 * 86400)
    assert "200 days old" in found(place, "references", clock)["warn"]


def test_rules_that_break_the_gate_fail_or_are_not_loaded(place: Path) -> None:
    """The shipped rules are proved; rules that do not compile are left to their own check."""
    pytest.importorskip("z3")
    assert "proved" in found(place, "proofs")["ok"]
    (place / "own.heal").write_text("nonsense\n")
    configure(place, pipeline='rules = ["own.heal"]')
    assert found(place, "proofs") == {}
    assert "fail" in found(place, "rules")


def test_what_is_safe_is_mended(call: Call, place: Path) -> None:
    """--fix closes what stands open and nothing else; a rehearsal only says so; afterwards all is well."""
    model, key, state = place / "m.skops", place / "state" / "audit.key", place / "state"
    model.write_bytes(b"m")
    model.chmod(0o666)
    key.chmod(0o644)
    state.chmod(0o757)
    configure(place, pipeline='model = "m.skops"')
    options = ("doctor", "--config", place / "healerd.toml", "--skip", "proofs", "--skip", "sources", "--json")
    assert call(*options).code == 7
    rehearsed = call(*options, "--fix", "--dry-run")
    assert rehearsed.code == 7
    assert {each["path"] for each in rehearsed.json["fixed"]} == {str(model), str(key), str(state)}
    assert model.stat().st_mode & 0o777 == 0o666
    mended = call(*options, "--fix")
    assert mended.code == 0, json.dumps(mended.json, indent=1)
    assert [path.stat().st_mode & 0o777 for path in (model, key, state)] == [0o644, 0o600, 0o750]
    assert call(*options, "--fix").json["fixed"] == []


@pytest.mark.parametrize("name", FIXES)
@pytest.mark.parametrize("mode", [0o777, 0o644, 0o600, 0o751, 0o000])
def test_a_mend_only_takes_rights_away(tmp_path: Path, name: str, mode: int) -> None:
    """No mend gives anybody a right that they did not have, and the owner keeps theirs."""
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    FIXES[name](file)
    after = file.stat().st_mode & 0o777
    assert after & ~mode == 0
    assert after & 0o700 == mode & 0o700


def test_a_check_that_is_none_is_refused(call: Call, place: Path) -> None:
    """A misspelt check is not silently left out."""
    told = call("doctor", "--config", place / "healerd.toml", "--skip", "prooofs")
    assert (told.code, "there are: python" in told.err) == (2, True)


def test_channels_are_looked_at_and_tried_when_asked(call: Call, place: Path) -> None:
    """Without channels that is said; a test message without any fails, and one that is refused fails too."""
    assert "expires after 24 h" in found(place, "notifications")["warn"]
    told = call("doctor", "--config", place / "healerd.toml", "--skip", "proofs", "--notify", "--json")
    assert told.code == 7
    assert told.json["findings"][-1]["check"] == "test message"
    (place / "urls").write_text("json://localhost\n")
    with (place / "healerd.toml").open("a") as file:
        file.write('[notify]\nurls_file = "urls"\n')
    assert "warn" not in found(place, "notifications")
    config = load_config(place / "healerd.toml")
    takes, refuses = (lambda title, body, taken=taken: taken for taken in (True, False))
    assert try_channels(config, (takes, takes)).level == "ok"
    dead = try_channels(config, (takes, refuses))
    assert (dead.level, dead.said) == ("fail", "address 2 of 2 did not take it")
    with (place / "healerd.toml").open("a") as file:
        file.write('kinds = ["failed"]\n')
    assert "nobody is told of questions" in found(place, "notifications")["warn"]


def test_the_silence_of_alertmanager_is_found(place: Path) -> None:
    """Where alerts are taken, the report says when one was heard last, and what a silence means to rules."""
    assert found(place, "alerts") == {}
    text = (place / "healerd.toml").read_text()
    (place / "healerd.toml").write_text(f'{text}\n[listen.alerts]\nexpire = "2h"\n')
    assert found(place, "alerts") == {"warn": "nothing was ever heard from Alertmanager"}
    at = SystemClock().now()
    with Store.open(place / "state", clock=SystemClock()) as store:
        hear(store, Message(alerts=(), complete=True), pipelines=(), expire=timedelta(hours=2), now=at, author="am")
    assert found(place, "alerts", ManualClock(at + timedelta(hours=1))) == {"ok": "heard from Alertmanager 1h ago"}
    late = found(place, "alerts", ManualClock(at + timedelta(hours=3)))
    assert late == {"warn": "heard from Alertmanager 3h ago: to rules its alerts are unknown"}
