"""`healerd deploy`: the files of a deployment. Must never deploy, nor claim that anything was deployed."""

from collections.abc import Mapping
from pathlib import Path

import click

from healerd.cli.options import default_config, json_option
from healerd.cli.show import Show

__all__ = ["deploy"]

PROVIDERS = ("aws", "azure", "gcp", "compose")
dry_run_option = click.option("--dry-run", is_flag=True, help="Name the files; write nothing.")


@click.group(help="Write the files of a deployment; nothing is deployed.")
def deploy() -> None:
    """Hold the verbs together; does nothing itself."""


@deploy.command(
    help="Write user data for a cloud machine with the calls that make it, or a container with its compose file."
)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--provider", type=click.Choice(PROVIDERS), required=True, help="For whom.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Configuration [default: ./healerd.toml]."
)
@click.option(
    "--package",
    required=True,
    help="What pip installs there: `healerd @ https://YOUR-INDEX/FILE.whl#sha256=...`, a name with its version where "
    "you know who holds that name, or for compose a wheel that lies here.",
)
@click.option(
    "--constraints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Versions that pip keeps to there, such as a release's constraints.txt; for compose alone.",
)
@click.option("--volume-gb", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Room for the state.")
@dry_run_option
@json_option
def render(
    *,
    out: Path,
    provider: str,
    config: Path | None,
    package: str,
    constraints: Path | None,
    volume_gb: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Print the files that were written, and what to do with them."""
    from healerd.client.deploying import Deployment
    from healerd.client.deploying import render as rendered
    from healerd.config import load_config

    file = config or default_config()
    loaded = load_config(file)
    deployment = Deployment(
        config=loaded,
        text=file.read_text(encoding="utf-8"),
        package=package,
        volume_gb=volume_gb,
        constraints=constraints,
    )
    _write(out, rendered(provider, deployment), dry_run=dry_run, as_json=as_json)


@deploy.command(help="Write the Grafana dashboard and the Prometheus alert rules over the metrics.")
@click.argument("out", type=click.Path(path_type=Path))
@dry_run_option
@json_option
def monitoring(*, out: Path, dry_run: bool, as_json: bool) -> None:
    """Print the files that were written."""
    from healerd.client.deploying import monitoring as shipped

    _write(out, shipped(), dry_run=dry_run, as_json=as_json)


def _write(out: Path, rendered: Mapping[str, str | bytes], *, dry_run: bool, as_json: bool) -> None:
    from healerd.client.deploying import write_all

    written = [str(out / name) for name in rendered]
    if not dry_run:
        written = [str(path) for path in write_all(out.absolute(), rendered)]
    show = Show(as_json=as_json)
    if as_json:
        show.json({"files": written, "dry_run": dry_run, "deployed": False})
        return
    show.table(["would write" if dry_run else "wrote"], [[path] for path in written])
    show.note("nothing was deployed: read the files, then run what they say yourself")
