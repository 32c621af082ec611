"""`healerd labels add`, against a gateway on a real socket."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from healerd.cli.group import invoke
from healerd.client.gateway import GatewayClient
from healerd.errors import ControlError, ServingError
from healerd.segments.spool import BlockKind, read_blocks, spool_files
from tests.healerd.serving.live import Live, live


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("gateway"), flush=0) as running:
        yield running


@pytest.fixture
def client(gateway: Live) -> Iterator[GatewayClient]:
    with GatewayClient(f"http://127.0.0.1:{gateway.port}") as opened:
        yield opened


def add(gateway: Live, file: Path, *more: str) -> int:
    return invoke(["labels", "add", str(file), "--url", f"http://127.0.0.1:{gateway.port}", *more])


def test_the_client_asks_and_labels(client: GatewayClient) -> None:
    """A program asks with columns, missing values among them, and sends labels for the ids that it was given."""
    said = client.predict("m", {"a": [1, 2.5, None], "b": [0, 0, 1]})
    assert said.output.tolist()[:2] == [1.0, 2.5]
    assert (len(set(said.ids)), said.version, said.substitute) == (3, "0", False)
    assert client.ready("m")
    first, second, _ = said.ids
    taken = client.label({first: 1.0, "nobody-1": 0.0})
    assert (taken.accepted, taken.unknown) == (1, ("nobody-1",))
    assert client.label({first: 0.0, second: 1.0}).repeated == (first,)
    assert client.label({"nobody-1": 0.0}).accepted == 0
    with pytest.raises(ServingError, match="no model `nope`"):
        client.predict("nope", {"a": [1]})
    with pytest.raises(ServingError, match="is missing"):
        client.predict("m", {"a": [1]})


def test_the_readmes_client_runs(gateway: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the README, pointed at a gateway, asks and labels it."""
    text = (Path(__file__).parents[3] / "healerd/serving/README.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    assert "GatewayClient" in example
    exec(compile(example.replace(":8080", f":{gateway.port}"), "README", "exec"), {})  # the example is ours
    assert capsys.readouterr().out.split() == ["[1.5", "nan]", "0", "False"]


def test_a_gateway_that_is_away_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a gateway a program gets ControlError, and the verb ends with 3 and what to do."""
    with pytest.raises(ControlError, match="start `healerd serve`"), GatewayClient("http://127.0.0.1:9") as away:
        away.ready("m")
    (tmp_path / "l.csv").write_text("id,label\nx,1\n")
    assert invoke(["labels", "add", str(tmp_path / "l.csv"), "--url", "http://127.0.0.1:9"]) == 3
    assert "healerd serve" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [(404, "<html>no</html>"), (200, "<html>yes</html>"), (200, "{}"), (200, "[1]")])
def test_another_server_at_the_address_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: tuple[int, str]
) -> None:
    """What does not answer as a gateway ends the verb with 3 and the address, no traceback; so does no address."""
    status, body = answer

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
            pass

    (tmp_path / "l.csv").write_text("id,label\nx,1\n")
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert invoke(["labels", "add", str(tmp_path / "l.csv"), "--url", url]) == 3
    assert f"`{url}` does not answer as" in capsys.readouterr().err
    assert invoke(["labels", "add", str(tmp_path / "l.csv"), "--url", "http://[::"]) == 3


def test_labels_of_a_file_are_joined(
    gateway: Live, client: GatewayClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New, repeated and unknown ids are counted, empty labels wait, and times are those of the file."""
    one, two, three = client.predict("m", {"a": [1, 2, 3], "b": [0, 0, 0]}).ids
    file = tmp_path / "late.csv"
    file.write_text(f"key,truth,known\n{one},1,2026-01-31T12:00:00Z\n{two},0,\n{three},,\n")
    columns = ("--id", "key", "--label", "truth", "--at", "known", "--json")
    assert add(gateway, file, *columns) == 0
    counts = {"schema": 1, "new": 2, "repeated": 0, "unknown": 0, "without_a_label": 1, "unknown_ids": []}
    assert json.loads(capsys.readouterr().out) == counts
    blocks = [b for path in spool_files(gateway.folder / "m") for b in read_blocks(path, kind=BlockKind.LABELS)]
    times = {i: at for block in blocks for i, at in zip(block.labels().ids, block.labels().at, strict=True)}
    assert str(times[one]) == "2026-01-31T12:00:00.000000"
    file.write_text(f"id,label\n{one},1\n{three},0\n000000000000-7,0\n")
    assert add(gateway, file) == 5
    said = capsys.readouterr()
    assert said.out.split() == ["new", "1", "repeated", "1", "unknown", "1", "without", "a", "label", "0"]
    assert "000000000000-7" in said.err


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        ("id,truth\nx,1\n", (), "no column `label`"),
        ("id,label\n,1\n", (), "is no id"),
        ("id,label,at\nx,1,yesterday\n", ("--at", "at"), "is no time"),
        ("id,label\nx,inf\n", (), "is no label"),
        ("id,label\nx,0.5\ny,inf\n", (), "is no label"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(
    gateway: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, more: tuple[str, ...], problem: str
) -> None:
    """A missing column, id or time ends with 1 before any label is sent, naming column and row."""
    file = tmp_path / "late.csv"
    file.write_text(text)
    assert add(gateway, file, *more) == 1
    assert problem in capsys.readouterr().err
    assert add(gateway, tmp_path / "none.csv") == 1
