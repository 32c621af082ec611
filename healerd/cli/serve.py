"""`healerd serve`: the inference gateway in the foreground. Must never be imported by another verb: it loads models."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config
from healerd.errors import ConfigError

if TYPE_CHECKING:
    from healerd.actions import Registry
    from healerd.config import Config

__all__ = ["serve"]


@click.command(help="Serve the registries' models over HTTP, and record what they answer.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration [default: ./healerd.toml, else $HEALERD_CONFIG].",
)
@click.option(
    "--registry",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the models of this folder of registries, without a configuration.",
)
@click.option("--model", "models", metavar="NAME", multiple=True, help="Serve only this model; may be repeated.")
@click.option("--host", metavar="H", help="Address to listen on [default: that of the configuration, 127.0.0.1].")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), help="Port [default: that of the configuration, 8080]."
)
@click.option("--record", metavar="DIR", type=click.Path(path_type=Path), help="Folder to record in, a folder a model.")
@click.option(
    "--flush",
    metavar="TIME",
    help="How long a row may wait until it is durable, such as `1s`; with 0 a request is answered only once it is.",
)
@click.option(
    "--log", type=click.Choice(["plain", "json"]), help="How to log [default: plain in a terminal, else json]."
)
def serve(
    *,
    config: Path | None,
    registry: Path | None,
    models: tuple[str, ...],
    host: str | None,
    port: int | None,
    record: Path | None,
    flush: str | None,
    log: str | None,
) -> int:
    """Serve until SIGTERM or SIGINT."""
    from msgspec.structs import replace

    from healerd.config import Config, parse_duration
    from healerd.daemon.logs import set_up_logging
    from healerd.serving.run import serve as run_gateway

    set_up_logging(as_json=log == "json" or (log is None and not sys.stderr.isatty()))
    settings = _read(config) if registry is None else Config(folder=str(Path.cwd()))
    sys.path.insert(0, settings.folder)  # model classes may lie beside the configuration
    serving = settings.serving
    try:
        flush_s = parse_duration(flush) if flush is not None else serving.flush
    except ValueError as error:
        raise click.UsageError(f"--flush: {error}") from error
    serving = replace(
        serving,
        host=host or serving.host,
        port=serving.port if port is None else port,
        record=str(record.absolute()) if record else serving.record,
        flush=flush_s,
    )
    found = _configured(settings) if registry is None else _in_folder(registry)
    unknown = set(models) - set(found)
    if unknown:
        raise ConfigError(f"no model `{min(unknown)}`; there are {', '.join(f'`{name}`' for name in found) or 'none'}")
    chosen = {name: each for name, each in found.items() if not models or name in models}
    if not chosen:
        raise ConfigError("there is no model to serve; configure a pipeline, or name a folder of registries")
    run_gateway(chosen, serving, folder=settings.state / serving.record)
    return Exit.OK


def _read(config: Path | None) -> "Config":
    from healerd.config import load_config

    return load_config(config or default_config())


def _configured(settings: "Config") -> "dict[str, Registry]":
    from healerd.actions import open_registry

    return {name: open_registry(each, settings.state, name) for name, each in settings.pipeline.items()}


def _in_folder(folder: Path) -> "dict[str, Registry]":
    """Find the registries of a folder: each a folder with `versions` in it."""
    from healerd.actions import FolderRegistry

    found = sorted(path.parent for path in folder.glob("*/versions") if path.is_dir())
    return {path.name: FolderRegistry(path, path.name) for path in found}
