"""`healerd run`: the daemon in the foreground. Must never be imported by another verb: it loads everything."""

import sys
from pathlib import Path

import click

from healerd.cli.options import default_config
from healerd.errors import ConfigError

__all__ = ["run"]


@click.command(help="Run the daemon in the foreground.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration [default: ./healerd.toml, else $HEALERD_CONFIG].",
)
@click.option(
    "--log", type=click.Choice(["plain", "json"]), help="How to log [default: plain in a terminal, else json]."
)
@click.option(
    "--standby", is_flag=True, help="While another daemon holds the state folder, wait, and take over when it dies."
)
def run(config: Path | None, log: str | None, standby: bool) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reads the rules anew."""
    from healerd.config import load_config
    from healerd.daemon import app
    from healerd.daemon.core import Core
    from healerd.daemon.logs import set_up_logging

    set_up_logging(as_json=log == "json" or (log is None and not sys.stderr.isatty()))
    try:
        settings = load_config(config or default_config())
    except ConfigError as error:
        click.echo(f"healerd: {error}", err=True)
        return app.RunExit.CONFIGURATION
    sys.path.insert(0, settings.folder)  # training code and model classes may lie beside the configuration
    return app.run(settings, open_core=Core.open, standby=standby)
