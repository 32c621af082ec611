"""What the security page promises about the code as a whole, and that each promise and each law names a test."""

import ast
import re
from pathlib import Path

import pytest

from healerd.config import ListenSettings, PipelineSettings, ServingSettings, SourceSettings
from tests.house.test_code import TREES, module_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
LAWS = ROOT / "docs" / "safety.md"
CODE = {
    "healerd.actions.model_files": "model files, pickles only where they are allowed",
    "healerd.actions.job": "the entry point that trains",
    "healerd.offline.estimator": "the estimator that `try` is given",
    "healerd.cli.rules.cache": "loaded rules in a folder of the user's own",
    "healerd.offline.beside": "a process of ours, asked through a file of ours without a name",
    "healerd.cli.lazy": "verbs, by a table in the code",
    "healerd.client.looks": "views, by a table in the code",
    "healerd.sources.workers": "processes that count, without a module of others",
    "healerd.workers": "the client of a cluster, by its name in the code",
    "healerd_rules.compiling": "generated from rules that were checked",
}
"""Modules that may run what is not written in them, and what that is."""
PROGRAMS = {
    "healerd.actions.command": "commands of the configuration",
    "healerd.client.forward": "ssh",
    "healerd.client.service": "systemctl",
    "healerd.client.unit_checks": "test, as the account of the service",
    "healerd.store.anchors": "git, logger, and the command of the configuration",
    "healerd.offline.beside": "Python itself, for the plain schedules",
    "healerd.offline.tied": "a server of an experiment or the demo, which ends with them",
    "healerd.offline.environments": "pip and Python, for an MLflow server that was asked for",
    "healerd.offline.mlflow_server": "that server",
}
"""Modules that start programs."""
SPEAKS = {
    "healerd.actions.remote": "the job's address",
    "healerd.actions.mlflow_client": "the registry's address",
    "healerd.actions.mlflow_flavour": "nobody; MLflow calls it",
    "healerd.actions.mlflow_pyfunc": "nobody; MLflow reads a folder on disk",
    "healerd.client.gateway": "the gateway",
    "healerd.client.model_server": "the address given to `init`",
    "healerd.client.channels": "the addresses of `[notify]`",
    "healerd.client.link": "the control socket",
    "healerd.daemon.telling": "`heartbeat_url`",
    "healerd.daemon.supervised": "the service manager",
    "healerd.sources.prometheus": "the address of `operations`",
    "healerd.store.anchors": "journald",
    "healerd.offline.mlflow_server": "a server on loopback of its own",
}
"""Modules that open connections, and to whom: each an address that the configuration or the caller names."""
LISTENS = {"healerd.daemon.listen", "healerd.daemon.outlook", "healerd.daemon.people", "healerd.serving.run"}
LISTENS |= {"healerd.client.forward"}
"""Modules that hold a listening socket, or look at who is at its other end."""
NETWORK = {"apprise", "distributed", "ftplib", "http.client", "httpx", "mlflow", "requests", "smtplib", "socket", "ssl"}
NETWORK |= {"urllib.request", "uvicorn"}
RUNS = {"__import__", "compile", "eval", "exec", "import_module", "importlib.import_module", "joblib.load"}
RUNS |= {"pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load"}


NODES = {path: list(ast.walk(tree)) for path, tree in TREES.items()}
CALLS = {
    path: [(ast.unparse(node.func), node) for node in nodes if isinstance(node, ast.Call)]
    for path, nodes in NODES.items()
}
IMPORTS = {
    path: {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    for path, nodes in NODES.items()
}


def test_code_is_run_in_the_named_places_alone() -> None:
    """Nothing loads a pickle, evaluates text or imports by name but the modules named here."""
    found = {module_of(path) for path, found in CALLS.items() if {name for name, _ in found} & RUNS}
    assert found <= set(CODE), found - set(CODE)


def test_programs_are_started_without_a_shell() -> None:
    """Programs are started in few modules, each from a list of words; no shell ever reads what is put together here."""
    assert {module_of(path) for path, names in IMPORTS.items() if "subprocess" in names} == set(PROGRAMS)
    for path, found in CALLS.items():
        for name, call in found:
            assert "shell" not in {keyword.arg for keyword in call.keywords}, path
            assert name not in {"os.system", "os.popen"}, path


def test_connections_go_where_the_configuration_says() -> None:
    """Few modules can open a connection or listen, and none of them knows an address of its own."""
    can = {
        module_of(path): path
        for path, names in IMPORTS.items()
        if any(name in NETWORK or name.split(".")[0] in NETWORK for name in names)
    }
    assert set(can) <= {*SPEAKS, *LISTENS}, set(can) - {*SPEAKS, *LISTENS}
    for path in can.values():
        for text in (node.value for node in NODES[path] if isinstance(node, ast.Constant)):
            hosts = re.findall(r"https?://([A-Za-z0-9.-]+)", text) if isinstance(text, str) else []
            assert set(hosts) <= {"127.0.0.1", "HOST", "healerd"}, f"{path}: {hosts}"


def test_nothing_is_open_by_default() -> None:
    """Without a word in the configuration there is no listener, no pickle, no download, and the gateway is local."""
    assert ListenSettings().address is None
    assert ServingSettings().host == "127.0.0.1"
    assert not PipelineSettings(source=SourceSettings(path="p")).allow_pickle
    assert SourceSettings(path="p").extensions == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_hashes_and_name_no_index(lock: str) -> None:
    """Every dependency is pinned to a version with its hashes, and no address of an index is written down."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = [each for each in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if each.strip()]
    pinned = [each for each in pinned if not each.startswith("#")]
    assert len(pinned) > 30
    for each in pinned:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", each), each.splitlines()[0]
        assert "--hash=sha256:" in each, each.splitlines()[0]
    assert "://" not in text


def test_what_is_installed_has_its_hash_checked() -> None:
    """Both set-ups of the Makefile install with `--require-hashes`, and the package itself without its dependencies."""
    installs = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "install -qq" in line]
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert sum("--require-hashes" in line for line in installs) >= 2


def table_of(text: str, mark: str) -> list[tuple[str, list[str]]]:
    """The rows of a table whose first cells bear a mark: what is promised, and the tests that hold it."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith(f"| {mark}")]
    return [(cells[1].strip(), re.findall(r"`([^`]+::[^`]+)`", cells[-1])) for cells in rows]


@pytest.mark.parametrize(("page", "mark", "least"), [(PAGE, "P", 20), (LAWS, "**S", 20)])
def test_each_promise_names_its_tests(page: Path, mark: str, least: int) -> None:
    """Every promise and every law names at least one test, and every test that it names is there."""
    rows = table_of(page.read_text(encoding="utf-8"), mark)
    assert len(rows) >= least
    for promise, tests in rows:
        assert tests, f"no test holds: {promise}"
        for name in tests:
            path, _, function = name.partition("::")
            text = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {function}\(", text, re.MULTILINE), f"{promise}: there is no `{name}`"


def test_every_law_that_is_named_is_on_the_page() -> None:
    """What code, tests and pages call `S` and a number is one of the twenty laws."""
    laws = re.findall(r"^\| \*\*(S\d+)\*\*", LAWS.read_text(encoding="utf-8"), re.MULTILINE)
    assert laws == [f"S{number}" for number in range(1, 21)]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "healerd").rglob("*.md")]
    code = [path for tree in TREES for path in (ROOT / tree).rglob("*.py")]
    named = {
        law for path in (*pages, *code) for law in re.findall(r"\bSAFETY (S\d+)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(laws)


def test_every_promise_of_the_page_is_in_the_table() -> None:
    """Each paragraph that promises carries a number, and each number stands in the table."""
    text = PAGE.read_text(encoding="utf-8")
    page, table = text.split("## What holds it", 1)
    said = re.findall(r"\((P\d+)\)", page)
    held = re.findall(r"^\| (P\d+) ", table, re.MULTILINE)
    assert said == sorted(set(said), key=lambda each: int(each[1:]))
    assert said == held
