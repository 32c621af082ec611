"""`healerd doctor`: checks what an installation stands on, and says the mend. Must never change anything.

`CHECKS` is the table. A check yields findings: `ok`, `warn` (works, and somebody should know) or `fail` (does not
work, or is not safe).
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option, place_options
from healerd.cli.show import Show, brief
from healerd.client import Client
from healerd.client.access import STOP
from healerd.client.words import duration
from healerd.config import Config, load_config
from healerd.errors import ControlError, HealerdError

__all__ = ["CHECKS", "Finding", "doctor"]

DISK_FAIL, DISK_WARN = 200 * 2**20, 2 * 2**30
"""Bytes free: below the first a tick may not be able to write, below the second it soon will not."""
WAL_BUG_FIXED = (3, 51, 3)
"""SQLite from 3.7.0 on could lose a commit when two connections reset the write-ahead log at once; fixed here."""
SIGNS = {"ok": "✓", "warn": "!", "fail": "✗"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; `mend` is what to do, and empty when all is well."""

    check: str
    level: str
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined. `config` is None when only a state folder was named; `status` when no daemon answered."""

    state: Path
    client: Client
    config: Config | None
    status: Mapping[str, Any] | None
    now: datetime


@click.command(help="Check the installation and say what to mend.")
@place_options
@json_option
def doctor(state: Path | None, config: Path | None, as_json: bool) -> int:
    """Print one line a check; ends with 7 when one failed."""
    findings = list(_examine(state, config))
    show = Show(as_json=as_json)
    if as_json:
        levels = [finding.level for finding in findings]
        rows = [{"check": f.check, "level": f.level, "said": f.said, "mend": f.mend} for f in findings]
        show.json({"healthy": "fail" not in levels, "findings": rows})
    else:
        show.table(["", "check", "found", "mend"], [[_sign(f, show), f.check, f.said, f.mend] for f in findings])
    return Exit.CHECK_FAILED if any(finding.level == "fail" for finding in findings) else Exit.OK


def _sign(finding: Finding, show: Show) -> str:
    return f"{SIGNS[finding.level]} {finding.level}" if show.is_terminal else finding.level


def _examine(state: Path | None, config: Path | None) -> Iterator[Finding]:
    try:
        settings = load_config(config or default_config()) if config or state is None else None
    except HealerdError as error:
        yield Finding(check="configuration", level="fail", said=str(error), mend="mend the file, then run this again")
        return
    folder = settings.state if settings else state
    assert folder is not None, "one of the two was given"
    client = Client(folder, socket=settings.socket if settings else None)
    patient = Patient(state=folder, client=client, config=settings, status=_status(client), now=_now())
    for check in CHECKS.values():
        yield from check(patient)


def _status(client: Client) -> Mapping[str, Any] | None:
    try:
        return client.link.get("/v1/status")
    except HealerdError:
        return None


def _now() -> datetime:
    from healerd.clock import SystemClock

    return SystemClock().now()


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
        except HealerdError as error:
            away = isinstance(error, ControlError)
            said = f"none answers at `{socket}`" if away else str(error)
            yield Finding(check="daemon", level="warn", said=said, mend="`healerd run`" if away else "see its log")
        return
    yield Finding(check="daemon", level="ok", said=f"process {patient.status['daemon'].get('pid')} answers")
    yield Finding(check="you", level="ok", said=f"{patient.status['you']['name']}: {_roles(patient.status)}")
    if socket.stat().st_mode & 0o007:
        mend = f"chmod o= {socket}"
        yield Finding(check="socket", level="fail", said=f"`{socket}` is open to everybody", mend=mend)


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
    from healerd.cli.rules import load_for

    for name, settings in patient.config.pipeline.items() if patient.config else ():
        assert patient.config is not None
        loaded = load_for(patient.config, settings)
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
            yield Finding(check="source", level="ok", said=f"`{name}`: `{settings.source.path}` is readable")


def _registries(patient: Patient) -> Iterator[Finding]:
    from healerd.actions import Registry

    for name, settings in patient.config.pipeline.items() if patient.config else ():
        registry = Registry(patient.state / settings.registry / name, name)
        yield from _registry(registry, name)


def _registry(registry: Any, name: str) -> Iterator[Finding]:
    if not registry.folder.is_dir():
        said = f"`{name}`: no `{registry.folder}` yet"
        yield Finding(check="registry", level="warn", said=said, mend="`healerd run` makes it, with the first `model`")
        return
    if not os.access(registry.folder, os.W_OK | os.X_OK):
        mend = "make it writable for the daemon's user, or no heal can be carried out"
        yield Finding(check="registry", level="fail", said=f"`{registry.folder}` is read-only", mend=mend)
        return
    try:
        active, faults = registry.active, registry.faults()
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
    said = f"{brief(seq)} leaves, head {head[:8]}; `healerd audit verify` checks them all"
    yield Finding(check="audit", level="ok", said=said)


CHECKS: Mapping[str, Callable[[Patient], Iterator[Finding]]] = {
    "python": _python,
    "sqlite": _sqlite,
    "state folder": _folder,
    "daemon": _daemon,
    "brakes": _brakes,
    "unattended": _unattended,
    "rules": _rules,
    "sources": _sources,
    "registries": _registries,
    "windows": _windows,
    "audit": _audit,
}
"""What is looked at, in the order of the report."""
