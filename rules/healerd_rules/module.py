"""One rule file with what it may name: its own definitions, its imports, and the shared vocabulary.

It never evaluates and never reads a file.
"""

from dataclasses import dataclass, field

from healerd_rules.schema import ActionDecl, FactDecl
from healerd_rules.source import Findings, Source
from healerd_rules.tree import Calendar, Const, Let, ScopeDecl, Signal, Statement

Definition = Const | Let | Signal | Calendar | ScopeDecl


@dataclass(frozen=True, slots=True)
class Home:
    """A definition and the module in which its names are looked up."""

    definition: Definition
    module: "Module"


@dataclass(slots=True, eq=False)
class Module:
    """A parsed file; `names` is what can be said in it, `unusable` the prefixes of imports that failed.

    `ambiguous` are the names that two imports define, with the paths of both.
    """

    source: Source
    findings: Findings
    statements: tuple[Statement, ...]
    broken: frozenset[str]
    shipped: bool
    pack: str = ""
    imports: "list[tuple[str, Module]]" = field(default_factory=list)
    names: dict[str, Home] = field(default_factory=dict)
    unusable: set[str] = field(default_factory=set)
    ambiguous: dict[str, tuple[str, str]] = field(default_factory=dict)

    def rule_id(self, name: str) -> str:
        """The name of a rule in verdicts: with the pack's name before it, if the file is a pack."""
        return f"{self.pack}.{name}" if self.pack else name

    def may_define(self, name: str) -> bool:
        """Whether a broken statement or import here seems to define the name: then it is not reported again."""
        prefix, _, last = name.rpartition(".")
        broken = self.broken.union(*(module.broken for _, module in self.imports))
        return last in broken or name in broken or prefix in self.unusable


@dataclass(slots=True)
class Vocabulary:
    """The closed lists that all files share."""

    facts: dict[str, FactDecl] = field(default_factory=dict)
    actions: dict[str, ActionDecl] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    dimensions: set[str] = field(default_factory=set)
