"""The README of `decision` runs and is complete."""

import re
from pathlib import Path

import healerd.decision
from healerd.decision import FACTS
from healerd.decision.context import CONTEXT

FOLDER = Path(healerd.decision.__file__).parent
GUARDS = (FOLDER / "guards.py").read_text(encoding="utf-8")
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_example_runs():
    """The example runs as it stands."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "decision/README.md", "exec"), {})


def test_every_fact_is_described():
    """Each fact has its row, with type, unit and meaning as in the table."""
    for name, fact in FACTS.items():
        kind = f"{fact.type} per {fact.per}" if fact.per else fact.type
        assert f"| `{name}` | {kind} | {fact.unit} | {fact.meaning} |" in README


def test_every_number_of_the_context_is_described():
    """Each number has its row."""
    assert all(f"| `{name}` | {meaning} |" in README for name, (meaning, _) in CONTEXT.items())


def test_every_built_in_guard_is_described():
    """Each name that a built-in guard can act under stands in the table."""
    names = set(re.findall(r'_(?:forbid|ask|defer)\(\s*"(\w+)"', GUARDS))
    assert len(names) >= 12
    assert all(f"`{name}`" in README for name in names)
