"""Alerts of other monitoring: who may tell them, what is refused, and what rules see of them, for how long."""

import asyncio
import contextlib
import getpass
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from healerd.client.reproduce import reproduce
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.alerting import KEPT_MAX, outside
from healerd.daemon.app import RunExit, run
from healerd.daemon.metrics import Metrics
from healerd.daemon.outlook import Outlook
from healerd.daemon.recording import MemoryStore, RecordingCore
from healerd.daemon.situations import situation_of
from healerd.daemon.supervised import Progress
from healerd.daemon.webhook import BODY_MAX, Webhook, read_token
from healerd.decision import facts
from healerd.errors import ConfigError, SourceError
from healerd.listen_settings import AlertsSettings
from healerd.model import Decision, Incident, Intent, IntentState
from healerd.settings import Duration
from healerd.sources.alertmanager import ALERTS_MAX, Message, read_message
from tests.healerd.daemon.loop import NAME, RULES, Loop
from tests.healerd.daemon.test_app import ScriptedCore, send
from tests.healerd.daemon.test_metrics import free_port
from tests.served import NOW, served

TOKEN = "0123456789abcdef0123456789abcdef"
EXPIRE = timedelta(hours=5)
NOBODY, ME = -2, getpass.getuser()
MORE = """
[listen.alerts]
expire = "5h"
"""
GUARDED = f"""{RULES}
metric alerts_firing: count
forbid while_others_mend: retrain
  when alerts_firing > 0
  because "the service around the model is being mended"
"""


def an_alert(name: str = "NodeDown", *, firing: bool = True, at: datetime = NOW, **labels: str) -> dict[str, Any]:
    """One alert of a notification, as Alertmanager writes it."""
    return {
        "status": "firing" if firing else "resolved",
        "labels": {"alertname": name, "pipeline": NAME, "severity": "page", **labels},
        "annotations": {"summary": "a node is down"},
        "startsAt": at.isoformat().replace("+00:00", "Z"),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": "3a1b",
    }


def a_message(*alerts: dict[str, Any], **changed: Any) -> bytes:
    """A notification, as Alertmanager writes it."""
    told = {
        "version": "4",
        "groupKey": '{}:{alertname="NodeDown"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "healerd",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts),
    }
    return json.dumps({**told, **changed}).encode()


# Who may tell, and what is refused.


def doors(tmp_path: Path, **settings: Any) -> tuple[Starlette, RecordingCore]:
    """What a daemon with these settings of `[listen.alerts]` shows on its loopback address."""
    clock = ManualClock(NOW)
    core = RecordingCore(MemoryStore(clock), clock, stop_file=tmp_path / "STOP")
    outlook = Outlook(
        metrics=Metrics(pipelines=(), describe=dict, queues=dict, budget=1.0),
        store=core.store,
        clock=clock,
        describe=dict,
        progress=Progress(0.0),
        webhook=Webhook(core, AlertsSettings(**settings), folder=tmp_path) if settings else None,
    )
    return outlook.app(), core


def post(app: Starlette, body: bytes, shown: str | None = f"Bearer {TOKEN}") -> httpx.Response:
    """Send a notification, showing a token."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://healerd") as client:
            return await client.post("/alerts", content=body, headers={"authorization": shown} if shown else {})

    return asyncio.run(ask())


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def heard(core: RecordingCore) -> list[Message]:
    return [call[1] for call in core.calls if call[0] == "hear_alerts"]


def test_whoever_shows_the_token_is_heard(tmp_path: Path, token: Path) -> None:
    """A notification with the token is taken, and its author is the sender, not what it claims."""
    app, core = doors(tmp_path, token_file="token")
    told = post(app, a_message(an_alert()))
    assert (told.status_code, told.json()["taken"]) == (200, 1)
    assert core.calls[-1][2] == "alertmanager"
    token.write_text("another-token-0123456789")  # it is read anew: no restart
    assert post(app, b"").status_code == 401


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_whoever_does_not_is_turned_away(tmp_path: Path, token: Path, shown: str | None) -> None:
    """Without the right token nothing is read, and the answer says how to ask."""
    app, core = doors(tmp_path, token_file="token")
    told = post(app, a_message(an_alert()), shown)
    assert (told.status_code, told.headers["www-authenticate"], heard(core)) == (401, "Bearer", [])


def test_nothing_is_taken_by_default(tmp_path: Path) -> None:
    """Without the table there is no door, and without a token none on the address."""
    for settings in ({}, {"label": "pipeline"}):
        app, core = doors(tmp_path, **settings)
        assert post(app, a_message(an_alert())).status_code in (404, 405)
        assert heard(core) == []
    with served(tmp_path) as daemon:
        assert at_socket(daemon.socket, a_message(an_alert())).status_code in (404, 405)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda file: file.unlink(), "cannot be read"),
        (lambda file: file.chmod(0o604), "open to everybody"),
        (lambda file: file.write_text("short"), "16 characters"),
        (lambda file: file.write_bytes(b"\xff" * 40), "cannot be read"),
    ],
    ids=["gone", "open", "short", "no text"],
)
def test_a_token_that_is_none_ends_the_start(tmp_path: Path, token: Path, write: Any, said: str) -> None:
    """A token that cannot be read, that everybody can read, or that can be guessed is named with its mend."""
    write(token)
    with pytest.raises(ConfigError, match=said):
        doors(tmp_path, token_file="token")
    with pytest.raises(ConfigError, match="token_file"):
        read_token(token)


def test_a_token_that_goes_away_later_lets_nobody_in(tmp_path: Path, token: Path) -> None:
    """While the token cannot be read the sender is told to come again, and nothing is taken."""
    app, core = doors(tmp_path, token_file="token")
    token.unlink()
    told = post(app, a_message(an_alert()))
    assert (told.status_code, heard(core)) == (503, [])


def at_socket(socket: Path, body: bytes) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client:
        return client.post("http://healerd/v1/alerts", content=body)


@pytest.mark.parametrize(
    ("roles", "status"), [({}, 403), ({"operator": [f"user:{ME}"]}, 200)], ids=["viewer", "operator"]
)
def test_at_the_control_socket_the_role_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roles: dict[str, list[str]], status: int
) -> None:
    """An operator may tell of alerts and is their author; who may only look may not."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)  # tests may run as root, who may everything
    with served(tmp_path, roles=roles, owner_uid=NOBODY, alerts=AlertsSettings()) as daemon:
        told = at_socket(daemon.socket, a_message(an_alert()))
        assert told.status_code == status
        assert len(heard(daemon.core)) == (status == 200)
        if status == 200:
            assert daemon.core.calls[-1][2] == ME
            assert at_socket(daemon.socket, b"{").status_code == 400


def test_a_running_daemon_opens_both_doors(tmp_path: Path, token: Path) -> None:
    """With the table a daemon takes alerts at address and socket; a token that is gone ends the next start."""
    port, told = free_port(), {}

    def tell_twice(core: ScriptedCore) -> None:
        shown = {"authorization": f"Bearer {TOKEN}"}
        told["address"] = httpx.post(f"http://127.0.0.1:{port}/alerts", content=a_message(an_alert()), headers=shown)
        told["socket"] = at_socket(tmp_path / "control.sock", a_message(an_alert()))

    text = f'[daemon]\nstate = "."\ntick = "50ms"\n[listen]\naddress = "127.0.0.1:{port}"\n'
    config = parse_config(f'{text}[listen.alerts]\ntoken_file = "token"\n', path=tmp_path / "healerd.toml")
    clock = ManualClock(NOW)
    core = ScriptedCore(clock, [tell_twice, send(15), lambda core: None])
    assert run(config, open_core=lambda config, clock: core, clock=clock) is RunExit.OK
    assert {name: answer.status_code for name, answer in told.items()} == {"address": 200, "socket": 200}
    assert [call[2] for call in core.calls if call[0] == "hear_alerts"] == ["alertmanager", ME]
    token.unlink()
    core = ScriptedCore(clock, [])
    assert run(config, open_core=lambda config, clock: core, clock=clock) is RunExit.CONFIGURATION


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not a notification"),
        (b"[]", "expected `object`"),
        (b"\xff\xfe", "not a notification"),
        (a_message(version="3"), "version"),
        (a_message(alerts={}), "alerts"),
        (a_message({**an_alert(), "status": "loud"}), "status"),
        (a_message({**an_alert(), "startsAt": "yesterday"}), "startsAt"),
        (a_message({**an_alert(), "startsAt": "2026-01-01T00:00:00"}), "no time zone"),
        (a_message({**an_alert(), "labels": {"alertname": 1}}), "labels"),
        (a_message({**an_alert(), "labels": {}}), "alertname"),
        (a_message(an_alert("x" * 201)), "alertname"),
        (a_message(*[an_alert()] * (ALERTS_MAX + 1)), "max_alerts"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_no_notification_is_named(tmp_path: Path, token: Path, body: bytes, said: str) -> None:
    """A malformed message is refused with the place, changes nothing, and is not asked for again."""
    app, core = doors(tmp_path, token_file="token")
    told = post(app, body)
    assert (told.status_code, heard(core)) == (400, [])
    assert said in told.json()["error"]["message"]


def test_a_message_that_is_too_big_is_not_read(tmp_path: Path, token: Path) -> None:
    """Of a body beyond the limit no more is read than the limit; the mend is named."""
    app, core = doors(tmp_path, token_file="token")
    told = post(app, b" " * (BODY_MAX + 1))
    assert (told.status_code, heard(core)) == (413, [])
    assert "max_alerts" in told.json()["error"]["message"]


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.floats() | st.integers(), st.lists).map(
        lambda tree: json.dumps({"version": "4", "alerts": tree}).encode()
    )
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever comes in is a notification or an error with a reason, and nothing else."""
    with contextlib.suppress(SourceError):
        assert isinstance(read_message(body, label="pipeline"), Message)


def test_the_time_of_prometheus_is_read_to_the_nanosecond() -> None:
    """Times as Go writes them, with nanoseconds and a zone, are read."""
    told = {**an_alert(), "startsAt": "2026-05-07T14:17:00.123456789+02:00"}
    (alert,) = read_message(a_message(told), label="pipeline").alerts
    assert alert.started_at.replace(microsecond=0) == datetime.fromisoformat("2026-05-07T12:17:00+00:00")


# What rules see of them.


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    found = Loop(tmp_path, more=MORE)
    yield found
    found.core.close()


def tell(loop: Loop, *alerts: dict[str, Any], **changed: Any) -> dict[str, Any]:
    message = read_message(a_message(*alerts, **changed), label="pipeline")
    return dict(loop.core.hear_alerts(message, author="alertmanager"))


def now(loop: Loop, name: str) -> Any:
    """A fact of the decision on the window that ends now."""
    loop.play()
    situation = situation_of(loop.decision())
    assert situation is not None
    return facts(situation)[name]


def test_an_alert_is_a_fact_and_no_incident(loop: Loop) -> None:
    """What fires is counted, in all and by name, with its age; no incident opens, and no metric is made of it."""
    began = loop.clock.now() - timedelta(minutes=10)
    assert (
        tell(loop, an_alert(at=began), an_alert("Slow", at=began, pod="a"), an_alert("Slow", at=began, pod="b"))["news"]
        == 3
    )
    assert now(loop, "alerts_firing") == 3
    situation = situation_of(loop.decision())
    assert situation is not None
    found = facts(situation)
    assert found["alert_firing"] == {"NodeDown": 1.0, "Slow": 2.0}
    assert found["alert_age"] == {"NodeDown": 4200.0, "Slow": 4200.0}
    assert found["operation_value"] == {}
    assert loop.decision().trace["alarms"]["operations"] is None
    assert loop.core.store.find(Incident) == ()


def test_what_is_resolved_fires_no_more(loop: Loop) -> None:
    """A resolved alert is known not to fire, and a late copy of its first message does not bring it back."""
    began = loop.clock.now()
    tell(loop, an_alert(at=began))
    assert now(loop, "alerts_firing") == 1
    assert tell(loop, an_alert(at=began, firing=False))["news"] == 1
    assert tell(loop, an_alert(at=began))["news"] == 0
    assert now(loop, "alerts_firing") == 0
    assert tell(loop, an_alert(at=loop.clock.now()))["news"] == 1
    assert now(loop, "alerts_firing") == 1


def test_a_message_that_comes_twice_counts_once(loop: Loop) -> None:
    """A repeated notification writes no second entry about the alert, and leaves its age as it was."""
    began = loop.clock.now()
    for _ in range(3):
        tell(loop, an_alert(at=began))
    assert len(loop.core.store.leaves(kind="alert heard")) == 1
    assert now(loop, "alert_age") == {"NodeDown": 3600.0}


def test_an_alert_about_nobody_is_said_and_left_out(loop: Loop) -> None:
    """Another pipeline's alert, or one about none, changes no count; `*` is about every pipeline."""
    told = tell(loop, an_alert(pipeline="frauds"), {**an_alert(), "labels": {"alertname": "Watchdog"}})
    assert (told["taken"], told["unknown_pipelines"]) == (0, ["frauds"])
    assert now(loop, "alerts_firing") == 0
    tell(loop, an_alert(pipeline="*"))
    assert now(loop, "alerts_firing") == 1


def test_silence_is_unknown(loop: Loop) -> None:
    """Before anything was heard, and when nothing was for the whole time that it counts, nobody can tell."""
    assert now(loop, "alerts_firing") is None
    tell(loop, an_alert("Watchdog", pipeline="none"))
    assert [now(loop, "alerts_firing") for _ in range(6)] == [0, 0, 0, 0, 0, None]


def test_an_alert_that_nobody_repeats_is_unknown_and_then_forgotten(loop: Loop) -> None:
    """While others are heard, one that is neither repeated nor resolved is unknown for a while, and then over."""
    tell(loop, an_alert(at=loop.clock.now()))
    seen = []
    for _ in range(11):
        tell(loop, {**an_alert(), "labels": {"alertname": "Watchdog"}})
        seen.append(now(loop, "alerts_firing"))
    assert seen == [1] * 5 + [None] * 5 + [0]


def test_alerts_left_out_of_a_message_make_it_unknown(loop: Loop) -> None:
    """A sender that cuts its message short is not believed to have told everything; nor are too many alerts kept."""
    tell(loop, truncatedAlerts=3)
    assert now(loop, "alerts_firing") is None
    loop.clock.advance_to(loop.clock.now() + EXPIRE)
    loop.run()
    tell(loop)
    assert now(loop, "alerts_firing") == 0
    for part in range(3):
        tell(loop, *(an_alert(number=f"{part}-{number}") for number in range(ALERTS_MAX)))
    assert 3 * ALERTS_MAX > KEPT_MAX
    assert now(loop, "alerts_firing") is None


def test_named_alerts_are_known_to_be_quiet(tmp_path: Path) -> None:
    """An alert that the pipeline's settings name is told as 0 before it ever fired."""
    loop = Loop(tmp_path, more=MORE)
    loop.core.pipelines[NAME].settings.alerts.append("Slow")
    tell(loop)
    assert now(loop, "alert_firing") == {"Slow": 0.0}
    tell(loop, an_alert("Slow", at=loop.clock.now()))
    assert now(loop, "alert_firing") == {"Slow": 1.0}


def test_what_was_heard_outlives_the_process(loop: Loop) -> None:
    """A daemon that is started anew knows what fires; how long it was heard ago goes on counting."""
    tell(loop, an_alert(at=loop.clock.now()))
    loop.reopen()
    assert now(loop, "alerts_firing") == 1
    loop.clock.advance_to(loop.clock.now() + EXPIRE)
    loop.reopen()
    assert now(loop, "alerts_firing") is None


def test_a_clock_that_was_set_back_is_not_trusted(loop: Loop) -> None:
    """What was heard in the future says nothing about now."""
    tell(loop)
    told = [
        outside(loop.core.store, NAME, names=(), expire=EXPIRE, now=loop.clock.now() + timedelta(minutes=minutes))
        for minutes in (0, -1, -2)
    ]
    assert [one.value for (one,) in told] == [0, 0, None]


def test_decisions_with_alerts_are_reproduced(loop: Loop) -> None:
    """Each decision is decided again as it was, from its trace alone."""
    tell(loop, an_alert(at=loop.clock.now()))
    loop.play(2)
    tell(loop, an_alert(at=loop.clock.now(), firing=False))
    loop.play(2)
    found = list(reproduce(loop.core.store, loop.core.store.find(Decision)))
    assert [one.problem for one in found] == [""] * 4
    assert loop.core.store.verify().problem is None


def test_s7_an_alert_reaches_an_intent_that_waits(tmp_path: Path) -> None:
    """An alert that fires after a heal was announced holds it at the last moment, though no window was judged since."""
    loop = Loop(tmp_path, rules=GUARDED, more=MORE)
    loop.trust()
    announced = ill(loop)
    assert announced.state is IntentState.ANNOUNCED
    tell(loop, an_alert(at=loop.clock.now()))
    loop.wait()
    held = loop.intent("retrain")
    assert (held.state, held.executed_at) == (IntentState.WITHDRAWN, None)
    assert "while_others_mend" in held.reason


def ill(loop: Loop) -> Intent:
    """Play until a retraining is announced, while the other monitoring says that nothing fires."""
    for turned in (False, False, False, True, True, True, True):
        tell(loop)
        loop.play(turned=turned)
        if loop.intents(action="retrain"):
            return loop.intent("retrain")
    raise AssertionError("nothing was announced")


def test_the_settings_are_checked(tmp_path: Path) -> None:
    """A table with a slip is named with what it must be."""
    for text, said in (("expire = '1s'", "from 1m to 30d"), ("label = ''", "label"), ("tokn_file = 'x'", "token_file")):
        with pytest.raises(ConfigError, match=said):
            parse_config(f"[listen.alerts]\n{text}\n", path=tmp_path / "healerd.toml")
    assert parse_config("", path=tmp_path / "healerd.toml").listen.alerts is None
    assert AlertsSettings().expire == Duration(18000)
