"""`healerd rules fmt` and `check --explain`: what they print, write and end with."""

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.healerd.cli.conftest import Called

Call = Callable[..., Called]
UGLY = "forbid   few:retrain\n    when rows<500 # so\n"
NICE = "forbid few: retrain\n  when rows < 500  # so\n"


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    path = tmp_path / "ugly.heal"
    path.write_text(UGLY)
    path.chmod(0o640)
    return path


def test_fmt_rewrites_a_file_and_keeps_its_mode(call: Call, ugly: Path) -> None:
    """A file is put into the style in place, with the mode it had, and nothing else is left beside it."""
    called = call("rules", "fmt", ugly)
    assert (called.code, called.out, ugly.read_text()) == (0, "", NICE)
    assert stat.S_IMODE(ugly.stat().st_mode) == 0o640
    assert list(ugly.parent.iterdir()) == [ugly]
    assert call("rules", "fmt", ugly).err == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
def test_fmt_by_root_leaves_a_file_to_its_owner(call: Call, ugly: Path) -> None:
    """A file that root formats stays with its owner and group, or its daemon could no longer read it."""
    os.chown(ugly, 1234, 1235)
    ugly.chmod(0o640)
    assert call("rules", "fmt", ugly).code == 0
    found = ugly.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 1235, 0o640)


def test_fmt_follows_a_link(call: Call, ugly: Path) -> None:
    """What a link points at is rewritten; the link stays a link."""
    link = ugly.with_name("link.heal")
    link.symlink_to(ugly)
    assert call("rules", "fmt", link).code == 0
    assert link.is_symlink()
    assert ugly.read_text() == NICE


def test_fmt_check_names_files_and_writes_nothing(call: Call, ugly: Path, tmp_path: Path) -> None:
    """--check ends with 7, names what is not in the style, and writes nothing; with 0 when all is."""
    nice = tmp_path / "nice.heal"
    nice.write_text(NICE)
    called = call("rules", "fmt", "--check", nice, ugly)
    assert (called.code, called.out, ugly.read_text()) == (7, f"{ugly}\n", UGLY)
    assert call("rules", "fmt", "--check", nice).code == 0


def test_fmt_diff_shows_and_writes_nothing(call: Call, ugly: Path) -> None:
    """--diff prints a unified diff, and writes nothing."""
    called = call("rules", "fmt", "--diff", ugly)
    assert called.code == 0
    assert called.out.splitlines()[:3] == [f"--- {ugly}", f"+++ {ugly} (formatted)", "@@ -1,2 +1,2 @@"]
    assert "-forbid   few:retrain\n" in called.out
    assert "+forbid few: retrain\n" in called.out
    assert ugly.read_text() == UGLY
    assert call("rules", "fmt", "--diff", "--check", ugly).code == 7


def test_fmt_from_stdin_to_stdout(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads stdin and writes the formatted text to stdout."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UGLY.encode())))
    called = call("rules", "fmt", "-")
    assert (called.code, called.out) == (0, NICE)


def test_fmt_takes_a_shipped_pack(call: Call) -> None:
    """A pack is looked at by its name, as with every verb, and is never written."""
    done = call("rules", "fmt", "base", "--check")
    assert (done.code, done.out) == (0, "")


def test_fmt_leaves_what_is_broken(call: Call, ugly: Path) -> None:
    """A broken statement stays, the rest is formatted, the finding is on stderr, and the end is 7."""
    broken = "let  x   = rows >\n"
    ugly.write_text(broken + UGLY)
    called = call("rules", "fmt", ugly)
    assert (called.code, called.out, ugly.read_text()) == (7, "", broken + NICE)
    assert f"error[syntax]: the statement ends too early\n  --> {ugly}:1:18" in called.err


def test_fmt_says_what_it_cannot_read_and_goes_on(call: Call, ugly: Path, tmp_path: Path) -> None:
    """A missing file and one that is no text end with 7, and the others are formatted."""
    (tmp_path / "bytes.heal").write_bytes(b"\xff\xfe")
    called = call("rules", "fmt", tmp_path / "nosuch.heal", tmp_path / "bytes.heal", ugly)
    assert called.code == 7
    assert "nosuch.heal` cannot be read: no such file or directory" in called.err
    assert "bytes.heal` is not UTF-8 text: byte 0" in called.err
    assert ugly.read_text() == NICE


def test_fmt_tells_a_program(call: Call, ugly: Path) -> None:
    """--json lists the files with what changed and what is wrong, and writes as it does without."""
    called = call("rules", "fmt", "--json", "--diff", ugly)
    (view,) = called.json["files"]
    assert (called.json["schema"], view["path"], view["changed"], view["findings"]) == (1, str(ugly), True, [])
    assert "+forbid few: retrain\n" in view["diff"]
    assert ugly.read_text() == UGLY
    assert call("rules", "fmt", "--json", ugly).code == 0
    assert ugly.read_text() == NICE


def test_check_explains_a_code(call: Call) -> None:
    """--explain prints the meaning, the mend and an example of a finding, and checks nothing."""
    called = call("rules", "check", "--explain", "scale")
    assert called.code == 0
    assert called.out.startswith("scale: warning: a ratio compared with a number above one\n\nto mend it: write `20%`")
    assert "\n    forbid f: retrain when error_rate > 20\n" in called.out
    assert call("rules", "check", "--explain", "unit", "--json").json["mend"].startswith("write the unit")


def test_check_knows_no_other_code(call: Call) -> None:
    """A code that does not exist ends with 2, and the nearest one."""
    called = call("rules", "check", "--explain", "sintax")
    assert called.code == 2
    assert "no finding has the code `sintax`; did you mean `syntax`?" in called.err
