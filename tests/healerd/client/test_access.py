"""What a client sees and may do while the daemon is away, and what it is told when the daemon misbehaves."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from healerd.client import Client, Link
from healerd.clock import ManualClock
from healerd.errors import ControlError, HealerdError, NotFound, TimedOut
from healerd.model import Incident, Intent, IntentState, Layer, Pause
from healerd.store import Store, Watermark
from tests.served import NOW, a_decision, an_intent, served


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder that a daemon has left: one decision, one open intent, one incident."""
    with Store.open(tmp_path, clock=ManualClock(NOW)) as store, store.transaction() as tx:
        tx.put(a_decision())
        tx.put(an_intent())
        tx.put(Watermark(pipeline="churn", end_at=NOW))
        tx.put(
            Incident(
                id="inc-1",
                pipeline="churn",
                opened_at=NOW,
                kind=Layer.HARM,
                severity=2,
                reason="the error rose",
                opened_by="alarm",
            )
        )
    return tmp_path


def test_status_is_read_from_the_database_and_says_so(state: Path) -> None:
    """Without a daemon the last that was stored is shown, marked as such."""
    status = Client(state).status()
    assert status["daemon"]["state"] == "away"
    assert [(view["name"], view["state"]) for view in status["pipelines"]] == [("churn", "pending")]
    assert status["pipelines"][0]["incident"]["reason"] == "the error rose"
    assert status["head"] >= 4


def test_every_look_works_without_a_daemon(state: Path) -> None:
    """One pipeline, the inbox, an intent, the traces and one of them can all be read from the database."""
    client = Client(state)
    assert client.pipeline("churn")["open"][0]["id"] == "act-1"
    assert [intent["id"] for intent in client.intents()["intents"]] == ["act-1"]
    assert client.intents(pipeline="fraud")["intents"] == []
    assert client.intent("act-1")["decision"]["id"] == "dec-1"
    assert [row["id"] for row in client.traces(pipeline="churn")["traces"]] == ["dec-1"]
    assert client.trace("dec-1")["decision"]["trace"] == {"facts": {"error_rate": 0.31}}


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.pipeline("chrun"),
        lambda client: client.traces(pipeline="chrun"),
        lambda client: client.intent("none"),
        lambda client: client.trace("none"),
    ],
)
def test_what_does_not_exist_is_not_found_without_a_daemon(state: Path, look: Callable[[Client], object]) -> None:
    """The database answers as the daemon would."""
    with pytest.raises(NotFound):
        look(Client(state))


def test_live_and_stored_views_are_one(tmp_path: Path, state: Path) -> None:
    """What the daemon serves and what is read without it are the same JSON for the same records."""
    stored = Client(state, clock=ManualClock(NOW))
    (tmp_path / "live").mkdir()
    with served(tmp_path / "live", pipelines=["churn"]) as running:
        # The stored folder has two leaves before these: those of its start and of its key.
        for _ in range(2):
            running.store.put(Watermark(pipeline="churn", end_at=NOW))
        running.store.put(a_decision())
        running.store.put(an_intent())
        live = Client(running.state)
        assert live.intent("act-1") == stored.intent("act-1")
        assert live.trace("dec-1") == stored.trace("dec-1")
        assert live.intents() == stored.intents()
        assert set(live.status()) == set(stored.status())
        assert set(live.pipeline("churn")) == set(stored.pipeline("churn"))


def test_nothing_is_changed_without_a_daemon(state: Path) -> None:
    """Without a daemon an answer is an error with the way to one, and the database stays as it is."""
    before = (state / "healerd.db").read_bytes()
    with pytest.raises(ControlError, match="healerd run"):
        Client(state).answer("act-1", "approve", reason="it looks right", if_rev="3")
    assert (state / "healerd.db").read_bytes() == before


def test_s15_stop_all_needs_nobody(state: Path) -> None:
    """The stop file is written without a daemon, and status shows it."""
    done = Client(state).stop_all(reason="something smells")
    assert done["daemon"] is None
    assert (state / "STOP").read_text().endswith(": something smells\n")
    assert Client(state).status()["stop_file"] == str(state / "STOP")


def test_s15_stop_all_that_stops_nothing_is_an_error(tmp_path: Path) -> None:
    """With neither a folder to write to nor a daemon, nobody is told that everything has stopped."""
    with pytest.raises(ControlError):
        Client(tmp_path / "nowhere").stop_all(reason="something smells")


@pytest.mark.parametrize(
    ("intents", "pauses", "expected"),
    [
        ((), (), "drift"),
        ((an_intent(),), (), "pending"),
        ((an_intent(state=IntentState.NEEDS_PERSON),), (), "pending"),
        ((an_intent(state=IntentState.EXECUTING),), (), "healing"),
        ((an_intent(state=IntentState.FAILED),), (), "failed"),
        ((an_intent(state=IntentState.VETOED),), (), "vetoed"),
        ((), (Pause(pipeline="churn", since_at=NOW, author="ana", reason="labels are late"),), "paused"),
        (
            (an_intent(),),
            (Pause(pipeline="churn", since_at=NOW, author="ana", reason="labels are late"),),
            "pending",
        ),
    ],
)
def test_the_state_of_a_pipeline_is_its_most_urgent(
    tmp_path: Path, intents: tuple[Intent, ...], pauses: tuple[Pause, ...], expected: str
) -> None:
    """What asks for a person outranks what is merely so."""
    with served(tmp_path, pipelines=["churn"]) as running:
        running.store.put(a_decision())
        incident = Incident(
            id="inc-1", pipeline="churn", opened_at=NOW, kind=Layer.HARM, severity=2, reason="r", opened_by="alarm"
        )
        for record in (incident, *intents, *pauses):
            running.store.put(record)
        assert Client(tmp_path).pipeline("churn")["state"] == expected


@contextmanager
def answering(path: Path, answer: bytes | None) -> Iterator[None]:
    """Something at the socket that answers every call with the same bytes, or, for None, never."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            if answer is None:
                over.wait(5)
            else:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n\xff",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, answer: bytes) -> None:
    """Whatever else answers at the socket, the client says that it got no answer, and crashes at nothing."""
    with answering(tmp_path / "s", answer), pytest.raises(ControlError, match="gave no answer"):
        Link(tmp_path / "s").get("/v1/status")


def test_an_error_without_words_is_an_error(tmp_path: Path) -> None:
    """A failure without a message still says that the daemon failed."""
    with (
        answering(tmp_path / "s", b"HTTP/1.1 500 No\r\n\r\nInternal Server Error"),
        pytest.raises(HealerdError, match="status 500"),
    ):
        Link(tmp_path / "s").get("/v1/status")


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A daemon that hangs ends the call with an error of its own."""
    with answering(tmp_path / "s", None), pytest.raises(TimedOut) as caught:
        Link(tmp_path / "s", timeout_s=0.1).get("/v1/status")
    assert caught.value.exit_code == 124
