"""One TOML file -> one frozen `Config`. The only reader of settings; must never be read twice or changed.

Every default stands here once, with its unit and its reason. A key that is not known, of the wrong type or out of
range is a `ConfigError` that names the file, the line, the key and the nearest name. Relative paths are taken from
the folder of the file. The module is long because all settings of the house stand in one place.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from healerd.action_settings import COST_MAX, ActionSettings, check_actions
from healerd.errors import ConfigError
from healerd.listen_settings import ListenSettings, NotifySettings
from healerd.operations_settings import OperationsSettings
from healerd.settings import (
    Bytes,
    Cost,
    Duration,
    Minutely,
    Rows,
    Settings,
    Share,
    Windows,
    Yearly,
    parse_duration,
    require,
)

__all__ = [
    "CREDENTIAL",
    "LIVE_POLICIES",
    "ActionSettings",
    "AuditSettings",
    "Config",
    "DaemonSettings",
    "DetectionSettings",
    "Duration",
    "HealingSettings",
    "LabelsSettings",
    "OperationsSettings",
    "PipelineSettings",
    "PolicySettings",
    "ReferenceSettings",
    "ServingSettings",
    "SeveritySettings",
    "SourceSettings",
    "WorkersSettings",
    "load_config",
    "load_place",
    "parse_config",
    "parse_duration",
    "utc",
]

THREADS_MAX = 256
ALERTS_MAX = 50
SEGMENTS_MAX = 3
"""Features by which rows may be parted; of each the twenty commonest values are watched alone."""
FACTOR_MAX, WINDOWS_MAX, PENDING_MOST = 1e3, 1e6, 100
"""Beyond these a number is a slip of the keyboard, and would drown every other."""
LIVE_POLICIES = ("bayesian", "rules only")
EXPERIMENTS = "the other policies are for experiments: they act at random, or on beliefs that nothing bounds"


class DaemonSettings(Settings, frozen=True, kw_only=True):
    """`[daemon]`: what concerns the process as a whole."""

    state: str = "healerd-state"
    """Folder of the control database, the segments and the control socket."""
    socket: str | None = None
    """Path of the control socket; by default `control.sock` in the state folder."""
    tick: Duration = Duration(5)
    """How often the daemon looks for closed windows and due intents; 5 s keeps a veto window exact to 1%."""
    false_alarms_per_year: Yearly = 1.0
    """The budget: the mean number of false alarms a year for each model as a whole."""
    unattended: bool = False
    """Let an open control API alone count as a channel for veto windows (SAFETY S9); shown by `doctor`."""
    roles: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Role (`viewer`, `operator`, `approver`, `admin`) -> `user:NAME` or `group:NAME`; its own user is admin."""

    def __post_init__(self) -> None:
        require(self.false_alarms_per_year > 0, "false_alarms_per_year", "above 0")
        require(self.tick > 0, "tick", "above 0")
        unknown = set(self.roles) - {"viewer", "operator", "approver", "admin"}
        require(not unknown, "roles", f"viewer, operator, approver or admin, not {', '.join(sorted(unknown))}")


class AuditSettings(Settings, frozen=True, kw_only=True):
    """`[audit]`: the key that signs the log's checkpoints, and the places outside in which they are kept."""

    key: str | None = None
    """File of the private key; by default `audit.key` in the state folder. `credential:NAME` is one that the service
    manager hands over."""
    anchor_file: str | None = None
    """A file to which checkpoints are added: on another disk or machine."""
    anchor_journal: bool = False
    """Send checkpoints to journald, or to syslog where there is none."""
    anchor_git: str | None = None
    """Folder of a git repository in which each checkpoint is committed."""
    anchor_command: list[str] = msgspec.field(default_factory=list)
    """A program with its arguments that is given each checkpoint on its stdin, such as one that puts it in a bucket."""
    anchor_every: Duration = Duration(3600)
    """How often; what lies in between can be cut off without being found, and an hour is short beside most windows."""

    def __post_init__(self) -> None:
        require(self.anchor_every > 0, "anchor_every", "above 0")


class ServingSettings(Settings, frozen=True, kw_only=True):
    """`[serving]`: the inference gateway, `healerd serve`, a process of its own."""

    host: str = "127.0.0.1"
    """Address to listen on. Whoever reaches it may ask for predictions: there is no login."""
    port: int = 8080
    """Port to listen on; 0 takes a free one."""
    record: str = "served"
    """Folder of what was served, a folder a model; relative to the state folder unless absolute."""
    flush: Duration = Duration(1)
    """How long a served row may wait until it is durable: what a kill can lose. 0 answers only when it is."""
    keep: Duration = Duration(7 * 86400)
    """How long recorded files stay; the daemon has taken their rows over long before."""
    poll: Duration = Duration(1)
    """How often the registry's alias is read."""
    timeout: Duration = Duration(5)
    """How long a model may take for one request, and a client for its body."""
    load_timeout: Duration = Duration(120)
    """How long a version may take to be loaded and tried; then it is refused, and the one before it goes on serving."""
    scores: bool = False
    """Record how sure the model was of each row (the probability of its likeliest class), where it gives probabilities:
    from it the error is estimated without labels. Costs a second question to the model."""
    body_bytes: Bytes = 64 * 2**20
    """Largest body of a request."""
    substitute: dict[str, float | str] = msgspec.field(default_factory=dict)
    """Model -> what is answered when it raises or takes too long; without one its usual answer, once it has one."""

    def __post_init__(self) -> None:
        require(0 <= self.port < 65536, "port", "from 0 to 65535")
        require(self.flush >= 0, "flush", "0 or more")
        for name in ("keep", "poll", "timeout", "load_timeout", "body_bytes"):
            require(getattr(self, name) > 0, name, "above 0")


class LabelsSettings(Settings, frozen=True, kw_only=True):
    """`source.labels`: late labels in a table of their own, or from a query, joined by id."""

    path: str = ""
    """CSV or Parquet file, glob or folder of the labels."""
    query: str | None = None
    """SQL in the place of a `path`; the predictions' `$start_at` and `$end_at`, and `$now`, may be used in it."""
    id: str = "id"
    """Column with the id of the prediction that is labelled."""
    label: str = "label"
    """Column with the truth."""
    at: str | None = None
    """Column that says when a label became known; without it, when it was first seen."""

    def __post_init__(self) -> None:
        require(bool(self.path) != bool(self.query), "labels", "either a `path` or a `query`")


class SourceSettings(Settings, frozen=True, kw_only=True):
    """`source`: where served predictions lie. Any CSV or Parquet file, glob or folder, or a query that DuckDB runs."""

    kind: Literal["table", "memory", "gateway", "duckdb"] = "table"
    """What is read: files, rows pushed by this process, what `healerd serve` recorded, or a query."""
    path: str = ""
    """Where the rows lie: of a table its file, glob or folder, of the gateway the folder it records a model in."""
    time: str = "time"
    """Column with the time of the prediction; a time without a zone is UTC."""
    id: str | None = None
    """Column that identifies a prediction; without it an id is made from the row's content."""
    prediction: str = "prediction"
    """Column with what the model said."""
    version: str | None = None
    """Column with the model version that predicted; without it, the version the registry calls active."""
    label: str | None = None
    """Column with the truth in the same table, empty where it is not known yet."""
    labels: LabelsSettings | None = None
    """Late labels in a table of their own."""
    score: str | None = None
    """Column that says how sure the model was of the prediction; from it the error is estimated without labels."""
    features: list[str] | None = None
    """Columns the model reads; by default every column not named otherwise."""
    late: Duration | None = None
    """How far back rows are looked for that came after their window was judged; they are kept, and judge nothing
    [default: 0; of the gateway 10 minutes]."""
    catch_up: Duration = Duration(86400)
    """How far back windows in which no row was found are looked at again: a source that was down may bring them."""
    settle: Duration | None = None
    """How long after its end a window waits for its last rows [default: 0; of the gateway `serving.flush` and a
    second]."""
    query: str | None = None
    """SQL of the kind `duckdb`: one SELECT; the window's bounds are `$start_at` and `$end_at`, naive UTC."""
    attach: dict[str, str] = msgspec.field(default_factory=dict)
    """Name -> database that queries may read, read-only: a DuckDB file, or after `sqlite:`, `postgres:`, `mysql:`."""
    extensions: list[str] = msgspec.field(default_factory=list)
    """DuckDB extensions to load for queries; they are never downloaded."""
    memory: str = "1GB"
    """Most memory that a query may take within DuckDB; a query that needs more is an error, not a full machine."""
    threads: int = 1
    """Threads of a query; one leaves the other cores to the model in service."""
    timeout: Duration = Duration(60)
    """Longest that a query may take; it is interrupted, and tried again at the next tick."""
    rows_max: Rows = 5_000_000
    """Most rows that one window may bring by a query: beyond them the window is too long, or the query wrong."""

    def __post_init__(self) -> None:
        asked = self.kind == "duckdb"
        require(asked == bool(self.query), "query", "set for the kind `duckdb`, and for no other")
        require(re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", self.memory) is not None, "memory", "a size such as `1GB`")
        require(1 <= self.threads <= THREADS_MAX, "threads", f"from 1 to {THREADS_MAX}")
        require(self.timeout > 0, "timeout", "above 0")
        require(self.rows_max >= 1, "rows_max", "1 or more")
        for name in (*self.attach, *self.extensions):
            require(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None, f"{name}", "a plain name")

    @property
    def late_s(self) -> float:
        """How far back to look, in seconds."""
        return self.late if self.late is not None else 600.0 if self.kind == "gateway" else 0.0

    def settle_s(self, flush_s: float) -> float:
        """How long to wait for a window's last rows, in seconds, when the gateway flushes every `flush_s`."""
        return self.settle if self.settle is not None else flush_s + 1.0 if self.kind == "gateway" else 0.0


class ReferenceSettings(Settings, frozen=True, kw_only=True):
    """`reference`: the healthy, labelled rows that did not train the first model: a table, or a range of the source."""

    path: str | None = None
    """CSV or Parquet file with the columns of the source, and that of the label."""
    start: datetime | None = None
    """Rows of the source from this time on."""
    end: datetime | None = None
    """Rows of the source before this time."""

    def __post_init__(self) -> None:
        ranged = self.start is not None and self.end is not None
        require((self.path is not None) != ranged, "reference", "either `path`, or `start` and `end`")


class DetectionSettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.detection]`: what counts as a change worth an alarm. The false-alarm budget is the daemon's."""

    tolerance: Share = 0.02
    """Rise of the error, in points of share, that is not worth acting on."""
    drift_tolerance: Share = 0.0
    """Shift of a feature's mid-rank that is not worth a warning; raise it when large windows are too sensitive."""
    delta: Share = 0.01
    """Probability that the finite reference misleads; split over features."""
    label_coverage: Share = 0.95
    """Share of a cohort that must be labelled at maturity for its error to be known."""
    estimate: bool = False
    """Estimate the error without labels by the outputs alone where there is no score; blind to concept shift."""
    clean_windows: Windows = 21
    """Clean windows in a row that close an incident: three judgements' worth; what drifted once mostly drifts on."""

    def __post_init__(self) -> None:
        require(0 <= self.tolerance < 1, "tolerance", "in [0, 1)")
        require(0 <= self.drift_tolerance < 1, "drift_tolerance", "in [0, 1)")
        require(0 < self.delta < 1, "delta", "in (0, 1)")
        require(0 < self.label_coverage <= 1, "label_coverage", "in (0, 1]")
        require(self.clean_windows >= 1, "clean_windows", "1 or more")


class HealingSettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.healing]`: which rows train and judge a new model, and how long a heal is watched."""

    train_windows: Windows = 28
    """Newest labelled windows a retrained model learns from."""
    judge_windows: Windows = 3
    """Newest labelled windows kept back to judge a candidate on rows it never saw."""
    rows_min: Rows = 200
    """Fewest labelled rows to train or judge on; below it the evidence is a guess."""
    level: Share = 0.90
    """Two-sided level of the interval of a paired comparison."""
    gain_min: Share = 0.02
    """Gain in points of share that a candidate must show: less is not worth a swap."""
    sure: Share = 0.80
    """Posterior probability that a candidate is better at all, below which it is rejected."""
    choose_windows: Windows = 7
    """Newest labelled windows on which stored versions are compared: one weekly cycle."""
    choose_rows: Rows = 600
    """Fewest rows to compare stored versions on, as long as they come within four times `choose_windows`: the standard
    error of a gain is then about two points, as small as a gain that is worth a swap."""
    verify_windows: Windows = 7
    """Labelled windows after a heal on which it is compared with what it replaced."""
    versions_kept: int = 60
    """Stored versions a rollback may choose from: a concept may come back after a year of fits every week."""
    payback_windows: Windows = 14
    """Windows that a new model is expected to serve before the next one: in these it must pay for its fit."""
    refit: bool = True
    """Refit an accepted candidate on its judgement rows too; it is promoted only after a shadow window."""

    def __post_init__(self) -> None:
        for name in (
            "train_windows",
            "judge_windows",
            "rows_min",
            "choose_windows",
            "choose_rows",
            "verify_windows",
            "versions_kept",
            "payback_windows",
        ):
            require(getattr(self, name) >= 1, name, "1 or more")
        require(0.5 < self.level < 1, "level", "in (0.5, 1)")
        require(0 <= self.gain_min < 1, "gain_min", "in [0, 1)")
        require(0 < self.sure < 1, "sure", "in (0, 1)")


class SeveritySettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.severity]`: how much an unresolved incident costs, by its severity, in multiples of the usual."""

    low: float = 1.0
    """Factor of an incident of severity low."""
    medium: float = 1.0
    """Factor of an incident of severity medium."""
    high: float = 1.0
    """Factor of an incident of severity high."""
    critical: float = 1.0
    """Factor of an incident of severity critical."""

    def __post_init__(self) -> None:
        for name in ("low", "medium", "high", "critical"):
            require(0 < getattr(self, name) <= FACTOR_MAX, name, "above 0, and at most 1000")


class PolicySettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME.policy]`: who proposes within the rules, and how far that may go without a person's word."""

    name: str = "bayesian"
    """`bayesian` learns from outcomes; `rules only` never deviates."""
    alpha: Share = 0.10
    """The ledger's share: what deviations may cost beyond the rules, at 95% under a sceptical belief."""
    failure_margin: Share = 0.05
    """How much more likely than the rule's action a deviation may be to fail, as a share; 1 is no bound."""
    budget: Cost | None = None
    """Realised excess of deviations, in the unit of the costs, at which they stop; off by default."""
    pending_max: int = 2
    """Deviations that may wait for their outcome at one time."""
    forget: Literal["lesson", "day"] = "lesson"
    """When beliefs fade by 3% towards their priors: with each lesson, or with each day, where the world moves alone."""

    def __post_init__(self) -> None:
        require(self.name in LIVE_POLICIES, "name", f"{' or '.join(map(repr, LIVE_POLICIES))}; {EXPERIMENTS}")
        require(0 <= self.alpha <= 1, "alpha", "in [0, 1]")
        require(0 <= self.failure_margin <= 1, "failure_margin", "in [0, 1]")
        require(self.budget is None or 0 <= self.budget <= COST_MAX, "budget", "from 0 to 1e12")
        require(0 <= self.pending_max <= PENDING_MOST, "pending_max", "from 0 to 100")


class PipelineSettings(Settings, frozen=True, kw_only=True):
    """`[pipeline.NAME]`: one model in production."""

    source: SourceSettings
    """Where served predictions lie."""
    reference: ReferenceSettings | None = None
    """What healthy looks like; until there is one, nothing is held against anything."""
    window: Duration = Duration(1800)
    """Length of the windows that are judged."""
    start: datetime | None = None
    """From when windows are judged; by default from the daemon's first start."""
    label_horizon: Duration = Duration(86400)
    """How long after its window a cohort's labels are waited for."""
    loss: str = "zero-one"
    """When a prediction is wrong: `zero-one`, `relative 10%` or `absolute 5`."""
    registry: str = "registry"
    """Folder of the stored model versions, relative to the state folder unless absolute; or `mlflow:http://HOST:PORT`."""
    model: str | None = None
    """The first version's file, for an empty registry: `.skops`, `.onnx` or, where pickles are allowed, `.joblib`."""
    allow_pickle: bool = False
    """Use joblib and pickle files for models. They run code: whoever can write one can do what healerd may do."""
    trusted: list[str] = msgspec.field(default_factory=list)
    """Types that skops may make when it loads a model, by full name, beside scikit-learn's and healerd's own."""
    rules: list[str] = msgspec.field(default_factory=list)
    """Rule files; `base` is always in force, and `default` when none is named."""
    tags: list[str] = msgspec.field(default_factory=list)
    """Words by which rule files choose pipelines (`scope tier1 = tag "tier1"`); `team:NAME` is whose limits count."""
    segments: list[str] = msgspec.field(default_factory=list)
    """Features of which each common value is watched alone too, within the same false-alarm budget; at most 3."""
    degraded_cost: Cost = 100.0
    """Cost of one window served with the harm, in the unit of the actions' costs: the severity of an incident."""
    degraded_minute_cost: Minutely | None = None
    """Cost of one minute served with the harm, for those who think in minutes: takes the place of `degraded_cost`."""
    degraded_windows: Annotated[float, "windows"] = 3.0
    """Windows an unresolved incident is expected to go on hurting before somebody finds it; realised ones pool in."""
    downtime_cost: Minutely = 0.0
    """Cost of one minute in which nothing is served; an action's `downtime` is counted with it."""
    severity: SeveritySettings = SeveritySettings()
    """What an incident costs by its severity."""
    policy: PolicySettings = PolicySettings()
    """Who proposes within the rules."""
    actions: dict[str, ActionSettings] = msgspec.field(default_factory=dict)
    """Name -> how an action is done and what it costs; `rollback` and `fallback` are there without being named."""
    operations: OperationsSettings | None = None
    """Metrics of the service around the model; odd points are warnings."""
    alerts: list[str] = msgspec.field(default_factory=list)
    """Names of alerts that rules ask for one by one: known to be quiet while nothing is heard of them."""
    detection: DetectionSettings = DetectionSettings()
    """What counts as a change worth an alarm."""
    healing: HealingSettings = HealingSettings()
    """Which rows train and judge, and how long a heal is watched."""

    def __post_init__(self) -> None:
        require(self.window >= 1, "window", "1s or more")
        require(self.label_horizon >= 0, "label_horizon", "0 or more")
        few = len(self.segments) <= SEGMENTS_MAX and len(set(self.segments)) == len(self.segments)
        require(few, "segments", f"at most {SEGMENTS_MAX} different features")
        require(0 < self.degraded_cost <= COST_MAX, "degraded_cost", "above 0, and at most 1e12")
        require(0 < self.degraded_windows <= WINDOWS_MAX, "degraded_windows", "above 0, and at most 1e6")
        a_minute = self.degraded_minute_cost
        require(a_minute is None or 0 < a_minute <= COST_MAX, "degraded_minute_cost", "above 0, and at most 1e12")
        require(0 <= self.downtime_cost <= COST_MAX, "downtime_cost", "from 0 to 1e12")
        require(len(self.alerts) <= ALERTS_MAX, "alerts", f"at most {ALERTS_MAX} names")
        check_actions(self.actions)

    @property
    def window_cost(self) -> float:
        """Cost of one window served with the harm."""
        a_minute = self.degraded_minute_cost
        return self.degraded_cost if a_minute is None else a_minute * self.window / 60.0


class WorkersSettings(Settings, frozen=True, kw_only=True):
    """`[workers]`: who reads and counts long stretches of rows: processes here, or a Dask cluster."""

    processes: int = 2
    """Processes of this machine; with a cluster, parts that are under way for each of so many workers."""
    scheduler: str | None = None
    """Address of a Dask scheduler such as `tcp://10.0.0.5:8786`; its workers have healerd, and see the same files."""

    def __post_init__(self) -> None:
        require(1 <= self.processes <= THREADS_MAX, "processes", f"from 1 to {THREADS_MAX}")


class Config(Settings, frozen=True, kw_only=True):
    """The whole configuration. `folder` is where the file lies; `state` and other paths are absolute."""

    daemon: DaemonSettings = DaemonSettings()
    """The process as a whole."""
    audit: AuditSettings = AuditSettings()
    """The key that signs the log, and where its checkpoints are kept outside."""
    serving: ServingSettings = ServingSettings()
    """The inference gateway."""
    workers: WorkersSettings = WorkersSettings()
    """Who counts long stretches of rows."""
    listen: ListenSettings = ListenSettings()
    """Metrics and health for a monitoring system."""
    notify: NotifySettings = NotifySettings()
    """Who is told of what."""
    pipeline: dict[str, PipelineSettings] = msgspec.field(default_factory=dict)
    """Name -> one model in production."""
    folder: str = "."

    def __post_init__(self) -> None:
        for name in self.pipeline:
            require(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name) is not None, f"pipeline.{name}", NAMES)

    @property
    def state(self) -> Path:
        """The absolute path of the state folder."""
        return Path(self.folder, self.daemon.state)

    @property
    def socket(self) -> Path:
        """The absolute path of the control socket."""
        return Path(self.folder, self.daemon.socket) if self.daemon.socket else self.state / "control.sock"

    @property
    def audit_key(self) -> Path | None:
        """The absolute path of the key that signs checkpoints; None for the one in the state folder."""
        named = self.audit.key
        if named is None or not named.startswith(CREDENTIAL):
            return self.path(named) if named else None
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            mend = "set `CREDENTIALS_DIRECTORY` to the folder where it lies, or name a file"
            raise ConfigError(f"`audit.key` is `{named}`, but no service manager hands over credentials: {mend}")
        return Path(folder, named.removeprefix(CREDENTIAL))

    @property
    def anchors(self) -> AuditSettings:
        """The places for checkpoints, with absolute paths."""
        file, git = self.audit.anchor_file, self.audit.anchor_git
        absolute = {
            "anchor_file": str(self.path(file)) if file else None,
            "anchor_git": str(self.path(git)) if git else None,
        }
        return msgspec.structs.replace(self.audit, **absolute)

    def path(self, text: str) -> Path:
        """Resolve a path written in the file."""
        return Path(self.folder, text)


CREDENTIAL = "credential:"
NAMES = "a name of at most 63 letters, digits, dots, dashes and underscores"


def load_config(path: Path) -> Config:
    """Read the configuration file. Raises ConfigError with file, line, key and mend."""
    return parse_config(_text_of(path), path=path)


def load_place(path: Path) -> tuple[Path, Path]:
    """Read only where the state folder and the control socket are; that is all that looking and answering need.

    A slip in another table stops nobody from looking, and the tables of many pipelines keep nobody waiting. Raises
    ConfigError as `load_config` does where `daemon`, or the name of a table, is wrong.
    """
    text = _text_of(path)
    try:
        tree = tomllib.loads(text)
        daemon = msgspec.convert(tree.get("daemon", {}), DaemonSettings, dec_hook=_decode)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError):
        tree, daemon = {"": None}, DaemonSettings()
    if not set(tree) <= set(Config.__struct_fields__) - {"folder"}:
        config = parse_config(text, path=path)  # it says what is wrong, and where
    else:
        config = Config(daemon=daemon, folder=str(path.parent.absolute()))
    return config.state, config.socket


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no configuration at `{path}`; write one, or name it with --config FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` cannot be read: {error}") from error


def parse_config(text: str, *, path: Path) -> Config:
    """Turn the text of a configuration into a Config; `path` is for messages and relative paths."""
    try:
        tree = _dates_as_times(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{path}` is not TOML: {_lower(str(error))}") from error
    problems = tuple(_unknown_keys(Config, tree, ()))
    if problems:
        raise ConfigError("\n".join(f"{path}:{_line_of(text, keys)}: {said}" for keys, said in problems))
    try:
        config = msgspec.convert({**tree, "folder": str(path.parent.absolute())}, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        keys, said = _place(Config, tree, (), error)
        raise ConfigError(f"{path}:{_line_of(text, keys)}: `{'.'.join(keys) or 'the file'}`: {said}") from error
    return config


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        return parse_duration(value)
    raise NotImplementedError(kind)


def _dates_as_times(tree: Any) -> Any:
    """Read a bare date as its midnight, UTC."""
    if isinstance(tree, dict):
        return {key: _dates_as_times(value) for key, value in tree.items()}
    if isinstance(tree, date) and not isinstance(tree, datetime):
        return datetime.combine(tree, time(), tzinfo=UTC)
    return tree


def _place(
    kind: Any, tree: Mapping[str, Any], keys: tuple[str, ...], error: msgspec.ValidationError
) -> tuple[tuple[str, ...], str]:
    """Name the key an error is about; msgspec leaves out the names within a table of tables, so look into each."""
    said, _, place = str(error).partition(" - at `$")
    for part in re.findall(r"[^.\[\]`]+|\[\.\.\.\]", place):
        if part != "[...]":
            keys, tree = (*keys, part), tree.get(part, {})
            kind = _field_type(kind, part)
            continue
        inner = kind.__args__[-1]
        for name, table in tree.items():
            try:
                msgspec.convert(table, inner, dec_hook=_decode)
            except msgspec.ValidationError as nested:
                return _place(inner, table, (*keys, name), nested)
    about = re.match(r"`(\w+)` must be", said)
    if get_origin(kind) is Literal and said.startswith("Invalid enum value"):
        said = f"{said}; there are {', '.join(f'`{each}`' for each in get_args(kind))}"
    return ((*keys, about[1]) if about else keys), _lower(said)


def _field_type(kind: Any, name: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return next((f.type for f in msgspec.structs.fields(kind) if f.encode_name == name), None)
    return None


def _unknown_keys(kind: Any, tree: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Walk records and tables side by side; yield each key that the records do not have."""
    args = [arg for arg in getattr(kind, "__args__", ()) if arg is not type(None)]
    if getattr(kind, "__origin__", None) is dict and isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _unknown_keys(args[1], value, (*keys, key))
    elif args:
        for arg in args:
            yield from _unknown_keys(arg, tree, keys)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(tree, Mapping):
        known = {f.encode_name: f.type for f in msgspec.structs.fields(kind) if f.name != "folder"}
        for key, value in tree.items():
            if key in known:
                yield from _unknown_keys(known[key], value, (*keys, key))
            else:
                yield (*keys, key), _unknown_key(key, tuple(known), keys)


def _unknown_key(key: str, known: tuple[str, ...], keys: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    help_ = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key `{key}` in `{'.'.join(keys) or 'the file'}`; {help_}"


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """Find the line that holds the innermost of `keys`, as well as text alone can tell."""
    lines = text.splitlines()
    at = 0
    for depth, key in enumerate(keys):
        header = re.compile(r"^\s*\[+\s*" + r"\s*\.\s*".join(_key(k) for k in keys[: depth + 1]) + r"\s*[\].]")
        assignment = re.compile(rf"(^|[\s,{{]){_key(key)}\s*=")
        dotted = re.compile(rf"^\s*([\w.\"'-]+\.)?{_key(key)}\s*[=.]")
        for number in range(at, len(lines)):
            if any(pattern.search(lines[number]) for pattern in (header, assignment, dotted)):
                at = number
                break
    return at + 1


def _key(name: str) -> str:
    return rf"[\"']?{re.escape(name)}[\"']?"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def utc(at: datetime) -> datetime:
    """Read a configured time as aware UTC; a time without a zone is UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
