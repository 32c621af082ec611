import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import click.testing
import duckdb
import pytest

from healerd.cli.group import cli, invoke
from healerd.client.model_server import ServedModel
from healerd.client.proposal import Wishes, propose
from healerd.client.served_proposal import propose_served
from healerd.config import load_config, parse_config
from healerd.errors import SourceError
from healerd.sources.sighting import sight
from tests.healerd.serving.live import ask, live

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, columns: str, rows: int = 14_400) -> Path:
    """A row every 20 s; the newest sixth has no label."""
    sql = f"""SELECT TIMESTAMP '2026-01-01' + INTERVAL (i * 20) SECOND AS served_at, 'r' || i AS request_id,
        (i % 97) / 97.0 AS x, {columns} FROM range({rows}) r(i)"""
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{path}'")
    return path


CLASSES = "(i % 2) AS y_pred, CASE WHEN i < 12000 THEN (i % 2) END AS y_true"
QUANTITIES = "i * 1.5 AS predicted, CASE WHEN i < 12000 THEN i * 1.5 + (i % 10) END AS actual"
PROBABILITIES = "(i % 100) / 100.0 AS prediction, (i % 2) AS label"


def test_a_table_is_turned_into_a_configuration_that_loads(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns, window, horizon, reference and rules are proposed, and doctor finds nothing that fails."""
    write(here / "served.parquet", CLASSES)
    assert invoke(["init", "served.parquet", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not [one for one in told["findings"] if one["level"] == "fail"]
    own = load_config(here / "healerd.toml").pipeline["served"]
    assert (own.source.time, own.source.id, own.source.prediction) == ("served_at", "request_id", "y_pred")
    assert (own.source.label, own.loss, own.rules) == ("y_true", "zero-one", ["served.heal"])
    assert own.window == 10_800.0 or own.window == 7200.0
    assert own.label_horizon >= 2400 * 20 - own.window
    assert own.label_horizon % own.window == 0
    assert own.reference is not None
    assert own.reference.end == own.start


def test_files_that_exist_stay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can be asked, nothing is written over, and neither file is touched."""
    write(here / "served.parquet", CLASSES)
    (here / "served.heal").write_text("mine")
    assert invoke(["init", "served.parquet"]) != 0
    assert "--out" in capsys.readouterr().err
    assert (here / "served.heal").read_text() == "mine"
    assert not (here / "healerd.toml").exists()


@pytest.mark.parametrize(("answer", "written"), [("y\ny\n", True), ("n\n", False)])
def test_a_question_is_asked_before_a_file_is_written_over(
    here: Path, monkeypatch: pytest.MonkeyPatch, answer: str, written: bool
) -> None:
    """At a terminal, only a yes writes over what is there."""
    write(here / "served.parquet", CLASSES)
    (here / "healerd.toml").write_text("# mine")
    (here / "served.heal").write_text("# mine")
    monkeypatch.setattr("healerd.cli.init.is_interactive", lambda: True)
    click.testing.CliRunner().invoke(cli, ["init", "served.parquet", "--yes"], input=answer)
    assert ((here / "healerd.toml").read_text() != "# mine") is written


def test_what_is_asked_at_a_terminal_counts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers at a terminal take the place of the guesses, and an empty one takes the guess."""
    write(here / "served.parquet", CLASSES)
    monkeypatch.setattr("healerd.cli.init.is_interactive", lambda: True)
    done = click.testing.CliRunner().invoke(cli, ["init", "served.parquet"], input="\n\n\nnone\n1h\n2h\n\n")
    assert done.exception is None, done.output
    own = load_config(here / "healerd.toml").pipeline["served"]
    assert (own.window, own.label_horizon, own.source.id) == (3600.0, 7200.0, None)
    assert own.source.label == "y_true"


def test_quantities_get_a_tolerance(here: Path) -> None:
    """Predictions of a quantity are wrong beyond what four in five of the labelled rows keep within."""
    seen = sight(write(here / "q.parquet", QUANTITIES), {})
    assert seen.loss.startswith("absolute ")
    assert 7 <= float(seen.loss.split()[1]) <= 8


def test_a_probability_beside_classes_is_made_an_answer(here: Path) -> None:
    """A probability beside labels of 0 and 1 is taken as score, and the answer is made by a query."""
    write(here / "p.parquet", PROBABILITIES)
    assert invoke(["init", "p.parquet", "--json"]) == 0
    own = load_config(here / "healerd.toml").pipeline["p"].source
    assert (own.kind, own.score, own.prediction) == ("duckdb", "prediction", "healerd_answer")


def test_what_cannot_be_told_is_an_error_that_names_the_option(here: Path) -> None:
    """Without a column that can be the prediction, the error lists the columns and the option."""
    with pytest.raises(SourceError, match="--prediction"):
        sight(write(here / "x.parquet", "i AS z"), {})


def test_rows_without_labels_are_watched_alone(here: Path) -> None:
    """Without labels there is no reference, the rules only watch, and a note says so."""
    seen = sight(write(here / "u.parquet", "(i % 2) AS prediction"), {})
    made = propose(seen, Wishes(name="u", data="u.parquet"), now=START + timedelta(days=4))
    assert 'import "observe"' in made.rules
    assert "# reference" in made.config
    assert any("no row has a label" in note for note in made.notes)


@pytest.mark.parametrize("rows", [1, 2, 50, 5000])
def test_any_number_of_rows_is_proposed_for(here: Path, rows: int) -> None:
    """From one row on, the proposal is a configuration that loads."""
    seen = sight(write(here / "few.parquet", "(i % 2) AS prediction, (i % 2) AS label", rows), {})
    made = propose(seen, Wishes(name="few", data="few.parquet"), now=START + timedelta(days=4))
    (here / "healerd.toml").write_text(made.config)
    assert load_config(here / "healerd.toml").pipeline["few"].window >= 60


class OpenInference(BaseHTTPRequestHandler):
    """A model server in the protocol's form, with one model."""

    models: ClassVar = [{"name": "spam", "version": "3", "state": "READY"}]

    def do_GET(self) -> None:
        tensor = {"datatype": "FP64", "shape": [-1]}
        model = {"name": "spam", "platform": "sklearn", "inputs": [{"name": "x", **tensor}], "outputs": []}
        answers = {"/v2": {"name": "some server", "version": "1"}, "/v2/models/spam": model}
        self._answer(answers.get(self.path))

    def do_POST(self) -> None:
        self._answer(self.models if self.path == "/v2/repository/index" else None)

    def _answer(self, value: object) -> None:
        body = json.dumps(value or {"error": "unknown"}).encode()
        self.send_response(200 if value else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


class KServe(OpenInference):
    """The answers of KServe's own server, of its version 0.21: no index of the repository, and no tensors."""

    def do_GET(self) -> None:
        model = {"name": "spam", "versions": None, "platform": "", "inputs": [], "outputs": []}
        server = {"name": "kserve", "version": "0.21.0", "extensions": ["model_repository_extension"]}
        self._answer({"/v2": server, "/v2/models": {"models": ["spam"]}, "/v2/models/spam": model}.get(self.path))

    def do_POST(self) -> None:
        self._answer(None)


@pytest.fixture
def server() -> Iterator[str]:
    with serving(OpenInference) as url:
        yield url


@contextmanager
def serving(kind: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_a_model_server_says_what_the_model_reads(here: Path, server: str) -> None:
    """The features are the inputs of the server's model, and the pipeline bears its name."""
    write(here / "served.parquet", CLASSES + ", 'noise' AS other")
    assert invoke(["init", "served.parquet", "--url", server]) == 0
    own = load_config(here / "healerd.toml").pipeline["spam"]
    assert own.source.features == ["x"]


def test_the_only_model_of_kserves_own_server_is_found(here: Path) -> None:
    """A server that lists its models elsewhere than the protocol's index is understood; what is not told is said."""
    with serving(KServe) as url:
        told = json.loads(click.testing.CliRunner().invoke(cli, ["init", "--url", url, "--json"]).stdout)
    assert told["proposed"]["served by"] == "kserve"
    assert "spam" in load_config(here / "healerd.toml").pipeline
    assert any("names of the features are not told" in note for note in told["notes"])


def test_a_model_that_is_not_there_is_said(here: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown model and a server that does not answer are errors, and write nothing."""
    write(here / "served.parquet", CLASSES)
    assert invoke(["init", "served.parquet", "--url", server, "--model-name", "ham"]) != 0
    assert "ham" in capsys.readouterr().err
    assert invoke(["init", "served.parquet", "--url", "http://127.0.0.1:9"]) != 0
    assert "does not answer" in capsys.readouterr().err
    assert not (here / "healerd.toml").exists()


def test_a_running_gateway_alone_is_enough(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a table, our gateway tells what its model reads, where it records and where its versions are; what it
    cannot tell is said, and doctor can read the source that is proposed."""
    with live(here) as gateway, closing(gateway.connect()) as connection:
        assert ask(connection, 1.0)[0] == 200
        assert invoke(["init", "--url", f"http://127.0.0.1:{gateway.port}", "--json", "--out", "new"]) in {0, 7}
    told = json.loads(capsys.readouterr().out)
    assert [each["level"] for each in told["findings"] if each["check"] == "source"] == ["ok"]
    own = load_config(here / "new" / "healerd.toml").pipeline["m"]
    assert (own.source.kind, own.source.path) == ("gateway", str(here / "m"))
    assert told["proposed"]["features"] == "`a`, `b`"
    for unknown in ("label-horizon", "reference", "how many rows"):
        assert any(unknown in note for note in told["notes"]), unknown


def test_another_server_alone_says_that_it_records_nothing(here: Path, server: str) -> None:
    """Of another server the model's name and inputs are taken; that its answers are nowhere recorded is a note, and
    the examination fails for it."""
    result = click.testing.CliRunner().invoke(cli, ["init", "--url", server, "--json"], standalone_mode=False)
    told = json.loads(result.stdout)
    assert result.return_value == 7
    (failed,) = (each["said"] for each in told["findings"] if each["level"] == "fail")
    assert failed.startswith("`spam`: no record at")
    assert any("does not record what it answers" in note for note in told["notes"])
    assert (told["proposed"]["features"], load_config(here / "healerd.toml").pipeline["spam"].source.kind) == (
        "`x`",
        "gateway",
    )


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [
        ({"output": "INT64"}, "zero-one"),
        ({"output": "BYTES"}, "zero-one"),
        ({"output": "FP64", "probabilities": "FP64"}, "zero-one"),
        ({"output": "FP64"}, "relative 10%"),
        ({}, "relative 10%"),
    ],
)
def test_the_error_that_counts_follows_from_the_outputs(outputs: dict[str, str], loss: str) -> None:
    """Classes are right or wrong; a quantity has a tolerance, which is said to be a guess."""
    served = ServedModel(server="x", name="m", platform="", inputs={"in": "FP32"}, outputs=outputs, widths={"in": 4})
    made = propose_served(served, Wishes(name="m", data="served"), None)
    assert parse_config(made.config, path=Path("healerd.toml")).pipeline["m"].loss == loss
    assert any("--loss" in note for note in made.notes) == (loss != "zero-one")
    assert any("names of the features" in note for note in made.notes)


def test_without_a_table_and_a_server_nothing_is_proposed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a table nor a server, or a column without a table, is a wrong call that says what is missing."""
    for words in (
        ["init"],
        ["init", "--url", "http://127.0.0.1:9"],
        ["init", "--url", "http://127.0.0.1:9", "--id", "x"],
    ):
        assert invoke(words) != 0
    assert "`--url URL`" in capsys.readouterr().err
    assert not (here / "healerd.toml").exists()
