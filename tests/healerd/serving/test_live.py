"""The gateway as a process on a real socket: slow clients, signals, kills, and swaps under load."""

import signal
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.clock import SystemClock
from healerd.config import SourceSettings
from healerd.sources import SOURCES
from tests.healerd.serving.gate import asked
from tests.healerd.serving.live import Live, ask, live

LOAD, EACH = 8, 150


def recorded(folder: Path) -> list[str]:
    """The ids in the record of `m`; none where there is no record yet."""
    if not (folder / "m").exists():
        return []
    source = SOURCES["gateway"](SourceSettings(kind="gateway", path="m"), folder, lambda: "v1")
    now = SystemClock().now()
    return [*source.fetch(now - timedelta(hours=1), now + timedelta(hours=1)).ids]


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    """A client that sends its body too slowly gets 408, and others are answered meanwhile."""
    with live(tmp_path, timeout=0.5) as gateway, socket.create_connection(("127.0.0.1", gateway.port), 30) as slow:
        slow.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        connection = gateway.connect()
        assert ask(connection, 1.0)[0] == 200
        connection.close()
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_holds_nothing_up(tmp_path: Path) -> None:
    """Connections cut in the middle of a head, a body or an answer leave the gateway well."""
    whole = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(asked([2000.0]))
    with live(tmp_path) as gateway:
        for part in (whole[:20], whole + asked([1.0])[:5], whole + asked([2000.0])):
            with socket.create_connection(("127.0.0.1", gateway.port), 30) as leaving:
                leaving.sendall(part)
        connection = gateway.connect()
        assert ask(connection, 1.0)[1]["outputs"][0]["data"] == [1.0]
        connection.close()


def test_sigterm_answers_what_is_in_flight(tmp_path: Path) -> None:
    """Told to end, the gateway answers and records the request that its model is at, then ends well."""
    with live(tmp_path, flush=600) as gateway:
        found = []
        connection = gateway.connect()
        asking = threading.Thread(target=lambda: found.append(ask(connection, 2000.0)))
        asking.start()
        time.sleep(0.2)
        gateway.process.send_signal(signal.SIGTERM)
        asking.join()
        connection.close()
        assert gateway.process.wait(30) in {0, -signal.SIGTERM}
        ((status, said),) = found
        assert (status, recorded(tmp_path)) == (200, [said["parameters"]["prediction_id"]])


def test_a_swap_under_load_loses_no_request(tmp_path: Path) -> None:
    """While the alias moves, requests on many connections are all answered, each wholly by the version it names."""
    with live(tmp_path, poll=0.02) as gateway:
        found, threads = list[tuple[int, str, float, str]](), []
        threads = [threading.Thread(target=_load, args=(gateway, found)) for _ in range(LOAD)]
        for thread in threads:
            thread.start()
        version = 0
        while any(thread.is_alive() for thread in threads):
            version += 1
            gateway.move(version)
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(30)
        assert len(found) == LOAD * EACH
        assert all(status == 200 and float(said) == plus for status, said, plus, _ in found)
        assert len({said for _, said, _, _ in found}) > 2, "the swaps took place under the load"
        assert sorted(recorded(tmp_path)) == sorted(name for *_, name in found)


def _load(gateway: Live, found: list[tuple[int, str, float, str]]) -> None:
    connection = gateway.connect()
    for number in range(EACH):
        status, said = ask(connection, float(number))
        plus = said["outputs"][0]["data"][0] - number
        found.append((status, said["model_version"], plus, said["parameters"]["prediction_id"]))
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("flush", [0, 0.2])
def test_a_kill_loses_at_most_a_flush(tmp_path: Path, flush: float) -> None:
    """After kill -9 every row that was answered before the last flush is there once; with flush 0 every row at all."""
    answered = set[str]()
    for _ in range(3):
        with live(tmp_path, flush=flush) as gateway:
            connection = gateway.connect()
            turn = [str(ask(connection, float(number))[1]["parameters"]["prediction_id"]) for number in range(60)]
            if flush:
                deadline = time.monotonic() + 30
                while turn[-1] not in recorded(tmp_path):
                    assert time.monotonic() < deadline, "it was never flushed"
                    time.sleep(0.02)
                ask(connection, 1.0)
            connection.close()
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
            answered.update(turn)
    found = recorded(tmp_path)
    assert len(found) == len(set(found))
    assert answered <= set(found)
