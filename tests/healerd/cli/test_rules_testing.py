"""`healerd rules` on rule files: tests, packs, graphs and explanations, as a person calls them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.exits import Exit

Call = Callable[..., Any]
EXAMPLES = Path(__file__).parents[3] / "rules" / "examples"
FEW = 'import "default"\nforbid few: retrain when rows < 500\n'
GOOD = 'given confidence = 95%, data_quality = "good"'


@pytest.fixture
def rules(tmp_path: Path) -> Callable[..., Path]:
    def rules(text: str, name: str = "my.heal") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return rules


def test_tests_that_pass_end_with_0(call: Call, rules: Callable[..., Path]) -> None:
    """Each test is a line on stdout; the sum is said on stderr."""
    path = rules(f'{FEW}test "enough" {{ {GOOD}, rows = 500 expect announced retrain }}')
    called = call("rules", "test", path)
    assert (called.code, called.out) == (Exit.OK, f"ok   {path}:3 enough\n")
    assert "1 of 1 tests passed" in called.err


def test_a_test_that_fails_ends_with_7_and_says_where_and_why(call: Call, rules: Callable[..., Path]) -> None:
    """The step, what came out and the comparison that made it so are printed."""
    path = rules(f'{FEW}test "few" {{\n  {GOOD}, rows = 5\n  expect allowed retrain\n}}')
    called = call("rules", "test", path)
    assert called.code == Exit.CHECK_FAILED
    assert called.out.splitlines()[:5] == [
        f"FAIL {path}:3 few",
        f"     {path}:5: expect allowed retrain",
        "       but retrain is forbidden; announced, with 10m for a veto",
        f"       forbid few acts ({path}:2)",
        "         `rows < 500` is true: value 5, threshold 500",
    ]


def test_files_without_tests_are_said_so(call: Call, rules: Callable[..., Path]) -> None:
    """A file without a test is no failure, and no silence either."""
    path = rules(FEW)
    called = call("rules", "test", path)
    assert called.code == Exit.OK
    assert f"{path}: no tests" in called.err


def test_only_the_named_files_are_tested(call: Call, rules: Callable[..., Path]) -> None:
    """Tests of imported files do not run: what they expect may well be forbidden here."""
    rules(f'test "lib" {{ {GOOD} expect allowed rollback }}', "lib.heal")
    path = rules('import "lib"\nforbid all: any action')
    assert call("rules", "test", path).code == Exit.OK
    assert call("rules", "test", path, path.with_name("lib.heal")).code == Exit.CHECK_FAILED


def test_rules_that_do_not_load_end_with_7(call: Call, rules: Callable[..., Path]) -> None:
    """What does not load is not tested, and its findings are printed."""
    called = call("rules", "test", rules("forbid f: nosuch"))
    assert called.code == Exit.CHECK_FAILED
    assert "unknown action `nosuch`" in called.out


def test_coverage_is_a_table_and_can_be_demanded(call: Call, rules: Callable[..., Path]) -> None:
    """Each rule of the file has a line; below the demanded share the verb ends with 7."""
    path = rules(f'{FEW}test "enough" {{ {GOOD}, rows = 500 expect announced retrain }}')
    called = call("rules", "test", path, "--coverage")
    assert called.rows[1:] == [
        ["NAME", "KIND", "PLACE", "ACTS OR TRUE", "NOT", "UNKNOWN"],
        ["few", "forbid", f"{path}:2", "never", "seen", "never"],
    ]
    assert call("rules", "test", path, "--fail-under", "33").code == Exit.OK
    assert call("rules", "test", path, "--fail-under", "34").code == Exit.CHECK_FAILED


def test_unnoticed_faults_end_with_7(call: Call, rules: Callable[..., Path]) -> None:
    """With --mutate each fault that no test notices is printed with its place."""
    path = rules(f'{FEW}test "enough" {{ {GOOD}, rows = 900 expect announced retrain }}')
    called = call("rules", "test", path, "--mutate")
    assert called.code == Exit.CHECK_FAILED
    assert f"unnoticed {path}:2:8: few: the forbid is dropped" in called.out.splitlines()
    edge = f"{GOOD}, rows = 500 expect announced retrain given rows = 499 expect forbidden retrain by few"
    assert call("rules", "test", rules(f'{FEW}test "edge" {{ {edge} }}'), "--mutate").code == Exit.OK


def test_the_report_as_json(call: Call, rules: Callable[..., Path]) -> None:
    """With --json every test, the coverage and the faults are one object."""
    path = rules(f'{FEW}test "few" {{ {GOOD}, rows = 5 expect allowed retrain }}')
    view = call("rules", "test", path, "--json").json
    (suite,) = view["suites"]
    assert (view["schema"], suite["tests"][0]["passed"], suite["tests"][0]["failure"]["line"]) == (1, False, 3)
    assert suite["coverage"]["rules"][0] == {
        "name": "few", "kind": "forbid", "path": str(path), "line": 2, "yes": True, "no": False, "unknown": False,
    }  # fmt: skip


def test_the_files_of_a_configuration_are_tested(call: Call, rules: Callable[..., Path], tmp_path: Path) -> None:
    """Without files the rules of each pipeline are tested, and a pipeline without rules says so."""
    rules(f'test "t" {{ {GOOD} expect allowed rollback }}')
    source = 'source = { path = "p.csv", id = "id" }\nreference = { path = "r.csv" }\nmodel = "m.joblib"'
    text = f'[pipeline.a]\nrules = ["my.heal"]\n{source}\n[pipeline.b]\n{source}\n'
    (tmp_path / "healerd.toml").write_text(text)
    called = call("rules", "test", "--config", tmp_path / "healerd.toml")
    assert called.code == Exit.OK, called.err
    assert "a: 1 of 1 tests passed" in called.err
    assert "b: no rule files of its own, so no tests" in called.err


def test_explain_takes_the_rules_of_a_configuration(call: Call, rules: Callable[..., Path], tmp_path: Path) -> None:
    """With --config the rules are those of the pipeline that is named, which must be one of it."""
    rules("forbid mine: retrain")
    config = tmp_path / "healerd.toml"
    config.write_text('[pipeline.churn]\nsource = { kind = "memory" }\nwindow = "30m"\nrules = ["my.heal"]\n')
    called = call("rules", "explain", "retrain", "--config", config, "--pipeline", "churn")
    assert "forbid mine acts" in called.out
    called = call("rules", "explain", "retrain", "--config", config)
    assert (called.code, "it has `churn`" in called.err) == (Exit.USAGE, True)


def test_the_shipped_packs_pass_with_healerds_own_vocabulary(call: Call) -> None:
    """Each pack, by its name, passes its tests, all of its rules covered."""
    packs = [row[0] for row in call("rules", "packs").rows[1:]]
    assert packs == ["base", "cautious", "default", "drift", "observe"]
    assert call("rules", "test", *packs, "--fail-under", "100").code == Exit.OK


def test_packs_are_listed_and_printed(call: Call) -> None:
    """The list has a purpose for each pack; by name its text is printed; a wrong name is told the right one."""
    listed = call("rules", "packs", "--json").json["packs"]
    assert all(pack["purpose"] and pack["tests"] for pack in listed)
    assert "pack cautious version 1.0" in call("rules", "packs", "cautious").out
    assert call("rules", "packs", "cautious", "--json").json["pack"]["rules"] == 1
    wrong = call("rules", "packs", "cautius")
    assert wrong.code == Exit.USAGE
    assert "did you mean `cautious`?" in wrong.err


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.heal")), ids=lambda path: path.name)
def test_the_examples_pass_check_and_test(call: Call, path: Path) -> None:
    """Each example file loads with healerd's own vocabulary, and its tests pass."""
    assert call("rules", "check", path).code == Exit.OK
    assert call("rules", "test", path).code == Exit.OK


def test_packs_may_be_named_where_files_may(call: Call, rules: Callable[..., Path], tmp_path: Path) -> None:
    """A pack is meant by its bare name, alone or beside files, unless a file of that name is there."""
    sure = ("--confidence", "1", "--json")
    verdict = call("rules", "explain", "rollback", "cautious", *sure).json["explanation"]["verdict"]
    assert verdict["level"] == "approval_needed"
    both = call("rules", "explain", "rollback", "cautious", rules("forbid all: any action"), *sure).json
    assert both["explanation"]["verdict"]["level"] == "forbidden"
    assert {acting["rule"] for acting in both["explanation"]["verdict"]["acting"]} == {"all", "cautious.ask_always"}
    assert call("rules", "check", "observe").code == Exit.OK
    assert call("rules", "check", "cautius").code == Exit.CHECK_FAILED


def test_the_graph_in_three_forms(call: Call, rules: Callable[..., Path]) -> None:
    """As a tree, for Graphviz and as JSON; of the pack `default` when no file is named."""
    path = rules(FEW)
    assert f"  forbid few ({path}:2)\n    rows\n" in call("rules", "graph", path).out
    assert '"rule few" -> "action retrain";' in call("rules", "graph", path, "--dot").out
    edges = call("rules", "graph", path, "--json").json["graphs"][0]["edges"]
    assert {"from": "fact rows", "to": "rule few"} in edges
    assert "propose default.learn_anew" in call("rules", "graph").out
    assert call("rules", "graph", "--dot", "--json").code == Exit.USAGE


def test_explain_takes_windows_and_a_log(call: Call, rules: Callable[..., Path]) -> None:
    """What must last is explained for facts that lasted, and cooldowns for actions that ended."""
    path = rules("forbid late: rollback when model_age > 3d for 3 windows")
    sure = ("--confidence", "0.9", "--given", "model_age=4d", "--at", "2026-11-23 10:00")
    assert call("rules", "explain", "rollback", path, *sure).out.startswith("rollback is allowed\n")
    lasting = call("rules", "explain", "rollback", path, *sure, "--windows", "3").out
    assert "would be allowed in 30m, at 2026-11-23T10:30+00:00, if model_age <= 3d (now 4d, tried with 3d)" in lasting
    cooling = call("rules", "explain", "rollback", path, *sure, "--log", "retrain ended 20m ago").out
    assert cooling.startswith("rollback is deferred; not before 2026-11-23T10:10:00+00:00\n")
    elsewhere = call("rules", "explain", "rollback", path, *sure, "--log", "retrain ended 20m ago on other").out
    assert elsewhere.startswith("rollback is allowed\n")
    opened = call("rules", "explain", "rollback", path, *sure, "--log", "retrain is open").out
    assert "limit base.one_at_a_time acts" in opened


def test_explain_carries_the_nearest_change(call: Call, rules: Callable[..., Path]) -> None:
    """The smallest change that helps is in the prose and in the JSON."""
    path = rules(FEW)
    asked = ("rules", "explain", "retrain", path, "--confidence", "0.9", "--given", "rows=20")
    assert 'would be announced if data_quality were known and == "good" and rows >= 500' in call(*asked).out
    nearest = call(*asked, "--json").json["explanation"]["nearest"]
    assert (nearest["level"], len(nearest["changes"])) == ("announced", 2)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--given", "rwos=5", "did you mean `rows`?"),
        ("--given", "rows", "expected FACT=VALUE"),
        ("--given", "rows=many", "`rows` is count, not `many`"),
        ("--given", "psi=0.3", "write psi[feature]=VALUE"),
        ("--log", "rollbak ended 5m ago", "did you mean `rollback`?"),
        ("--log", "rollback ended", "expected `ACTION ended 20m ago`"),
        ("--log", "rollback ended 5% ago", "expected a time such as 20m"),
        ("--log", "rollback ended 99999999999999w ago", "up to 100 years"),
        ("--log", "rollback ended -5m ago", "expected a time such as 20m"),
        ("--given", "rows=5%", "`rows` is count, not `5%`"),
        ("--given", "rows=$5", "`rows` is count, not `$5`"),
        ("--given", "error_rate=5m", "`error_rate` is ratio, not `5m`; its units: `%`"),
        ("--given", "model_age=5", "`model_age` is duration, not `5`; its units: `ms`, `s`"),
        ("--alarm", "hram", "did you mean `harm`?"),
        ("--at", "9999-12-31 23:59", "choose a year from 1970 to 2199"),
    ],
)
def test_explain_refuses_what_it_cannot_read(call: Call, option: str, value: str, said: str) -> None:
    """A misspelt fact, a value of another type or an unknown action is refused, never ignored."""
    called = call("rules", "explain", "retrain", option, value)
    assert called.code == Exit.USAGE
    assert said in called.err
