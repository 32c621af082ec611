"""What `deploy` writes: valid for whoever reads it, the same unit as installed here, and no claim of a deployment."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from healerd.cli.deploy import PROVIDERS
from healerd.client import deploying
from healerd.client.deploying import Deployment, monitoring, render, write_all
from healerd.client.units import Placed, system_unit
from healerd.config import parse_config
from healerd.errors import ConfigError, Conflict
from tests.healerd.cli.conftest import Called

Call = Callable[..., Called]
CLOUDS = [name for name in PROVIDERS if name != "compose"]
TEXT = """\
[daemon]
state = "/var/lib/healerd/state"
socket = "/run/healerd/control.sock"

[pipeline.p]
source = { path = "/data/rows: 100%.parquet" }
"""


def deployment(text: str = TEXT) -> Deployment:
    config = parse_config(text, path=Path("/etc/healerd/healerd.toml"))
    return Deployment(config=config, text=text, package="healerd==9.9", volume_gb=33)


def user_data(provider: str) -> Any:
    return yaml.safe_load(render(provider, deployment())["user-data.yaml"])


def test_the_table_of_providers_is_one() -> None:
    """What the verb offers is what can be rendered."""
    assert PROVIDERS == deploying.PROVIDERS


@pytest.mark.parametrize("provider", CLOUDS)
def test_user_data_sets_up_what_is_installed_here(provider: str) -> None:
    """The machine gets the configuration byte for byte, the unit of `service install`, and starts it last."""
    assert render(provider, deployment())["user-data.yaml"].startswith("#cloud-config\n")
    data = user_data(provider)
    written = {each["path"]: each["content"] for each in data["write_files"]}
    assert written["/etc/healerd/healerd.toml"] == TEXT
    config = parse_config(TEXT, path=Path("/etc/healerd/healerd.toml"))
    placed = Placed(program=Path("/opt/healerd/bin/healerd"), config_file=Path("/etc/healerd/healerd.toml"))
    assert written["/etc/systemd/system/healerd.service"] == system_unit(config, placed)
    assert data["runcmd"][-1][:3] == ["systemctl", "enable", "--now"]
    assert ["/opt/healerd/bin/pip", "install", "--no-input", "healerd==9.9"] in data["runcmd"]


@pytest.mark.parametrize("provider", CLOUDS)
def test_the_state_lies_on_a_volume_that_is_never_formatted_again(provider: str) -> None:
    """The volume is mounted where the state is, kept when the machine goes, and the service waits for it."""
    data, commands = user_data(provider), render(provider, deployment())["commands.sh"]
    (setup,) = data["fs_setup"]
    assert setup["overwrite"] is False
    assert data["mounts"][0][:2] == ["LABEL=healerd", "/var/lib/healerd"]
    assert any("ConditionPathIsMountPoint" in each["content"] for each in data["write_files"])
    assert re.search(r"DeleteOnTermination=false|delete-option Detach|auto-delete=no", commands)
    assert "33" in commands


@pytest.mark.parametrize("provider", CLOUDS)
def test_commands_are_shell(provider: str, tmp_path: Path) -> None:
    """The calls parse as shell, stop at the first failure, and want what they cannot guess."""
    file = tmp_path / "commands.sh"
    file.write_text(render(provider, deployment())["commands.sh"])
    assert subprocess.run(["/bin/sh", "-n", file], check=False).returncode == 0
    told = subprocess.run(["/bin/sh", file], capture_output=True, text=True, check=False, env={"PATH": "/nowhere"})
    assert told.returncode != 0
    assert "name a" in told.stderr


@pytest.mark.parametrize("provider", CLOUDS)
@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init is not installed")
def test_cloud_init_finds_the_user_data_valid(provider: str, tmp_path: Path) -> None:
    """cloud-init's own schema check passes."""
    file = tmp_path / "user-data.yaml"
    file.write_text(render(provider, deployment())["user-data.yaml"])
    told = subprocess.run(["cloud-init", "schema", "--config-file", file], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("provider", CLOUDS)
def test_user_data_has_the_shape_that_cloud_init_reads(provider: str) -> None:
    """Without cloud-init at hand: known modules alone, and the types that its documentation names."""
    data = user_data(provider)
    shapes = {
        "package_update": bool, "packages": list, "groups": list, "users": list, "fs_setup": list, "mounts": list,
        "write_files": list, "runcmd": list,
    }  # fmt: skip
    assert {name: type(value) for name, value in data.items()} == shapes
    assert all(set(each) <= {"path", "permissions", "content", "owner"} for each in data["write_files"])
    assert all(re.fullmatch(r"0[0-7]{3}", each["permissions"]) for each in data["write_files"])
    assert all(isinstance(word, str) for row in (*data["mounts"], *data["runcmd"]) for word in row)


def test_a_container_runs_as_nobody_special_and_writes_only_to_its_volume() -> None:
    """The image has its own user; compose takes away capabilities, new privileges and the writable root."""
    rendered = render("compose", deployment())
    service = yaml.safe_load(rendered["compose.yaml"])["services"]["healerd"]
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    instructions = [line.split()[0] for line in rendered["Containerfile"].splitlines() if line and line[0] != " "]
    assert instructions.count("FROM") == 2, "what builds is not what runs"
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")
    assert "USER 10001:10001" in rendered["Containerfile"]


def test_the_health_check_of_a_container_compiles_nothing() -> None:
    """What `healerd status` loads is compiled when the image is built, for the Python that the image runs."""
    text = render("compose", deployment())["Containerfile"]
    (image,) = set(re.findall(r"^FROM \S+/python:(3\.\d+)-slim", text, re.MULTILINE))
    assert f"/lib/python{image}/site-packages" in text
    compiled = {word.removesuffix(".py") for word in re.findall(r"compileall -q (.*)", text)[0].split()}
    code = "import sys, healerd.cli.status, healerd.client.stored, healerd.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"__main__"}
    assert {name for name in foreign if not name.startswith("_")} <= compiled


def test_a_configuration_that_does_not_fit_there_is_refused() -> None:
    """A state elsewhere would not lie on the volume; a configuration that is too long would be cut off."""
    with pytest.raises(ConfigError, match="/var/lib/healerd/state"):
        render("aws", deployment(TEXT.replace("/var/lib/healerd/state", "state")))
    with pytest.raises(ConfigError, match="user data"):
        render("aws", deployment(TEXT + "# long\n" * 3000))


def test_files_come_all_or_none_and_never_over_others(tmp_path: Path) -> None:
    """A folder that holds something is refused; a failure leaves nothing."""
    out = tmp_path / "out"
    assert {path.name for path in write_all(out, monitoring())} == {"alerts.yml", "grafana.json"}
    with pytest.raises(Conflict):
        write_all(out, monitoring())
    with pytest.raises(ConfigError):
        write_all(tmp_path / "out" / "alerts.yml" / "below", {"a": "b"})
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_verb_says_that_nothing_was_deployed(call: Call, tmp_path: Path, provider: str) -> None:
    """A rehearsal names the files it would write; then they are there; either says that nothing is deployed."""
    (tmp_path / "healerd.toml").write_text(TEXT)
    options = ("deploy", "render", "--provider", provider, tmp_path / "out", "--config", tmp_path / "healerd.toml")
    rehearsed = call(*options, "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["deployed"]) == (0, False)
    assert not (tmp_path / "out").exists()
    done = call(*options, "--json")
    assert done.json["files"] == rehearsed.json["files"]
    assert all(Path(path).is_file() for path in done.json["files"])
    assert call(*options).code == 6


def test_monitoring_is_written_as_it_is_shipped(call: Call, tmp_path: Path) -> None:
    """The dashboard is JSON with the panels that the tests checked."""
    assert call("deploy", "monitoring", tmp_path / "out").code == 0
    assert json.loads((tmp_path / "out" / "grafana.json").read_text())["panels"]
