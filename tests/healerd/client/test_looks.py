"""Every look, with a daemon and without one: the same words for the same records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Client
from healerd.client.looks import LOOKS, find_look, view_of
from healerd.errors import ConfigError, NotFound
from tests.healerd.client.conftest import Past
from tests.served import served


def decision_of(client: Client) -> str:
    return str(client.traces(limit=1)["traces"][0]["id"])


def intent_of(client: Client) -> str:
    return str(client.intents(all_states=True)["intents"][0]["id"])


ASKED: dict[str, Callable[[Client, str], Any]] = {
    "/v1/status": lambda client, name: client.status()["pipelines"],
    "/v1/pipelines/{name}": lambda client, name: client.pipeline(name),
    "/v1/pipelines/{name}/distributions": lambda client, name: client.distributions(name),
    "/v1/pipelines/{name}/timeline": lambda client, name: client.timeline(name, windows=5),
    "/v1/pipelines/{name}/versions": lambda client, name: client.versions(name),
    "/v1/pipelines/{name}/rules": lambda client, name: client.rules(name, days=30),
    "/v1/pipelines/{name}/policy": lambda client, name: client.policy(name),
    "/v1/intents": lambda client, name: client.intents(all_states=True),
    "/v1/intents/{id}": lambda client, name: client.intent(intent_of(client)),
    "/v1/traces": lambda client, name: client.traces(pipeline=name, limit=3),
    "/v1/traces/{id}": lambda client, name: client.trace(decision_of(client)),
    "/v1/why-not": lambda client, name: client.why_not("retrain", pipeline=name),
    "/v1/audit": lambda client, name: client.audit(kind="decision,intent", text="retrain", limit=5),
    "/v1/audit/{seq}": lambda client, name: client.entry(3),
    "/v1/health": lambda client, name: {
        each: value for each, value in client.health().items() if each in {"schema", "at", "writer", "pipelines"}
    },
}


def test_every_look_is_asked_here() -> None:
    """No look is added without being compared."""
    assert set(ASKED) == {look.path for look in LOOKS}


@pytest.mark.parametrize("path", sorted(ASKED))
def test_live_and_stored_are_the_same(past: Past, tmp_path: Path, name: str, path: str) -> None:
    """What the daemon serves is what is read without it, for the same records at the same time."""
    with past.store() as store, served(tmp_path, pipelines=[name], store=store, clock=past.clock) as running:
        live = ASKED[path](Client(running.state), name)
    assert live == ASKED[path](past.client, name)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.path)
def test_every_look_has_its_view(look: Any) -> None:
    """The table names functions that exist, and finds each row by its path."""
    assert callable(view_of(look))
    assert find_look(look.path.replace("{name}", "a b").replace("{id}", "x").replace("{seq}", "7"))[0] is look


@pytest.mark.parametrize("path", sorted(path for path in ASKED if "{name}" in path))
def test_an_unknown_pipeline_is_not_found(past: Past, path: str) -> None:
    """Every look at a pipeline names the nearest one."""
    with pytest.raises(NotFound, match="did you mean `flights`"):
        past.client.look(path.replace("{name}", "flihgts"))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/audit", {"before": "soon"}),
        ("/v1/traces", {"limit": "-1"}),
        ("/v1/pipelines/flights/distributions", {"window": "yesterday"}),
        ("/v1/pipelines/flights/timeline", {"windows": "many"}),
    ],
)
def test_a_wrong_parameter_is_named_with_and_without_a_daemon(
    past: Past, tmp_path: Path, path: str, query: dict[str, str]
) -> None:
    """What cannot be read is refused in the same words."""
    with pytest.raises(ConfigError) as stored:
        past.client.look(path, **query)
    with (
        past.store() as store,
        served(tmp_path, pipelines=["flights"], store=store, clock=past.clock) as running,
        pytest.raises(ConfigError) as live,
    ):
        Client(running.state).look(path, **query)
    assert str(live.value) == str(stored.value)
    assert f"`{next(iter(query))}`" in str(stored.value)
