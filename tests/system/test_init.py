"""From a Parquet file of predictions to a running daemon, in three commands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from tests.system.installation import Installation


def test_three_commands_lead_to_a_running_daemon(tmp_path: Path) -> None:
    """`init`, `run`, `status`: a file of predictions is watched, and what has gone wrong in it opens an incident."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(hours=60)  # noqa: TID251
    sql = f"""SELECT TIMESTAMP '{start}' + INTERVAL (i * 10) SECOND AS served_at, i AS request_id,
        (i * 7919 % 1000) / 1000.0 AS x,
        (i * 7919 % 1000 > 500)::INT AS y_pred,
        ((i * 7919 % 1000 > 500) != (hash(i) % 20 = 0 OR (i > 16000 AND hash(i) % 3 = 0)))::INT AS y_true
        FROM range(21600) r(i)"""
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{tmp_path / 'served.parquet'}'")
    here = Installation(tmp_path)

    proposed = here.call("init", "served.parquet")
    assert proposed.code == 0, proposed.err
    config = tmp_path / "healerd.toml"
    config.write_text(config.read_text() + "\n[daemon]\nstate = 'state'\ntick = '200ms'\n")
    with here.running() as daemon:
        here.wait_for(lambda: "incident" in here.call("status", "served").out, daemon)
        here.wait_for(lambda: here.call("status", "served", "--json").json["incident"], daemon)
        told = here.call("status", "served", "--json").json
    assert "harm" in str(told["incident"])
