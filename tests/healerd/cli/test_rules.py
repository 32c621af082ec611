"""The verbs that prove: what they print, what they end with, and that they ask for the solver."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.exits import Exit
from healerd.cli.rules.verify import CLAIMS
from healerd.errors import HealerdError
from healerd_rules import verify as verifying

LOOSE = "forbid f: retrain when rows < 5\n  if unknown skips\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str], Path]:
    def file(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.heal"
        path.write_text(text, encoding="utf-8")
        return path

    return file


def test_every_claim_has_words() -> None:
    """The verb knows a sentence for each claim that can be proved."""
    assert tuple(CLAIMS) == verifying.CLAIMS


def test_what_holds_ends_with_0(call: Callable[..., Any], file: Callable[[str, str], Path]) -> None:
    """A file that keeps every promise ends with 0 and says by which guards."""
    done = call("rules", "verify", file("a", 'import "default"'))
    assert done.code == Exit.OK
    assert "proved: nothing runs by itself with confidence below 80% or unknown, by base.confidence_gate" in done.out
    assert "nothing against: every rule can act" in done.out


def test_a_refuted_promise_ends_with_7(call: Callable[..., Any], file: Callable[[str, str], Path]) -> None:
    """A counterexample is printed with facts and verdicts, as text and as JSON."""
    path = file("a", LOOSE)
    done = call("rules", "verify", path)
    assert done.code == Exit.CHECK_FAILED
    assert "refuted: missing_safe of f" in done.out
    assert "rows: missing} -> retrain is allowed" in done.out
    (found,) = call("rules", "verify", path, "--claim", "missing_safe", "--json").json["sets"][0]["checks"]
    assert (found["status"], found["counterexample"]["confirmed"]) == ("refuted", True)


def test_warnings_alone_end_with_0(call: Callable[..., Any], file: Callable[[str, str], Path]) -> None:
    """A rule that does nothing is reported and breaks no promise."""
    done = call("rules", "verify", file("a", "propose p: retrain when rows < 5 and rows > 6"))
    assert done.code == Exit.OK
    assert "refuted: dead of p" in done.out


def test_diff_ends_with_7_where_answers_differ(call: Callable[..., Any], file: Callable[[str, str], Path]) -> None:
    """Two files that differ end with 7 and a moment that shows it, two that mean the same with 0."""
    old, new = file("old", "forbid f: retrain when rows < 5"), file("new", "forbid f: retrain when rows < 3")
    done = call("rules", "diff", old, new)
    assert done.code == Exit.CHECK_FAILED
    assert "newly automatic: retrain" in done.out
    assert call("rules", "diff", old, old).code == Exit.OK
    assert call("rules", "diff", old, new, "--json").json["sets"][0]["changed"] == ["f"]


def test_one_file_is_compared_with_the_configuration(
    call: Callable[..., Any], file: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """With one file, each pipeline's own rules are what it is compared with."""
    file("old", "forbid f: retrain when rows < 5")
    config = tmp_path / "healerd.toml"
    config.write_text('[pipeline.churn]\nsource = { kind = "memory" }\nwindow = "30m"\nrules = ["old.heal"]\n')
    done = call("rules", "diff", file("new", "forbid f: retrain"), "--config", config)
    assert (done.code, done.out.splitlines()[0].startswith("churn -> ")) == (Exit.CHECK_FAILED, True)
    assert call("rules", "diff").code == Exit.USAGE


def test_without_the_solver_the_verb_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where z3 is missing, proofs end with an error that names the extra."""
    from healerd.cli.rules import load

    monkeypatch.setattr(load, "find_spec", lambda _: None)
    with pytest.raises(HealerdError, match=r'pip install "healerd\[verify\]"'):
        load.require_solver()
