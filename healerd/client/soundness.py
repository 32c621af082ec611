"""What makes an installation safe, beside what makes it run: clock, roles, references, models, keys, proofs, alerts.

Must never change anything, nor load a model: loading one may run its code.
"""

import ctypes
import grp
import importlib.util
import pwd
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from healerd.client.channels import Send, apprise_senders
from healerd.client.findings import Finding, Fix, Patient
from healerd.client.heard import heard_at
from healerd.client.units import own_key
from healerd.client.words import duration
from healerd.errors import ConfigError, HealerdError
from healerd.model import Reference

if TYPE_CHECKING:
    from healerd.config import Config

__all__ = ["alerts", "channels", "clock", "keys", "models", "proofs", "references", "roles", "try_channels"]

AHEAD_S = 2.0
"""By so much a record may lie in the future before the clock must have been set back."""
REFERENCE_DAYS_MAX = 180
"""A reference whose rows are older has not seen the other half of the year."""
PROOF_S = 20.0
"""Time for the proof of one pipeline's rules; what takes longer is left to `healerd rules verify`."""
RUNS_CODE = (".joblib", ".pkl", ".pickle")
UNSYNCHRONISED = 5
MODELS_MAX = 200


def clock(patient: Patient) -> Iterator[Finding]:
    """Hold the clock against the newest record, and ask the kernel whether something keeps it."""
    ahead_s = (_newest_record_at(patient) - patient.now).total_seconds()
    if ahead_s > AHEAD_S:
        said = f"the newest record lies {ahead_s:.0f} s in the future: the clock was set back"
        mend = "set the clock right before the daemon starts; deadlines and cooldowns wait until then"
        yield Finding(check="clock", level="fail", said=said, mend=mend)
    elif _kept() is False:
        mend = "turn on NTP: `timedatectl set-ntp true`, or chrony"
        yield Finding(check="clock", level="warn", said="nothing keeps this machine's clock right", mend=mend)
    else:
        yield Finding(check="clock", level="ok", said="at or after every record" + (", kept by NTP" if _kept() else ""))


def _newest_record_at(patient: Patient) -> datetime:
    try:
        with patient.client.open_store() as store:
            newest = store.leaves(limit=1, newest_first=True)
    except HealerdError:
        return patient.now
    return newest[0].at if newest else patient.now


def _kept() -> bool | None:
    """Ask the kernel (adjtimex(2), which with no mode set only reads); None where it cannot be asked."""
    ask = getattr(ctypes.CDLL(None), "adjtimex", None)
    if ask is None:
        return None
    answer = ask(ctypes.create_string_buffer(512))  # larger than any struct timex
    return None if answer < 0 else bool(answer != UNSYNCHRONISED)


def roles(patient: Patient) -> Iterator[Finding]:
    """Look whether everybody that the configuration names exists: a slip of the keyboard locks people out."""
    if patient.config is None:
        return
    named = [(role, who) for role, people in patient.config.daemon.roles.items() for who in people]
    strangers = [(role, who) for role, who in named if not _exists(who)]
    for role, who in strangers:
        mend = "write `user:NAME` or `group:NAME` of this machine in `[daemon.roles]`"
        yield Finding(check="roles", level="fail", said=f"`{who}`, {role}, is unknown here", mend=mend)
    if not named:
        said = "none configured: only the daemon's user and root may answer"
        yield Finding(check="roles", level="warn", said=said, mend="name people or groups in `[daemon.roles]`")
    elif not strangers:
        yield Finding(check="roles", level="ok", said=f"{len(named)} people and groups, all known here")


def _exists(who: str) -> bool:
    kind, _, name = who.partition(":")
    try:
        (pwd.getpwnam if kind == "user" else grp.getgrnam)(name)
    except KeyError:
        return False
    return kind in {"user", "group"}


def references(patient: Patient) -> Iterator[Finding]:
    """Look at what each pipeline is held against, and how old that is."""
    for name in patient.config.pipeline if patient.config else ():
        try:
            with patient.client.open_store() as store:
                found = store.find(Reference, pipeline=name, order="-seq", limit=1)
        except HealerdError:
            return
        settings = patient.config.pipeline[name].reference if patient.config else None
        rows = patient.config.path(settings.path) if patient.config and settings and settings.path else None
        if not found and rows is not None and not rows.exists():
            said = f"`{name}`: there is no `{rows}`, and nothing else to measure against"
            yield Finding(check="reference", level="fail", said=said, mend="mend `reference.path`")
            continue
        yield _reference(name, found[0] if found else None, patient.now)


def _reference(name: str, found: Reference | None, now: datetime) -> Finding:
    if found is None:
        said = f"`{name}`: none yet: nothing can be measured"
        return Finding(check="reference", level="warn", said=said, mend="set `reference`, or wait for a first version")
    days = (now - found.end_at) / timedelta(days=1)
    said = f"`{name}`: {found.rows:,} rows up to {found.end_at:%Y-%m-%d}, for `{found.version}`"
    if days > REFERENCE_DAYS_MAX:
        mend = f"if today's inputs are as they should be: `healerd reference accept {name}`"
        return Finding(check="reference", level="warn", said=f"{said}: {days:.0f} days old", mend=mend)
    return Finding(check="reference", level="ok", said=said)


def models(patient: Patient) -> Iterator[Finding]:
    """Look at what model files may do, and who may write them."""
    for name, settings in patient.config.pipeline.items() if patient.config else ():
        assert patient.config is not None
        first = patient.config.path(settings.model) if settings.model else None
        stored = patient.state / settings.registry if "://" not in settings.registry else None
        files = [*([first] if first else []), *_stored(stored)]
        open_ones = [file for file in files if file.is_file() and file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]
        for file in open_ones:
            yield Finding(
                check="models",
                level="fail",
                said=f"`{name}`: `{file}` can be written by others than its owner",
                mend=f"chmod go-w {file}",
                fix=Fix(name="only its owner writes", path=file),
            )
        if settings.allow_pickle:
            said = f"`{name}`: pickles are allowed, and run code when they are loaded"
            mend = "save models as .skops or .onnx, then leave `allow_pickle` out"
            yield Finding(check="models", level="warn", said=said, mend=mend)
        elif first is not None and first.suffix in RUNS_CODE:
            said = f"`{name}`: `{first.name}` would run code, and pickles are not allowed"
            yield Finding(check="models", level="fail", said=said, mend="save the model as .skops or .onnx")
        elif not open_ones:
            yield Finding(check="models", level="ok", said=f"`{name}`: files that run no code, written by one user")


def _stored(registry: Path | None) -> Iterator[Path]:
    if registry is None or not registry.is_dir():
        return
    for file, _ in zip(registry.rglob("model.*"), range(MODELS_MAX), strict=False):
        yield file


def keys(patient: Patient) -> Iterator[Finding]:
    """Look at who may read what only the daemon should."""
    key = (own_key(patient.config) if patient.config else None) or patient.state / "audit.key"
    if key.exists() and key.stat().st_mode & 0o077:
        said = f"`{key}` signs the log, and others can read it"
        fix = Fix(name="only its owner reads", path=key)
        yield Finding(check="key", level="fail", said=said, mend=f"chmod 600 {key}", fix=fix)
    if patient.state.is_dir() and patient.state.stat().st_mode & 0o007:
        said = f"`{patient.state}` is open to everybody on this machine"
        fix = Fix(name="close to others", path=patient.state)
        yield Finding(check="state folder", level="warn", said=said, mend=f"chmod o= {patient.state}", fix=fix)


def proofs(patient: Patient) -> Iterator[Finding]:
    """Prove that nothing acts by itself below the gate, where the solver is installed."""
    if patient.config is None or not patient.config.pipeline:
        return
    if importlib.util.find_spec("z3") is None:
        said = "not proved: the solver is not installed"
        yield Finding(check="proofs", level="warn", said=said, mend='pip install "healerd[verify]"')
        return
    from healerd.client.rule_files import load_rule_files
    from healerd_rules.verify import verify

    done = set[tuple[str, ...]]()
    for name, settings in patient.config.pipeline.items():
        files = tuple(settings.rules)
        if files in done:
            continue
        done.add(files)
        loaded = load_rule_files(patient.config.path(file) for file in files)
        if loaded.ruleset is None:
            continue  # the check of rules has said so
        report = verify(loaded.ruleset, claims=("gate", "cooldown"), timeout_s=PROOF_S)
        if report.failed:
            status = report.failed[0].status
            said = f"`{name}`: {report.failed[0].claim} is {status}"
            level = "warn" if status == "unknown" else "fail"
            yield Finding(
                check="proofs", level=level, said=said, mend=f"healerd rules verify {' '.join(files)}".strip()
            )
        else:
            said = f"`{name}`: nothing acts below the gate or within the cooldown, proved for all facts"
            yield Finding(check="proofs", level="ok", said=said)


def alerts(patient: Patient) -> Iterator[Finding]:
    """Hold the last word of Alertmanager against the time for which it counts, where its alerts are taken."""
    settings = patient.config.listen.alerts if patient.config else None
    if patient.config is None or settings is None:
        return
    token = patient.config.path(settings.token_file) if settings.token_file else None
    if token is not None and not token.is_file():
        said = f"there is no token `{token}`: the daemon does not start without"
        yield Finding(check="alerts", level="fail", said=said, mend="mend `listen.alerts.token_file`")
        return
    if not patient.state.is_dir():
        return
    heard = None
    with suppress(HealerdError), patient.client.open_store() as store:
        heard = heard_at(store)
    mend = "send it an alert that always fires, and see whether the token is right"
    if heard is None:
        yield Finding(check="alerts", level="warn", said="nothing was ever heard from Alertmanager", mend=mend)
        return
    age_s = max(0.0, (patient.now - heard).total_seconds())
    said = f"heard from Alertmanager {duration(age_s)} ago"
    if age_s > settings.expire:
        yield Finding(check="alerts", level="warn", said=f"{said}: to rules its alerts are unknown", mend=mend)
    else:
        yield Finding(check="alerts", level="ok", said=said)


def channels(patient: Patient) -> Iterator[Finding]:
    """Look whether anybody would be told, without telling; `try_channels` tells."""
    if patient.config is None:
        return
    file = patient.config.notify.urls_file
    if file is None or "asks" not in patient.config.notify.kinds:
        alone = "what is announced runs all the same, by `unattended`"
        said = "what is announced runs only where somebody looks, and expires after 24 h"
        said = f"nobody is told of questions: {alone if patient.config.daemon.unattended else said}"
        mend = "set `notify.urls_file`" if file is None else "add `asks` to `notify.kinds`"
        yield Finding(check="notifications", level="warn", said=said, mend=mend)
    if file is None:
        return
    try:
        apprise_senders(patient.config.path(file))
    except ConfigError as problem:
        yield Finding(check="notifications", level="fail", said=str(problem), mend="mend the file, or the installation")
    else:
        said = "the channels are known; `healerd doctor --notify` tries them"
        yield Finding(check="notifications", level="ok", said=said)


def try_channels(config: "Config", senders: Sequence[Send] | None = None) -> Finding:
    """Send a message to every channel, and say which did not take it."""
    file = config.notify.urls_file
    if file is None:
        return Finding(check="test message", level="fail", said="no channel", mend="set `notify.urls_file`")
    try:
        found = apprise_senders(config.path(file)) if senders is None else senders
    except ConfigError as problem:
        return Finding(check="test message", level="fail", said=str(problem), mend="mend the file")
    test = ("healerd: a test", "sent by `healerd doctor --notify`")
    refused = [str(number) for number, send in enumerate(found, 1) if not send(*test)]
    if refused:
        said = f"address {', '.join(refused)} of {len(found)} did not take it"
        return Finding(check="test message", level="fail", said=said, mend="see the addresses, and the network")
    return Finding(check="test message", level="ok", said="every channel took it; see whether it arrived")
