"""A registry with two constant models, and a module of trainers that a job can import."""

from pathlib import Path

import pytest

from healerd.actions import FolderRegistry
from healerd.actions.model_files import ModelFiles
from tests.healerd.actions.models import TRAINERS, filled


@pytest.fixture
def trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of training functions on the import path; returns its name."""
    folder = tmp_path / "code"
    folder.mkdir()
    name = f"trainers_{abs(hash(tmp_path)) % 10**8}"
    (folder / f"{name}.py").write_text(TRAINERS)
    monkeypatch.syspath_prepend(str(folder))
    return name


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A registry with versions `a` (says 0) and `b` (says 1); `a` is active."""
    return filled(FolderRegistry(tmp_path / "registry", "flights", ModelFiles(allow_pickle=True)))
