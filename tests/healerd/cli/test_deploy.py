"""What `deploy` writes: valid for whoever reads it, the same unit as installed here, and no claim of a deployment."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from healerd.cli.deploy import PROVIDERS
from healerd.client import Client, deploying
from healerd.client.containers import CONFIG_FOLDER, wheel_of
from healerd.client.deploying import Deployment, monitoring, render, write_all
from healerd.client.units import Placed, system_unit
from healerd.config import parse_config, parse_duration
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


PACKAGE = ("--package", "healerd==9.9")


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


CARRIED = {
    "rules/own.heal": 'import "shared/limits.heal"\nimport "default"\n',
    "rules/shared/limits.heal": 'import "default"\n\n\n',
    "training.py": "  # \u00a0 is no space\ndef fit(features, label):\n    return None",
}
NAMED = TEXT + 'rules = ["rules/own.heal", "/etc/healerd/there.heal"]\nactions.retrain.entry = "training:fit"\n'


def beside(folder: Path, text: str = NAMED) -> Path:
    """Write a configuration and what it names beside itself; give its path."""
    for name, content in CARRIED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "first.skops").write_bytes(b"PK\xff")
    (folder / "healerd.toml").write_text(text)
    return folder / "healerd.toml"


@pytest.mark.parametrize("provider", CLOUDS)
def test_rules_and_training_code_beside_the_configuration_are_carried(
    provider: str, tmp_path: Path, call: Call
) -> None:
    """Byte for byte, with what rules import; what is named by `/` is on the machine already."""
    told = call(
        "deploy", "render", "--provider", provider, tmp_path / "out", "--config", beside(tmp_path / "here"), *PACKAGE
    )
    assert told.code == 0, told.err
    data = yaml.safe_load((tmp_path / "out" / "user-data.yaml").read_text())
    contents = {
        each["path"]: b64decode(each["content"]).decode() if each.get("encoding") == "b64" else each["content"]
        for each in data["write_files"]
    }
    assert {f"/etc/healerd/{name}": text for name, text in CARRIED.items()}.items() <= contents.items()
    assert contents["/etc/healerd/healerd.toml"] == NAMED


def test_nothing_is_installed_by_a_name_that_was_not_given(tmp_path: Path, call: Call) -> None:
    """Whoever holds a name in an index would own the machine: what is installed there is always said."""
    told = call("deploy", "render", "--provider", "aws", tmp_path / "out", "--config", beside(tmp_path / "here"))
    assert (told.code, (tmp_path / "out").exists()) == (2, False)
    assert "--package" in told.err
    options = ("--config", beside(tmp_path / "here"), "--package", "healerd @ https://index.example/h.whl#sha256=0a")
    assert call("deploy", "render", "--provider", "aws", tmp_path / "out", *options).code == 0
    data = yaml.safe_load((tmp_path / "out" / "user-data.yaml").read_text())
    assert [*data["runcmd"][1]][-1] == "healerd @ https://index.example/h.whl#sha256=0a"


def test_a_container_is_given_the_first_version_too(tmp_path: Path, call: Call) -> None:
    """The folder that it sees has all that the configuration names beside itself."""
    config = beside(tmp_path / "here", NAMED + 'model = "first.skops"\n')
    assert call("deploy", "render", "--provider", "compose", tmp_path / "out", "--config", config, *PACKAGE).code == 0
    there = tmp_path / "out" / CONFIG_FOLDER
    found = {str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*") if path.is_file()}
    texts = {name: text.encode() for name, text in {**CARRIED, "healerd.toml": config.read_text()}.items()}
    assert found == {**texts, "first.skops": b"PK\xff"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('model = "first.skops"', "`first.skops` is too much for user data"),
        ('model = "gone.skops"', "cannot be read: No such file"),
        ('rules = ["../outside.heal"]', "`../outside.heal` lies outside the folder of the configuration"),
        ('rules = ["gone.heal"]', "cannot be read"),
        ('rules = ["wrong.heal"]', "wrong.heal:1:1"),
        ('actions.retrain.entry = "latin:fit"', "is not UTF-8 text"),
    ],
)
def test_what_cannot_be_carried_is_refused(line: str, said: str, tmp_path: Path, call: Call) -> None:
    """Nothing is written when a file is missing, wrong, elsewhere, or too much for user data."""
    config = beside(tmp_path / "here", f"{TEXT}{line}\n")
    (tmp_path / "outside.heal").write_text("")
    (tmp_path / "here" / "wrong.heal").write_text("nonsense\n")
    (tmp_path / "here" / "latin.py").write_bytes(b"# \xff\n")
    told = call("deploy", "render", "--provider", "gcp", tmp_path / "out", "--config", config, *PACKAGE)
    assert told.code != 0
    assert said in told.err
    assert not (tmp_path / "out").exists()


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
    assert all(set(each) <= {"path", "permissions", "content", "encoding"} for each in data["write_files"])
    assert all(re.fullmatch(r"0[0-7]{3}", each["permissions"]) for each in data["write_files"])
    assert all(isinstance(word, str) for row in (*data["mounts"], *data["runcmd"]) for word in row)


def container(**given: Any) -> tuple[str, Any]:
    """The container file, and the one service of the compose file."""
    whole = {"config": deployment().config, "text": TEXT, "package": "healerd==9.9", **given}
    rendered = render("compose", Deployment(**whole))
    (service,) = yaml.safe_load(rendered["compose.yaml"])["services"].values()
    return str(rendered["Containerfile"]), service


def test_a_container_runs_as_nobody_special_and_writes_only_to_its_volume() -> None:
    """The image has its own user; compose takes away capabilities, new privileges and the writable root."""
    text, service = container()
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    instructions = [line.split()[0] for line in text.splitlines() if line and line[0] not in " #"]
    assert instructions.count("FROM") == 2, "what builds is not what runs"
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")
    assert "USER 10001:10001" in text


def test_a_container_has_room_for_the_threads_that_a_unit_has() -> None:
    """Compose's limit of processes is that of the unit, in which threads count as well."""
    _, service = container()
    placed = Placed(program=Path("/opt/healerd/bin/healerd"), config_file=Path("/etc/healerd/healerd.toml"))
    assert f"TasksMax={service['pids_limit']}\n" in system_unit(deployment().config, placed)


def test_a_package_with_a_marker_is_installed_as_it_was_named() -> None:
    """A quote in a requirement reaches pip through the shell of the image's build."""
    package = "healerd==9.9; python_version > '3.10'"
    text, _ = container(package=package)
    line = next(each for each in text.splitlines() if "pip --python" in each)
    assert shlex.split(line.removeprefix(" && "))[-1] == package


def test_what_is_rendered_can_be_read_by_the_containers_user(tmp_path: Path) -> None:
    """Under a umask that closes files to others, the folder that the container sees is open all the same."""
    before = os.umask(0o077)
    try:
        write_all(tmp_path / "out", {"config/healerd.toml": TEXT, "config/rules/own/p.heal": "", "compose.yaml": ""})
    finally:
        os.umask(before)
    inside = [tmp_path / "out" / name for name in ("config", "config/rules", "config/rules/own")]
    assert [path.stat().st_mode & 0o777 for path in inside] == [0o755] * 3


def test_the_folder_of_the_socket_is_one_that_every_engine_can_mount() -> None:
    """Podman takes no owner for a folder in memory, so the daemon makes its own below one in which everybody may."""
    _, service = container()
    options = {each.partition(":")[0]: set(each.partition(":")[2].split(",")) for each in service["tmpfs"]}
    assert set(options) == {"/tmp", "/run"}
    assert all({word.partition("=")[0] for word in words} <= {"size", "mode"} for words in options.values())
    assert "mode=1777" in options["/run"]


def test_health_is_asked_of_the_daemon_itself_by_image_and_compose() -> None:
    """Podman's images have no health check, and what a dead daemon stored is not health."""
    text, service = container()
    assert service["healthcheck"]["test"] == ["CMD", "healerd", "status", "--live"]
    (checked,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.MULTILINE)
    assert json.loads(checked) == ["healerd", "status", "--live"]
    patience_s = inspect.signature(Client).parameters["timeout_s"].default
    assert parse_duration(service["healthcheck"]["timeout"]) > patience_s, "it would be ended before it says why"


def test_a_container_comes_back_and_reaps() -> None:
    """A machine that starts anew starts it again, and orphans of actions do not fill its table of processes."""
    _, service = container()
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


def test_another_folder_keeps_the_volume() -> None:
    """The next version, rendered elsewhere, does not begin with an empty state: the project has a name of its own."""
    assert yaml.safe_load(render("compose", deployment())["compose.yaml"])["name"] == "healerd"


def test_the_whole_folder_of_the_configuration_is_mounted() -> None:
    """Rules, training code and models beside the configuration are there too, and an edited file is seen."""
    rendered = render("compose", deployment())
    assert rendered[f"{CONFIG_FOLDER}/healerd.toml"] == TEXT
    assert f"./{CONFIG_FOLDER}:/etc/healerd:ro" in container()[1]["volumes"]


def test_an_image_can_be_built_of_a_release_that_nobody_published(tmp_path: Path, call: Call) -> None:
    """A wheel and versions that lie here are carried along, byte for byte, and pip installs those."""
    wheel, versions = tmp_path / "healerd-9.9-py3-none-any.whl", tmp_path / "versions.txt"
    wheel.write_bytes(b"PK\x03\x04\xff")
    versions.write_text("click==8\n")
    (tmp_path / "healerd.toml").write_text(TEXT)
    options = ["--config", tmp_path / "healerd.toml", "--package", f"{wheel}[mlflow,onnx]", "--constraints", versions]
    assert call("deploy", "render", "--provider", "compose", tmp_path / "out", *options).code == 0
    assert (tmp_path / "out" / wheel.name).read_bytes() == wheel.read_bytes()
    assert (tmp_path / "out" / "constraints.txt").read_bytes() == versions.read_bytes()
    text = (tmp_path / "out" / "Containerfile").read_text()
    assert f"COPY {wheel.name} constraints.txt /opt/package/" in text
    assert f"'/opt/package/{wheel.name}[mlflow,onnx]' '--constraint' '/opt/package/constraints.txt'" in text
    assert call("deploy", "render", "--provider", "aws", tmp_path / "cloud", *options).code == 2
    wheel.unlink()
    assert call("deploy", "render", "--provider", "compose", tmp_path / "none", *options).code == 2
    assert not (tmp_path / "none").exists()


def test_a_package_by_name_or_address_is_no_file() -> None:
    """Only what lies here is carried; without it nothing is copied into the image."""
    assert wheel_of("dist/a.whl[x]") == Path("dist/a.whl")
    assert [wheel_of(text) for text in ("healerd==9.9", "healerd[x]", "https://models.example/a.whl")] == [None] * 3
    text, _ = container()
    assert "COPY" not in text.partition("\nFROM ${BASE}\n")[0]
    assert "'healerd==9.9'\n" in text


def test_the_health_check_of_a_container_compiles_nothing() -> None:
    """What `healerd status` loads is compiled when the image is built, for whatever Python the image runs."""
    text, _ = container()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert "/lib/python3*/site-packages" in text
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
    options = (
        "deploy",
        "render",
        "--provider",
        provider,
        tmp_path / "out",
        "--config",
        tmp_path / "healerd.toml",
        *PACKAGE,
    )
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
