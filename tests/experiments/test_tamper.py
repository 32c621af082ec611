"""The short form of `python -m experiments.tamper`: every kind of edit in every place, and clean logs with crashes."""

from pathlib import Path

from experiments.tamper import KINDS, PLACES, clean, tamper


def test_every_kind_of_tampering_is_found_in_every_place(tmp_path: Path) -> None:
    """Of two rounds of six kinds of edits in four places each is found, and the first bad number is a right one."""
    found = tamper(tmp_path, edits=48, seed=7, logs=1, windows=110)
    assert (found.missed, found.misnamed) == ([], [])
    assert set(found.kinds) == {f"{kind} {place}" for kind in KINDS for place in PLACES}


def test_no_clean_log_is_accused(tmp_path: Path) -> None:
    """Logs of random length, some through a crash, are sound."""
    accused, crashed = clean(tmp_path, logs=9, seed=3)
    assert accused == []
    assert crashed == 3
