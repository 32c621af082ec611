"""What a person asks of `try` and of `demo`. Must never read a file or decide a default that depends on the data."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

__all__ = ["DemoOptions", "TryOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOptions:
    """`healerd try FILE --target T --time C`: the whole loop over a person's own table.

    None means: chosen from the data, and printed.
    """

    file: Path
    target: str
    """Column that the model predicts."""
    time: str | None = None
    """Column with the time at which a row is served; without one, rows are taken in the order of the file."""
    ignored: tuple[str, ...] = ()
    """Columns that the model must not see, such as an id, or what an earlier model said."""
    train_rows: int | None = None
    """The first so many rows train the first model; excludes `train_until`."""
    train_until: datetime | None = None
    """The rows before this time (without a zone it is UTC) train the first model."""
    window_s: float | None = None
    """Length of the windows that are judged, in seconds."""
    rules: Path | None = None
    """A rule file in place of the pack `default`; `base` is always in force."""
    config: Path | None = None
    """A `healerd.toml` of one's own: how its pipeline is judged and decided holds for the table as well."""
    pipeline: str | None = None
    """Which pipeline of `config`, where it has several."""
    estimator: str | None = None
    """`module:name` of a scikit-learn estimator, as in `sklearn.linear_model:Ridge`."""
    retrain_cost: float | None = None
    """What a retraining costs, in units of one window served with the harm."""
    registry: str | None = None
    """`mlflow` or `mlflow:http://HOST:PORT#MODEL@ALIAS`: keep the models on such a server, not in the state folder."""
    state: Path | None = None
    """Folder that keeps the store, the registry and the configuration; without it a temporary one is removed."""
    json: Path | None = None
    """File to write the result to, by the contract of `healerd.offline.contract`."""
    html: Path | None = None
    """File to write the report page to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`healerd demo`: a year of real flights with two injected faults."""

    headless: bool = False
    """Ask nothing: a simulated operator approves the first heals and promotes the pipeline, and is said to."""
    registry: str | None = None
    """`mlflow` or `mlflow:http://HOST:PORT#MODEL@ALIAS`: keep the models on such a server, not in the state folder."""
    state: Path | None = None
    """Folder that keeps everything; the same command continues there after a crash. Without it a temporary one."""
    json: Path | None = None
    """File to write the result to, by the contract of `healerd.offline.contract`."""
    html: Path | None = None
    """File to write the report page to."""
