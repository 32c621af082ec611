"""Who is at the control socket, and what they may do."""

import os
import socket

import pytest

from healerd.daemon import people
from healerd.daemon.people import Peer, People, peer_of


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ana (1000) is in the groups ana, ml-oncall and, as on some systems, one called operator; bo (1001) in none."""
    groups = {1000: "ana", 44: "ml-oncall", 37: "operator", 1001: "bo"}
    members = {"ana": [1000, 44, 37], "bo": [1001]}
    monkeypatch.setattr(people, "_user_name", lambda uid: {1000: "ana", 1001: "bo"}.get(uid, f"uid-{uid}"))
    monkeypatch.setattr(people, "_group_name", groups.get)
    monkeypatch.setattr(people.os, "getgrouplist", lambda user, gid: members.get(user, [gid]))


ANA, BO = Peer(pid=1, uid=1000, gid=1000), Peer(pid=2, uid=1001, gid=1001)


def held(roles: dict[str, list[str]], peer: Peer | None, *, owner_uid: int = 7) -> tuple[str, ...]:
    return People(roles=roles, owner_uid=owner_uid).identify(peer).roles


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({}, ("viewer",)),
        ({"operator": ["user:ana"]}, ("viewer", "operator")),
        ({"operator": ["user:bo"]}, ("viewer",)),
        ({"approver": ["group:ml-oncall"], "operator": ["user:ana"]}, ("viewer", "operator", "approver")),
        ({"admin": ["group:ana"]}, ("viewer", "operator", "approver", "admin")),
        ({"admin": ["ana", "user:ml-oncall"]}, ("viewer",)),
    ],
)
def test_s17_roles_come_from_the_configuration(roles: dict[str, list[str]], expected: tuple[str, ...]) -> None:
    """A role is held by the users and groups that the configuration names, and includes the ones before it."""
    assert held(roles, ANA)[: len(expected)] == expected
    assert {role for role in held(roles, ANA) if role in people.ROLES} == set(expected)


@pytest.mark.usefixtures("directory")
def test_rules_may_name_roles_in_the_plural() -> None:
    """An approval from "operators" is satisfied by whoever is an operator or more."""
    assert "operators" in held({"approver": ["user:ana"]}, ANA)
    assert "approvers" not in held({"operator": ["user:ana"]}, ANA)


@pytest.mark.usefixtures("directory")
def test_group_called_like_a_role_does_not_confer_it() -> None:
    """A unix group that happens to be called like a role does not confer it; other groups are known by their name."""
    assert held({}, ANA) == ("viewer", "viewers", "ana", "ml-oncall")


@pytest.mark.usefixtures("directory")
def test_whoever_runs_the_daemon_is_admin() -> None:
    """The daemon's own user holds every role, and so does root; nobody else does by default."""
    assert "admin" in held({}, BO, owner_uid=1001)
    assert "admin" in held({}, Peer(pid=3, uid=0, gid=0))
    assert "operator" not in held({}, BO)


def test_an_unknown_peer_only_looks() -> None:
    """Where the kernel cannot say who is there, nobody may change anything."""
    assert held({"admin": ["user:unknown"]}, None) == ("viewer",)


def test_s17_the_kernel_says_who_is_there() -> None:
    """The identity of a peer is that of its process."""
    here, there = socket.socketpair()
    with here, there:
        assert peer_of(here) == Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
