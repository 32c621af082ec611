"""The README's example runs, and its table names every action."""

import re
from pathlib import Path

import healerd.actions
from healerd.actions import EFFECTS

README = (Path(healerd.actions.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    """The example of the README runs as it stands."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_every_effect_is_described() -> None:
    """Each entry of the tables has its row."""
    assert all(f"| `{name}` |" in README for name in EFFECTS)
