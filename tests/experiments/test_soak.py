"""The short form of `python -m experiments.soak`: the daemon's own loop through a few hundred windows."""

import sqlite3
from pathlib import Path

from experiments.soak import claims, slope, soak
from healerd.store.library import DATABASE


def test_a_daemon_holds_no_more_files_and_no_longer_log_after_many_windows(tmp_path: Path) -> None:
    """Handles and the write-ahead log are where they were after a third of the windows, and memory is nearly so."""
    samples = soak(tmp_path, windows=240, pipelines=4, rows=20, every=40)
    assert [sample["windows"] for sample in samples] == [40, 80, 120, 160, 200, 240]
    early, last = samples[1], samples[-1]
    assert last["files"] == early["files"]
    assert last["threads"] == early["threads"]
    assert max(sample["wal_mb"] for sample in samples) < 6.0, "its checkpoints keep up"
    assert last["rss_mb"] - early["rss_mb"] < 40.0


def test_what_grows_is_told() -> None:
    """A handle that is lost with each hundred thousand windows fails the claims, and its slope is named."""
    flat = {"cpu_s": 1.0, "rss_mb": 100.0, "threads": 3, "wal_mb": 4.0, "database_mb": 1.0, "disk_mb": 1.0, "life": 1}
    steady = [{**flat, "windows": 1e5 * n, "lived": 1e5 * n, "files": 9} for n in range(1, 9)]
    leaking = [{**each, "files": 9 + n} for n, each in enumerate(steady)]
    assert claims(steady)["held"] is True
    assert (claims(leaking)["held"], round(slope(leaking, "files"), 6)) == (False, 0.01)


def test_a_life_too_short_for_memory_to_settle_says_nothing() -> None:
    """It counts neither for the claims nor against them, nor among the windows that they are about."""
    flat = {"cpu_s": 1.0, "files": 9, "threads": 3, "wal_mb": 4.0, "database_mb": 1.0, "disk_mb": 1.0}
    long = [{**flat, "life": 1, "windows": 1e5 * n, "lived": 1e5 * n, "rss_mb": 100.0} for n in range(1, 5)]
    short = [{**flat, "life": 2, "windows": 4e5 + 1e4 * n, "lived": 1e4 * n, "rss_mb": 50.0 * n} for n in range(3)]
    told = claims(long + short)
    assert ([life["held"] for life in told["lives"]], told["held"]) == ([True, None], True)
    assert (told["windows"], told["windows_judged"]) == (420_000, 400_000)
    assert claims(short)["held"] is None


def test_a_soak_that_was_ended_goes_on_in_another_life(tmp_path: Path) -> None:
    """What is kept is gone on from: no window is judged twice, none is left out, and each life has its own claims."""
    soak(tmp_path, windows=24, pipelines=2, rows=20, every=12)
    samples = soak(tmp_path, windows=48, pipelines=2, rows=20, every=12)
    assert [(sample["life"], sample["windows"], sample["lived"]) for sample in samples] == [
        (1, 12, 12),
        (1, 24, 24),
        (2, 36, 12),
        (2, 48, 24),
    ]
    leaking = [{**one, "files": 9 + one["life"] * (one["lived"] // 12)} for one in samples * 2]
    assert len(claims(leaking)["lives"]) == 2
    with sqlite3.connect(tmp_path / "state" / DATABASE) as database:
        judged = database.execute("SELECT count(*) FROM decision").fetchone()[0]
    assert judged == 48
