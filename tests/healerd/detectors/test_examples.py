import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["budget", "paired"])
def test_every_example_of_a_docstring_runs(module):
    """Each example in a docstring gives what it says."""
    result = doctest.testmod(importlib.import_module(f"healerd.detectors.{module}"))
    assert result.attempted
    assert not result.failed
