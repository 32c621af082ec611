"""A registry with two constant models, and a module of trainers that a job can import."""

from pathlib import Path

import pytest

from healerd.actions import Draft, FolderRegistry
from healerd.actions.model_files import ModelFiles
from healerd.model import VersionKind
from tests.healerd.actions.models import START, TRAINERS, constant


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
    made = FolderRegistry(tmp_path / "registry", "flights", ModelFiles(allow_pickle=True))
    for name, value in (("a", 0.0), ("b", 1.0)):
        made.add(constant(value), Draft(name=name, kind=VersionKind.MODEL, created_at=START))
    made.set_alias("a", if_current=None, key="first", epoch=1, by="healerd", at=START)
    return made
