"""The claims about the image, each a function that says what was seen or fails.

Must never ask outside a container what a claim says of the inside.
"""

import functools
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.image.engine import Engine, Said, wait_for

STATE, UID = "/var/lib/healerd/state", 10001
WHY = ("--reason", "a trial of the image")
PROBE = "import urllib.request as r; a = r.urlopen('http://127.0.0.1:9464{path}'); print(a.status, len(a.read()))"
ORPHANS = "for i in 1 2 3; do sleep 0.1 & done"


@dataclass
class World:
    """The images, what is mounted into them, and the daemon that runs."""

    engine: Engine
    image: str
    next_image: str
    rendered: Path
    data: Path
    compose: str | None
    daemon: str = "healerd-trial"
    state: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def mounts(self) -> tuple[str, ...]:
        return (f"--volume={self.rendered}/config:/etc/healerd:ro", f"--volume={self.data}:/data:ro")

    def start(self, image: str, *, on: str) -> None:
        """Run the daemon of an image on a volume, and wait until it is live."""
        self.engine.start(self.daemon, f"--volume={on}:/var/lib/healerd", *self.mounts, image)
        wait_for(lambda: self.verb("status", "--live").code == 0)

    def verb(self, *words: str) -> Said:
        return self.engine.healerd(self.daemon, *words)

    def told(self, *words: str) -> Any:
        said = self.verb(*words, "--json")
        assert said.code in {0, 8}, said.all
        return json.loads(said.out)

    def inside(self, *words: str) -> str:
        return self.engine.must("exec", self.daemon, *words)

    def host_pid(self) -> int:
        """The process of the daemon itself, which an init process has started, as this machine numbers it."""
        rows = self.engine.must("top", self.daemon, "hpid", "args").splitlines()
        return next(int(row.split()[0]) for row in rows[1:] if "bin/healerd" in row)


def rights(world: World) -> str:
    """A process without capabilities, new privileges or a writable root, under a user of its own."""
    status = dict(
        line.split(":\t", 1) for line in world.inside("cat", "/proc/self/status").splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(UID)}
    assert all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert status["NoNewPrivs"] == "1"
    for place in ("/", "/opt/healerd", "/etc/healerd", "/data", "/usr"):
        said = world.engine.call("exec", world.daemon, "touch", f"{place}/x")
        assert said.code != 0, f"{place} can be written"
        assert "ead-only" in said.err, f"{place}: {said.all}"
    return f"user {UID}, capabilities 0, NoNewPrivs 1, Seccomp {status['Seccomp']}, nothing writable"


def volume(world: World) -> str:
    """A new volume belongs to the daemon's user, others cannot enter, and the key is its owner's alone."""
    told = world.inside("stat", "-c", "%u:%g %a %n", "/var/lib/healerd", STATE, f"{STATE}/audit.key", "/run/healerd")
    assert told.splitlines() == [
        f"{UID}:{UID} 750 /var/lib/healerd", f"{UID}:{UID} 750 {STATE}", f"{UID}:{UID} 600 {STATE}/audit.key",
        f"{UID}:{UID} 750 /run/healerd",
    ], told  # fmt: skip
    return "10001:10001, 750; key 600"


def health(world: World) -> str:
    """The health check is green while the daemon answers, and red when it hangs."""
    assert world.verb("status", "--live").code == 0
    pid = world.host_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        hung = world.verb("status", "--live")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert hung.code == 124, hung.all
    wait_for(lambda: world.verb("status", "--live").code == 0)
    return "0 live, 124 hung"


def outlook(world: World) -> str:
    """Metrics and health answer on loopback inside the container, where `listen.address` says."""
    ready = PROBE.format(path="/readyz")  # not so at once, where a tick is late
    wait_for(lambda: world.engine.call("exec", world.daemon, "python", "-c", ready).code == 0)
    seen = [world.inside("python", "-c", PROBE.format(path=path)) for path in ("/healthz", "/readyz", "/metrics")]
    assert all(each.startswith("200 ") for each in seen), seen
    return f"/healthz 200, /readyz 200, /metrics {seen[2].split()[1]} bytes"


def doctor(world: World) -> str:
    """`healerd doctor` inside finds nothing that must be mended."""
    told = world.told("doctor", "--skip", "proofs")
    assert told["healthy"], told
    return "healthy"


def judges(world: World) -> str:
    """Windows of a table on a volume are judged, and harm in it leads to a question."""
    wait_for(lambda: world.told("inbox")["intents"])
    world.seen["question"] = world.told("inbox")["intents"][0]
    return f"asks to {world.seen['question']['action']}"


def heals(world: World) -> str:
    """An approved retraining runs the user's code in a process of its own, and its candidate is stored."""
    question = world.seen["question"]
    said = world.verb("approve", question["id"], "--if-rev", str(question["revision"]), *WHY)
    assert said.code == 0, said.all
    folder = f"{STATE}/registry/spam/versions"
    wait_for(lambda: len(world.inside("ls", folder).split()) >= 2)
    return f"versions {', '.join(world.inside('ls', folder).split())}"


def reaps(world: World) -> str:
    """Processes whose parent has ended do not stay as zombies."""
    world.inside("sh", "-c", ORPHANS)
    wait_for(lambda: "sleep" not in world.engine.must("top", world.daemon, "state", "args"))
    return "none left"


def reloads(world: World) -> str:
    """SIGHUP reads a rule file anew that was edited on the outside, and refuses a wrong one."""
    rules = world.rendered / "config" / "own.heal"
    good = rules.read_text(encoding="utf-8")
    for text, word in ((good + "propose nonsense\n", "error"), (good + "# edited\n", "rules")):
        edited = rules.with_suffix(".new")
        edited.write_text(text, encoding="utf-8")
        edited.replace(rules)  # as editors do: a mount of the file alone would go on showing the old one
        before = len(logged(world))
        world.engine.must("kill", "--signal=HUP", world.daemon)
        wait_for(functools.partial(_more_lines, world, before))
        assert word in json.dumps(logged(world)[before:]), logged(world)[before:]
    return "wrong kept out, edited taken"


def _more_lines(world: World, before: int) -> bool:
    return len(logged(world)) > before


def logs(world: World) -> str:
    """Each line of the log is one JSON object."""
    lines = logged(world)
    assert lines
    assert all({"at", "level", "from", "message"} <= set(line) for line in lines)
    return f"{len(lines)} lines"


def logged(world: World) -> list[Any]:
    return [json.loads(line) for line in world.engine.call("logs", world.daemon).all.splitlines() if line]


def writes(world: World) -> str:
    """Nothing was written outside the mounts."""
    told = world.engine.must("diff", world.daemon).splitlines()
    assert set(told) <= {"C /etc", "A /etc/healerd", "A /data", "C /run", "A /run/healerd", "C /var", "C /var/lib"}, (
        told
    )
    return "mount points alone"


def drains(world: World) -> str:
    """SIGTERM ends it with 0 within the compose file's patience, and says that it finishes what is under way."""
    world.seen["head"] = world.told("audit", "verify")
    world.engine.must("stop", "--time=90", world.daemon)
    code = world.engine.must("inspect", world.daemon, "--format", "{{.State.ExitCode}}")
    assert code == "0", code
    assert any("stopping" in line["message"] for line in logged(world)), logged(world)[-3:]
    return "exit code 0"


def looks_alone(world: World) -> str:
    """Without its daemon the volume can be looked at, and the health check is red."""
    on = f"--volume={world.state}:/var/lib/healerd"
    assert world.engine.once(on, *world.mounts, world.image, "status").code == 0
    assert world.engine.once(on, *world.mounts, world.image, "status", "--live").code == 3
    said = world.engine.once(on, *world.mounts, world.image, "audit", "verify")
    assert said.code == 0, said.all
    return "status 0, status --live 3, audit verify 0"


def upgrades(world: World) -> str:
    """An image of the next version goes on with the same volume, and its record is whole."""
    world.start(world.next_image, on=world.state)
    version = world.inside("healerd", "--version")
    assert version != world.engine.must("run", "--rm", "--network=none", world.image, "--version")
    said = world.verb("audit", "verify")
    assert said.code == 0, said.all
    assert len(world.inside("ls", f"{STATE}/registry/spam/versions").split()) >= 2
    return f"now {version}"


def restores(world: World) -> str:
    """A backup taken inside is restored into another volume by the image; it acts on nothing until resumed."""
    assert world.verb("backup", "/var/lib/healerd/trial.tar.gz").code == 0
    other = world.engine.volume("healerd-trial-restored")
    copied = world.engine.folder / "trial.tar.gz"
    world.engine.must("cp", f"{world.daemon}:/var/lib/healerd/trial.tar.gz", copied)
    copied.chmod(0o644)
    world.engine.must("stop", "--time=90", world.daemon)
    on = (f"--volume={other}:/var/lib/healerd", f"--volume={copied}:/backup/trial.tar.gz:ro", *world.mounts)
    said = world.engine.once(*on, world.next_image, "restore", "/backup/trial.tar.gz", *WHY)
    assert said.code == 0, said.all
    world.start(world.next_image, on=other)
    assert world.verb("audit", "verify").code == 0
    assert world.told("status")["stop_file"], "it would act"
    assert world.verb("resume", "--all", *WHY).code == 0
    return "restored, stopped until resumed"


def refuses(world: World) -> str:
    """What no restart mends ends with the codes of sysexits, in one line of JSON or words, never a traceback."""
    engine, image = world.engine, world.image
    empty, foreign = engine.folder / "empty", engine.folder / "foreign"
    for folder in (empty, foreign):
        folder.mkdir(exist_ok=True)
    at_state = f"--volume={foreign}:/var/lib/healerd"
    cases = {
        64: engine.once(image, "run", "--nonsense"),
        66: engine.once(at_state, *world.mounts, image),
        78: engine.once(f"--volume={empty}:/etc/healerd:ro", image),
    }
    unwritable = engine.call(
        "run", "--rm", "--pull=never", "--network=none", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp",
        f"--volume={engine.volume('healerd-trial-nowhere')}:/var/lib/healerd", *world.mounts, image,
    )  # fmt: skip
    assert {code: said.code for code, said in cases.items()} == {code: code for code in cases}, cases
    assert unwritable.code == 78, unwritable.all
    assert not any("Traceback" in said.all for said in (*cases.values(), unwritable))
    return "64 usage, 66 a volume of somebody else's, 78 no configuration, 78 no place for the socket"


def composes(world: World) -> str:
    """The compose file starts it, healthy, with every right it takes away, and takes it down with the volume kept."""
    if world.compose is None:
        return "not tried: no podman-compose"
    over = world.rendered / "compose.trial.yaml"
    over.write_text(
        f"services:\n  healerd:\n    image: {world.image}\n    volumes: ['{world.data}:/data:ro']\n", encoding="utf-8"
    )
    # A project of the trial's own, so that it never meets a healerd that is in service.
    name = "healerd-trial"
    words = (world.compose, "--project-name", name, "-f", "compose.yaml", "-f", over.name)
    world.engine.made += [("volume", f"{name}_state"), ("container", f"{name}_healerd_1")]
    said = world.engine.run(*words, "up", "--detach", "--no-build", cwd=world.rendered)
    assert said.code == 0, said.all
    world.daemon = f"{name}_healerd_1"
    wait_for(lambda: world.engine.call("healthcheck", "run", world.daemon).code == 0)
    host = json.loads(world.engine.must("inspect", world.daemon))[0]["HostConfig"]
    assert (host["ReadonlyRootfs"], host["PidsLimit"], host["Memory"]) == (True, 4096, 4 << 30), host
    rights(world)
    volume(world)
    assert world.engine.run(*words, "down", cwd=world.rendered).code == 0
    assert f"{name}_state" in world.engine.must("volume", "ls", "--quiet")
    return "up, healthy, down; volume kept"


def found_compose(given: str | None) -> str | None:
    return given or shutil.which("podman-compose")


Claim = Callable[[World], str]
CLAIMS: tuple[Claim, ...] = (
    rights, volume, health, outlook, doctor, judges, heals, reaps, reloads, logs, writes, drains, looks_alone, upgrades,
    restores, refuses, composes,
)  # fmt: skip
"""In this order, on one daemon."""
