"""The README of `policy` runs and is complete."""

import re
from pathlib import Path

import healerd.policy
from healerd.policy import POLICIES

README = (Path(healerd.policy.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_example_runs():
    """The example runs as it stands."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "policy/README.md", "exec"), {})


def test_every_policy_is_described():
    """Each entry of the table has its row."""
    assert all(f"| `{name}` | {policy.does}" in README for name, policy in POLICIES.items())
