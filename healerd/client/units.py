"""The texts of the systemd units under which a daemon runs: rendered, never installed here.

Must never grant the daemon a place to write that its configuration does not name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from healerd.config import CREDENTIAL, Config

__all__ = [
    "MARK",
    "NAME",
    "SOCKET",
    "STATE",
    "STRICT",
    "Placed",
    "credentials",
    "named_in",
    "needs_room",
    "own_key",
    "strict_profile",
    "system_unit",
    "user_unit",
    "watchdog_s",
]

NAME = "healerd"
"""Name of the unit, and of the folders that systemd makes for it."""
STRICT = "strict.conf"
"""Name of the drop-in of the strict profile."""
MARK = "# Written by `healerd service install`; put changes of your own into a drop-in (`systemctl edit healerd`)."
"""First line of every unit that is ours, and so may be replaced and removed."""
WATCHDOG_MIN_S = 300
"""A tick judges every window that closed; five minutes are far above the longest, and short beside a window."""
RESTART_S = 30
"""Between two starts, however many fail: a start takes seconds of a processor, and a window is minutes at least."""
TASKS_MAX = 4096
"""Threads count as tasks, and each of the daemon, its fork server, a job and a scorer may load two OpenBLAS of up to 64
threads and an OpenMP of as many as there are processors: on a large machine that is over a thousand."""
STATE, RUN = Path("/var/lib") / NAME, Path("/run") / NAME
SOCKET = RUN / "control.sock"
HOMES = (Path("/home"), Path("/root"))
PREVENTED = "64 66 78"
"""Codes of `healerd run` that no restart mends: usage, a damaged database, a configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where an installation lies and what it may use: absolute paths, sizes as systemd writes them.

    `key` is the file that is handed over as the credential which `audit.key` names; None for the default place.
    `python` is the interpreter itself, behind all links: an environment in `/opt` may be made with one from a home.
    """

    program: Path
    config_file: Path
    user: str = NAME
    group: str = NAME
    key: Path | None = None
    memory_max: str = "4G"
    python: Path | None = None

    @property
    def programs(self) -> tuple[Path, ...]:
        """What has to be read so that the daemon can start."""
        return (self.program, *((self.python,) if self.python else ()))


def system_unit(config: Config, placed: Placed) -> str:
    """Render the unit of a service of the machine, hardened; `systemd-analyze security` judges it."""
    return _unit(
        "After=network-online.target",
        "Wants=network-online.target",
        service=(
            *_common(config, placed),
            f"User={placed.user}",
            f"Group={placed.group}",
            f"StateDirectory={NAME}",
            "StateDirectoryMode=0750",
            f"RuntimeDirectory={NAME}",
            "RuntimeDirectoryMode=0750",
            f"WorkingDirectory={_whole(placed.config_file.parent)}",
            *(f"LoadCredential={name}:{_whole(file)}" for name, file in credentials(config, placed)),
            *(f"ReadWritePaths={_word(path)}" for path in needs_room(config)),
            "",
            "# What it cannot do, whoever talks it into trying.",
            *_hardening(config, placed),
        ),
        wanted_by="multi-user.target",
    )


def user_unit(config: Config, placed: Placed) -> str:
    """Render the unit of one's own session: what systemd lets a user's services be kept from."""
    return _unit(
        service=(
            *_common(config, placed),
            f"RuntimeDirectory={NAME}",
            "RuntimeDirectoryMode=0700",
            f"WorkingDirectory={_whole(placed.config_file.parent)}",
            *(f"LoadCredential={name}:{_whole(file)}" for name, file in credentials(config, placed)),
            "",
            "# What it cannot do, whoever talks it into trying.",
            *_FOR_ALL,
        ),
        wanted_by="default.target",
    )


def strict_profile() -> str:
    """Render the drop-in for a daemon that reads files of its own machine alone: no network, no new machine code."""
    lines = (
        "[Service]",
        "PrivateNetwork=yes",
        "IPAddressDeny=any",
        "RestrictAddressFamilies=",
        "RestrictAddressFamilies=AF_UNIX",
        "MemoryDenyWriteExecute=yes",
    )
    return "\n".join((MARK, *lines, ""))


def watchdog_s(config: Config) -> int:
    """How long nothing may have progressed before the daemon is started anew: four ticks, or five minutes."""
    return max(WATCHDOG_MIN_S, round(4 * config.daemon.tick))


def needs_room(config: Config, *, key_made: bool = False) -> tuple[Path, ...]:
    """Name the places outside what systemd makes that the configuration has the daemon write to.

    The folder of its key is one unless the key is made already.
    """
    found = dict.fromkeys(_written(config, key_made=key_made))
    return tuple(path for path in found if not path.is_relative_to(STATE) and not path.is_relative_to(RUN))


def own_key(config: Config) -> Path | None:
    """Give the file that `audit.key` names; None for the default place, and for a credential."""
    named = config.audit.key
    return config.path(named) if named and not named.startswith(CREDENTIAL) else None


def named_in(config: Config) -> tuple[Path, ...]:
    """Name every absolute path that the configuration writes out: what is read as well as what is written."""
    return tuple(
        dict.fromkeys(Path(text) for text in _texts(msgspec.to_builtins(config, enc_hook=str)) if text.startswith("/"))
    )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _written(config: Config, *, key_made: bool) -> Iterator[Path]:
    yield config.state
    yield config.socket.parent
    key = own_key(config)
    if key is not None and not key_made:
        yield key.parent
    for settings in config.pipeline.values():
        if "://" not in settings.registry:
            yield config.state / settings.registry if Path(settings.registry).is_absolute() else config.state
    anchors = config.anchors
    if anchors.anchor_file:
        yield Path(anchors.anchor_file).parent
    if anchors.anchor_git:
        yield Path(anchors.anchor_git)


def _unit(*wants: str, service: tuple[str, ...], wanted_by: str) -> str:
    lines = (
        MARK,
        "[Unit]",
        "Description=healerd, which keeps models in production healthy",
        *wants,
        "# A disk may be full for longer than a few starts take: it never gives up.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *service,
        "",
        "[Install]",
        f"WantedBy={wanted_by}",
        "",
    )
    return "\n".join(lines)


def _common(config: Config, placed: Placed) -> tuple[str, ...]:
    return (
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={_argument(placed.program)} run --config {_argument(placed.config_file)} --log json",
        "# By the shell's own kill: a small machine has no program of that name.",
        'ExecReload=/bin/sh -c "kill -s HUP ${MAINPID}"',
        "# Opening checks the whole database, and a standby waits for its turn: neither has a usual length.",
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=90",
        "KillMode=mixed",
        "Restart=on-failure",
        f"RestartSec={RESTART_S}",
        f"RestartPreventExitStatus={PREVENTED}",
        "# The daemon pings only while its loop, its writer and its ticker all go on.",
        f"WatchdogSec={watchdog_s(config)}",
        "",
        "# A training that takes too much memory ends; the daemon that watches it goes on.",
        f"MemoryMax={placed.memory_max}",
        "OOMPolicy=continue",
        f"TasksMax={TASKS_MAX}",
        "LimitNOFILE=4096",
        "CPUWeight=50",
        "",
    )


def credentials(config: Config, placed: Placed) -> Iterator[tuple[str, Path]]:
    """Name each credential that the configuration asks for, and the file that holds it."""
    named = config.audit.key or ""
    if named.startswith(CREDENTIAL):
        name = named.removeprefix(CREDENTIAL)
        yield name, placed.key or placed.config_file.parent / name


# Users stay visible (no PrivateUsers): whoever opens the control socket is known by their own user, not as `nobody`.
# The clock reads the boot's id in /proc/sys, so all of /proc stays but other people's processes.
_FOR_ALL = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "UMask=0027",
)


def _hardening(config: Config, placed: Placed) -> tuple[str, ...]:
    paths = (
        *placed.programs,
        placed.config_file,
        *(file for _, file in credentials(config, placed)),
        *named_in(config),
    )
    at_home = any(path.is_relative_to(home) for path in paths for home in HOMES)
    return (
        *_FOR_ALL,
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "DevicePolicy=closed",
        "PrivateDevices=yes",
        "PrivateTmp=yes",
        "PrivateMounts=yes",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        f"ProtectHome={'read-only' if at_home else 'yes'}",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        "RemoveIPC=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
    )


def _whole(path: Path) -> str:
    """Write a path that ends its line as systemd reads it: percent signs are its own."""
    return str(path).replace("%", "%%")


def _word(path: Path) -> str:
    """Write a path as one of several words: blanks part them, and quotes hold them together."""
    text = _whole(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if any(sign in text for sign in " \t\"'") else text


def _argument(path: Path) -> str:
    """Write a path as a word of a command, where dollar signs are systemd's own as well."""
    return _word(path).replace("$", "$$")
