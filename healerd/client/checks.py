"""What an installation stands on, checked one thing at a time, each with its mend. Must never change anything.

`CHECKS` is the table. A check yields findings: `ok`, `warn` (works, and somebody should know) or `fail` (does not
work, or is not safe).
"""

import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healerd.client import soundness
from healerd.client.access import STOP, Client
from healerd.client.findings import Finding, Fix, Patient
from healerd.client.words import duration
from healerd.clock import Clock, SystemClock
from healerd.errors import ControlError, HealerdError, RegistryAway, TimedOut

if TYPE_CHECKING:
    from healerd.config import Config

__all__ = ["CHECKS", "examine", "findings_of"]

DISK_FAIL, DISK_WARN = 200 * 2**20, 2 * 2**30
"""Bytes free: below the first a tick may not be able to write, below the second it soon will not."""
WAL_BUG_FIXED = (3, 51, 3)
"""SQLite from 3.7.0 on could lose a commit when two connections reset the write-ahead log at once; fixed here."""
FINDINGS_MAX = 200
"""Findings that a screen shows; a fleet has a thousand pipelines."""


def examine(
    client: Client, config: "Config | None" = None, *, clock: Clock | None = None, skip: Collection[str] = ()
) -> Iterator[Finding]:
    """Run every check but those to skip, in the order of the report; without a configuration, those that need none."""
    patient = Patient(
        state=client.state, client=client, config=config, status=_status(client), now=(clock or SystemClock()).now()
    )
    for name, check in CHECKS.items():
        if name not in skip and (not client.remote or name in ELSEWHERE):
            yield from check(patient)


def findings_of(client: Client) -> list[dict[str, Any]]:
    """What a screen shows of an examination: a window that was judged in time is no news."""
    found = (each for each in examine(client) if each.check != "windows" or each.level != "ok")
    shown = [found_one for found_one, _ in zip(found, range(FINDINGS_MAX), strict=False)]
    return [{"check": f.check, "level": f.level, "said": f.said, "mend": f.mend} for f in shown]


def _status(client: Client) -> Mapping[str, Any] | None:
    try:
        return client.link.get("/v1/status")
    except HealerdError:
        return None


def _python(patient: Patient) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 11):  # noqa: UP036 - said aloud for whoever reads the report
        yield Finding(check="python", level="ok", said=version)
    else:
        yield Finding(check="python", level="fail", said=version, mend="install Python 3.11 or newer")


def _sqlite(patient: Patient) -> Iterator[Finding]:
    from healerd.store.library import sqlite

    said = f"{sqlite.sqlite_version} of {sqlite.__name__.partition('.')[0]}"
    if sqlite.sqlite_version_info >= WAL_BUG_FIXED:
        yield Finding(check="sqlite", level="ok", said=said)
    else:
        mend = "install pysqlite3 0.6.1 or newer: this one can lose a commit while two connections reset the log"
        yield Finding(check="sqlite", level="warn", said=said, mend=mend)


def _folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.state
    if folder.exists() and not folder.is_dir():
        mend = "name a folder with --state DIR, or in the configuration"
        yield Finding(check="state folder", level="fail", said=f"`{folder}` is a file", mend=mend)
        return
    if not folder.is_dir():
        yield Finding(check="state folder", level="warn", said=f"no `{folder}` yet", mend="`healerd run` makes it")
        return
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding(check="state folder", level="ok", said=f"`{folder}` is writable")
    else:
        mend = "run this as the daemon's user, or give that user the folder"
        yield Finding(check="state folder", level="warn", said=f"`{folder}` is read-only for you", mend=mend)
    free = shutil.disk_usage(folder).free
    level = "fail" if free < DISK_FAIL else "warn" if free < DISK_WARN else "ok"
    mend = "" if level == "ok" else "free some space, or move the state folder"
    yield Finding(check="disk", level=level, said=f"{free / 2**30:.1f} GB free", mend=mend)


def _daemon(patient: Patient) -> Iterator[Finding]:
    socket = patient.client.link.path
    if patient.status is None:
        try:
            patient.client.link.get("/v1/status")
        except TimedOut as error:
            mend = "see its log, and start it anew: `healerd stop-all` works meanwhile"
            yield Finding(check="daemon", level="fail", said=f"it hangs: {error}", mend=mend)
        except HealerdError as error:
            closed = isinstance(error.__cause__, PermissionError)
            away = type(error) is ControlError and not closed
            said = f"none answers at `{socket}`" if away else str(error)
            mend = "`healerd run`" if away else "run this as somebody with a role" if closed else "see its log"
            yield Finding(check="daemon", level="warn", said=said, mend=mend)
        return
    yield Finding(check="daemon", level="ok", said=f"process {patient.status['daemon'].get('pid')} answers")
    yield Finding(check="you", level="ok", said=f"{patient.status['you']['name']}: {_roles(patient.status)}")
    if not patient.client.remote and socket.stat().st_mode & 0o007:
        said, fix = f"`{socket}` is open to everybody", Fix(name="close to others", path=socket)
        yield Finding(check="socket", level="fail", said=said, mend=f"chmod o= {socket}", fix=fix)


def _roles(status: Mapping[str, Any]) -> str:
    return ", ".join(status["you"]["roles"])


def _brakes(patient: Patient) -> Iterator[Finding]:
    stop = patient.state / STOP
    if stop.exists():
        mend = 'healerd resume --all --reason "..."'
        yield Finding(check="brakes", level="warn", said=f"`{stop}` stops everything", mend=mend)
    for view in patient.status["pipelines"] if patient.status else ():
        if view["paused"]:
            mend = f'healerd resume {view["name"]} --reason "..."'
            yield Finding(check="brakes", level="warn", said=f"`{view['name']}` is paused", mend=mend)


def _unattended(patient: Patient) -> Iterator[Finding]:
    if patient.config is None:
        return
    if patient.config.daemon.unattended:
        mend = "set `unattended = false` unless that is meant"
        said = "silence counts as consent even when nobody looks, as long as the control API is up"
        yield Finding(check="unattended", level="warn", said=said, mend=mend)
    else:
        yield Finding(check="unattended", level="ok", said="no: silence counts only when somebody could have answered")


def _rules(patient: Patient) -> Iterator[Finding]:
    from healerd.client.rule_files import load_rule_files  # only who has a configuration waits for the language

    for name, settings in patient.config.pipeline.items() if patient.config else ():
        assert patient.config is not None
        loaded = load_rule_files(patient.config.path(file) for file in settings.rules)
        if loaded.ruleset is None:
            said = f"`{name}`: {len(loaded.errors)} errors, the first: {loaded.errors[0].message}"
            files = " ".join(settings.rules)
            yield Finding(check="rules", level="fail", said=said, mend=f"healerd rules check {files}")
        else:
            said = f"`{name}`: {len(loaded.ruleset.rules)} rules, id {loaded.ruleset.id[:8]}"
            yield Finding(check="rules", level="ok", said=said)


def _sources(patient: Patient) -> Iterator[Finding]:
    from healerd.sources import SOURCES

    for name, settings in patient.config.pipeline.items() if patient.config else ():
        assert patient.config is not None
        try:
            source = SOURCES[settings.source.kind](settings.source, Path(patient.config.folder), lambda: "unknown")
            source.fetch(patient.now, patient.now + timedelta(seconds=1))
        except HealerdError as error:
            yield Finding(check="source", level="fail", said=f"`{name}`: {error}", mend="mend `source`")
        else:
            yield Finding(
                check="source", level="ok", said=f"`{name}`: `{settings.source.path or 'source.query'}` is readable"
            )


def _registries(patient: Patient) -> Iterator[Finding]:
    from healerd.actions import FolderRegistry, open_registry

    for name, settings in patient.config.pipeline.items() if patient.config else ():
        registry = open_registry(settings, patient.state, name)
        folder = registry.folder if isinstance(registry, FolderRegistry) else None
        assert patient.config is not None
        first = settings.model and patient.config.path(settings.model)
        yield from _registry(registry, folder, name, first=first or None)


def _registry(registry: Any, folder: Path | None, name: str, *, first: Path | None) -> Iterator[Finding]:
    lacking = Finding(
        check="registry", level="fail", said=f"`{name}`: no version, and no first `{first}`", mend="mend `model`"
    )
    lacks = first is not None and not first.is_file()
    if folder is not None and not folder.is_dir():
        said, mend = f"`{name}`: no `{folder}` yet", "`healerd run` makes it, with the first `model`"
        yield lacking if lacks else Finding(check="registry", level="warn", said=said, mend=mend)
        return
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        mend = "make it writable for the daemon's user, or no heal can be carried out"
        yield Finding(check="registry", level="fail", said=f"`{folder}` is read-only", mend=mend)
        return
    try:
        if first is not None and registry.alias().version is None:
            said, mend = f"`{name}`: no version is active yet", f"`healerd run` stores the first, `{first}`"
            yield lacking if lacks else Finding(check="registry", level="warn", said=said, mend=mend)
            return
        active, faults = registry.active, registry.faults()
    except RegistryAway as error:
        mend = "bring it back: until then its pipeline is judged, and nothing that needs it is done"
        yield Finding(check="registry", level="fail", said=f"`{name}`: away: {error}", mend=mend)
        return
    except HealerdError as error:
        yield Finding(check="registry", level="fail", said=f"`{name}`: {error}")
        return
    for fault in faults:
        yield Finding(check="registry", level="warn", said=f"`{name}`: {fault}")
    yield Finding(check="registry", level="ok", said=f"`{name}`: `{active}` is active")


def _windows(patient: Patient) -> Iterator[Finding]:
    for view in patient.status["pipelines"] if patient.status else ():
        if view["window_end_at"] is None:
            yield Finding(check="windows", level="warn", said=f"`{view['name']}`: none judged yet")
            continue
        age_s = (patient.now - datetime.fromisoformat(view["window_end_at"]).astimezone(UTC)).total_seconds()
        said = f"`{view['name']}`: last judged {duration(max(0.0, age_s))} ago"
        stale = view["state"] == "stale"
        mend = "see whether predictions still arrive, and the daemon's log" if stale else ""
        yield Finding(check="windows", level="warn" if stale else "ok", said=said, mend=mend)


def _audit(patient: Patient) -> Iterator[Finding]:
    if not (patient.state / "healerd.db").exists():
        yield Finding(check="audit", level="warn", said="no database yet", mend="`healerd run` makes it")
        return
    try:
        store = patient.client.open_store()
        seq, head = store.head()
        store.close()
    except HealerdError as error:
        yield Finding(check="audit", level="fail", said=str(error), mend="restore a backup")
        return
    said = f"{seq} leaves, head {head[:8]}; `healerd audit verify` checks them all"
    yield Finding(check="audit", level="ok", said=said)


CHECKS: Mapping[str, Callable[[Patient], Iterator[Finding]]] = {
    "python": _python,
    "sqlite": _sqlite,
    "state folder": _folder,
    "keys": soundness.keys,
    "clock": soundness.clock,
    "daemon": _daemon,
    "roles": soundness.roles,
    "brakes": _brakes,
    "unattended": _unattended,
    "rules": _rules,
    "proofs": soundness.proofs,
    "sources": _sources,
    "registries": _registries,
    "models": soundness.models,
    "references": soundness.references,
    "windows": _windows,
    "alerts": soundness.alerts,
    "audit": _audit,
    "notifications": soundness.channels,
}
"""What is looked at, in the order of the report."""

ELSEWHERE = ("daemon", "windows")
"""What can be looked at when the daemon is on another machine."""
