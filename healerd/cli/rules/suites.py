"""What `healerd rules test` is about: rule files, the files of a configuration, or shipped packs. Must never print."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from healerd.cli.options import default_config
from healerd.cli.rules.load import is_pack, load_for, load_rules
from healerd.config import load_config
from healerd.decision import SCHEMA
from healerd_rules import Loaded, load_pack, pack_paths, shipped_packs

__all__ = ["Suite", "suites"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A rule set, the files whose tests run on it, and the files whose rules they are to cover."""

    name: str
    loaded: Loaded
    files: tuple[str, ...]
    about: frozenset[str]


def suites(files: Sequence[Path], config: Path | None) -> Iterator[Suite]:
    """Give one suite for all files together, one for each pack that is named, else one for each pipeline."""
    packs = [str(file) for file in files if is_pack(file)]
    own = [file for file in files if not is_pack(file)]
    for pack in packs:
        rules, tests = pack_paths(pack)
        loaded = load_pack(pack, schema=SCHEMA)
        yield Suite(name=f"pack {pack}", loaded=loaded, files=(tests,), about=frozenset({rules}))
    if own:
        yield _suite(", ".join(map(str, own)), load_rules(own, no_cache=True), own)
    if not files:
        settings = load_config(config or default_config())
        for name, pipeline in settings.pipeline.items():
            yield _suite(
                name, load_for(settings, pipeline, no_cache=True), [settings.path(file) for file in pipeline.rules]
            )


def _suite(name: str, loaded: Loaded, named: Sequence[Path]) -> Suite:
    """The tests of the named files; the rules of all files but the shipped packs."""
    shipped = {path for pack in shipped_packs() for path in pack_paths(pack)}
    return Suite(
        name=name,
        loaded=loaded,
        files=tuple(map(str, named)),
        about=frozenset(loaded.sources) - shipped,
    )
