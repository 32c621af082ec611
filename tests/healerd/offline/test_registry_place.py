"""`try` and `demo` on an MLflow server: the alias moves there, and a model that is in use is left alone."""

import io
import sqlite3
from pathlib import Path

import pytest

from healerd.errors import ConfigError
from healerd.offline.mlflow_server import mlflow_server, server_python
from healerd.offline.options import TryOptions
from healerd.offline.registry_place import registry_place
from healerd.offline.teller import Teller
from healerd.offline.trial import run_try
from tests.healerd.offline.tables import drifting


def test_without_a_wish_models_stay_in_the_folder(tmp_path: Path) -> None:
    """Nothing is started and nothing configured where nobody asks for a server."""
    with registry_place(None, tmp_path, "games", Teller()) as place:
        assert place is None


@pytest.mark.parametrize("wanted", ["folder", "mlflow:", "mlflow:nowhere", "MLFLOW"])
def test_a_place_that_makes_no_sense_is_an_error_with_the_mend(tmp_path: Path, wanted: str) -> None:
    """What --registry takes is said."""
    with (
        pytest.raises(ConfigError, match=r"mlflow:http://HOST:PORT"),
        registry_place(wanted, tmp_path, "games", Teller()),
    ):
        pass


@pytest.mark.slow
def test_a_trial_moves_the_alias_of_a_real_server(tmp_path: Path) -> None:
    """The loop heals over a real server, whose own client sees the alias there; a second run does not take it over."""
    from mlflow import MlflowClient

    try:
        server_python()
    except ConfigError as error:
        pytest.skip(str(error))
    out = io.StringIO()
    with mlflow_server(tmp_path / "server") as address:
        options = TryOptions(
            file=drifting(tmp_path / "games.csv", days=32, rows=50, turn=20),
            target="wins",
            time="time",
            train_rows=500,
            state=tmp_path / "state",
            registry=f"mlflow:{address}",
        )
        assert run_try(options, Teller(out=out, err=io.StringIO())) == 0
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        tags = client.get_model_version_by_alias("games", "active").tags
        assert tags["healerd.name"] != "first", "a heal took effect there"
        assert f"is at `{tags['healerd.name']}`; its moves:" in out.getvalue()
        moved = [key for key in client.get_registered_model("games").tags if key.startswith("healerd.move.")]
        with sqlite3.connect(tmp_path / "state" / "healerd.db") as store:
            keys = {key for (key,) in store.execute("select key from intent where effect_at is not null")}
        assert {key.split(".", 3)[3] for key in moved} - {"added first"} <= keys
        with pytest.raises(ConfigError, match=r"already: name another model"):
            run_try(
                TryOptions(file=options.file, target="wins", time="time", train_rows=500, registry=options.registry),
                Teller(out=io.StringIO(), err=io.StringIO()),
            )
