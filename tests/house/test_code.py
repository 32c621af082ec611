"""The conventions of the house, checked over the whole code: what a reader may rely on everywhere."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("healerd", "rules/healerd_rules", "tui/healerd_tui")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LINES_MAX, FUNCTION_MAX, FUNCTION_OFTEN = 400, 70, 30


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in {"rules", "tui"}:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
PATHS = {module_of(path): path for path in MODULES}


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield path, node, node.end_lineno - node.lineno + 1


def all_of(path: Path) -> list[str] | None:
    for node in TREES[path].body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            found = ast.literal_eval(node.value)
            assert isinstance(found, list)
            return found
    return None


def test_no_function_is_longer_than_a_screen() -> None:
    """No function has more than 70 lines; nine in ten have fewer than 30."""
    lengths = [(length, f"{name_of(path)}:{node.lineno} {node.name}") for path, node, length in functions()]
    assert [where for length, where in lengths if length > FUNCTION_MAX] == []
    assert sum(length < FUNCTION_OFTEN for length, _ in lengths) >= 0.9 * len(lengths)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_long_modules_say_why(path: Path) -> None:
    """A module of more than 400 lines says in its docstring why it is so long."""
    if len(path.read_text(encoding="utf-8").splitlines()) > LINES_MAX:
        assert "long" in (ast.get_docstring(TREES[path]) or "")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_say_what_they_must_never_do(path: Path) -> None:
    """The docstring of a module says its responsibility and what it never does; so do packages with content."""
    if len(TREES[path].body) > 1:
        said = (ast.get_docstring(TREES[path]) or "").lower()
        assert "never" in said or "nothing" in said or path.name == "__init__.py"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of)
def test_a_package_shows_exactly_what_it_says(path: Path) -> None:
    """`__all__` of a package lists all it takes from its own modules, but for what it puts into a table there."""
    package = module_of(path)
    own = [node for node in TREES[path].body if not isinstance(node, ast.ImportFrom) or _is_own(node, package)]
    bound = {name for node in own for name in _bound(node) if not name.startswith("_")}
    said = set(all_of(path) or ())
    used = {node.id for node in ast.walk(TREES[path]) if isinstance(node, ast.Name)}
    assert said - {"__version__"} <= bound
    assert bound - said <= used
    module = importlib.import_module(package)
    assert all(hasattr(module, name) for name in said)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_what_is_offered_is_imported(path: Path) -> None:
    """What one module imports from another stands in that one's `__all__`, and nothing private is imported."""
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.ImportFrom) or node.module not in PATHS:
            continue
        offered = all_of(PATHS[node.module])
        for name in (alias.name for alias in node.names):
            if f"{node.module}.{name}" in PATHS:
                continue
            assert not name.startswith("_") or name == "__version__", f"{node.module}.{name} is private"
            assert offered is None or name in offered, f"{name} is not in `__all__` of {node.module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_left_for_later(path: Path) -> None:
    """No note to self stands in the code."""
    text = path.read_text(encoding="utf-8")
    assert not any(mark in text for mark in ("TO" + "DO", "FIX" + "ME", "XX" + "X"))


def test_exceptions_are_caught_whole_in_few_places() -> None:
    """`except Exception` stands only around a tick, an action, and a model's own code; a bare `except` nowhere."""
    places = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                places.setdefault(module_of(path), []).append(node.lineno)
    tick = {"healerd.daemon.app", "healerd.daemon.core", "healerd.daemon.tick"}
    action = {"healerd.actions.job", "healerd.actions.worker", "healerd.daemon.starting"}
    model = {
        "healerd.serving.models",
        "healerd.serving.work",
    }  # the gateway loads and asks code that may raise anything
    allowed = tick | action | model
    assert set(places) <= allowed, places


def _catches_all(node: ast.ExceptHandler) -> bool:
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(
        each is None or (isinstance(each, ast.Name) and each.id in {"Exception", "BaseException"}) for each in caught
    )


def _is_own(node: ast.ImportFrom, package: str) -> bool:
    return (node.module or "").startswith(f"{package}.")


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.ImportFrom() | ast.Import():
            yield from (alias.asname or alias.name for alias in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Assign():
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
