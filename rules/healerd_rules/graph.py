"""What leads to what in a rule set: facts to signals and lets, those to rules, and rules to actions.

It never evaluates anything, and draws nothing that the rules do not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from healerd_rules import core
from healerd_rules.core import Core
from healerd_rules.program import BoundTerms, CompiledRule, NotifyTerms, RestTerms, RuleSet

ANY_ACTION = "any action"
LOG = "the action log"
SHAPES = {
    "fact": "ellipse",
    "let": "diamond",
    "signal": "diamond",
    "rule": "box",
    "action": "octagon",
    "channel": "note",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Something with a name; `kind` is `fact`, `let`, `signal`, `rule`, `action` or `channel`; rules have a place."""

    id: str
    kind: str
    label: str
    path: str = ""
    line: int = 0

    def describe(self) -> str:
        """The node in a few words."""
        place = f" ({self.path}:{self.line})" if self.path else ""
        mark = f" [{self.kind}]" if self.kind in ("let", "signal") else ""
        return f"{self.label}{mark}{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes, and edges from what is read to what reads it; both in the order of the rules."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """A tree for each action, any action and each channel: the rules about it, and what those read."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        known = {node.id: node for node in self.nodes}
        into: dict[str, list[str]] = {}
        for source, target in self.edges:
            into.setdefault(target, []).append(source)
        for node in self.nodes:
            if node.kind in ("action", "channel") and node.id in into:
                yield from _branch(node.id, known, into, 0)

    def dot(self) -> str:
        """The graph in the language of Graphviz, from left to right."""
        nodes = (f"  {_quoted(n.id)} [label={_quoted(n.label)}, shape={SHAPES[n.kind]}];" for n in self.nodes)
        edges = (f"  {_quoted(source)} -> {_quoted(target)};" for source, target in self.edges)
        return "\n".join(("digraph rules {", "  rankdir=LR;", "  node [fontsize=10];", *nodes, *edges, "}"))

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "nodes": [
                {"id": n.id, "kind": n.kind, "label": n.label, "path": n.path, "line": n.line} for n in self.nodes
            ],
            "edges": [{"from": source, "to": target} for source, target in self.edges],
        }


def graph(ruleset: RuleSet) -> Graph:
    """The graph of a rule set; what no rule reads is left out, but for signals, which people see."""
    drawing = _Drawing(ruleset)
    for rule in ruleset.compiled:
        drawing.rule(rule)
    for name in ruleset.signals:
        drawing.named("signal", name, ruleset.signals[name])
    return Graph(nodes=tuple(drawing.nodes.values()), edges=tuple(drawing.edges))


@dataclass(slots=True)
class _Drawing:
    ruleset: RuleSet
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], None] = field(default_factory=dict)
    _names: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, node in self.ruleset.lets.items():
            self._names[id(node)] = ("let", name)
        for name, node in self.ruleset.signals.items():
            self._names[id(node.body if isinstance(node, core.Named) else node)] = ("signal", name)

    def rule(self, rule: CompiledRule) -> None:
        """The rule, what it reads, and what it is about."""
        key = self._add(
            Node(id=f"rule {rule.id}", kind="rule", label=f"{rule.kind} {rule.id}", path=rule.path, line=rule.line)
        )
        if isinstance(rule.terms, RestTerms | BoundTerms):
            self._edge(self._add(Node(id=f"fact {LOG}", kind="fact", label=LOG)), key)
        self._read(rule.condition, key)
        if isinstance(rule.terms, NotifyTerms):
            channel = rule.terms.channel
            self._edge(key, self._add(Node(id=f"channel {channel}", kind="channel", label=f'notify "{channel}"')))
            return
        for action in (ANY_ACTION,) if rule.actions is None else sorted(rule.actions):
            self._edge(key, self._add(Node(id=f"action {action}", kind="action", label=action)))

    def named(self, kind: str, name: str, node: Core) -> str:
        """A signal or a let, with what it reads."""
        key = f"{kind} {name}"
        if key not in self.nodes:
            path, line = self.ruleset.signal_places.get(name, ("", 0)) if kind == "signal" else ("", 0)
            self._add(Node(id=key, kind=kind, label=name, path=path, line=line))
            inside = (node.body,) if isinstance(node, core.Named) else core.parts(node)
            for part in inside:
                self._read(part, key, whole=kind == "signal")
            if not inside:
                self._leaf(node, key)
        return key

    def _read(self, node: Core, reader: str, *, whole: bool = False) -> None:
        """An edge from each thing that is read; what has a name stands for all inside it. `whole`: look inside."""
        name = self._names.get(id(node)) or (self._names.get(id(node.body)) if isinstance(node, core.Named) else None)
        if name is not None and not whole:
            kind, said = name
            source = self.ruleset.lets[said] if kind == "let" else self.ruleset.signals[said]
            self._edge(self.named(kind, said, source), reader)
            return
        self._leaf(node, reader)
        for part in core.parts(node):
            self._read(part, reader)

    def _leaf(self, node: Core, reader: str) -> None:
        said = _said(node)
        if said:
            self._edge(self._add(Node(id=f"fact {said}", kind="fact", label=said)), reader)

    def _add(self, node: Node) -> str:
        self.nodes.setdefault(node.id, node)
        return node.id

    def _edge(self, source: str, target: str) -> None:
        self.edges[source, target] = None


def _said(node: Core) -> str:
    """What a node reads, as rules write it; empty when it reads nothing by itself."""
    match node:
        case core.Fact():
            return node.name if node.dimension is None else f"{node.name} per {node.dimension}"
        case core.Confidence():
            return "confidence"
        case core.Builtin():
            return node.name
        case core.Ask():
            return f"{node.function}({node.argument})"
        case core.InCalendar():
            return f"calendar {node.calendar.name}"
        case _:
            return ""


def _branch(key: str, known: dict[str, Node], into: dict[str, list[str]], depth: int) -> Iterator[str]:
    yield "  " * depth + known[key].describe()
    for source in into.get(key, ()):
        yield from _branch(source, known, into, depth + 1)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
