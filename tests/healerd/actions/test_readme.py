"""The README's examples run: the Python, and the configuration of every action, by doing what it says."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import skops.io
from sklearn.dummy import DummyRegressor

import healerd.actions
from healerd.action_settings import ActionSettings
from healerd.actions import EFFECTS, KINDS, heals_of
from healerd.config import parse_config
from healerd.decision import SCHEMA
from healerd.model import Intent, IntentState
from healerd_rules import load_text
from tests.healerd.actions.elsewhere import Jobs, serving
from tests.healerd.daemon.bench import SETTINGS, Bench

README = (Path(healerd.actions.__file__).parent / "README.md").read_text(encoding="utf-8")
TABLES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
ACTIONS = [table for table in TABLES if ".actions." in table]


def settings_of(table: str) -> tuple[str, ActionSettings]:
    head = "[pipeline.flights]\nsource = { path = 'p.csv' }\n"
    config = parse_config(head + table, path=Path("healerd.toml"))
    return next(iter(config.pipeline["flights"].actions.items()))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def build(name: str, settings: ActionSettings) -> Bench:
        made.append(
            Bench(tmp_path, settings=msgspec.structs.replace(SETTINGS, actions={name: settings})).with_versions()
        )
        made[0].close_windows(5, label=0.37)
        return made[0]

    yield build
    for bench in made:
        bench.store.close()


def carried_out(bench: Bench, name: str) -> Intent:
    bench.propose(name)
    bench.step()
    return bench.intent()


def test_the_example_runs() -> None:
    """The example of the README runs as it stands."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_every_effect_is_described() -> None:
    """Each entry of the tables has its row or its section, and its example."""
    assert all(f"| `{name}` |" in README for name in EFFECTS)
    assert all(f'kind = "{kind}"' in README for kind in KINDS)
    assert {settings_of(table)[0] for table in ACTIONS} == {
        "retrain",
        "fallback",
        "recalibrate",
        "page",
        "restart_feed",
    }


@pytest.mark.parametrize("table", ACTIONS, ids=lambda table: table.split("]")[1].split("=")[0].strip())
def test_every_configuration_does_what_it_says(make, table: str, tmp_path: Path, monkeypatch) -> None:
    """Each example, read as the configuration that it is, carries its action out."""
    monkeypatch.setenv("HOME", str(tmp_path))
    name, settings = settings_of(table)
    if settings.url is not None:
        return elsewhere(make, name, settings, tmp_path)
    if settings.command is not None and name == "retrain":
        script = tmp_path / "train.py"
        script.write_text(re.findall(r"```python file=train.py\n(.*?)```", README, re.DOTALL)[0])
        settings = msgspec.structs.replace(settings, command=[sys.executable, str(script)])
    bench = make(name, settings)
    done = carried_out(bench, name)
    if settings.kind is not None:
        assert done.state is IntentState.INCONCLUSIVE, done.reason
        assert (tmp_path / "restarted").exists() == (name == "restart_feed")
        return None
    assert done.effect_at is not None, done.reason
    says = bench.registry.load(bench.registry.active).predict({"x": np.arange(2.0)})
    wanted = {"fallback": settings.constant if settings.version is None else 1.0}.get(name, 0.37)
    assert says == pytest.approx([wanted, wanted])
    return None


def elsewhere(make, name: str, settings: ActionSettings, folder: Path) -> None:
    with serving(Jobs()) as jobs:
        skops.io.dump(DummyRegressor().fit(np.zeros((9, 1)), np.full(9, 0.37)), folder / "model.skops")
        jobs.begins = [(404, {}), (200, {"state": "done", "model": str(folder / "model.skops")})]
        there = {
            key: getattr(settings, key).replace("http://127.0.0.1:8080", jobs.address) for key in ("url", "status_url")
        }
        bench = make(name, msgspec.structs.replace(settings, poll=0.05, **there))
        done = carried_out(bench, name)
        assert (done.effect_at is not None, jobs.begun) == (True, {done.key: 1})


def test_the_other_tables_are_configurations() -> None:
    """Tables of a pipeline's own keys are read without a complaint."""
    for table in set(TABLES) - set(ACTIONS):
        parse_config(table + "source = { path = 'p.csv' }", path=Path("healerd.toml"))


def test_the_rule_file_compiles_and_speaks_of_configured_actions() -> None:
    """The rules shown know the vocabulary, and every name that they use can be configured."""
    (text,) = re.findall(r"```heal\n(.*?)```", README, re.DOTALL)
    loaded = load_text(text, name="mine.heal", schema=SCHEMA)
    assert loaded.diagnostics == ()
    known = heals_of(msgspec.structs.replace(SETTINGS, actions={"recalibrate": ActionSettings()}))
    assert {action.name for action in loaded.ruleset.actions if not action.step} == set(known)
