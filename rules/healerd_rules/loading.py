"""Loads rule files: reads, parses, checks and joins them into one rule set, with every finding of all files.

It never raises for a rule text, and never returns a rule set that has an error.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from healerd_rules.check import Checker
from healerd_rules.diagnostics import Diagnostic, Severity
from healerd_rules.elaborate import Elaborator
from healerd_rules.module import Module, Vocabulary
from healerd_rules.names import give_names
from healerd_rules.program import RuleSet
from healerd_rules.schema import Schema
from healerd_rules.sources import Reader, Trail, has_pack_file, pack_paths
from healerd_rules.vocabulary import gather

BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A rule set, or None when a finding is an error; `sources` are the texts by the paths of the findings.

    `modules` are the parsed files, `base` first and each after those it imports. `trail` is what was read and looked
    for, for a host that keeps what it loaded.
    """

    ruleset: RuleSet | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    modules: tuple[Module, ...] = field(default=(), repr=False, compare=False)
    trail: Trail = field(default_factory=Trail, repr=False, compare=False)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that keep the rule set from loading."""
        return tuple(found for found in self.diagnostics if found.severity is Severity.ERROR)


def load(
    path_or_paths: str | Path | Iterable[str | Path], *, schema: Schema, drafts: Mapping[str, str] | None = None
) -> Loaded:
    """The rule set of one or more files with all they import; the pack `base` is always part of it.

    `drafts` are texts that stand for files, by their absolute paths: what was in force once can be loaded again.
    """
    paths = [path_or_paths] if isinstance(path_or_paths, str | Path) else list(path_or_paths)
    reader = Reader(drafts=drafts or {})
    base = reader.pack(BASE)
    for path in paths:
        reader.file(Path(path))
    return _checked(reader, base, Checker(gather(reader.modules, schema)))


def load_text(text: str, *, name: str, schema: Schema) -> Loaded:
    """The rule set of a text; `name` stands in findings, and imports are looked for beside it."""
    return inspect(text, name=name, schema=schema).loaded


def load_pack(name: str, *, schema: Schema) -> Loaded:
    """A shipped pack together with its tests, if it has some; its files are those of `pack_paths`."""
    tests = pack_paths(name)[1].rpartition("/")[2].removesuffix(".heal")
    found = "".join(f'import "{each}"\n' for each in (name, tests) if has_pack_file(each))
    return load_text(found, name=f"the pack {name}", schema=schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A text with all that was learnt when it was loaded: `module` is the text's own."""

    loaded: Loaded
    module: Module
    vocabulary: Vocabulary
    elaborator: Elaborator


def inspect(text: str, *, name: str, schema: Schema, drafts: Mapping[str, str] | None = None) -> Inspected:
    """What an editor asks about; `drafts` are texts that stand for files, by their absolute paths."""
    reader = Reader(drafts=drafts or {})
    base = reader.pack(BASE)
    module = reader.text(text, name)
    vocabulary = gather(reader.modules, schema)
    checker = Checker(vocabulary)
    loaded = _checked(reader, base, checker)
    return Inspected(
        loaded=loaded,
        module=module,
        vocabulary=vocabulary,
        elaborator=checker.elaborator,
    )


def _checked(reader: Reader, base: Module, checker: Checker) -> Loaded:
    for module in reader.modules:
        give_names(module, base)
    ruleset = checker.check(reader.modules, _identity(reader.modules))
    found = (*reader.failed, *(finding for module in reader.modules for finding in module.findings.found))
    broken = any(finding.severity is Severity.ERROR for finding in found)
    return Loaded(
        ruleset=None if broken else ruleset,
        diagnostics=tuple(sorted(found, key=lambda f: (f.path, f.line, f.column, f.code))),
        sources={module.source.path: module.source.text for module in reader.modules},
        modules=tuple(reader.modules),
        trail=reader.trail,
    )


def _identity(modules: list[Module]) -> str:
    """The same for the same texts, wherever they lie and in whatever order they were read.

    Where several own files are imported, also which of them is imported where, and by which name.
    """
    digests = {id(module): hashlib.sha256(module.source.text.encode("utf-8", "replace")).digest() for module in modules}
    edges = sorted(
        (digests[id(module)], alias.encode(), digests[id(imported)])
        for module in modules
        for alias, imported in module.imports
        if not imported.shipped
    )
    parts = [*sorted(digests.values()), *(b"".join(edge) for edge in edges if len(edges) > 1)]
    return hashlib.sha256(b"".join(parts)).hexdigest()
