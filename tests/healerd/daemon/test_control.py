"""The control API over a real Unix socket, with a core that records what reaches it."""

import http.client
import json
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from healerd.client import Client, Link
from healerd.client.views import PRESETS
from healerd.daemon.listen import CONNECTIONS_EACH, LOOKS_EACH
from healerd.daemon.mutations import MUTATIONS
from healerd.errors import ConfigError, Conflict, ControlError, HealerdError, NotAllowed, NotFound
from healerd.model import AnswerKind, IntentState, Stage
from tests.served import Served, a_decision, an_intent, served

WHY = "easter campaign, expected"
NOBODY = 64_999
"""A uid that is not ours, so that the configured roles alone count."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.store.put(a_decision())
        running.store.put(an_intent())
        yield running


@pytest.fixture
def link(daemon: Served) -> Link:
    return Link(daemon.socket)


def answer(link: Link, kind: str, *, if_rev: str | None = None, key: str | None = None, id_: str = "act-1") -> object:
    return link.post(f"/v1/intents/{id_}/answer", reason=WHY, kind=kind, if_rev=if_rev, key=key)["done"]


def test_the_socket_is_closed_to_others(daemon: Served) -> None:
    """The control socket can be opened by its owner and group alone."""
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660


def test_status_names_pipelines_by_urgency(link: Link) -> None:
    """What waits for a person comes first."""
    status = link.get("/v1/status")
    assert [(view["name"], view["state"]) for view in status["pipelines"]] == [("churn", "pending"), ("fraud", "ok")]
    assert status["you"]["roles"][:4] == ["viewer", "operator", "approver", "admin"]


def test_an_intent_is_shown_with_its_decision(link: Link) -> None:
    """Whoever answers sees why it was proposed and what happens when nobody answers."""
    view = link.get("/v1/intents/act-1")
    assert view["decision"]["reason"] == "the error rose"
    assert view["intent"]["default"] == "it runs"
    assert view["answers"] == ["veto"]


def test_a_trace_holds_all_that_the_decision_stood_on(link: Link) -> None:
    """The trace of a decision comes with its facts and the intents that came of it."""
    view = link.get("/v1/traces/dec-1")
    assert view["decision"]["trace"] == {"facts": {"error_rate": 0.31}}
    assert [intent["id"] for intent in view["intents"]] == ["act-1"]


@pytest.mark.parametrize(
    "path", ["/v1/pipelines/chrun", "/v1/intents/none", "/v1/traces/none", "/v1/traces?pipeline=x"]
)
def test_unknown_names_are_not_found(link: Link, path: str) -> None:
    """What does not exist is said not to exist, with a next step."""
    with pytest.raises(NotFound, match=r"did you mean|healerd|known:"):
        link.get(path)


def test_s8_a_veto_wins_however_old_its_revision(daemon: Served, link: Link) -> None:
    """A veto before the deadline counts even when it was decided on an older revision."""
    answer(link, "veto", if_rev="1")
    assert ("answer", "act-1", AnswerKind.VETO, _me(), WHY, None) in daemon.core.calls
    assert daemon.store.get(type(an_intent()), "act-1").state is IntentState.VETOED  # type: ignore[union-attr]


def test_an_approval_names_what_was_seen(daemon: Served, link: Link) -> None:
    """An approval without a revision, or with an old one, changes nothing."""
    with pytest.raises(ConfigError, match="stands at revision `3`"):
        answer(link, "approve")
    with pytest.raises(Conflict, match="from revision `2` to `3`"):
        answer(link, "approve", if_rev="2")
    assert not [call for call in daemon.core.calls if call[0] == "answer"]
    answer(link, "approve", if_rev="3")
    assert ("answer", "act-1", AnswerKind.APPROVE, _me(), WHY, 3) in daemon.core.calls


def test_s8_a_late_veto_is_told_the_state_and_how_to_undo(daemon: Served, link: Link) -> None:
    """A veto that comes too late is a conflict that says so and names the way back."""
    daemon.store.put(an_intent(id="act-2", state=IntentState.VERIFIED))
    with pytest.raises(Conflict, match=r"verified already.*healerd propose churn rollback --to v14"):
        answer(link, "veto", id_="act-2")


def test_s14_a_repeated_request_acts_once(daemon: Served, link: Link) -> None:
    """The same idempotency key gets the same answer and reaches the core once; for another request it is refused."""
    first = answer(link, "veto", key="the-same-key")
    assert answer(link, "veto", key="the-same-key") == first
    assert len([call for call in daemon.core.calls if call[0] == "answer"]) == 1
    with pytest.raises(Conflict, match="used for another request"):
        answer(link, "deny", key="the-same-key")


@pytest.mark.parametrize("reason", ["", "  ok    ", "because"])
def test_a_change_needs_a_reason(link: Link, daemon: Served, reason: str) -> None:
    """A change without a sentence of reason is refused."""
    with pytest.raises(ConfigError, match="a reason of at least 8 characters"):
        link.post("/v1/pipelines/churn/pause", reason=reason)
    assert not daemon.core.calls


@pytest.mark.parametrize("reason", PRESETS)
def test_presets_are_reasons(link: Link, reason: str) -> None:
    """The short reasons on offer are enough."""
    assert link.post("/v1/pipelines/churn/pause", reason=reason)["done"]["pipeline"] == "churn"


def test_every_change_leaves_a_leaf(daemon: Served, link: Link) -> None:
    """The audit log grows with each change, in the name of whom the kernel saw."""
    before = daemon.store.head()[0]
    link.post("/v1/pipelines/churn/pause", reason=WHY)
    entry = daemon.store.leaves(after=before)[0]
    assert (entry.kind, entry.actor) == ("pause", _me())


ASKS: dict[str, tuple[str, dict[str, str]]] = {
    "veto": ("/v1/intents/act-1/answer", {"kind": "veto"}),
    "deny": ("/v1/intents/act-1/answer", {"kind": "deny"}),
    "approve": ("/v1/intents/act-1/answer", {"kind": "approve", "if_rev": "3"}),
    "lift": ("/v1/intents/act-1/answer", {"kind": "lift", "if_rev": "3"}),
    "resolve": ("/v1/intents/act-1/resolve", {"effect": "took", "if_rev": "3"}),
    "pause": ("/v1/pipelines/churn/pause", {}),
    "resume": ("/v1/pipelines/churn/resume", {"if_rev": "suggest:running"}),
    "propose": ("/v1/pipelines/churn/propose", {"action": "rollback", "to": "v12"}),
    "promote": ("/v1/pipelines/churn/stage", {"stage": "live", "if_rev": "suggest:running"}),
    "demote": ("/v1/pipelines/churn/stage", {"stage": "observe"}),
    "accept": ("/v1/pipelines/churn/accept", {"since": "2026-05-01", "if_rev": "suggest:running"}),
    "stop-all": ("/v1/stop-all", {}),
    "resume-all": ("/v1/resume-all", {"if_rev": "all:running"}),
    "reload": ("/v1/rules/reload", {}),
}
NEEDS = {
    "operator": {"veto", "deny", "pause", "propose", "demote", "stop-all"},
    "approver": {"approve", "lift", "resolve", "resume", "accept", "resume-all"},
    "admin": {"promote", "reload"},
}


def test_every_verb_is_among_those_tested() -> None:
    """No mutation of the API is left out of the table of roles."""
    paths = {mutation.path.replace("{on}", "churn").replace("intents/churn", "intents/act-1") for mutation in MUTATIONS}
    assert paths == {path for path, _ in ASKS.values()}
    assert set(ASKS) == set.union(*NEEDS.values())


@pytest.mark.parametrize("held", ["viewer", "operator", "approver", "admin"])
def test_s17_roles_are_checked_by_the_daemon(tmp_path: Path, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each role may do what its name says and what the roles before it may, and nothing else reaches the core."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)
    order = ["viewer", "operator", "approver", "admin"]
    may = set().union(*(NEEDS.get(role, set()) for role in order[: order.index(held) + 1]))
    with served(tmp_path, roles={held: [f"user:{_me()}"]}, owner_uid=NOBODY) as running:
        running.store.put(an_intent())
        assert {verb for verb in ASKS if _is_let(running, verb)} == may


def _is_let(running: Served, verb: str) -> bool:
    path, options = ASKS[verb]
    running.core.calls.clear()
    try:
        Link(running.socket).post(path, reason=WHY, **options)
    except NotAllowed:
        assert not running.core.calls, "refused, and yet it reached the core"
        return False
    except Conflict:
        pass  # allowed, and too late after what the verbs before it did
    return True


def test_s17_a_claimed_name_counts_for_nothing(daemon: Served) -> None:
    """The author is whom the kernel saw, whatever the request says."""
    connection = _raw(daemon)
    body = json.dumps({"reason": WHY, "author": "ana"})
    connection.request("POST", "/v1/pipelines/churn/pause", body, {"idempotency-key": "12345678"})
    response = connection.getresponse()
    assert response.status == 400
    assert "unknown key `author`" in json.load(response)["error"]["message"]
    connection.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "a JSON object"),
        (b"{", "not JSON"),
        pytest.param(b"[" * 60_000, "not JSON", id="too deep"),
        (b'{"reason": "\\ud800 is half a sign"}', "not JSON"),
        (b'{"reason": 7}', "`reason` must be text"),
        (b'{"reason": "' + b"x" * 70_000 + b'"}', "at most 65536 bytes"),
    ],
)
def test_bad_bodies_are_refused(daemon: Served, body: bytes, said: str) -> None:
    """A body that is not a small JSON object of text is refused with what is wrong, and reaches nothing."""
    connection = _raw(daemon)
    connection.request("POST", "/v1/stop-all", body, {"idempotency-key": "12345678"})
    response = connection.getresponse()
    assert (response.status, said in json.load(response)["error"]["message"]) == (400, True)
    assert not daemon.core.calls
    connection.close()


@pytest.mark.parametrize(
    "path",
    ["/v1/traces?before={}", "/v1/audit?after={}", "/v1/audit/{}", "/v1/events?after={}"],
)
def test_a_number_that_no_database_holds_is_refused(daemon: Served, path: str) -> None:
    """A whole number of more digits than are counted by is a bad request, not a bug."""
    connection = _raw(daemon)
    connection.request("GET", path.format("9" * 25))
    response = connection.getresponse()
    assert (response.status, "at most 18 digits" in json.load(response)["error"]["message"]) == (400, True)
    connection.close()


def test_a_change_needs_an_idempotency_key(daemon: Served) -> None:
    """Without a key a retry could act twice, so there is none without."""
    connection = _raw(daemon)
    connection.request("POST", "/v1/stop-all", json.dumps({"reason": WHY}))
    response = connection.getresponse()
    assert response.status == 400
    assert "Idempotency-Key" in json.load(response)["error"]["message"]
    connection.close()


def test_unknown_paths_answer_in_json(link: Link) -> None:
    """Even a wrong path gets an answer that a program can read."""
    with pytest.raises(ConfigError, match="GET /v2: not found"):
        link.get("/v2")


def test_events_resume_where_the_reader_left_off(daemon: Served, link: Link) -> None:
    """A reader that names the last leaf it saw misses none and gets none twice, also of those that come later."""
    for number in range(5):
        daemon.store.note("test", actor="daemon", record=number)
    first = list(islice(link.events(after=0), 4))
    assert [event["seq"] for event in first] == [1, 2, 3, 4]
    rest = link.events(after=first[-1]["seq"])
    assert [next(rest)["seq"] for _ in range(3)] == [5, 6, 7]
    daemon.store.note("test", actor="daemon", record="later")
    daemon.ring()
    assert next(rest) | {"at": None} == {
        "seq": 8,
        "at": None,
        "kind": "test",
        "actor": "daemon",
        "pipeline": None,
        "table": None,
        "key": None,
        "record": "later",
    }
    rest.close()


def test_events_end_when_the_daemon_stops(tmp_path: Path) -> None:
    """A reader of the stream is told the end instead of hanging."""
    with served(tmp_path) as running:
        running.store.note("test", actor="daemon")
        stream = Link(running.socket).events(after=0)
        next(stream)
    assert list(stream) == []


def test_s9_a_look_counts_only_with_a_person(daemon: Served) -> None:
    """Fetching the open questions opens a channel when a person sees them, and not from a script."""
    Link(daemon.socket).get("/v1/intents")
    Link(daemon.socket, attended=True).get("/v1/status")
    assert not daemon.core.calls
    Link(daemon.socket, attended=True).get("/v1/intents")
    Link(daemon.socket).post("/v1/pipelines/churn/pause", reason=WHY)
    assert daemon.core.calls[0] == ("channel_opened", _me())


def test_s8_who_looks_from_many_terminals_can_still_stop(daemon: Served, link: Link) -> None:
    """With a user's share of looks held by open streams, their veto and pause get through; a look names the share."""
    streams = [Link(daemon.socket).stream() for _ in range(LOOKS_EACH)]
    assert {next(stream)[0] for stream in streams} == {"live"}
    answer(link, "veto")
    link.post("/v1/pipelines/churn/pause", reason=WHY)
    assert [call[0] for call in daemon.core.calls] == ["answer", "pause"]
    for _ in range(CONNECTIONS_EACH):  # what is refused holds no room
        with pytest.raises(HealerdError, match=f"more than {LOOKS_EACH} connections of yours.*close some"):
            Client(daemon.state).status()
    link.post("/v1/stop-all", reason=WHY)
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]


def test_s9_an_open_stream_is_no_look(daemon: Served) -> None:
    """Events that come to a terminal that was left open, where `healerd watch` or the terminal UI runs, are no look."""
    stream = Link(daemon.socket, attended=True).stream(after=0)
    assert {kind for kind, _ in islice(stream, 4)} == {"live", "leaf", "beat"}
    stream.close()  # type: ignore[attr-defined]
    Link(daemon.socket).post("/v1/pipelines/churn/pause", reason=WHY)
    assert [call[0] for call in daemon.core.calls] == ["pause"]


def test_s9_a_look_counts_only_while_somebody_watches(daemon: Served) -> None:
    """A client asks at each call whether anybody sees what it fetches."""
    link, watched = Link(daemon.socket, attended=True), [False, True]
    link.watched = lambda: watched.pop(0)
    link.get("/v1/intents")
    assert not daemon.core.calls
    link.get("/v1/intents")
    Link(daemon.socket).post("/v1/pipelines/churn/pause", reason=WHY)
    assert daemon.core.calls[0] == ("channel_opened", _me())


def test_s9_a_look_of_somebody_who_cannot_answer_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer at the screen is no channel."""
    monkeypatch.setattr("healerd.daemon.people.ROOT", NOBODY)
    with served(tmp_path, owner_uid=NOBODY) as running:
        Link(running.socket, attended=True).get("/v1/intents")
    assert not running.core.calls


def test_s15_resume_all_takes_the_stop_file_away(daemon: Served, link: Link) -> None:
    """Once an approver lets everything run again, the file that stopped it is gone."""
    stop = daemon.state / "STOP"
    stop.touch()
    link.post("/v1/stop-all", reason=WHY)
    stopped = link.get("/v1/status")["stopped"]
    assert stopped["author"] == _me()
    link.post("/v1/resume-all", reason=WHY, if_rev=f"all:{stopped['since_at']}")
    assert not stop.exists()
    assert link.get("/v1/status")["stopped"] is None


def test_a_stage_moves_with_what_was_seen(daemon: Served, link: Link) -> None:
    """A promotion decided on another stage than the present one is refused."""
    with pytest.raises(Conflict, match="has changed"):
        link.post("/v1/pipelines/churn/stage", reason=WHY, stage="live", if_rev="observe:running")
    link.post("/v1/pipelines/churn/stage", reason=WHY, stage="live", if_rev="suggest:running")
    assert link.get("/v1/pipelines/churn")["stage"] == Stage.LIVE


def test_a_daemon_that_is_away_is_named_with_the_mend(tmp_path: Path) -> None:
    """Without a daemon the error says where it was looked for and how to start it."""
    with pytest.raises(ControlError, match=r"no daemon answers at .*healerd run") as caught:
        Link(tmp_path / "control.sock").get("/v1/status")
    assert caught.value.exit_code == 3


def _me() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


class _Connection(http.client.HTTPConnection):
    """The standard library's HTTP over our socket: a client that is not ours."""

    def __init__(self, path: Path) -> None:
        super().__init__("healerd", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def _raw(daemon: Served) -> http.client.HTTPConnection:
    return _Connection(daemon.socket)
