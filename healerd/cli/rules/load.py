"""Which rule files a verb is about, and how they are loaded. Must never print."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from healerd.cli.options import default_config
from healerd.config import Config, PipelineSettings, load_config
from healerd.decision import SCHEMA
from healerd.errors import RulesError
from healerd_rules import Loaded, RuleSet, load, load_text, pack_file, render, shipped_packs

__all__ = ["config_option", "files_argument", "is_pack", "load_for", "load_rules", "load_sets", "sound"]

F = TypeVar("F", bound=Callable[..., Any])


def files_argument(f: F) -> F:
    """Add the argument of any number of rule files."""
    return click.argument("files", nargs=-1, type=click.Path(path_type=Path))(f)


def config_option(f: F) -> F:
    """Add --config, which names the rule files where no file is given."""
    return click.option(
        "--config", metavar="FILE", type=click.Path(path_type=Path), help="Take the rule files of this configuration."
    )(f)


def load_rules(files: Sequence[Path]) -> Loaded:
    """Load rule files, or shipped packs by their names, over the pack `base`; the pack `default` when there is none."""
    if files:
        return load([pack_file(str(file)) if is_pack(file) else file for file in files], schema=SCHEMA)
    return load_text('import "default"\n', name="the pack default", schema=SCHEMA)


def is_pack(file: Path) -> bool:
    """Tell whether a shipped pack is meant: no file of that name is there."""
    return str(file) in shipped_packs() and not file.exists()


def load_for(config: Config, settings: PipelineSettings) -> Loaded:
    """Load the rules of one pipeline."""
    return load_rules([config.path(file) for file in settings.rules])


def load_sets(files: Sequence[Path], config: Path | None) -> dict[str, Loaded]:
    """Load the files as one set, or each pipeline's set of the configuration, by what they are called."""
    if files:
        return {", ".join(map(str, files)): load_rules(files)}
    settings = load_config(config or default_config())
    return {name: load_for(settings, pipeline) for name, pipeline in settings.pipeline.items()}


def sound(loaded: Loaded) -> RuleSet:
    """Give the rule set. Raises RulesError with every finding when there is none."""
    if loaded.ruleset is None:
        raise RulesError(render(loaded.diagnostics, loaded.sources))
    return loaded.ruleset
