"""Reads rule files and finds what they import: beside the importing file first, then among the shipped packs.

It never writes, and a file that cannot be read is a finding, not an exception.
"""

import functools
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from healerd_rules import tree
from healerd_rules.diagnostics import Diagnostic, Severity
from healerd_rules.module import Module
from healerd_rules.source import MAX_CHARACTERS, Findings, Source
from healerd_rules.words import did_you_mean

if TYPE_CHECKING:
    from healerd_rules.syntax import Parsed

PACKS = Path(__file__).with_name("packs")
TESTS = "_tests"
"""Ends the name of the file with a pack's tests: beside the pack, so that loading the pack never parses them."""
MAX_IMPORT_DEPTH = 30
MAX_BYTES = 4 * MAX_CHARACTERS


def shipped_packs() -> tuple[str, ...]:
    """The names of the packs that come with the language."""
    return tuple(sorted(path.stem for path in PACKS.glob("*.heal") if not path.stem.endswith(TESTS)))


def pack_paths(name: str) -> tuple[str, str]:
    """The paths, as in findings, of a shipped pack and of the file with its tests."""
    return f"healerd_rules/packs/{name}.heal", f"healerd_rules/packs/{name}{TESTS}.heal"


def has_pack_file(name: str) -> bool:
    """Whether a file of that name is among the shipped packs and their tests."""
    return pack_file(name).is_file()


def pack_file(name: str) -> Path:
    """Where a shipped pack lies; it must be one of `shipped_packs`."""
    return PACKS / f"{name}.heal"


def pack_text(name: str) -> str:
    """The text of a shipped pack; it must be one of `shipped_packs`."""
    return pack_file(name).read_text(encoding="utf-8")


@dataclass(slots=True)
class Trail:
    """What was read and looked for: as long as it is unchanged, loading again gives the same.

    `files` are absolute paths with the sha256 of what stood there; `imports` a target, the folder it was looked for in
    and the file that was found, empty when there was none. Not `whole` when something could not be read.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    imports: list[tuple[str, str, str]] = field(default_factory=list)
    whole: bool = True

    def unchanged(self) -> bool:
        """Whether every file still holds the same, and every import would find the same file."""
        return (
            self.whole
            and all(_digest(Path(path)) == digest for path, digest in self.files)
            and all(_found(target, Path(folder)) == found for target, folder, found in self.imports)
        )


@dataclass(slots=True)
class Reader:
    """Loads each file once; `modules` is in order, imported files before those that import them.

    `drafts` are texts that stand in the place of what the files at these absolute paths hold.
    """

    modules: list[Module] = field(default_factory=list)
    failed: list[Diagnostic] = field(default_factory=list)
    trail: Trail = field(default_factory=Trail)
    drafts: Mapping[str, str] = field(default_factory=dict)
    _loaded: dict[str, Module] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def pack(self, name: str) -> Module:
        """A shipped pack."""
        module = self._load(PACKS / f"{name}.heal", shown=f"healerd_rules/packs/{name}.heal", shipped=True)
        assert module is not None, "a shipped pack can be read"
        return module

    def file(self, path: Path) -> Module | None:
        """A file that the caller names; a shipped pack stays one, however it is named."""
        if path.parent == PACKS and _is_file(path):
            return self.pack(path.stem)
        return self._load(path, shown=str(path), shipped=False)

    def text(self, text: str, name: str) -> Module:
        """A text that the caller holds, as if it stood in a file of that name."""
        key = str(absolute(Path(name)))
        return self._module(Source.of(name, text), Path(name), key, shipped=False)

    def _load(self, path: Path, *, shown: str, shipped: bool) -> Module | None:
        key = str(absolute(path))
        if key in self._loaded:
            return self._loaded[key]
        # a shipped pack is what ships, whatever an editor makes of it
        text = self.drafts[key] if key in self.drafts and not shipped else self._read(path, shown)
        return None if text is None else self._module(Source.of(shown, text), path, key, shipped=shipped)

    def _read(self, path: Path, shown: str) -> str | None:
        try:
            raw = read_bounded(path)
            if raw is not None:
                self.trail.files.append((str(path.absolute()), hashlib.sha256(raw).hexdigest()))
                return raw.decode("utf-8")
            self._fail("too-large", shown, f"`{shown}` is larger than {MAX_CHARACTERS} characters")
        except UnicodeDecodeError as error:
            self._fail("unreadable", shown, f"`{shown}` is not UTF-8 text: byte {error.start}")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._fail("unreadable", shown, f"`{shown}` cannot be read: {reason.lower()}")
        return None

    def _fail(self, code: str, shown: str, message: str) -> None:
        self.trail.whole = False
        self.failed.append(
            Diagnostic(code=code, severity=Severity.ERROR, path=shown, line=1, column=1, end=2, message=message)
        )

    def _module(self, source: Source, path: Path, key: str, *, shipped: bool) -> Module:
        findings = Findings(source)
        parsed = _parse_pack(source) if shipped else _parse(source, findings)
        packs = [statement.name.text for statement in parsed.statements if isinstance(statement, tree.Pack)]
        pack = packs[0] if packs else ""
        module = Module(source, findings, parsed.statements, parsed.broken_names, shipped, pack)
        self._loaded[key] = module
        self._open.append(key)
        for statement in parsed.statements:
            if isinstance(statement, tree.Import):
                self._import(statement, module, path)
        self._open.pop()
        self.modules.append(module)
        return module

    def _import(self, statement: tree.Import, module: Module, path: Path) -> None:
        alias = statement.alias.text if statement.alias else ""
        target = find_import(statement.target, path.parent, self.drafts)
        folder = path.parent.absolute()
        self.trail.imports.append((statement.target, str(folder), _found(statement.target, folder)))
        if target is None:
            mend = did_you_mean(statement.target, shipped_packs()) or _where(statement.target)
            module.findings.error("import", statement.span, f"cannot find `{statement.target}`", mend)
            module.unusable.add(alias)
            return
        key = str(absolute(target))
        if key in self._open:
            message = f"`{statement.target}` imports this file, directly or through others"
            module.findings.error("cycle", statement.span, message, "move what both need into a third file")
            module.unusable.add(alias)
            return
        if len(self._open) > MAX_IMPORT_DEPTH:
            module.findings.error("too-deep", statement.span, f"more than {MAX_IMPORT_DEPTH} files import each other")
            return
        imported = self.pack(target.stem) if target.parent == PACKS else self.file(target)
        if imported is None:
            module.findings.error("import", statement.span, self.failed.pop().message)
            module.unusable.add(alias)
            return
        module.imports.append((alias, imported))


def _parse(source: Source, findings: Findings) -> "Parsed":
    from healerd_rules.syntax import parse  # lark loads only when something is parsed

    return parse(source, findings)


@functools.cache
def _parse_pack(source: Source) -> "Parsed":
    """Shipped packs are read at every load and never change: parsed once."""
    findings = Findings(source)
    parsed = _parse(source, findings)
    assert not findings.found, "a shipped pack parses"
    return parsed


def read_bounded(path: Path) -> bytes | None:
    """What a file holds; None when it is more than a rule text may have, which then is not read to its end.

    Raises OSError or ValueError when there is nothing to read.
    """
    if path.stat().st_size > MAX_BYTES:
        return None
    with path.open("rb") as file:  # a device says that it is empty, and has no end
        raw = file.read(MAX_BYTES + 1)
    return raw if len(raw) <= MAX_BYTES else None


def file_of(module: Module) -> Path:
    """Where a module's file lies; a shipped pack is shown by a shorter name."""
    return PACKS / Path(module.source.path).name if module.shipped else Path(module.source.path)


def importable(folder: Path) -> tuple[str, ...]:
    """What a file in that folder may import: its neighbours, by the names that imports use, and the shipped packs."""
    try:
        beside = {re.sub(r"^[0-9]+_", "", path.stem) for path in folder.glob("*.heal")}
    except (OSError, ValueError):
        beside = set()
    return tuple(sorted({*beside, *shipped_packs()}))


def absolute(path: Path) -> Path:
    """The path by which a file is known, however it was named."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def find_import(target: str, folder: Path, drafts: Collection[str] = ()) -> Path | None:
    """`x.heal` beside the importing file, then `01_x.heal` there, then the shipped pack `x`.

    What lies in `drafts`, absolute paths, is there whether or not a disk holds it.
    """
    if not target or "\0" in target or Path(target).is_absolute():
        return None
    beside = folder / (target if target.endswith(".heal") else f"{target}.heal")
    numbered = [Path(draft) for draft in sorted(drafts) if _is_numbered(Path(draft), beside)]
    packs = [PACKS / f"{target.removeprefix('packs/')}.heal"] if _names_pack(target) else []
    candidates = [beside, *_numbered(beside), *numbered, *packs]
    return next((path for path in candidates if str(absolute(path)) in drafts or _is_file(path)), None)


def _names_pack(target: str) -> bool:
    """Whether a shipped pack may be meant: a bare name, or one behind `packs/`; a path to another place is a file."""
    return len(Path(target.removeprefix("packs/")).parts) == 1


def _found(target: str, folder: Path) -> str:
    found = find_import(target, folder)
    return "" if found is None else str(found)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(read_bounded(path) or b"").hexdigest()
    except (OSError, ValueError):
        return ""


def _numbered(path: Path) -> Iterable[Path]:
    """Files in reading order are often numbered; the number is no part of the name."""
    try:
        return sorted(p for p in path.parent.glob("[0-9]*_*.heal") if p.name.partition("_")[2] == path.name)
    except (OSError, ValueError):
        return []


def _is_numbered(path: Path, plain: Path) -> bool:
    number, _, name = path.name.partition("_")
    return number[:1].isdigit() and name == plain.name and path.parent == absolute(plain).parent


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _where(target: str) -> str:
    return f"looked for `{target}.heal` beside this file, and among the packs " + ", ".join(
        f"`{name}`" for name in shipped_packs()
    )
