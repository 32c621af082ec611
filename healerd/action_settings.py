"""`[pipeline.NAME.actions.ACTION]`: what an action costs, how often it fails, and how it is done.

Every key stands here once, with its default and its reason. Must never start anything: `healerd.actions` does.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from healerd.model import ACTIONS_THAT_HEAL, HOLD, STEPS
from healerd.settings import Cost, Duration, Megabytes, Settings, Share, require

__all__ = ["COST_MAX", "ActionSettings", "check_actions"]

COST_MAX, DOWNTIME_MAX_S = 1e12, 7 * 86400.0
"""Beyond these a number is a slip of the keyboard, and would drown every other."""
BUILT_IN = ("retrain", "rollback", "fallback", "recalibrate")
TRAINERS = ("entry", "command", "url")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What rule files can call an action."""


class ActionSettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.actions.ACTION]`: one of healerd's actions, or with `kind` one that the owner has named."""

    cost: Cost | None = None
    """Money (or any one unit used throughout) that doing it costs, whatever comes of it; needed beside `failure`."""
    downtime: Duration = Duration(0)
    """Time in which nothing, or nothing useful, is served while it is done; costs `downtime_cost` a minute."""
    failure: Share | None = None
    """Prior probability that it does not resolve the incident or does harm; needed for the policy to speak."""
    deadline: Duration = Duration(1800)
    """A run longer than this is killed and counts as failed; half an hour is one default window."""

    # retrain, in one of three ways
    entry: str | None = None
    """`module:function` that trains: f(features, label, **args) -> model, in a subprocess."""
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    """What is handed to `entry` by name besides the rows."""
    command: list[str] | None = None
    """A program and its arguments, run without a shell: trains (retrain), or does what the action is (run, notify)."""
    url: str | None = None
    """Where a job is begun by POST, with the intent's key as `Idempotency-Key`."""
    status_url: str | None = None
    """Where a job is asked for, `{key}` standing for its key: running, done or failed; 404 when there is none."""
    poll: Duration = Duration(10)
    """How often a job is asked for; a training takes minutes."""
    format: Literal["parquet", "csv"] = "parquet"
    """How a command finds the training rows."""

    # limits of a command
    memory_mb: Megabytes | None = None
    """Address space a command may use, each of its processes; without it, what the machine has."""
    cpu: Duration | None = None
    """CPU time a command may use, each of its processes; without it, only `deadline` counts."""
    output_mb: Megabytes = 2048
    """Largest file that a command may write: a slip must not fill the disk of the daemon."""

    # fallback
    constant: float | str | None = None
    """The answer that serves during a fallback, for every row, instead of a safe model that is fitted."""
    version: str | None = None
    """The stored version that serves during a fallback."""

    # recalibrate
    method: Literal["auto", "threshold", "sigmoid", "isotonic", "offset", "scale"] = "auto"
    """What recalibration fits; `auto` takes what does best on rows that it was not fitted on."""

    # actions that the owner names
    kind: Literal["run", "notify"] | None = None
    """What a named action is: `run` a command or webhook, `notify` somebody."""
    does: str = ""
    """What it does, in a few words, for the people who are asked."""
    message: str = ""
    """What a notification says besides the pipeline, the incident and the reason."""
    observe: list[str] | None = None
    """A command that tells whether the effect is there: it ends with 0 when it is, with 1 when it is not."""
    idempotent: bool = False
    """Doing it twice is as good as once."""
    dedupe: bool = False
    """The other side takes a key once: whoever repeats it changes nothing."""
    reversible: bool = False
    """People can take it back; healerd does not, for it compares nothing that would tell it to."""

    def __post_init__(self) -> None:
        require(self.cost is None or 0 <= self.cost <= COST_MAX, "cost", "from 0 to 1e12")
        require(self.cost is not None or self.failure is None, "cost", "given where `failure` is; 0 if it is free")
        require(0 <= self.downtime <= DOWNTIME_MAX_S, "downtime", "from 0 to a week")
        require(self.failure is None or 0 < self.failure < 1, "failure", "between 0 and 1")
        require(self.deadline > 0, "deadline", "above 0")
        require(self.poll > 0, "poll", "above 0")
        require(self.output_mb >= 1, "output_mb", "1 or more")
        require(self.memory_mb is None or self.memory_mb >= 64, "memory_mb", "64 or more")
        require(self.cpu is None or self.cpu >= 1, "cpu", "1s or more")
        require(self.command is None or bool(self.command), "command", "a program and its arguments")
        require(sum(getattr(self, way) is not None for way in TRAINERS) <= 1, "entry", "the only one of " + _TRAINERS)
        require(self.constant is None or self.version is None, "constant", "left out where `version` is given")
        holder = self.status_url is None or "{key}" in self.status_url
        require(holder, "status_url", "an address with `{key}` in it")


_TRAINERS = "`entry`, `command` and `url`"


def check_actions(actions: Mapping[str, ActionSettings]) -> None:
    """Check the names of a pipeline's actions and what each needs. Raises ValueError with key and mend."""
    for name, each in actions.items():
        if each.kind is not None:
            _check_named(name, each)
            continue
        require(
            name in BUILT_IN,
            "actions",
            f"retrain, rollback, fallback or recalibrate (others need a `kind`), not {name}",
        )
        remote = each.url is None or each.status_url is not None
        require(
            name != "retrain" or remote, "status_url", "given where `url` is: a job that cannot be asked for is lost"
        )
        trains = name == "retrain" or not any(getattr(each, way) for way in TRAINERS)
        require(trains, "actions", f"without {_TRAINERS} in `{name}`, which does not train")


def _check_named(name: str, each: ActionSettings) -> None:
    taken = name in (*ACTIONS_THAT_HEAL, *BUILT_IN, *STEPS, HOLD)
    free = not taken and NAME.fullmatch(name) is not None
    require(free, "actions", f"a name of small letters, digits and underscores that healerd does not use, not {name}")
    told = each.kind == "notify" or each.command is not None or each.url is not None
    require(told, "command", f"given, or `url`, for `{name}`, which runs something")
    require(each.entry is None, "entry", f"left out in `{name}`, which does not train")
