"""The configuration of an offline run, as the TOML file that lies in its state folder.

Must never configure the run in any other way: what the file says is what ran, and a daemon could go on with it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healerd.config import Config, parse_config
from healerd.errors import ConfigError
from healerd.offline.contract import write_whole

__all__ = ["CONFIG", "Settings", "config_of", "make_config"]

CONFIG = "healerd.toml"
ENTRY = "healerd.offline.estimator:fit"
RETRAIN_COST = 0.1
"""What a retraining costs by default, in windows served with the harm: a tenth, so that it is cheap beside harm."""
FAILURES = {"retrain": 0.3, "rollback": 0.3, "fallback": 0.4}
"""How often each heal is expected to fail before anything is known; the policy learns from there."""
COSTS = {"rollback": 0.02, "fallback": 0.05}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an offline run sets differently from the defaults; durations in seconds, costs in harmed windows."""

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
    costs = {"retrain": RETRAIN_COST if settings.retrain_cost is None else settings.retrain_cost, **COSTS}
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
        },
        f"{name}.source": {"kind": "memory"},
        f"{name}.healing": {"rows_min": settings.rows_min, "refit": False},
    }
    for action, failure in FAILURES.items():
        own = {"entry": ENTRY, "args": args} if action == "retrain" else {}
        tables[f"{name}.actions.{action}"] = {"cost": costs[action], "failure": failure, **own}
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
    return f"{key} = {json.dumps(value)}"
