"""Metrics, health and what is shipped over them: every expression speaks of metrics that exist."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import healerd.client
import healerd.daemon
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.alerting import hear
from healerd.daemon.app import run
from healerd.daemon.metrics import METRICS, Metrics
from healerd.daemon.outlook import bind_loopback
from healerd.daemon.recording import MemoryStore
from healerd.errors import ConfigError
from healerd.model import Incident, IntentState, Layer, Measurement, Window
from healerd.sources.alertmanager import Message
from tests.healerd.daemon.test_app import NOON, ScriptedCore, send
from tests.house import pages
from tests.served import a_decision, an_intent

SHIPPED = Path(healerd.client.__file__).parent / "shipped"
NAME = re.compile(r"\bhealerd_\w+")


def described() -> dict[str, Any]:
    return {
        "since": NOON.isoformat(),
        "ticked_at": NOON.isoformat(),
        "tick_s": 0.2,
        "lag_s": 0.01,
        "tick_every_s": 5.0,
        "failed": None,
        "unattended": False,
        "verified": {"sound": True},
    }


@pytest.fixture
def store() -> MemoryStore:
    """Keep a pipeline with an incident, a question, an old heal, and evidence half way to its line."""
    store = MemoryStore(ManualClock(NOON))
    store.put(a_decision(at=NOON, window_start_at=NOON - timedelta(hours=1), window_end_at=NOON))
    store.put(an_intent(created_at=NOON - timedelta(minutes=40), deadline_at=NOON + timedelta(minutes=5)))
    store.put(an_intent(id="act-0", key="k0", state=IntentState.VERIFIED, created_at=NOON - timedelta(days=3)))
    for number, closed in enumerate((NOON, NOON, None)):
        store.put(
            Incident(
                id=f"inc-{number}",
                pipeline="churn",
                kind=Layer.HARM,
                severity=2,
                opened_at=NOON - timedelta(days=2, minutes=-number),
                reason="the error rose",
                opened_by="alarm",
                closed_at=closed,
            )
        )
    with store.transaction() as tx:
        window = Window(pipeline="churn", start_at=NOON - timedelta(hours=1), end_at=NOON)
        evidence = Measurement(name="e", layer=Layer.HARM, value=0.1, n=10, log_evidence=3.0, log_limit=6.0)
        tx.put_measurements(window, [evidence])
        tx.set_watermark("churn", NOON)
    return store


def metrics_of(**changed: Any) -> Metrics:
    valid = {"pipelines": ("churn",), "describe": described, "queues": lambda: {"core": 1}, "budget": 2.0}
    return Metrics(**{**valid, **changed})


def scraped(text: str) -> dict[tuple[str, ...], float]:
    """Parse what is shown with the client library's own parser; labels by their values, in order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_record(store: MemoryStore) -> None:
    """Ages, states, evidence and budget stand as the records say."""
    found = scraped(metrics_of().text(store, NOON + timedelta(seconds=30)).decode())
    assert found[("healerd_tick_age_seconds",)] == 30
    assert found[("healerd_queue_waiting", "core")] == 1
    assert found[("healerd_pipeline_state", "churn", "pending")] == 1
    assert found[("healerd_pipeline_state", "churn", "ok")] == 0
    assert found[("healerd_pending_age_seconds", "churn")] == 40 * 60 + 30
    assert found[("healerd_pending_deadline_seconds", "churn")] == 5 * 60 - 30
    assert found[("healerd_intents_open", "churn", "announced")] == 1
    assert found[("healerd_actions", "retrain", "churn", "verified")] == 1
    assert found[("healerd_evidence_ratio", "harm", "churn")] == 0.5
    assert found[("healerd_window_lag_seconds", "churn")] == 30
    assert found[("healerd_incident_severity", "churn")] == 2
    # Of the two closed incidents one, `inc-1`, had a verified heal: the other may have been a false alarm.
    assert found[("healerd_false_alarm_budget_used_ratio", "churn")] == 1 / 2.0


def test_what_was_read_is_read_again_after_a_leaf(store: MemoryStore) -> None:
    """A new record shows at the next scrape; without one, times go on all the same."""
    metrics = metrics_of()
    before = scraped(metrics.text(store, NOON).decode())
    store.put(an_intent(id="act-9", key="k9", state=IntentState.FAILED, created_at=NOON))
    after = scraped(metrics.text(store, NOON + timedelta(hours=1)).decode())
    assert ("healerd_actions", "retrain", "churn", "failed") not in before
    assert after[("healerd_actions", "retrain", "churn", "failed")] == 1
    assert after[("healerd_window_lag_seconds", "churn")] == 3600


def test_a_fresh_daemon_shows_what_it_can(tmp_path: Path) -> None:
    """Before the first tick and window nothing fails and nothing is made up."""
    empty = MemoryStore(ManualClock(NOON))
    found = scraped(metrics_of(describe=dict, budget=1.0).text(empty, NOON).decode())
    assert found[("healerd_up",)] == 1
    assert ("healerd_tick_age_seconds",) not in found
    assert ("healerd_window_lag_seconds", "churn") not in found


def test_the_silence_of_alertmanager_is_a_number(store: MemoryStore) -> None:
    """Its age counts from the start until something was heard, then from that; where none is taken there is none."""
    age, expire = ("healerd_alerts_heard_age_seconds",), ("healerd_alerts_expire_seconds",)
    assert age not in scraped(metrics_of().text(store, NOON).decode())
    metrics = metrics_of(alerts_expire_s=18000.0)
    later = NOON + timedelta(hours=2)
    before = scraped(metrics.text(store, later).decode())
    assert (before[age], before[expire]) == (7200, 18000)
    hear(store, Message(alerts=(), complete=True), pipelines=(), expire=timedelta(hours=5), now=later, author="am")
    assert scraped(metrics.text(store, later + timedelta(seconds=5)).decode())[age] == 5


def test_every_metric_is_named_documented_and_shown(store: MemoryStore) -> None:
    """The table is what is shown, and each name stands in the README of the daemon."""
    told = metrics_of(alerts_expire_s=60.0).text(store, NOON).decode()
    shown = {family.name for family in text_string_to_metric_families(told)}
    assert shown == set(METRICS)
    readme = (Path(healerd.daemon.__file__).parent / "README.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in readme] == []


def expressions() -> Iterator[tuple[str, str]]:
    for rule in yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    for panel in json.loads((SHIPPED / "grafana.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$instance", ".*").replace("$pipeline", ".*")


EXPRESSIONS = list(expressions())


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_shipped_expressions_speak_of_what_exists(where: str, expr: str) -> None:
    """Each expression names only metrics of the table, and only labels that they have."""
    names = NAME.findall(expr)
    assert names
    assert set(names) <= set(METRICS), where
    for name, matchers in re.findall(r"(healerd_\w+)\{([^}]*)\}", expr):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - {"instance"}
        assert labels <= set(METRICS[name].labels), f"{where}: {name} has no {labels}"
    states = re.findall(r'state=~?"([^"]+)"', expr)
    known = {state.value for state in IntentState}
    assert {each for state in states for each in state.split("|")} <= known


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_shipped_expressions_are_promql(where: str, expr: str) -> None:
    """Each expression parses as Prometheus parses it."""
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    assert parser.parse(expr) is not None


def test_every_alert_says_what_to_do() -> None:
    """Each alert has a severity and a summary; each that wants a person says what they do, by commands that parse."""
    for rule in yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"none", "ticket", "page"}
        assert rule["annotations"]["summary"]
        if rule["labels"]["severity"] != "none":
            said = rule["annotations"]["action"]
            for command in re.findall(r"`(healerd [^`]+)`", said):
                pages.parse(re.sub(r"\{\{[^}]*\}\}", "churn", command).split())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetched(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_daemon_shows_itself_on_loopback(tmp_path: Path) -> None:
    """A running daemon answers the three pages, refuses everything else, and lets go of the address at its end."""
    port, told = free_port(), {}

    def look(core: ScriptedCore) -> None:
        for page in ("/metrics", "/healthz", "/readyz", "/v1/status"):
            told[page] = fetched(f"http://127.0.0.1:{port}{page}")
        told["post"] = fetched(f"http://127.0.0.1:{port}/metrics", "POST")

    text = f'[daemon]\nstate = "{tmp_path}"\ntick = "50ms"\n[listen]\naddress = "127.0.0.1:{port}"\n'
    config = parse_config(text, path=tmp_path / "healerd.toml")
    clock = ManualClock(NOON)
    core = ScriptedCore(clock, [lambda core: None, look, send(15), lambda core: None])
    run(config, open_core=lambda config, clock: core, clock=clock)
    assert told["/metrics"][0] == 200
    assert scraped(told["/metrics"][1])[("healerd_up",)] == 1
    assert (told["/healthz"][0], told["/readyz"][0]) == (200, 200)
    assert (told["/v1/status"][0], told["post"][0]) == (404, 405)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", "192.168.1.2:80", "example.org:80", "127.0.0.1", "127.0.0.1:99999"]
)
def test_nothing_but_loopback_is_listened_on(tmp_path: Path, address: str) -> None:
    """An address that others reach, or that is none, is refused by the configuration."""
    with pytest.raises(ConfigError, match="loopback"):
        parse_config(f'[listen]\naddress = "{address}"\n', path=tmp_path / "healerd.toml")


def test_an_address_that_is_taken_is_named() -> None:
    """Two daemons on one address: the second says which it is and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=address):
            bind_loopback(address)
