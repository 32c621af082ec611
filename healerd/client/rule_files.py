"""Loads the rules of a pipeline from its files, in healerd's vocabulary. Must never mend: all is a finding."""

from collections.abc import Iterable
from pathlib import Path

from healerd.decision import SCHEMA
from healerd_rules import Loaded, load, load_text

__all__ = ["load_rule_files"]

DEFAULT_RULES = 'import "default"\n'
"""What is in force where a pipeline names no rule file."""
UNNAMED = "the pack default"
"""What that is called in findings."""


def load_rule_files(files: Iterable[str | Path]) -> Loaded:
    """Load rule files as one set over the pack `base`; the pack `default` when there is none."""
    paths = list(files)
    return load(paths, schema=SCHEMA) if paths else load_text(DEFAULT_RULES, name=UNNAMED, schema=SCHEMA)
