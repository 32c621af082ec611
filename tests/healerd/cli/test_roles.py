"""Who may call which verb: every verb is declared here, and those that go through the socket are tried by each role."""

import grp
import os
import pwd
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from healerd.cli.exits import Exit
from healerd.client.looks import LOOKS as PATHS
from healerd.client.looks import view_of
from healerd.daemon.control import Control
from healerd.daemon.mutations import MUTATIONS
from healerd.daemon.people import ROLES
from healerd.model import AnswerKind, ApprovalNeed
from tests.healerd.cli.test_group import COMMANDS
from tests.healerd.daemon.test_control import ASKS
from tests.served import Served, a_decision, an_intent, served

Call = Callable[..., Any]
NOBODY = 64_999
"""A uid that is not ours, so that the configured roles alone count."""
WHY = ("--reason", "easter campaign, expected")
SECURITY = Path(__file__).parents[3] / "docs" / "security.md"

LOOKS: dict[str, Sequence[str]] = {
    "status": (),
    "status churn": (),
    "inbox": (),
    "review": ("act-1",),
    "trace list": (),
    "trace show": ("dec-1",),
    "trace why-not": ("rollback", "dec-1"),
    "trace diff": ("dec-1", "dec-1"),
    "policy status": (),
    "audit list": (),
}
"""Verbs that ask the daemon and change nothing: whoever can open the socket may."""
FOLLOWS = {"tui", "watch", "doctor", "rules fired"}
"""Verbs that look as well, by the same paths: they do not end by themselves, or need what a double has not."""
CHANGES: dict[str, tuple[str, Sequence[str]]] = {
    "veto": ("operator", ("act-1",)),
    "pause": ("operator", ("churn",)),
    "stop-all": ("operator", ()),
    "propose": ("operator", ("churn", "rollback", "--to", "v12")),
    "policy demote": ("operator", ("churn",)),
    "approve": ("approver", ("act-1", "--if-rev", "3")),
    "veto --lift": ("approver", ("act-1", "--if-rev", "3")),
    "resolve": ("approver", ("act-1", "--took-effect", "--if-rev", "3")),
    "resume": ("approver", ("churn", "--if-rev", "suggest:running")),
    "resume --all": ("approver", ("--if-rev", "all:running")),
    "reference accept": ("approver", ("churn", "--if-rev", "suggest:running")),
    "policy promote": ("admin", ("churn", "--if-rev", "suggest:running")),
}
"""Verb -> the lowest role that may, and how it is called."""
BY_FILES = {
    "report", "replay", "backtest", "audit log", "audit export", "audit verify", "audit prove", "audit check",
    "audit anchor", "audit key", "audit erase", "audit prune", "backup", "restore", "prune", "rules check", "rules fmt",
    "rules test", "rules explain", "rules verify", "rules diff", "rules graph", "rules packs", "rules lsp",
    "source probe", "source profile", "detect", "reference fit", "reference show", "try", "demo", "init", "run",
    "serve", "labels add", "service install", "service print", "service status", "service uninstall",
    "deploy monitoring", "deploy render", "version", "completion", "trace schema",
}  # fmt: skip
"""Verbs that never go through the socket: they may what the account that calls them may do with the files."""


def verb_of(words: str) -> str:
    """The verb without what it is called with here."""
    return next(name for name in sorted(COMMANDS, key=len, reverse=True) if f"{words} ".startswith(f"{name} "))


def ours() -> Sequence[str]:
    """How a configuration may name whoever runs the tests."""
    return (f"user:{pwd.getpwuid(os.getuid()).pw_name}", f"group:{grp.getgrgid(os.getgid()).gr_name}")


def test_every_verb_says_who_may() -> None:
    """A verb that is not declared here, or is declared twice, turns this test red."""
    leaves = {verb for verb, command in COMMANDS.items() if not isinstance(command, click.Group)}
    declared = [verb_of(words) for words in (*LOOKS, *CHANGES)]
    assert {*declared, *FOLLOWS, *BY_FILES} == leaves
    assert not BY_FILES & {*declared, *FOLLOWS}
    assert not {verb_of(words) for words in LOOKS} & {verb_of(words) for words in CHANGES}


def test_every_path_of_the_socket_is_declared(tmp_path: Path) -> None:
    """Each route of the control API is a look, or a change that the table of roles tries; each answer has its role."""
    posts = {mutation.path.replace("{on}", "{id}") for mutation in MUTATIONS}
    tried = {re.sub(r"/(churn|act-1)/", "/{id}/", path) for path, _ in ASKS.values()}
    assert tried == posts
    assert {options["kind"] for _, options in ASKS.values() if "kind" in options} == {kind.value for kind in AnswerKind}
    with served(tmp_path) as running:
        assert running.store is not None
    methods = {method for route in routes() for method in route.methods or ()}
    assert methods <= {"GET", "HEAD", "POST"}
    changing = {route.path.replace("{on}", "{id}") for route in routes() if "POST" in (route.methods or ())}
    assert changing == posts


def routes() -> Sequence[Any]:
    """The routes of the control API, as it serves them."""
    control = object.__new__(Control)
    control._webhook = None
    return list(Control.app(control).routes)


@pytest.mark.parametrize("named", [0, 1], ids=["by user", "by group"])
@pytest.mark.parametrize("held", ROLES)
def test_s17_each_role_may_what_it_says(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, held: str, named: int
) -> None:
    """Through every verb: a role may what is declared for it and for those before it, and nothing more."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)
    may = ROLES[: ROLES.index(held) + 1]
    assert all(view_of(each) for each in PATHS), "loaded now, so that no look waits for its modules"
    with served(tmp_path, roles={held: [ours()[named]]}, owner_uid=NOBODY) as running:
        running.store.put(a_decision())
        running.store.put(an_intent())
        for words, arguments in LOOKS.items():
            told = call(*words.split(), *arguments, "--state", running.state)
            assert told.code == Exit.OK, f"{words}: {told.err}"
        for words, (needed, arguments) in CHANGES.items():
            assert reaches(running, call, words, arguments) == (needed in may), f"{held}: {words}"


def reaches(running: Served, call: Call, words: str, arguments: Sequence[str]) -> bool:
    """Call a verb that changes; tell whether the daemon let it, which it may also answer with a conflict."""
    running.core.calls.clear()
    told = call(*words.split(), *arguments, *WHY, "--state", running.state)
    changed = bool([each for each in running.core.calls if each[0] != "channel_opened"])
    (running.state / "STOP").unlink(missing_ok=True)
    if told.code == Exit.NOT_ALLOWED:
        assert not changed, "refused, and yet it reached the core"
        assert "the `roles` of the configuration say who is" in told.err
        return False
    return changed or told.code == Exit.CONFLICT


def test_s17_nobody_holds_more_than_viewer_unnamed(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever the configuration does not name looks, and changes nothing."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)
    with served(tmp_path, roles={"admin": ["user:somebody-else", "group:nobody-here"]}, owner_uid=NOBODY) as running:
        running.store.put(a_decision())
        running.store.put(an_intent())
        assert not any(reaches(running, call, words, arguments) for words, (_, arguments) in CHANGES.items())


def test_the_page_says_who_may() -> None:
    """The table of roles on the security page is the one that is tried here."""
    rows = re.findall(
        r"^\| `([a-z-]+(?: [a-z-]+)*(?: --[a-z]+)?)` \| (\w+) \|", SECURITY.read_text("utf-8"), re.MULTILINE
    )
    assert {verb: role for verb, role in rows if role in ROLES} == {verb: role for verb, (role, _) in CHANGES.items()}


def test_s15_without_the_role_the_file_stops_all_the_same(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write the file stops everything; that the daemon took no word of theirs is said, with the role."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)
    with served(tmp_path, roles={"viewer": [ours()[0]]}, owner_uid=NOBODY) as running:
        told = call("stop-all", *WHY, "--state", running.state)
        assert told.code == Exit.OK
        assert (running.state / "STOP").exists()
        assert "it obeys the file" in told.out
        assert "is not an operator" in told.out


@pytest.mark.parametrize("agreed", [True, False])
def test_s9_review_asks_nobody_twice_to_approve(tmp_path: Path, call: Call, agreed: bool) -> None:
    """Whoever has approved is offered the veto alone, and told that it waits for somebody else."""
    me = pwd.getpwuid(os.getuid()).pw_name
    with served(tmp_path, roles={"admin": [ours()[0]]}) as running:
        running.store.put(a_decision())
        asked = ApprovalNeed(role="approvers", deadline_at=None, otherwise="hold", rule="base.ask")
        running.store.put(an_intent(approvals=(asked,), approved_by=(me if agreed else "somebody",)))
        told = call("review", "act-1", "--state", running.state)
        assert "healerd veto act-1" in told.out
        assert ("healerd approve act-1" in told.out) == (not agreed)
        assert ("somebody else's word" in told.err) == agreed
