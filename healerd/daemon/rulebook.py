"""The rule set in force for each pipeline. Must never put a set in force that has not been checked whole.

What does not compile on reload leaves every old set in force; what does not compile at start refuses the start.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from healerd.client.rule_files import load_rule_files
from healerd.config import Config
from healerd.errors import RulesError
from healerd_rules import RuleSet, render

__all__ = ["Rulebook", "read_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A rule set with the texts that it was made of, by their paths."""

    ruleset: RuleSet
    sources: Mapping[str, str]

    def told(self) -> dict[str, Any]:
        """What people are shown of it: each text, and each rule with its place."""
        return {
            "id": self.ruleset.id,
            "sources": [{"path": path, "text": text} for path, text in self.sources.items()],
            "rules": [asdict(rule) for rule in self.ruleset.rules],
        }


def read_rules(paths: tuple[Path, ...]) -> Rules:
    """Load rule files, or the default pack when none is named. Raises RulesError with every finding."""
    loaded = load_rule_files(paths)
    if loaded.ruleset is None:
        raise RulesError(render(loaded.diagnostics, loaded.sources))
    return Rules(ruleset=loaded.ruleset, sources=loaded.sources)


class Rulebook:
    """The rule sets by pipeline."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sets = self._compiled()

    def of(self, pipeline: str) -> RuleSet:
        """Give the rule set in force."""
        return self._sets[pipeline].ruleset

    def told(self) -> Mapping[str, Mapping[str, Any]]:
        """What people are shown of each set in force, once, by its id."""
        return {rules.ruleset.id: rules.told() for rules in self._sets.values()}

    def anew(self) -> "Rulebook":
        """Read every file anew, into a book of its own. Raises RulesError."""
        return Rulebook(self._config)

    def changed_in(self, fresh: "Rulebook") -> Mapping[str, str]:
        """Name the sets that are others in the fresh book, by pipeline."""
        return {name: fresh.of(name).id for name in self._sets if fresh.of(name).id != self.of(name).id}

    def take(self, fresh: "Rulebook") -> None:
        """Put the sets of the fresh book in force, together."""
        self._sets = fresh._sets

    def _compiled(self) -> dict[str, Rules]:
        return {
            name: read_rules(tuple(self._config.path(rule) for rule in settings.rules))
            for name, settings in self._config.pipeline.items()
        }
