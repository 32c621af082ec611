"""Writes what builds the daemon's image and runs it in a container.

Must never put a secret there, nor give a right that the daemon can do without.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from healerd.errors import ConfigError

__all__ = ["CONFIG_FOLDER", "container_files", "wheel_of"]

CONFIG_FOLDER = "config"
"""The folder that the container sees as `/etc/healerd`: the configuration, and whatever it names beside itself."""
WHEEL = re.compile(r"(?P<file>.+\.whl)(?P<extras>\[[\w,.-]+\])?")
THERE = "/opt/package"
"""Where what is carried lies in the stage of the image that builds; the image itself does not have it."""


def container_files(
    beside: Mapping[str, str | bytes], package: str, constraints: Path | None = None
) -> Mapping[str, str | bytes]:
    """Render the container file and the compose file, each by its name, with what building reads.

    `beside` is the configuration with the files that it names beside itself, `package` what pip is to install: a
    requirement, or a wheel that lies here.
    Raises ConfigError when a file cannot be read.
    """
    wheel, carried = wheel_of(package), {}
    words = [package if wheel is None else f"{THERE}/{wheel.name}{package.removeprefix(str(wheel))}"]
    if wheel is not None:
        carried[wheel.name] = _read(wheel)
    if constraints is not None:
        carried["constraints.txt"] = _read(constraints)
        words += ["--constraint", f"{THERE}/constraints.txt"]
    copy = f"COPY {' '.join(carried)} {THERE}/\n" if carried else ""
    install = " ".join(_quoted(word) for word in words)
    return {
        "Containerfile": CONTAINERFILE.replace("@COPY@\n", copy).replace("@PACKAGE@", install),
        "compose.yaml": COMPOSE,
        **{f"{CONFIG_FOLDER}/{name}": content for name, content in beside.items()},
        **carried,
    }


def wheel_of(package: str) -> Path | None:
    """Give the file when the package is one here, with or without extras; an address or a name is none."""
    found = WHEEL.fullmatch(package)
    return None if found is None or "://" in package else Path(found["file"])


def _quoted(word: str) -> str:
    """Write a word as a shell reads it, in single quotes."""
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ConfigError(f"`{file}` cannot be read: {problem.strerror}; name a file that is here") from problem


CONTAINERFILE = """\
# Another base with Python 3.11 or newer, such as one of your own registry: `--build-arg BASE=...`.
ARG BASE=docker.io/library/python:3.12-slim
FROM ${BASE} AS build
@COPY@
RUN python -m venv --without-pip /opt/healerd \\
 && python -m pip --python /opt/healerd install --no-cache-dir --no-compile @PACKAGE@
# Only what the health check loads each time is compiled: the rest would add a third to the image.
RUN cd /opt/healerd/lib/python3*/site-packages \\
 && python -m compileall -q healerd healerd_rules click msgspec pysqlite3 typing_extensions.py

FROM ${BASE}
RUN groupadd --gid 10001 healerd \\
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/healerd --no-create-home --shell /usr/sbin/nologin healerd \\
 && install -d -o healerd -g healerd -m 0750 /var/lib/healerd /run/healerd
COPY --from=build /opt/healerd /opt/healerd
ENV PATH=/opt/healerd/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HEALERD_CONFIG=/etc/healerd/healerd.toml
USER 10001:10001
VOLUME ["/var/lib/healerd"]
STOPSIGNAL SIGTERM
# Images in the format of OCI, which is what podman builds, have no health check: the compose file has it as well.
HEALTHCHECK --interval=30s --timeout=15s --start-period=2m CMD ["healerd", "status", "--live"]
ENTRYPOINT ["healerd"]
CMD ["run", "--log", "json"]
"""

COMPOSE = """\
# `docker compose up --build`, or `podman-compose up --build`; then `docker compose exec healerd healerd status`.
# `config` has the files that the configuration names beside itself (rules, training code, first versions), but not what
# training code imports: add that, readable for user 10001, and a volume for where predictions lie.
# The name makes the volume `healerd_state` that of the next version too, in whichever folder that is rendered.
name: healerd
services:
  healerd:
    build:
      context: .
      dockerfile: Containerfile
    user: "10001:10001"
    init: true
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    pids_limit: 4096
    mem_limit: 4g
    restart: unless-stopped
    stop_grace_period: 90s
    healthcheck:
      test: ["CMD", "healerd", "status", "--live"]
      interval: 30s
      timeout: 15s
      start_period: 2m
    tmpfs:
      - /tmp:size=512m,mode=1777
      - /run:size=16m,mode=1777
    volumes:
      - state:/var/lib/healerd
      - ./config:/etc/healerd:ro
      # - /srv/served:/data:ro
volumes:
  state:
"""
