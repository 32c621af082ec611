"""retrain: fit a candidate on the newest trusted rows. It does not serve: promotion is a step of its own.

Must never train on rows that will judge the candidate, nor on data that is not known to be good (SAFETY S13).
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from healerd.action_settings import ActionSettings
from healerd.actions.evidence import Evidence, newest, since
from healerd.actions.job import TrainingJob
from healerd.actions.limits import limits_of, remote_of
from healerd.actions.outside import Outside
from healerd.actions.registries import model_files
from healerd.actions.registry import Draft, version_name
from healerd.actions.worker import Run
from healerd.actions.world import Observation, Plan, Refusal, Seen, World
from healerd.columns import Predictions
from healerd.errors import ActionError, RegistryAway
from healerd.model import Intent, VersionKind

__all__ = [
    "Retrain",
    "bounds",
    "judge_from",
    "judgement_rows",
    "observe_fit",
    "plan_of_rows",
    "refit_key",
    "start_fit",
    "start_refit",
]

TRAIN_ROWS_MAX = 1_000_000
REFIT = "refit"
SEEN = {
    Run.RUNNING: Seen.RUNNING,
    Run.FAILED: Seen.FAILED,
    Run.ABSENT: Seen.ABSENT,
    Run.UNKNOWN: Seen.UNKNOWN,
    Run.DONE: Seen.ABSENT,  # the registry was asked first
}


class Retrain:
    """Fit a new model on the newest labelled rows, keeping the very newest back to judge it."""

    name = "retrain"
    does = "fits a candidate on the newest labelled rows; serves nothing"
    idempotent = True
    dedupe = True
    reversible = True
    observable = True
    serves = False
    needs_good_data = True
    needs_registry = True

    def plan(self, world: World) -> Plan | Refusal:
        """Choose the rows: the newest windows judge, the ones before them train."""
        if world.data_flaw:
            return Refusal(action=self.name, reason=world.data_flaw)
        if not _trains(world.settings.actions.get(self.name)):
            reason = "nothing trains; set `actions.retrain.entry`, `.command` or `.url`"
            return Refusal(action=self.name, reason=reason)
        healing = world.settings.healing
        found = newest(world, windows=healing.train_windows + healing.judge_windows)
        cut = judge_from(found, windows=healing.judge_windows, rows_min=healing.rows_min)
        return plan_of_rows(self.name, world, found, cut, what="train")

    def makes(self, intent: Intent) -> str:
        """Name the candidate."""
        return version_name(self.name, intent.key)

    def execute(self, intent: Intent, world: World, *, epoch: int) -> None:
        """Begin to fit on the rows that the plan chose."""
        start, end = bounds(intent)
        _start(world, key=intent.key, name=self.makes(intent), start=start, end=end, note="candidate")

    def observe(self, intent: Intent, world: World, *, epoch: int) -> Observation:
        """Look for the candidate in the registry, then for its job; a job elsewhere is asked for, never assumed."""
        seen = observe_fit(world, key=intent.key, name=self.makes(intent))
        if seen.seen is Seen.ABSENT and _may_run_elsewhere(world, intent.key):
            start, end = bounds(intent)
            _start(
                world, key=intent.key, name=self.makes(intent), start=start, end=end, note="candidate", only_ask=True
            )
            return Observation(seen=Seen.RUNNING, reason="the job is asked for")
        return seen


def plan_of_rows(name: str, world: World, found: Evidence, cut: datetime | None, *, what: str) -> Plan | Refusal:
    """Plan a fit on the rows before `cut`, judged on those from it on; a refusal where either are too few."""
    rows_min = world.settings.healing.rows_min
    train = found.before(cut) if cut else None
    if cut is None or train is None or len(train) < rows_min:
        have = 0 if train is None else len(train)
        return Refusal(
            action=name,
            reason=f"{have} labelled rows to train on and {len(found) - have} to judge by; each needs {rows_min}",
        )
    args = {"train_from": found.windows[0].isoformat(), "judge_from": cut.isoformat()}
    note = f"{what} on {len(train)} rows from {found.windows[0]:%Y-%m-%d %H:%M} to {cut:%Y-%m-%d %H:%M}"
    return Plan(action=name, target=None, current=world.registry.active, args=args, note=note)


def judgement_rows(heal: Intent, world: World) -> Predictions:
    """Gather the labelled rows that the candidate of `heal` never saw, as known by now."""
    _, cut = bounds(heal)
    healing = world.settings.healing
    return newest(world, windows=healing.train_windows + healing.judge_windows, since=cut).rows


def refit_key(heal: Intent) -> str:
    """Derive the key of the second fit of a retraining."""
    return sha256(f"{heal.key} {REFIT}".encode()).hexdigest()


def start_refit(heal: Intent, world: World, *, end: datetime) -> None:
    """Begin to fit the accepted candidate anew on the rows up to `end`, those that judged it included."""
    start, _ = bounds(heal)
    key = refit_key(heal)
    _start(world, key=key, name=version_name(REFIT, key), start=start, end=end, note=f"refit of {heal.key[:12]}")


def observe_fit(world: World, *, key: str, name: str) -> Observation:
    """Look for a fitted version by key and name, then for its job. Raises RegistryAway while that cannot be asked."""
    try:
        version = world.registry.made_by(key, name)
    except RegistryAway:
        raise
    except ActionError as error:
        return Observation(seen=Seen.UNKNOWN, reason=str(error))
    if version is not None:
        return Observation(seen=Seen.DONE, version=version.name, at=version.created_at)
    look = world.worker.look(key)
    return Observation(seen=SEEN[look.run], reason=look.reason)


def _start(
    world: World, *, key: str, name: str, start: datetime, end: datetime, note: str, only_ask: bool = False
) -> None:
    settings = world.settings.actions["retrain"]
    start_fit(
        world,
        "retrain",
        entry=settings.entry or "",
        args=settings.args,
        outside=outside_of(world, settings, only_ask=only_ask),
        key=key,
        name=name,
        start=start,
        end=end,
        note=note,
    )


def start_fit(
    world: World,
    action: str,
    *,
    entry: str,
    args: Mapping[str, Any],
    key: str,
    name: str,
    start: datetime,
    end: datetime,
    note: str,
    outside: Outside | None = None,
) -> None:
    """Begin to fit a version on the trusted rows of [start, end). Raises ActionError when too few are left."""
    settings = world.settings.actions.get(action) or ActionSettings()
    healing = world.settings.healing
    rows = since(world, start, trusted_only=True).before(end)
    if len(rows) < healing.rows_min:
        raise ActionError(f"only {len(rows)} labelled rows before {end:%Y-%m-%d %H:%M} are left to train on")
    draft = Draft(
        name=name,
        key=key,
        kind=VersionKind.MODEL,
        created_at=world.now,
        trained_from_at=start,
        trained_to_at=end,
        trained_rows=len(rows),
        note=note,
    )
    job = TrainingJob(
        key=key,
        entry=entry,
        registry=world.registry,
        draft=draft,
        features={name: column[-TRAIN_ROWS_MAX:] for name, column in rows.features.items()},
        label=rows.label[-TRAIN_ROWS_MAX:],
        deadline_s=settings.deadline,
        outside=outside,
        args=args,
    )
    world.worker.start(job)


def outside_of(world: World, settings: ActionSettings, *, only_ask: bool = False) -> Outside | None:
    """Say how somebody else's program trains; None where a Python entry point does."""
    if settings.command is None and settings.url is None:
        return None
    return Outside(
        limits=limits_of(settings),
        command=tuple(settings.command or ()),
        remote=remote_of(settings),
        file_format=settings.format,
        files=model_files(world.settings),
        only_ask=only_ask,
    )


def _trains(settings: ActionSettings | None) -> bool:
    return settings is not None and bool(settings.entry or settings.command or settings.url)


def _may_run_elsewhere(world: World, key: str) -> bool:
    """Tell whether a job that is not followed here may run on another machine: until that has been asked."""
    settings = world.settings.actions.get("retrain")
    return settings is not None and settings.url is not None and not world.worker.look(key).asked


def judge_from(found: Evidence, *, windows: int, rows_min: int) -> datetime | None:
    """Find the newest moment with at least `windows` windows and `rows_min` rows after it; None when there is none."""
    for start in reversed(found.windows[: max(0, len(found.windows) - windows + 1)]):
        if len(found.since(start)) >= rows_min:
            return start
    return None


def bounds(heal: Intent) -> tuple[datetime, datetime]:
    """Read from when on rows train, and from when on they judge. Raises ActionError."""
    try:
        return datetime.fromisoformat(heal.args["train_from"]), datetime.fromisoformat(heal.args["judge_from"])
    except (KeyError, ValueError) as error:
        raise ActionError(f"intent `{heal.id}` does not say which rows train: {error!r}; withdraw it") from error
