"""The static cost of a typed tree: how much one evaluation visits, and how deep it goes.

It never evaluates.
"""

from dataclasses import dataclass, field

from healerd_rules import core
from healerd_rules.context import Context
from healerd_rules.core import Core
from healerd_rules.tree import Span

MAX_COST = 5_000
MAX_DEPTH = 100


@dataclass(slots=True)
class Sizes:
    """Measures each node once, however often it is shared."""

    _sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    _kept: list[Core] = field(default_factory=list)

    def small(self, node: Core, span: Span, context: Context) -> bool:
        """Report what would cost too much at every window, or nest too deeply to be walked."""
        cost, depth = self._measure(node)
        if cost > MAX_COST:
            context.error("cost", span, f"costs more than {MAX_COST} steps a window", "use fewer nested `let`s")
        if depth > MAX_DEPTH:
            context.error("too-deep", span, "definitions build on each other too deeply")
        return cost <= MAX_COST and depth <= MAX_DEPTH

    def _measure(self, node: Core) -> tuple[int, int]:
        """How many nodes one evaluation visits, shared ones as often as they are visited, and the depth."""
        if id(node) not in self._sizes:
            self._kept.append(node)  # an id stays unique only while its node lives
            inside = [self._measure(part) for part in core.parts(node)]
            depth = 1 + max((deep for _, deep in inside), default=0)
            self._sizes[id(node)] = (1 + sum(cost for cost, _ in inside), depth)
        return self._sizes[id(node)]
