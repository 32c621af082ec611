"""Which rule files a verb is about, how they are loaded, and what proofs need. Must never print."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from healerd.cli.options import default_config
from healerd.cli.rules.cache import cached
from healerd.errors import HealerdError, RulesError
from healerd_rules import Loaded, RuleSet, pack_file, render, shipped_packs

if TYPE_CHECKING:
    from healerd.config import Config, PipelineSettings

__all__ = [
    "cache_option",
    "config_option",
    "files_argument",
    "is_pack",
    "load_for",
    "load_pipeline",
    "load_rules",
    "load_sets",
    "require_solver",
    "sound",
    "timeout_option",
]

F = TypeVar("F", bound=Callable[..., Any])


def files_argument(f: F) -> F:
    """Add the argument of any number of rule files."""
    return click.argument("files", nargs=-1, type=click.Path(path_type=Path))(f)


def config_option(f: F) -> F:
    """Add --config, which names the rule files where no file is given."""
    return click.option(
        "--config", metavar="FILE", type=click.Path(path_type=Path), help="Take the rule files of this configuration."
    )(f)


def cache_option(f: F) -> F:
    """Add --no-cache."""
    return click.option("--no-cache", is_flag=True, help="Load anew, and keep nothing.")(f)


def timeout_option(f: F) -> F:
    """Add --timeout, for each question to the solver."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0.1),
        default=30.0,
        show_default=True,
        help="Seconds for each question to the solver; what it leaves open is not proved.",
    )(f)


def require_solver() -> None:
    """Raise HealerdError where z3 is not installed, which proofs alone need."""
    if find_spec("z3") is None:
        raise HealerdError('proofs need the solver z3, which is not installed: `pip install "healerd[verify]"`')


def load_rules(files: Sequence[Path], *, no_cache: bool = False) -> Loaded:
    """Load rule files, or shipped packs by their names, over the pack `base`; the pack `default` when there is none.

    What was loaded before comes from the cache as long as no file it stands on, and no import, has changed; the
    parsed `modules` are not kept there.
    """
    return _load(files) if no_cache else cached(("files", *map(str, files)), lambda: _load(files))


def _load(files: Sequence[Path]) -> Loaded:
    from healerd.client.rule_files import load_rule_files  # the whole of deciding comes with it, unlike a cached answer

    return load_rule_files(pack_file(str(file)) if is_pack(file) else file for file in files)


def is_pack(file: Path) -> bool:
    """Tell whether a shipped pack is meant: no file of that name is there."""
    return str(file) in shipped_packs() and not file.exists()


def load_for(config: "Config", settings: "PipelineSettings", *, no_cache: bool = False) -> Loaded:
    """Load the rules of one pipeline."""
    return load_rules([config.path(file) for file in settings.rules], no_cache=no_cache)


def load_sets(files: Sequence[Path], config: Path | None, *, no_cache: bool = False) -> dict[str, Loaded]:
    """Load the files as one set, or each pipeline's set of the configuration, by what they are called."""
    if files:
        return {", ".join(map(str, files)): load_rules(files, no_cache=no_cache)}
    from healerd.config import load_config  # read only where no file is named

    settings = load_config(config or default_config())
    return {name: load_for(settings, pipeline, no_cache=no_cache) for name, pipeline in settings.pipeline.items()}


def load_pipeline(config: Path, name: str, *, no_cache: bool = False) -> Loaded:
    """Load the rules of one pipeline of a configuration. Raises UsageError for a name that is not in it."""
    from healerd.config import load_config  # read only where it is named

    settings = load_config(config)
    if name not in settings.pipeline:
        raise click.UsageError(
            f"`{config}` has no pipeline `{name}`: name one with --pipeline; it has "
            + ", ".join(f"`{each}`" for each in settings.pipeline)
        )
    return load_for(settings, settings.pipeline[name], no_cache=no_cache)


def sound(loaded: Loaded) -> RuleSet:
    """Give the rule set. Raises RulesError with every finding when there is none."""
    if loaded.ruleset is None:
        raise RulesError(render(loaded.diagnostics, loaded.sources))
    return loaded.ruleset
