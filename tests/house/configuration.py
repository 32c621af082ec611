"""Writes the reference of the configuration into docs/configuration.md: `python -m tests.house.reference`.

Everything in it is read from the records: the types and defaults that the program uses, the text under each key,
and the words with which a value out of bounds is refused.
"""

import ast
import builtins
import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from healerd.config import Config
from healerd.settings import UNITS_S, Duration, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
BEGIN, END = "<!-- keys: written by `python -m tests.house.reference` -->", "<!-- end of keys -->"
HIDDEN = {"folder"}
"""Fields that no file holds: where the file lies."""
WORDS = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    datetime: "time",
    Any: "anything",
}


def reference() -> str:
    """The reference as it should stand between the two marks."""
    return "\n".join([BEGIN, "", *_tables(), END])


def written() -> str:
    """The reference as it stands."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(BEGIN) : text.index(END) + len(END)]


def write() -> None:
    """Put the reference where it stands."""
    PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(written(), reference()), encoding="utf-8")


def records() -> Iterator[tuple[str, type[Settings]]]:
    """Every record of the configuration under the name of its table, the outermost first."""
    yield from _records("", Config)


def _records(place: str, record: type[Settings]) -> Iterator[tuple[str, type[Settings]]]:
    yield place, record
    for field in fields_of(record):
        inner, many = _inner(field.type)
        if inner is not None:
            name = f"{place}.{field.encode_name}".strip(".")
            yield from _records(f"{name}.{'NAME' if name == 'pipeline' else 'ACTION'}" if many else name, inner)


def _tables() -> Iterator[str]:
    for place, record in records():
        yield f"### {f'`[{place}]`' if place else 'The file'}"
        yield ""
        yield _said_of(record)
        whole = bounds(record).get(place.rpartition(".")[2])
        if whole:
            yield f"There is {whole}."
        yield ""
        yield "| key | type | default | bounds | meaning |"
        yield "|---|---|---|---|---|"
        yield from (_row(record, field) for field in fields_of(record))
        yield ""


def _said_of(record: type[Settings]) -> str:
    said = inspect.getdoc(record) or ""
    head, _, rest = said.partition("`: ")
    text = rest if rest and head.startswith("`") else said
    return text[:1].upper() + text[1:]


def _row(record: type[Settings], field: msgspec.structs.FieldInfo) -> str:
    said = meanings(record).get(field.encode_name, "")
    cells = [
        f"`{field.encode_name}`",
        say_type(field.type),
        _default(field),
        bounds(record).get(field.encode_name, ""),
        said,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def fields_of(record: type[Settings]) -> list[msgspec.structs.FieldInfo]:
    """The keys of a table."""
    return [field for field in msgspec.structs.fields(record) if field.name not in HIDDEN]


def _inner(kind: Any) -> tuple[type[Settings] | None, bool]:
    """Give the record that a field holds, if it does, and whether it holds many by name."""
    for each in [arg for arg in get_args(kind) or (kind,) if arg is not NoneType]:
        if isinstance(each, type) and issubclass(each, Settings):
            return each, get_origin(kind) is dict
    return None, False


def say_type(kind: Any) -> str:
    """Say what may be written there, with its unit."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in {UnionType, typing.Union}:
        return " or ".join(say_type(arg) for arg in args if arg is not NoneType)
    if origin is Annotated:
        return f"{say_type(args[0])} ({args[1]})"
    if origin is Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    if origin is list:
        return f"list of {say_type(args[0])}"
    if origin is dict:
        return "table of tables" if _inner(kind)[0] else f"table: name = {say_type(args[1])}"
    if kind is Duration:
        return "duration"
    if isinstance(kind, type) and issubclass(kind, Settings):
        return "table"
    return WORDS[kind]


def _default(field: msgspec.structs.FieldInfo) -> str:
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is msgspec.NODEFAULT:
        return "needed"
    if default is None or default in ([], {}) or isinstance(default, Settings):
        return ""
    if isinstance(default, Duration):
        return f"`{say_duration(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return "`[" + ", ".join(f'"{each}"' for each in default) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


def say_duration(seconds: float) -> str:
    """Write seconds in the largest unit that leaves a whole number."""
    fitting = [(seconds / size, unit) for unit, size in UNITS_S.items() if seconds and seconds / size >= 1]
    whole = [(count, unit) for count, unit in fitting if count == int(count) and unit != "w"]
    return "0s" if not whole else f"{int(whole[-1][0])}{whole[-1][1]}"


@cache
def meanings(record: type[Settings]) -> Mapping[str, str]:
    """Key -> the text under it in the source."""
    body = _class(record).body
    said = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            assert isinstance(after.value, ast.Constant), f"{record.__name__}.{field.target.id}: a text is expected"
            said[field.target.id] = " ".join(str(after.value.value).split())
    return said


@cache
def bounds(record: type[Settings]) -> Mapping[str, str]:
    """Key -> what it must be, in the words with which anything else is refused."""
    found: dict[str, str] = {}
    for loop, call in _requirements(_class(record)):
        names = [call.args[1]] if loop is None else list(getattr(loop.iter, "elts", []))
        for name in names:
            if isinstance(name, ast.Constant) and name.value in {*meanings(record), *_own_name(record)}:
                found[name.value] = "; ".join(filter(None, [found.get(name.value, ""), _words(record, call.args[2])]))
    return found


class _Known(dict[str, Any]):
    """The names of a module; what only a call knows, such as the value that was refused, is left empty."""

    def __missing__(self, name: str) -> Any:
        return vars(builtins).get(name, "")


def _words(record: type[Settings], said: ast.expr) -> str:
    code = compile(ast.Expression(said), record.__module__, "eval")
    names = _Known(vars(importlib.import_module(record.__module__)))
    return str(eval(code, {}, names)).removesuffix(", not ")


def _own_name(record: type[Settings]) -> set[str]:
    """The name of the table itself, which a bound over several keys of it names."""
    return {record.__name__.removesuffix("Settings").lower()}


def _requirements(node: ast.AST, loop: ast.For | None = None) -> Iterator[tuple[ast.For | None, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        inside = child if isinstance(child, ast.For) else loop
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "require":
            by_loop = inside if isinstance(child.args[1], ast.Name) else None
            yield by_loop, child
        yield from _requirements(child, inside)


@cache
def _class(record: type[Settings]) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(record))
    found = tree.body[0]
    assert isinstance(found, ast.ClassDef)
    return found
