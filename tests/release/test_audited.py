"""Known vulnerabilities of the locked packages: found, not reachable, or not looked up; never taken for sound."""

import json
import socket
import time

import pytest

from tests.release.audited import Answer, ask, audit, first_of, read
from tests.release.building import ROOT

LOCK = """\
one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
two==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:cc
"""
SOUND = Answer(looked_up=2, unknown=(), found=())


def test_what_is_known_is_told_and_fails() -> None:
    """A known vulnerability ends with 1, with package, version and the version that mends it."""
    row = {"name": "one", "version": "1.0", "vulns": [{"id": "X-1", "fix_versions": ["1.1"]}]}
    answer = read(json.dumps({"dependencies": [row, {"name": "two", "version": "2.0", "vulns": []}]}))
    assert answer == Answer(looked_up=2, unknown=(), found=("one 1.0: X-1, mended in 1.1",))
    code, lines = audit([("a.lock", LOCK)], asking=lambda lock, patience_s: answer)
    assert (code, lines[1]) == (1, "  one 1.0: X-1, mended in 1.1")


@pytest.mark.parametrize("told", ["", "cannot connect", "[]", "{}", "null"])
def test_what_is_no_answer_is_none(told: str) -> None:
    """Where pip-audit prints no answer, nothing is known."""
    assert read(told) is None


@pytest.mark.parametrize(
    "first", [None, Answer(looked_up=0, unknown=("one",), found=())], ids=["silent", "knows nothing"]
)
def test_nobody_to_ask_is_no_failure_and_no_pass(first: Answer | None) -> None:
    """When nobody answers, or who answers knows no package, that is said in one line, after one question."""
    asked: list[str] = []

    def asking(lock: str, patience_s: int) -> Answer | None:
        asked.append(lock)
        return first

    assert audit([("a.lock", LOCK)], asking=asking) == (0, ["known vulnerabilities: not reachable: skipped"])
    assert asked == [first_of(LOCK)]


def test_what_could_not_be_looked_up_is_named() -> None:
    """A package that nobody knows is not counted as sound."""
    part = Answer(looked_up=1, unknown=("two",), found=())
    code, lines = audit([("a.lock", LOCK)], asking=lambda lock, patience_s: part)
    assert (code, lines) == (0, ["known vulnerabilities: `a.lock`: 0 in 1 packages", "  not looked up: two"])


def test_an_answer_that_breaks_off_is_said() -> None:
    """When the first package is answered and the rest is not, the lock is said to be skipped."""
    code, lines = audit([("a.lock", LOCK)], asking=lambda lock, s: SOUND if lock == first_of(LOCK) else None)
    assert (code, lines) == (0, ["known vulnerabilities: `a.lock`: not reachable: skipped"])


def test_the_first_package_is_cut_out_whole() -> None:
    """The first question holds one package with all of its digests."""
    assert first_of(LOCK) == LOCK[: LOCK.index("two")]
    assert first_of((ROOT / "requirements.lock").read_text(encoding="utf-8")).count("==") == 1


def test_silence_is_waited_for_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that takes connections and never answers, the question ends in time, without an answer."""
    pytest.importorskip("pip_audit")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        began = time.monotonic()
        assert ask(first_of((ROOT / "requirements.lock").read_text(encoding="utf-8")), 3) is None
        assert time.monotonic() - began < 10
