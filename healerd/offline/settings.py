"""The configuration of an offline run, as the TOML file that lies in its state folder.

Must never configure the run in any other way: what the file says is what ran, and a daemon could go on with it.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healerd.config import Config, load_config, parse_config
from healerd.errors import ConfigError
from healerd.offline.contract import write_whole

__all__ = ["CONFIG", "TAKEN", "Settings", "config_of", "make_config", "taken_from"]

CONFIG = "healerd.toml"
ENTRY = "healerd.offline.estimator:fit"
RETRAIN_COST = 0.1
"""What a retraining costs by default, in windows served with the harm: a tenth, so that it is cheap beside harm."""
FAILURES = {"retrain": 0.3, "rollback": 0.3, "fallback": 0.4}
"""How often each heal is expected to fail before anything is known; the policy learns from there."""
COSTS = {"rollback": 0.02, "fallback": 0.05}
TAKEN = (
    *("loss", "rules", "segments", "degraded_cost", "degraded_minute_cost", "degraded_windows", "downtime_cost"),
    *("severity", "policy", "detection", "healing"),
)
"""Keys of a pipeline that hold for a table as well: how it is judged and decided, not where its rows and models lie."""
PRICED = ("cost", "failure", "downtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an offline run sets differently from the defaults; durations in seconds, costs in harmed windows.

    `own` holds keys of a pipeline that a person's configuration sets, as its TOML has them: they count over the rest.
    Its `actions`, where there are any, are all that is known of costs and failures.
    """

    pipeline: str
    window_s: float
    label_horizon_s: float
    loss: str
    rows_min: int
    retrain_cost: float | None
    rules: Path | None
    estimator: str | None
    task: str
    registry: str | None = None
    own: Mapping[str, Any] = field(default_factory=dict)


def taken_from(path: Path, *, pipeline: str | None = None) -> dict[str, Any]:
    """Take out of a person's configuration what holds for a table: the keys TAKEN, and what actions cost.

    Raises ConfigError when the file is wrong, or does not say which of its pipelines is meant.
    """
    pipelines = load_config(path).pipeline
    named = list(pipelines)
    if pipeline is None and len(named) != 1:
        which = f"the pipelines {', '.join(named)}: name one with `--pipeline`" if named else "no pipeline"
        raise ConfigError(f"`{path}` has {which}")
    if pipeline is not None and pipeline not in named:
        raise ConfigError(f"`{path}` has no pipeline `{pipeline}`; it has {', '.join(named) or 'none'}")
    name = pipeline or named[0]
    tree = tomllib.loads(path.read_text(encoding="utf-8"))["pipeline"][name]
    own = {"degraded_cost": pipelines[name].degraded_cost, **{key: tree[key] for key in TAKEN if key in tree}}
    if "rules" in own:
        own["rules"] = [str((path.parent / each).absolute()) for each in own["rules"]]
    prices = {
        action: {key: given[key] for key in PRICED if key in given} for action, given in tree.get("actions", {}).items()
    }
    return {**own, "actions": prices}


def config_of(settings: Settings, folder: Path = Path()) -> Config:
    """Make the configuration without writing it."""
    return parse_config(_text(settings), path=folder / CONFIG)


def make_config(settings: Settings, state: Path) -> Config:
    """Write the configuration into the state folder, or read the one that is there if it says the same.

    Raises ConfigError when the folder holds another run, or cannot be written.
    """
    path, text = state / CONFIG, _text(settings)
    try:
        state.mkdir(parents=True, exist_ok=True)
        there = path.read_text(encoding="utf-8") if path.exists() else None
    except OSError as error:
        raise ConfigError(
            f"the state folder `{state}` cannot be used: {error.strerror}; name a writable one"
        ) from error
    if there is None:
        write_whole(path, text)
    elif there != text:
        raise ConfigError(f"`{state}` holds a run with other settings (`{CONFIG}` differs): name an empty folder")
    return config_of(settings, state)


def _text(settings: Settings) -> str:
    args = {"task": settings.task, **({"estimator": settings.estimator} if settings.estimator else {})}
    own = settings.own
    minute = own.get("degraded_minute_cost")
    harmed = own.get("degraded_cost", 1.0) if minute is None else minute * settings.window_s / 60.0
    retrain_cost = RETRAIN_COST if settings.retrain_cost is None else settings.retrain_cost
    costs = {action: harmed * windows for action, windows in {"retrain": retrain_cost, **COSTS}.items()}
    name = f"pipeline.{settings.pipeline}"
    tables: dict[str, dict[str, Any]] = {
        "daemon": {"state": ".", "unattended": False},
        name: {
            "window": settings.window_s,
            "label_horizon": settings.label_horizon_s,
            "loss": settings.loss,
            "rules": [str(settings.rules.absolute())] if settings.rules else [],
            "degraded_cost": 1.0,
            **_registry(settings.registry),
            **{key: value for key, value in own.items() if key not in ("healing", "actions")},
        },
        f"{name}.source": {"kind": "memory"},
        f"{name}.healing": {"rows_min": settings.rows_min, "refit": False, **own.get("healing", {})},
    }
    for action, failure in FAILURES.items():
        # What a person's configuration leaves open stays open: their daemon would ask each time, and so does the run.
        prices = own.get("actions", {action: {"cost": costs[action], "failure": failure}})
        priced = dict(prices.get(action, {}))
        trains = {"entry": ENTRY, "args": args} if action == "retrain" else {}
        if action == "retrain" and settings.retrain_cost is not None:
            priced["cost"] = costs[action]
        tables[f"{name}.actions.{action}"] = {**priced, **trains}
    return (
        "\n\n".join(f"[{table}]\n" + "\n".join(_line(*pair) for pair in keys.items()) for table, keys in tables.items())
        + "\n"
    )


def _registry(place: str | None) -> dict[str, Any]:
    if place is None:
        return {"allow_pickle": True}  # the models of this very run, fitted here, in a folder of its own
    return {"registry": place, "allow_pickle": False}  # whoever else can write to a server runs no code here


def _line(key: str, value: Any) -> str:
    """Write one key; JSON's texts, numbers and lists are TOML as well, its objects are not."""
    if isinstance(value, dict):
        return f"{key} = {{ {', '.join(_line(*pair) for pair in value.items())} }}"
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML knows no surrogates, and no bare DEL
    return f"{key} = {text}"
