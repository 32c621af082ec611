"""Writes the files of a deployment: for cloud-init, a container, monitoring. Deploys nothing itself.

Must never put a secret into what it writes: user data can be read by everything that runs on the machine.
"""

import json
import os
import shutil
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from textwrap import indent

from healerd.client.carrying import carried
from healerd.client.containers import container_files, wheel_of
from healerd.client.units import SOCKET, STATE, Placed, system_unit
from healerd.config import Config
from healerd.errors import ConfigError, Conflict

__all__ = ["PROVIDERS", "Deployment", "monitoring", "render", "write_all"]

PROGRAM, CONFIG_FILE = Path("/opt/healerd/bin/healerd"), Path("/etc/healerd/healerd.toml")
STATE_FOLDER = STATE / "state"
UNIT_FILE = "/etc/systemd/system/healerd.service"
USER_DATA_MAX = 16 * 1024
"""Bytes of user data that the strictest provider takes."""
MONITORING = ("alerts.yml", "grafana.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is set up: the configuration with its text, the package as pip names it, and the size of the volume.

    `constraints` is a file of versions that pip keeps to.
    """

    config: Config
    text: str
    package: str
    volume_gb: int = 20
    constraints: Path | None = None


def render(provider: str, deployment: Deployment) -> Mapping[str, str | bytes]:
    """Render every file of a provider, by its name. Raises ConfigError when the configuration does not fit there."""
    _check_places(deployment.config)
    beside = {"healerd.toml": deployment.text, **carried(deployment.config)}
    if provider == "compose":
        return container_files(beside, deployment.package, deployment.constraints)
    if wheel_of(deployment.package) is not None or deployment.constraints is not None:
        raise ConfigError("files from here are not carried to a cloud: name a package that pip finds from there")
    device, commands = CLOUDS[provider]
    data = _user_data(deployment, device, beside)
    if len(data.encode()) > USER_DATA_MAX:
        raise ConfigError(
            f"the user data would have {len(data.encode())} bytes, more than the {USER_DATA_MAX} that a cloud takes: "
            "shorten the configuration, or name rules and training code by where they will lie, and bring them there"
        )
    return {"user-data.yaml": data, "commands.sh": commands.replace("@GB@", str(deployment.volume_gb))}


def monitoring() -> dict[str, str]:
    """Give the dashboard and the alert rules that are shipped, by their names."""
    shipped = files("healerd.client") / "shipped"
    return {name: (shipped / name).read_text(encoding="utf-8") for name in MONITORING}


def write_all(out: Path, rendered: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Write files into a new or empty folder, all or none.

    Raises:
        Conflict: something lies there already.
        ConfigError: it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Conflict(f"`{out}` is not an empty folder: name another, nothing is written over")
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name, content in rendered.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content.encode() if isinstance(content, str) else content)
            (partial / name).chmod(0o755 if name.endswith(".sh") else 0o644)
        for folder in (path for path in partial.rglob("*") if path.is_dir()):
            folder.chmod(0o755)  # whatever the umask: in a container another user reads what lies there
        partial.rename(out)
    except OSError as problem:
        raise ConfigError(f"`{out}` cannot be written: {problem.strerror}; name another folder") from problem
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return tuple(out / name for name in rendered)


def _check_places(config: Config) -> None:
    for key, found, wanted in (("state", config.state, STATE_FOLDER), ("socket", config.socket, SOCKET)):
        if found != wanted:
            raise ConfigError(
                f'there the state lies on a volume: say `{key} = "{wanted}"` in `[daemon]`, not `{found}`'
            )


def _user_data(deployment: Deployment, device: str, beside: Mapping[str, str | bytes]) -> str:
    placed = Placed(program=PROGRAM, config_file=CONFIG_FILE)
    written = {str(CONFIG_FILE.parent / name): _as_text(name, content) for name, content in beside.items()}
    written |= {UNIT_FILE: system_unit(deployment.config, placed), f"{UNIT_FILE}.d/volume.conf": VOLUME}
    return USER_DATA.format(
        device=device,
        files="".join(WRITTEN.format(path=json.dumps(path), text=_content(text)) for path, text in written.items()),
        package=deployment.package.replace("'", ""),
    )


def _as_text(name: str, content: str | bytes) -> str:
    if isinstance(content, str):
        return content
    raise ConfigError(f"`{name}` is too much for user data: name it by where it will lie (`/...`), and bring it there")


def _content(text: str) -> str:
    """Write a text as YAML: as it stands where people can read it, in base64 where YAML would change a character."""
    if not text.strip("\n") or not all(character.isprintable() or character in "\n\t" for character in text):
        return f"{b64encode(text.encode()).decode()}\n    encoding: b64"
    lines = text.rstrip("\n")
    ending = {0: "-", 1: ""}.get(len(text) - len(lines), "+")
    return f"|2{ending}\n" + indent(text, " " * 6, lambda line: line != "\n").removesuffix("\n")


USER_DATA = """\
#cloud-config
# Sets up healerd with its state on a volume of its own. Anything on the machine can read this: no secret belongs here.
package_update: true
packages:
  - python3-venv
groups:
  - healerd
users:
  - default
  - name: healerd
    system: true
    primary_group: healerd
    homedir: /var/lib/healerd
    no_create_home: true
    shell: /usr/sbin/nologin
    lock_passwd: true
fs_setup:
  - label: healerd
    filesystem: ext4
    device: {device}
    overwrite: false
mounts:
  - [LABEL=healerd, /var/lib/healerd, ext4, 'defaults,nofail,x-systemd.device-timeout=60s', '0', '2']
write_files:
{files}runcmd:
  - [python3, -m, venv, /opt/healerd]
  - [/opt/healerd/bin/pip, install, --no-input, '{package}']
  - [chown, 'healerd:healerd', /var/lib/healerd]
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, healerd.service]
"""

WRITTEN = """\
  - path: {path}
    permissions: '0644'
    content: {text}
"""

VOLUME = """\
[Unit]
RequiresMountsFor=/var/lib/healerd
ConditionPathIsMountPoint=/var/lib/healerd
"""

AWS = """\
#!/bin/sh
# One machine with healerd; the volume stays when the machine goes. Read before you run: it costs money.
set -eu
: "${SUBNET:?name a subnet: SUBNET=subnet-...}"
: "${IMAGE:=resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id}"
aws ec2 run-instances \\
  --image-id "$IMAGE" \\
  --instance-type "${TYPE:-t3.medium}" \\
  --subnet-id "$SUBNET" \\
  --no-associate-public-ip-address \\
  --metadata-options HttpTokens=required \\
  --block-device-mappings \\
    "DeviceName=/dev/sdf,Ebs={VolumeSize=@GB@,VolumeType=gp3,Encrypted=true,DeleteOnTermination=false}" \\
  --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=healerd}]' \\
  --user-data "file://$(dirname "$0")/user-data.yaml"
"""

AZURE = """\
#!/bin/sh
# One machine with healerd; the volume stays when the machine goes. Read before you run: it costs money.
set -eu
: "${GROUP:?name a resource group: GROUP=...}"
az vm create \\
  --resource-group "$GROUP" \\
  --name healerd \\
  --image "${IMAGE:-Canonical:ubuntu-24_04-lts:server:latest}" \\
  --size "${TYPE:-Standard_B2s}" \\
  --public-ip-address '' \\
  --data-disk-sizes-gb @GB@ \\
  --data-disk-delete-option Detach \\
  --generate-ssh-keys \\
  --custom-data "$(dirname "$0")/user-data.yaml"
"""

GCP = """\
#!/bin/sh
# One machine with healerd; the volume stays when the machine goes. Read before you run: it costs money.
set -eu
: "${ZONE:?name a zone: ZONE=europe-west3-a}"
gcloud compute disks create healerd-state --zone "$ZONE" --size @GB@GB --type pd-balanced
gcloud compute instances create healerd \\
  --zone "$ZONE" \\
  --machine-type "${TYPE:-e2-medium}" \\
  --image-project ubuntu-os-cloud \\
  --image-family "${IMAGE:-ubuntu-2404-lts-amd64}" \\
  --no-address \\
  --shielded-secure-boot \\
  --disk name=healerd-state,device-name=healerd-state,auto-delete=no \\
  --metadata-from-file "user-data=$(dirname "$0")/user-data.yaml"
"""

CLOUDS: Mapping[str, tuple[str, str]] = {
    "aws": ("/dev/nvme1n1", AWS),
    "azure": ("/dev/disk/azure/scsi1/lun0", AZURE),
    "gcp": ("/dev/disk/by-id/google-healerd-state", GCP),
}
"""Provider -> the device of the first volume that is attached, and the calls of its own command line."""
PROVIDERS = (*CLOUDS, "compose")
