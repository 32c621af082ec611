"""The rule set in force for each pipeline. Must never put a set in force that has not been checked whole.

What does not compile on reload leaves every old set in force; what does not compile at start refuses the start.
"""

from collections.abc import Mapping
from pathlib import Path

from healerd.config import Config
from healerd.decision import SCHEMA
from healerd.errors import RulesError
from healerd_rules import RuleSet, load, load_text, render

__all__ = ["DEFAULT_RULES", "Rulebook", "compile_rules"]

DEFAULT_RULES = 'import "default"\n'
"""What is in force where a pipeline names no rule file."""


def compile_rules(paths: tuple[Path, ...]) -> RuleSet:
    """Load rule files, or the default pack when none is named. Raises RulesError with every finding."""
    loaded = load(paths, schema=SCHEMA) if paths else load_text(DEFAULT_RULES, name="(default)", schema=SCHEMA)
    if loaded.ruleset is None:
        raise RulesError(render(loaded.diagnostics, loaded.sources))
    return loaded.ruleset


class Rulebook:
    """The rule sets by pipeline."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sets = self._compiled()

    def of(self, pipeline: str) -> RuleSet:
        """Give the rule set in force."""
        return self._sets[pipeline]

    def reload(self) -> Mapping[str, str]:
        """Read every file anew and put the sets in force together; name those that changed, by pipeline.

        Raises RulesError, and changes nothing.
        """
        fresh = self._compiled()
        changed = {name: made.id for name, made in fresh.items() if made.id != self._sets[name].id}
        self._sets = fresh
        return changed

    def _compiled(self) -> dict[str, RuleSet]:
        return {
            name: compile_rules(tuple(self._config.path(rule) for rule in settings.rules))
            for name, settings in self._config.pipeline.items()
        }
