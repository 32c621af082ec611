"""The units for systemd: what systemd itself says of them, and that they grant no more than the configuration asks."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from healerd.client.units import Placed, needs_room, strict_profile, system_unit, user_unit, watchdog_s
from healerd.config import Config, parse_config

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
EXPOSURE_MAX = 1.3
TEXT = """
[daemon]
state = "/var/lib/healerd/state"
socket = "/run/healerd/control.sock"
[audit]
key = "credential:audit"
"""


def configured(text: str = TEXT) -> Config:
    return parse_config(text, path=Path("/etc/healerd/healerd.toml"))


def placed(**changed: object) -> Placed:
    fields = {
        "program": Path(sys.executable),
        "config_file": Path("/etc/healerd/healerd.toml"),
        "user": "daemon",
        "group": "daemon",
    }
    return Placed(**{**fields, **changed})  # type: ignore[arg-type]


def analyse(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    file = tmp_path / "healerd.service"
    file.write_text(system_unit(configured(), placed()))
    return file


@needs_systemd
def test_systemd_reads_the_unit_without_a_word(unit: Path) -> None:
    """`systemd-analyze verify` says nothing of the unit, with and without the strict profile."""
    for profile in (None, strict_profile()):
        if profile:
            (unit.parent / "healerd.service.d").mkdir()
            (unit.parent / "healerd.service.d" / "strict.conf").write_text(profile)
        told = analyse("verify", "--recursive-errors=no", unit)
        assert (told.returncode, [line for line in told.stderr.splitlines() if "healerd" in line]) == (0, [])


@needs_systemd
def test_the_unit_is_exposed_little(unit: Path) -> None:
    """The exposure that systemd computes offline is at most 1.3, and less with the strict profile."""

    def exposure() -> float:
        told = analyse("security", "--offline=true", unit)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)
        assert found, told.stdout + told.stderr
        return float(found[1])

    plain = exposure()
    assert plain <= EXPOSURE_MAX
    assert analyse("security", "--offline=true", "--threshold=13", unit).returncode == 0
    text = unit.read_text().replace("\n[Install]", strict_profile().replace("[Service]", "") + "\n[Install]")
    unit.write_text(text)
    assert exposure() < plain


@needs_systemd
def test_systemd_reads_the_unit_of_a_session(tmp_path: Path) -> None:
    """The unit of a user passes `systemd-analyze --user verify`."""
    file = tmp_path / "healerd.service"
    file.write_text(user_unit(configured(TEXT.replace("/run/healerd", "/var/lib/healerd/state")), placed()))
    told = analyse("--user", "verify", "--recursive-errors=no", file)
    assert [line for line in told.stderr.splitlines() if "healerd.service" in line] == []


def test_people_are_known_by_their_own_user() -> None:
    """The unit never hides users: behind `PrivateUsers` everybody at the socket would be `nobody`."""
    assert "PrivateUsers" not in system_unit(configured(), placed()) + strict_profile()
    assert "ProcSubset" not in system_unit(configured(), placed()) + strict_profile()


def test_a_key_is_handed_over_where_the_configuration_asks() -> None:
    """`credential:NAME` becomes LoadCredential of that name; without it there is none."""
    assert "LoadCredential=audit:/etc/healerd/audit\n" in system_unit(configured(), placed())
    elsewhere = system_unit(configured(), placed(key=Path("/etc/keys/k.pem")))
    assert "LoadCredential=audit:/etc/keys/k.pem\n" in elsewhere
    assert "LoadCredential" not in system_unit(configured(TEXT.replace("credential:audit", "/etc/k")), placed())


def test_it_may_write_where_the_configuration_says_and_nowhere_else() -> None:
    """State elsewhere, an own registry and anchors are granted; what systemd makes anyway is not said again."""
    assert needs_room(configured()) == ()
    text = TEXT.replace("/var/lib/healerd/state", "/srv/state") + (
        'anchor_file = "/mnt/worm/anchors"\n[pipeline.p]\nsource = { path = "/data/rows.parquet" }\n'
        'registry = "/srv/models"\n'
    )
    assert set(needs_room(configured(text))) == {Path("/srv/state"), Path("/srv/models"), Path("/mnt/worm")}
    assert "ReadWritePaths=/srv/models\n" in system_unit(configured(text), placed())
    assert "/data" not in system_unit(configured(text), placed())


def test_the_watchdog_leaves_a_slow_ticker_its_time() -> None:
    """Its time is five minutes, or four ticks where those take longer."""
    assert watchdog_s(configured()) == 300
    assert watchdog_s(configured(TEXT.replace("[daemon]", '[daemon]\ntick = "10m"'))) == 2400


@pytest.mark.parametrize("text", [system_unit(configured(), placed()), user_unit(configured(), placed())])
def test_a_start_that_fails_is_tried_for_ever_and_costs_little(text: str) -> None:
    """systemd gives no unit up for a disk that is full for an hour, and a loop of crashes is mostly pauses."""
    said = dict(line.partition("=")[::2] for line in text.splitlines())
    pause_s, interval_s = int(said["RestartSec"]), int(said["StartLimitIntervalSec"])
    assert interval_s == 0 or int(said["StartLimitBurst"]) * pause_s > interval_s
    assert pause_s >= 20


def test_a_program_at_home_can_be_read() -> None:
    """An installation below /home is not hidden from itself, and still cannot be written."""
    assert "ProtectHome=yes" in system_unit(configured(), placed(program=Path("/opt/venv/bin/healerd")))
    assert "ProtectHome=read-only" in system_unit(configured(), placed(program=Path("/home/ada/bin/healerd")))


def test_odd_paths_stay_one_word() -> None:
    """Spaces and percent signs in a path reach the daemon as they are."""
    text = system_unit(configured(), placed(config_file=Path("/etc/my 100% healerd/h.toml")))
    assert '--config "/etc/my 100%% healerd/h.toml" ' in text


ODD = ["/srv/a b", "/srv/a\tb", "/srv/o'brien", '/srv/"b"', "/srv/100%", "/srv/back\\slash", "/srv/$HOME"]


def odd_unit(folder: str) -> str:
    """A unit all of whose places lie below a folder."""
    paths = [f"state = {json.dumps(folder + '/state')}", f"socket = {json.dumps(folder + '/run/control.sock')}"]
    text = "\n".join(["[daemon]", *paths, "[audit]", 'key = "credential:audit"'])
    where = placed(config_file=Path(folder, "healerd.toml"), key=Path(folder, "audit.pem"))
    return system_unit(configured(text), where)


@pytest.mark.parametrize("folder", ODD)
def test_odd_folders_are_said_whole(folder: str) -> None:
    """What systemd takes as words is quoted, what it takes whole is not; each line names the folder and no other."""
    lines = [line.partition("=")[::2] for line in odd_unit(folder).replace("%%", "%").splitlines()]
    assert [shlex.split(said) for name, said in lines if name == "ReadWritePaths"] == [
        [f"{folder}/state"],
        [f"{folder}/run"],
    ]
    assert dict(lines)["WorkingDirectory"] == folder
    assert dict(lines)["LoadCredential"] == f"audit:{folder}/audit.pem"
    assert f"{folder}/healerd.toml" in shlex.split(dict(lines)["ExecStart"].replace("$$", "$"))


@needs_systemd
@pytest.mark.parametrize("folder", ODD)
def test_systemd_reads_odd_folders_without_a_word(tmp_path: Path, folder: str) -> None:
    """systemd ignores no line of a unit whose places have blanks, quotes or percent signs."""
    file = tmp_path / "healerd.service"
    file.write_text(odd_unit(folder))
    told = analyse("verify", "--recursive-errors=no", file)
    assert (told.returncode, [line for line in told.stderr.splitlines() if "healerd" in line]) == (0, [])


def test_a_key_of_its_own_can_be_made() -> None:
    """The folder of a key that the configuration names may be written to, since the first start makes it there."""
    own = configured(TEXT.replace("credential:audit", "/srv/keys/audit.key"))
    assert "ReadWritePaths=/srv/keys\n" in system_unit(own, placed())
    assert needs_room(own, key_made=True) == ()


def test_a_table_at_home_can_be_read() -> None:
    """Rows, models, keys or the interpreter below /home are not hidden from the daemon that is to read them."""
    rows = TEXT + '[pipeline.p]\nsource = { path = "/home/ada/rows.csv" }\n'
    assert "ProtectHome=read-only" in system_unit(configured(rows), placed(program=Path("/opt/venv/bin/healerd")))
    python = placed(program=Path("/opt/venv/bin/healerd"), python=Path("/home/ada/.local/share/python3.11"))
    assert "ProtectHome=read-only" in system_unit(configured(), python)
    key = placed(program=Path("/opt/venv/bin/healerd"), key=Path("/home/ann/audit.pem"))
    assert "ProtectHome=read-only" in system_unit(configured(), key)


def test_a_reload_needs_no_program_but_the_shell() -> None:
    """The reload's own words send SIGHUP where there is nothing on the path, as on a machine without procps."""
    line = next(each for each in system_unit(configured(), placed()).splitlines() if each.startswith("ExecReload="))
    # Whoever runs the tests may ignore SIGHUP, as under nohup: the daemon of this test does not.
    waits = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_DFL); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        words = shlex.split(line.partition("=")[2].replace("${MAINPID}", str(process.pid)))
        told = subprocess.run(words, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
        assert (told.returncode, process.wait(10)) == (0, -signal.SIGHUP), told.stderr


def test_a_large_machine_has_room_for_its_threads() -> None:
    """Four processes, each with two OpenBLAS of 64 threads and an OpenMP of 256 processors, stay below TasksMax."""
    found = re.search(r"^TasksMax=(\d+)$", system_unit(configured(), placed()), re.MULTILINE)
    assert found
    assert int(found[1]) >= 4 * (2 * 64 + 256) + 64
