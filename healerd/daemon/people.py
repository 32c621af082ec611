"""Who is at the other end of the control socket, and which roles they hold. Must never trust what a client claims.

The kernel says which user opened the connection; the configuration says which users and groups hold which role.
Each role includes the ones before it: a viewer looks; an operator stops things and asks for things; an approver lets
things run; an admin changes what may run. Whoever can open the socket may look.
"""

import grp
import os
import pwd
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ROLES", "Peer", "People", "Person", "peer_of"]

ROLES = ("viewer", "operator", "approver", "admin")
ROOT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What the kernel tells about the other end of a Unix socket."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody at the control socket: `name` is recorded with whatever they do.

    `roles` are the configured ones, in the singular and, as rules say it (`approval from "operators"`), in the plural;
    then the person's unix groups, which rules may name as well (`approval from "ml-oncall"`).
    """

    name: str
    roles: tuple[str, ...]

    @property
    def role(self) -> str:
        """The highest role held."""
        return max((role for role in self.roles if role in ROLES), key=ROLES.index, default=ROLES[0])

    def may(self, role: str) -> bool:
        """Tell whether this person holds `role`."""
        return role in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The roles of the configuration: role -> `user:NAME` or `group:NAME`. `owner_uid` runs the daemon: an admin."""

    roles: Mapping[str, Sequence[str]]
    owner_uid: int

    def identify(self, peer: Peer | None) -> Person:
        """Say who `peer` is. May ask the machine's user directory, so it can be slow."""
        if peer is None:
            return Person(name="unknown", roles=(ROLES[0],))
        name = _user_name(peer.uid)
        groups = _group_names(name, peer.gid)
        known_as = {f"user:{name}", *(f"group:{group}" for group in groups)}
        held = [role for role in ROLES if known_as.intersection(self.roles.get(role, ()))]
        highest = ROLES[-1] if peer.uid in {self.owner_uid, ROOT} else max(held, key=ROLES.index, default=ROLES[0])
        # INVARIANT: group_called_like_a_role_does_not_confer_it
        others = tuple(group for group in groups if group not in {*ROLES, *in_plural(ROLES)})
        return Person(name=name, roles=(*including(highest), *in_plural(including(highest)), *others))


def including(role: str) -> tuple[str, ...]:
    """List `role` and every role that it includes."""
    return ROLES[: ROLES.index(role) + 1]


def in_plural(roles: Sequence[str]) -> tuple[str, ...]:
    """Write roles as rules do."""
    return tuple(f"{role}s" for role in roles)


def peer_of(connection: socket.socket) -> Peer | None:
    """Ask the kernel who opened a Unix socket; None where it cannot tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, size))
    return Peer(pid=pid, uid=uid, gid=gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def _group_names(user: str, gid: int) -> tuple[str, ...]:
    return tuple(name for name in map(_group_name, os.getgrouplist(user, gid)) if name)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
