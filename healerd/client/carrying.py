"""Finds what lies beside a configuration and is needed where it goes: rules with their imports, training code, models.

Must never carry what lies elsewhere: a name that begins with `/` means a place on the machine that it goes to.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from healerd.config import Config, PipelineSettings
from healerd.errors import ConfigError, RulesError

__all__ = ["carried"]


def carried(config: Config) -> Mapping[str, str | bytes]:
    """Give rule files and training modules as text, first versions as bytes, by their names beside the configuration.

    What a training module imports itself is not looked for.

    Raises:
        RulesError: rule files do not compile; with every finding.
        ConfigError: a file cannot be read, or does not lie in or below the configuration's folder.
    """
    found = dict[str, str | bytes]()
    for settings in config.pipeline.values():
        found |= _rules(config, settings)
        found |= {_name(config, path): _text(path) for path in _modules(config, settings)}
        if settings.model and not Path(settings.model).is_absolute():
            path = config.path(settings.model)
            found[_name(config, path)] = _read(path)
    return dict(sorted(found.items()))


def _rules(config: Config, settings: PipelineSettings) -> Iterator[tuple[str, str]]:
    """Give the rule files that are named from here, and all that they import."""
    from healerd.client.rule_files import load_rule_files  # only where files are named
    from healerd_rules import render

    named = [config.path(name) for name in settings.rules if not Path(name).is_absolute()]
    if not named:
        return
    loaded = load_rule_files(named)
    if loaded.ruleset is None:
        raise RulesError(render(loaded.diagnostics, loaded.sources))
    texts = {Path(path): text for path, text in loaded.sources.items()}
    yield from ((_name(config, path), text) for path, text in texts.items() if path.is_absolute())


def _modules(config: Config, settings: PipelineSettings) -> Iterator[Path]:
    """List the modules of training functions that lie beside the configuration; others come with a package."""
    for entry in (action.entry for action in settings.actions.values() if action.entry):
        module = Path(config.folder, *entry.partition(":")[0].split("."))
        yield from (path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file())


def _name(config: Config, path: Path) -> str:
    """Give the name below the configuration's folder."""
    name = os.path.relpath(path, config.folder)
    if Path(name).parts[0] == "..":
        raise ConfigError(
            f"`{name}` lies outside the folder of the configuration: move it there, so that it is carried"
        )
    return name


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ConfigError(f"`{path}` is not UTF-8 text: byte {problem.start}") from problem


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"`{path}` cannot be read: {problem.strerror}; name a file that is here") from problem
