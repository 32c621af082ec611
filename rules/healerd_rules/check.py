"""Checks every statement of every file and turns the rules into what is evaluated.

It never stops at the first fault: each is reported in its file, and checking goes on.
"""

from collections.abc import Mapping

from healerd_rules import core, tree
from healerd_rules.calendars import CalendarSpec
from healerd_rules.context import Context, Place
from healerd_rules.core import Core
from healerd_rules.elaborate import Elaborator
from healerd_rules.lint import lint
from healerd_rules.module import Home, Module, Vocabulary
from healerd_rules.program import CompiledRule, RuleSet
from healerd_rules.rulecheck import RuleChecker
from healerd_rules.script import Script
from healerd_rules.sources import shipped_packs
from healerd_rules.testcheck import check_test

HOST = "healerd"
"""What the names of the host's own guards begin with."""


class Checker:
    """One pass over all modules of a rule set, imported ones first."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.elaborator = Elaborator(vocabulary)
        self.rules: list[CompiledRule] = []
        self.signals: dict[str, Core] = {}
        self.invariants: list[tuple[tree.Invariant, Core]] = []
        self.tests: list[Script] = []
        self.lets: dict[str, Core] = {}
        self.signal_places: dict[str, tuple[str, int]] = {}
        self.places: list[tuple[str, int]] = []

    def check(self, modules: list[Module], identity: str) -> RuleSet:
        """The rule set; only meaningful when no module has an error."""
        _check_unique(modules)
        for module in modules:
            self._module(module)
        lint(modules, self.rules)
        return RuleSet(
            id=identity,
            actions=tuple(sorted(self.vocabulary.actions.values(), key=lambda action: action.name)),
            facts=tuple(sorted(self.vocabulary.facts.values(), key=lambda fact: fact.name)),
            signals=self.signals,
            compiled=tuple(self.rules),
            invariants=tuple(self.invariants),
            tests=tuple(self.tests),
            lets=self.lets,
            signal_places=self.signal_places,
            invariant_places=tuple(self.places),
        )

    def _module(self, module: Module) -> None:
        rules = RuleChecker(self.elaborator, module)
        for position, statement in enumerate(module.statements):
            if isinstance(statement, tree.Pack):
                self._pack(statement, module, first=not position)
            self._statement(statement, module, rules)
        for statement in module.statements:
            if isinstance(statement, tree.TestBlock):
                script = check_test(statement, module, self.elaborator, tuple(self.rules))
                if script is not None:
                    self.tests.append(script)

    def _pack(self, pack: tree.Pack, module: Module, *, first: bool) -> None:
        if not first:
            module.findings.error("syntax", pack.span, "`pack` stands once, at the top of a file")
        elif pack.name.text in shipped_packs() and not module.shipped:
            message = f"`{pack.name.text}` is the name of a shipped pack"
            module.findings.error("duplicate", pack.name.span, message, "verdicts name rules by it: choose another")
        elif pack.name.text.partition(".")[0] == HOST:
            message = f"`{HOST}` names the guards of the host"
            module.findings.error("reserved", pack.name.span, message, "verdicts name rules by it: choose another")

    def _statement(self, statement: tree.Statement, module: Module, rules: RuleChecker) -> None:
        match statement:
            case tree.Rule():
                compiled = rules.compile(statement)
                if compiled is not None:
                    self.rules.append(compiled)
            case tree.Invariant():
                self._invariant(statement, module)
            case tree.Annotated():
                span = statement.annotations[0].name.span
                module.findings.error("annotation", span, "only rules carry annotations")
            case tree.Metric():
                self._stale(statement, module)
            case tree.Const() | tree.Let() | tree.Signal() | tree.Calendar() | tree.ScopeDecl():
                self._definition(statement, module, rules)
            case _:
                pass

    def _definition(
        self,
        definition: tree.Const | tree.Let | tree.Signal | tree.Calendar | tree.ScopeDecl,
        module: Module,
        rules: RuleChecker,
    ) -> None:
        said = definition.name
        home = module.names.get(said.text)
        if home is None or home.definition is not definition:
            return
        if said.text in self.vocabulary.facts:
            module.findings.error("duplicate", said.span, f"`{said.text}` is also a metric")
        if isinstance(definition, tree.ScopeDecl):
            rules.scope(definition.body, (said.text,))
            return
        node = self.elaborator.named(home, said, Context(module, Place.PLAIN))
        if isinstance(definition, tree.Signal) and isinstance(node, core.Named):
            name = self._name(home, self.signals)
            self.signals[name] = node
            self.signal_places[name] = (module.source.path, module.source.place(definition.name.span.start)[0])
        elif isinstance(definition, tree.Let) and node is not None and not isinstance(node, CalendarSpec):
            self.lets[self._name(home, self.lets)] = node

    def _name(self, home: Home, taken: Mapping[str, Core]) -> str:
        """What a signal or a let is called outside its file: with the pack's name where it is shipped or not alone."""
        name, module = home.definition.name.text, home.module
        return module.rule_id(name) if module.shipped or name in taken else name

    def _invariant(self, invariant: tree.Invariant, module: Module) -> None:
        node = self.elaborator.truth(invariant.body, Context(module, Place.INVARIANT))
        if node is not None:
            self.invariants.append((invariant, node))
            line, _ = module.source.place(invariant.name.span.start)
            self.places.append((module.source.path, line))

    def _stale(self, metric: tree.Metric, module: Module) -> None:
        if metric.stale is not None:
            self.elaborator.extent(metric.stale, Context(module, Place.PLAIN))


def _check_unique(modules: list[Module]) -> None:
    """No two rules have one name in verdicts, in whatever files they stand."""
    seen: dict[str, tuple[tree.Ident, Module]] = {}
    named = [(statement, module) for module in modules for statement in module.statements]
    for statement, module in named:
        if isinstance(statement, tree.Rule | tree.Invariant):
            before, home = seen.setdefault(module.rule_id(statement.name.text), (statement.name, module))
            if before is not statement.name and home.shipped is module.shipped:  # a pack's name is reported by itself
                line, _ = home.source.place(before.span.start)
                where = f"in line {line}" if home is module else f"in {home.source.path}:{line}"
                message = f"a rule `{before.text}` already stands {where}"
                module.findings.error("duplicate", statement.name.span, message)
