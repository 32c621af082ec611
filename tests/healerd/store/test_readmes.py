import re
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[3] / "healerd"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("package", ["audit", "segments", "sources", "store"])
def test_the_examples_run(package: str) -> None:
    """Every example in the README of the package runs as it stands."""
    examples = EXAMPLE.findall((PACKAGES / package / "README.md").read_text(encoding="utf-8"))
    assert examples
    for example in examples:
        exec(compile(example, f"{package}/README.md", "exec"), {})
