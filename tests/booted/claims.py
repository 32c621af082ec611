"""What the guides promise of the service, each tried on the booted machine. Must never look into healerd's code for it.

The claims are tried in their order: each takes the machine as the one before it left it. It is a long module, because
they are one story. A claim that does not hold raises AssertionError with what was seen; one that holds says it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.booted.machine import Machine
from tests.booted.site import GREEDY, RULES, TURNED

__all__ = ["CLAIMS", "FIRST", "REBOOT_BEFORE", "Claim"]

UNIT, DROP_IN = "/etc/systemd/system/healerd.service", "/etc/systemd/system/healerd.service.d"
KEY, RULES_FILE = "/etc/healerd/audit", "/etc/healerd/sign.heal"
STATE, SOCKET = "/var/lib/healerd/state", "/run/healerd/control.sock"
EXPOSURE_MAX = 1.3
QUICK_WATCHDOG_S = 20


@dataclass(frozen=True)
class Claim:
    """One promise, in the words of a user, and how it is tried."""

    says: str
    tried: Callable[[Machine], str]


def a_proposal_is_not_installed_blindly(m: Machine) -> str:
    """A state folder that the service could not make is named, with the mend."""
    m.must("mkdir -p /srv/own && cp /srv/site/reference.csv /srv/own/rows.csv")
    m.must("cd /srv/own && healerd init rows.csv --yes </dev/null")
    told = m.run("cd /srv/own && healerd service install --config healerd.toml")
    assert (told.code, 'state = "/var/lib/healerd/state"' in told.err) == (2, True), told.all
    assert m.run(f"test -e {UNIT}").code == 1
    return told.err.strip()


def a_missing_key_is_said(m: Machine) -> str:
    """The key behind a credential is asked for before systemd would fail for it."""
    m.must(f"rm -f {KEY}")
    told = m.run("healerd service install")
    assert (told.code, "openssl genpkey" in told.err) == (2, True), told.all
    m.must(told.err.split("make one with `")[1].split("`")[0])
    return told.err.strip()


def a_full_disk_leaves_nothing(m: Machine) -> str:
    """Without room nothing of the unit is left."""
    m.must("mount -t tmpfs -o size=16k full /etc/systemd/system")
    try:
        m.run("cat /dev/zero >/etc/systemd/system/.full")
        told = m.run("healerd service install --strict")
        left = m.must("ls -A /etc/systemd/system").split()
    finally:
        m.must("umount /etc/systemd/system")
    assert (told.code, left) == (2, [".full"]), f"{told.all}{left}"
    return told.err.strip()


def it_installs_and_starts(m: Machine) -> str:
    """What install prints starts it; it is ready exactly when its socket answers."""
    told = json.loads(m.must("healerd service install --json"))
    m.must("systemd-analyze verify --recursive-errors=no healerd.service")
    m.must(" && ".join(told["next"]))
    status = json.loads(m.must("healerd status --json"))
    assert status["daemon"]["state"] == "live", status
    assert (m.show("Type"), m.show("ActiveState")) == ("notify", "active")
    shown = json.loads(m.must("healerd service status --json"))
    assert (shown["active_state"], shown["status_text"]) == ("active", "watching 1 pipelines"), shown
    return f"active, Type=notify, `{shown['status_text']}`, {m.must('systemctl --version').splitlines()[0]}"


def it_is_locked_in(m: Machine) -> str:
    """The kernel says of the process what the unit asks for, and places outside its own are closed to it."""
    pid = m.show("MainPID")
    status = dict(line.split(":", 1) for line in m.must(f"cat /proc/{pid}/status").splitlines())
    found = {name: status[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
    assert found == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}, found
    inside = f"nsenter --target {pid} --mount setpriv --reuid=healerd --regid=healerd --init-groups"
    for path in ("/etc/healerd", "/srv/site", "/opt/healerd", "/usr", "/var/lib"):
        assert m.run(f"{inside} touch {path}/x").code != 0, f"`{path}` can be written"
    for path in (STATE, "/run/healerd", "/tmp"):
        m.must(f"{inside} touch {path}/x && {inside} rm {path}/x")
    assert m.run(f"{inside} ls /home/alice").code != 0
    said = m.must("systemd-analyze security healerd --no-pager").splitlines()[-1]
    exposure = float(said.split(": ")[1].split()[0])
    assert exposure <= EXPOSURE_MAX, said
    return f"{found}; exposure of the running unit {exposure}"


def the_group_gets_in_and_others_do_not(m: Machine) -> str:
    """Who is in the group looks and stops; who is not is turned away with a sentence."""
    mode = m.must(f"stat -c '%a %U %G' {SOCKET} /run/healerd {STATE}").split("\n")[:3]
    assert mode == ["660 healerd healerd", "750 healerd healerd", "750 healerd healerd"], mode
    m.must("healerd status && healerd audit verify && healerd doctor >/dev/null; healerd service status", user="alice")
    m.must(
        'healerd pause sign --reason "alice looks at it" && healerd resume sign --reason "alice has looked"',
        user="alice",
    )
    said = []
    for verb in ("status", "audit verify", "inbox", "doctor", "trace list", 'pause sign --reason "bob wants to"'):
        told = m.run(f"healerd {verb}", user="bob")
        assert (told.code != 0, "Traceback" in told.err) == (True, False), f"`{verb}`: {told.all}"
        said.append(told.err.strip())
    return f"{mode[0]}; bob: {said[0]}"


def the_key_is_a_credential(m: Machine) -> str:
    """The log is signed with the key that systemd handed over, which lies nowhere in the state."""
    named = f'{{ . /proc/{m.show("MainPID")}/environ; }} 2>/dev/null; tr "\\0" "\\n" </proc/{m.show("MainPID")}/environ'
    folder = next(line for line in m.must(named).splitlines() if line.startswith("CREDENTIALS_DIRECTORY="))
    assert m.run(f"test -e {STATE}/audit.key").code == 1
    mode = m.must(f"stat -c '%a' {folder.partition('=')[2]}/audit").strip()
    wait_for_windows(m, 2)
    shown = json.loads(m.must("healerd audit verify --json"))
    assert (shown["verified"], shown["checkpoints"] > 0) == (True, True), shown
    return f"`{folder}`, mode {mode}; {shown['checkpoints']} checkpoints signed"


def it_asks_and_heals(m: Machine) -> str:
    """A model that goes wrong is retrained in a process of its own: OpenBLAS, OpenMP, scikit-learn and DuckDB run."""
    question = approved(m)
    m.wait_for("its end", lambda: len(versions(m)) > 1 or state_of(m, question) == "failed")
    assert len(versions(m)) > 1, journal(m, 4)
    tasks, most = m.show("TasksCurrent"), m.show("TasksMax")
    return f"{question}: {state_of(m, question)}; {len(versions(m))} versions; {tasks} of {most} tasks"


def the_journal_has_audit_numbers(m: Machine) -> str:
    """Each line is JSON behind its priority; one about a decision carries the number of its leaf."""
    entries = [
        json.loads(line)
        for line in m.must("journalctl --boot -u healerd -o json --no-pager _COMM=healerd").splitlines()
    ]
    lines = [json.loads(entry["MESSAGE"]) for entry in entries]
    audits = [line["audit"] for line in lines if "audit" in line]
    assert audits == sorted(audits) != [], lines
    assert {entry["PRIORITY"] for entry in entries} <= {"3", "4", "6"}, entries
    assert f'"seq":{audits[-1]},' in m.must("healerd audit log").replace(" ", ""), audits
    return f"{len(lines)} lines, {len(audits)} with a leaf's number, the newest {audits[-1]}"


def rules_are_read_anew(m: Machine) -> str:
    """Good rules are swapped in by `systemctl reload`; bad ones are named, and the old ones stay."""
    before = rules_id(m)
    write = f"cat >{RULES_FILE} <<'END' && systemctl reload healerd\n"
    m.must(write + RULES + 'forbid at_first: rollback\n  when rows < 3\n  because "too few"\nEND')
    m.wait_for("the new rules", lambda: rules_id(m) != before, patience_s=40)
    good = rules_id(m)
    m.must(write + "forbid nonsense whenever\nEND")
    m.wait_for("the message", lambda: "the rules stay as they were" in journal(m, 3), patience_s=20)
    text = m.show("StatusText")
    assert (m.show("ActiveState"), "the rule files are wrong" in text) == ("active", True), text
    wait_for_windows(m, 2)
    assert rules_id(m) == good, "bad rules changed what decides"
    m.must(write + RULES + "END")
    m.wait_for("the first rules", lambda: rules_id(m) == before, patience_s=40)
    return f"swapped; then `{text}`"


def a_stopped_process_is_started_anew(m: Machine) -> str:
    """Pings come while it goes on; after SIGSTOP systemd kills it and starts it, and the record is whole."""
    drop_in(m, f"WatchdogSec={QUICK_WATCHDOG_S}")
    first = m.show("WatchdogTimestampMonotonic")
    m.wait_for("a ping", lambda: m.show("WatchdogTimestampMonotonic") != first, patience_s=QUICK_WATCHDOG_S)
    m.must(f"sleep {2 * QUICK_WATCHDOG_S}")
    assert m.show("NRestarts") == "0", "a healthy daemon was started anew"
    pid = m.show("MainPID")
    m.must(f"kill -STOP {pid}")
    came_back(m, pid)
    said = journal(m, 60)
    assert "Watchdog timeout" in said, said
    return verified(m)


def a_hung_tick_is_started_anew(m: Machine) -> str:
    """With every thread frozen but the one of the loop, the loop still answers, and yet the pings stop."""
    drop_in(m, f"WatchdogSec={QUICK_WATCHDOG_S}")
    pid, freezer = m.show("MainPID"), "/sys/fs/cgroup/freezer/hung"
    wait_for_windows(m, 1)
    m.must(
        f"mkdir -p {freezer} && for t in $(ls /proc/{pid}/task | grep -v '^{pid}$'); do echo $t >{freezer}/tasks; done"
    )
    m.must(f"echo FROZEN >{freezer}/freezer.state")
    try:
        m.wait_for("the watchdog", lambda: "Watchdog timeout" in journal(m, 8), patience_s=6 * QUICK_WATCHDOG_S)
    finally:
        m.must(f"echo THAWED >{freezer}/freezer.state")
    came_back(m, pid)
    drop_in(m, "")
    return verified(m)


def a_killed_daemon_comes_back(m: Machine) -> str:
    """After SIGKILL it is started anew, and its record is whole."""
    pid = m.show("MainPID")
    m.must("systemctl kill --signal=KILL --kill-who=main healerd")
    came_back(m, pid)
    return verified(m)


def a_greedy_training_ends_alone(m: Machine) -> str:
    """A training that reaches MemoryMax is killed, and the daemon that watches it goes on."""
    drop_in(m, "MemoryMax=900M")
    fresh(m)
    m.must(f"touch {GREEDY}")
    pid, question = m.show("MainPID"), approved(m)
    m.wait_for("its end", lambda: state_of(m, question) in {"failed", "unknown"})
    m.must(f"rm -f {GREEDY}")
    assert (m.show("MainPID"), m.show("NRestarts"), len(versions(m))) == (pid, "0", 1)
    said = m.must(f"healerd review {question} | grep -i -E 'fail|killed|ended|memory' | head -n 2").strip()
    killed = m.run("journalctl --boot -o cat --no-pager -n 60 -u healerd | grep -i oom | tail -n 1").out.strip()
    drop_in(m, "")
    return f"{state_of(m, question)}: {said} {killed}"


def a_stop_ends_in_order(m: Machine) -> str:
    """`systemctl stop` ends with code 0 and within its time; the socket is gone, the state is there."""
    m.must("systemctl stop healerd")
    ended = (m.show("Result"), m.show("ExecMainStatus"), m.show("ActiveState"))
    assert ended == ("success", "0", "inactive"), ended
    assert m.run(f"test -e {SOCKET}").code == 1
    said = journal(m, 10)
    assert ("stopping" in said, '"error"' in said) == (True, False), said
    return verified(m, up=False)


def verbs_of_root_leave_it_usable(m: Machine) -> str:
    """What root does to the state of a stopped service leaves nothing that the service cannot open."""
    m.must("rm -f /srv/backup.tar.gz && healerd backup /srv/backup.tar.gz")
    told = m.run('healerd restore /srv/backup.tar.gz --replace --reason "a drill of the restore"')
    assert (told.code, "CREDENTIALS_DIRECTORY" in told.err) == (2, True), told.all
    with_key = "export CREDENTIALS_DIRECTORY=/etc/healerd"
    m.must(f"{with_key}; healerd audit key --rotate --dry-run")
    m.must(f'{with_key}; healerd restore /srv/backup.tar.gz --replace --reason "a drill of the restore"')
    m.must("systemctl start healerd")
    foreign = m.must(f"find {STATE} ! -user healerd").split()
    assert not foreign, foreign
    resume = 'healerd resume --all --reason "the drill is over"'
    m.wait_for("an answer to resume", lambda: m.run(resume).code == 0)
    return verified(m)


def a_wrong_configuration_is_not_tried_again(m: Machine) -> str:
    """A configuration that no restart mends ends with 78, once."""
    m.must("cp /etc/healerd/healerd.toml /srv/good.toml && echo '[daemn]' >>/etc/healerd/healerd.toml")
    told = m.run("systemctl restart healerd")
    seen = (m.show("ExecMainStatus"), m.show("ActiveState"), m.show("NRestarts"))
    said = journal(m, 6)
    m.must("cp /srv/good.toml /etc/healerd/healerd.toml && systemctl reset-failed healerd && systemctl start healerd")
    assert (told.code != 0, seen) == (True, ("78", "failed", "0")), seen
    assert "did you mean" in said, said
    return f"ended with {seen[0]}, {seen[1]}, started anew {seen[2]} times"


def a_second_install_is_refused(m: Machine) -> str:
    """An installed unit stays; with --replace it is renewed while the service runs."""
    pid = m.show("MainPID")
    told = m.run("healerd service install")
    assert (told.code, "--replace" in told.err) == (6, True), told.all
    again = json.loads(m.must("healerd service install --replace --memory-max 3G --json"))
    assert m.show("MainPID") == pid
    m.must(" && ".join(again["next"]))
    assert (m.show("MemoryMax"), m.show("MainPID") != pid) == (str(3 << 30), True), again
    return f"`{told.err.strip()}`; --replace: `{again['next'][1]}`"


def an_upgrade_goes_on(m: Machine) -> str:
    """The package is replaced under a running service, which goes on, and a restart runs the new one."""
    pid = m.show("MainPID")
    m.must(
        "cd /srv/wheels && pip install --quiet --no-index --no-deps --force-reinstall ./healerd-*.whl", patience_s=300
    )
    m.must("sleep 4 && healerd status")
    assert (m.show("MainPID"), m.show("NRestarts")) == (pid, "0")
    m.must("systemctl restart healerd")
    return verified(m)


def the_strict_profile_heals_too(m: Machine) -> str:
    """Without a network and without new machine code the whole loop still runs."""
    m.must("healerd service install --strict --replace && systemctl daemon-reload")
    fresh(m)
    assert (m.show("MemoryDenyWriteExecute"), m.show("PrivateNetwork")) == ("yes", "yes")
    return it_asks_and_heals(m)


def an_onnx_graph_runs_strictly(m: Machine) -> str:
    """A first version that is a graph is loaded and compared without new machine code, until its successor serves."""
    m.must("sed -i s/model.skops/model.onnx/ /etc/healerd/healerd.toml")
    fresh(m)
    assert m.show("MemoryDenyWriteExecute") == "yes", "it needs the strict profile"
    question = approved(m)
    m.wait_for("its comparison", lambda: asked(m, "promote"))
    m.must(f'healerd approve {asked(m, "promote")} --yes --reason "it is better"')
    m.wait_for("its successor", lambda: serving(m) != "first")
    compared = m.must(
        "journalctl --boot -u healerd -o cat --no-pager | grep -o 'better than .* in shadow: [^ ]*' | tail -n 1"
    )
    m.must("sed -i s/model.onnx/model.skops/ /etc/healerd/healerd.toml")
    assert m.must(f"ls {STATE}/registry/sign/versions/first").split() == ["meta.json", "model.onnx"]
    return f"{question}: {state_of(m, question)}, {compared.strip()}"


def it_comes_back_with_the_machine(m: Machine) -> str:
    """An enabled service is up after the machine has been started anew."""
    m.wait_for("it to be up", lambda: m.show("ActiveState") == "active")
    assert m.show("NRestarts") == "0"
    return verified(m)


def uninstall_is_careful(m: Machine) -> str:
    """It refuses what runs or starts by itself, then takes unit, drop-in and links; the state stays."""
    first = m.run("healerd service uninstall")
    m.must("systemctl stop healerd")
    second = m.run("healerd service uninstall")
    assert (first.code, second.code) == (2, 2), first.all + second.all
    m.must("systemctl disable --now healerd && healerd service uninstall && systemctl daemon-reload")
    left = m.must("find /etc/systemd/system -name '*healerd*'").split()
    assert left == [], left
    assert m.run("systemctl cat healerd").code != 0
    return f"`{second.err.strip()}`; {verified(m, up=False)}"


def a_session_has_its_own(m: Machine) -> str:
    """With --user a person's own manager runs it: installed, started, stopped by the watchdog, uninstalled."""
    m.must("mkdir -p /run/systemd && loginctl enable-linger alice")
    m.wait_for(
        "alice's manager",
        lambda: m.must("systemctl --user is-system-running || true", user="alice").strip() in {"running", "degraded"},
        patience_s=40,
    )
    m.must(
        "rm -rf ~/site && mkdir ~/site && cp /etc/healerd/*.py /etc/healerd/*.heal /etc/healerd/model.skops ~/site/",
        user="alice",
    )
    m.must(
        "sed -e '/^state/d;/^socket/d;/^roles/d;/^.audit/d;/^key/d' /etc/healerd/healerd.toml >~/site/healerd.toml",
        user="alice",
    )
    here = "export HEALERD_CONFIG=$HOME/site/healerd.toml; "
    told = json.loads(m.must(here + "healerd service install --user --json", user="alice"))
    m.must(here + " && ".join(told["next"]), user="alice")
    shown = json.loads(m.must(here + "healerd service status --user --json", user="alice"))
    assert shown["active_state"] == "active", shown
    m.must(here + "healerd status && systemctl --user reload healerd", user="alice")
    m.must(here + "systemctl --user kill --signal=KILL healerd; sleep 8; healerd service status --user", user="alice")
    m.must(here + "systemctl --user disable --now healerd && healerd service uninstall --user", user="alice")
    assert m.must("find ~/.config/systemd -name '*healerd*'", user="alice").split() == []
    m.must("loginctl disable-linger alice")
    return f"`{told['next'][1]}`: {shown['active_state']}, back after SIGKILL, gone after uninstall"


def versions(m: Machine) -> set[str]:
    """The names of the stored versions."""
    return set(m.must(f"ls {STATE}/registry/sign/versions").split())


def serving(m: Machine) -> str:
    """The version that serves."""
    return str(json.loads(m.must("healerd status --json"))["pipelines"][0]["version"])


def intents(m: Machine) -> list[dict[str, Any]]:
    """What waits for somebody."""
    found: list[dict[str, Any]] = json.loads(m.must("healerd inbox --json"))["intents"]
    return found


def asked(m: Machine, action: str = "retrain") -> str:
    """The question that waits for an action; empty without one."""
    return next((each["id"] for each in intents(m) if each["action"] == action), "")


def state_of(m: Machine, intent: str) -> str:
    """How an intent stands."""
    return str(json.loads(m.must(f"healerd review {intent} --json"))["intent"]["state"])


def approved(m: Machine) -> str:
    """Turn the world, wait for the question, say yes, and give its id."""
    wait_for_windows(m, 3)
    m.must(f"touch {TURNED}")
    m.wait_for("a question to retrain", lambda: asked(m))
    question = asked(m)
    m.must(f'healerd approve {question} --yes --reason "the world has turned over"')
    return question


def rules_id(m: Machine) -> str:
    """Which rules the newest decision was made by."""
    newest = json.loads(m.must("healerd status sign --json"))["decision"]["id"]
    found = re.search(r'"rules_id": "(\w+)"', m.must(f"healerd trace show {newest} --json"))
    assert found, newest
    return found[1]


def journal(m: Machine, lines: int) -> str:
    """The newest lines of the service's journal."""
    return m.must(f"journalctl --unit=healerd --output=cat --no-pager --lines={lines}")


def drop_in(m: Machine, setting: str) -> None:
    """Set something by a drop-in of the trial's own, or take it away, and start anew."""
    write = f"mkdir -p {DROP_IN} && printf '[Service]\n{setting}\n' >{DROP_IN}/trial.conf"
    m.must(write if setting else f"rm -f {DROP_IN}/trial.conf")
    m.must("systemctl daemon-reload; systemctl reset-failed healerd; systemctl restart healerd")


def fresh(m: Machine) -> None:
    """Begin with an empty state, healthy rows, and no heal to cool down from."""
    m.must(f"systemctl stop healerd && rm -rf {STATE} {TURNED} {GREEDY}")
    m.must("cd /srv/site && head -n 1 predictions.csv >begun.csv && mv begun.csv predictions.csv")
    m.must("systemctl reset-failed healerd; systemctl start healerd")


def wait_for_windows(m: Machine, count: int) -> None:
    """Wait until so many more windows were judged."""
    start = int(json.loads(m.must("healerd audit verify --json"))["leaves"])
    m.wait_for("windows", lambda: json.loads(m.must("healerd audit verify --json"))["leaves"] >= start + 3 * count)


def came_back(m: Machine, pid: str) -> None:
    """Wait until another process runs the service."""
    m.wait_for("the next start", lambda: m.show("MainPID") not in {pid, "0"} and m.show("ActiveState") == "active")


def verified(m: Machine, *, up: bool = True) -> str:
    """Check the whole record."""
    if up:
        m.wait_for("it to be up", lambda: m.show("ActiveState") == "active")
    told = json.loads(m.must("healerd audit verify --json"))
    assert told["verified"], told
    return f"audit verified, {told['leaves']} leaves"


CLAIMS: tuple[Claim, ...] = (
    Claim("what `init` proposes is not installed where it could not start", a_proposal_is_not_installed_blindly),
    Claim("a missing key is named with the command that makes it", a_missing_key_is_said),
    Claim("a full disk leaves nothing of the unit", a_full_disk_leaves_nothing),
    Claim("installed and started by what is printed; ready when it answers", it_installs_and_starts),
    Claim("no rights, no writing outside its places", it_is_locked_in),
    Claim("the group gets in, others do not", the_group_gets_in_and_others_do_not),
    Claim("the key comes as a credential", the_key_is_a_credential),
    Claim("the whole loop runs under the hardening", it_asks_and_heals),
    Claim("the journal has JSON with audit numbers", the_journal_has_audit_numbers),
    Claim("reload swaps good rules and keeps from bad ones", rules_are_read_anew),
    Claim("SIGSTOP: the watchdog kills and starts it", a_stopped_process_is_started_anew),
    Claim("a hung tick: the watchdog kills and starts it", a_hung_tick_is_started_anew),
    Claim("SIGKILL: started anew, record whole", a_killed_daemon_comes_back),
    Claim("a training at MemoryMax ends alone", a_greedy_training_ends_alone),
    Claim("stop drains and ends with 0", a_stop_ends_in_order),
    Claim("root's verbs leave the state usable", verbs_of_root_leave_it_usable),
    Claim("a wrong configuration ends with 78, once", a_wrong_configuration_is_not_tried_again),
    Claim("a second install is refused, --replace renews", a_second_install_is_refused),
    Claim("upgraded under the running service", an_upgrade_goes_on),
    Claim("the whole loop runs under the strict profile", the_strict_profile_heals_too),
    Claim("ONNX Runtime runs under the strict profile", an_onnx_graph_runs_strictly),
    Claim("up again after the machine was", it_comes_back_with_the_machine),
    Claim("uninstall takes what it wrote, keeps the state", uninstall_is_careful),
    Claim("a unit of one's own session", a_session_has_its_own),
)
"""Every claim, in the order in which they are tried."""
REBOOT_BEFORE = it_comes_back_with_the_machine
FIRST = (a_missing_key_is_said, it_installs_and_starts)
"""What the others need."""
