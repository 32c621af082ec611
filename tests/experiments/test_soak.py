"""The short form of `python -m experiments.soak`: the daemon's own loop through a few hundred windows."""

from pathlib import Path

from experiments.soak import claims, slope, soak


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
    """A handle that is lost with each thousand windows fails the claims, and its slope is named."""
    flat = {"cpu_s": 1.0, "rss_mb": 100.0, "threads": 3, "wal_mb": 4.0, "database_mb": 1.0, "disk_mb": 1.0}
    steady = [{**flat, "windows": 1000.0 * n, "files": 9} for n in range(1, 9)]
    leaking = [{**each, "files": 9 + n} for n, each in enumerate(steady)]
    assert claims(steady)["held"] is True
    assert (claims(leaking)["held"], round(slope(leaking, "files"), 6)) == (False, 1.0)
