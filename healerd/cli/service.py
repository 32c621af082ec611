"""`healerd service`: the daemon under systemd. Must never touch the state, nor start or stop anything by itself."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option
from healerd.cli.show import Show
from healerd.errors import ConfigError

if TYPE_CHECKING:
    from healerd.client.units import Placed
    from healerd.config import Config

__all__ = ["service"]

own_option = click.option(
    "--user", "own", is_flag=True, is_eager=True, help="For your own session instead of the whole machine."
)
strict_option = click.option("--strict", is_flag=True, help="With the strict profile: no network, no new machine code.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")


def _check_root(ctx: click.Context, param: click.Parameter, root: Path) -> Path:
    if root != Path("/") and ctx.params.get("own"):
        raise click.UsageError("--root goes without --user: a session's units lie in its home, in no image")
    return root


root_option = click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("/"),
    metavar="DIR",
    callback=_check_root,
    help="Root of an image [default: /].",
)
ACCOUNT = (
    click.option("--run-as", metavar="USER", default="healerd", show_default=True, help="The account of the daemon."),
    click.option(
        "--group", metavar="GROUP", default="healerd", show_default=True, help="Who is in it may use the socket."
    ),
    click.option(
        "--key", type=click.Path(path_type=Path), metavar="FILE", help="Key behind `audit.key = credential:`."
    ),
    click.option("--memory-max", default="4G", show_default=True, metavar="SIZE", help="Memory of all its processes."),
    click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="Configuration [default: ./healerd.toml]."
    ),
)


def placed_options(f: Any) -> Any:
    """Add what a unit is rendered from."""
    for option in reversed(ACCOUNT):
        f = option(f)
    return f


@click.group(help="Install, look at, print or uninstall the unit of systemd.")
def service() -> None:
    """Hold the verbs together; does nothing itself."""


@service.command("print", help="Print the unit that would be installed.")
@own_option
@strict_option
@placed_options
@json_option
def print_(*, own: bool, strict: bool, as_json: bool, **placed: Any) -> None:
    """Print the text of the unit, and of the drop-in after it."""
    unit, profile = _texts(own=own, strict=strict, **placed)
    show = Show(as_json=as_json)
    if as_json:
        show.json({"unit": unit, "strict": profile})
    else:
        show.text(unit + (f"\n{profile}" if profile else ""))


@service.command(help="Write the unit where systemd reads it, and say how it is started.")
@own_option
@strict_option
@placed_options
@root_option
@click.option("--replace", is_flag=True, help="Although it is installed; your own drop-ins stay.")
@dry_run_option
@json_option
def install(*, own: bool, strict: bool, root: Path, replace: bool, dry_run: bool, as_json: bool, **placed: Any) -> None:
    """Check configuration and account first; then write all, or nothing."""
    from healerd.client.service import check_account, is_up, places
    from healerd.client.service import install as put
    from healerd.client.unit_checks import check_places

    unit, profile = _texts(own=own, strict=strict, **placed)
    if root == Path("/"):
        if not own:
            check_account(placed["run_as"], placed["group"])
        check_places(*_read(**placed), own=own)
    units = places(own=own, root=root)
    begin = ("restart", "healerd") if root == Path("/") and is_up(units) else ("enable", "--now", "healerd")
    files = [str(units.unit), *([str(units.strict)] if strict else [])]
    if not dry_run:
        files = [str(path) for path in put(units, unit, strict=profile, replace=replace)]
    show = Show(as_json=as_json)
    commands = [" ".join(units.systemctl("daemon-reload")), " ".join(units.systemctl(*begin))]
    if as_json:
        show.json({"installed": files, "dry_run": dry_run, "next": commands})
        return
    show.pairs({"would write" if dry_run else "wrote": ", ".join(files)})
    show.note(f"{'start it' if begin[0] == 'enable' else 'it runs as before until'} `{' && '.join(commands)}`")


@service.command(help="Take the unit away; the state and the configuration stay.")
@own_option
@root_option
@dry_run_option
@json_option
def uninstall(*, own: bool, root: Path, dry_run: bool, as_json: bool) -> None:
    """Remove what `install` wrote, and nothing else."""
    from healerd.client.service import is_enabled, is_up, places
    from healerd.client.service import uninstall as take_away

    units = places(own=own, root=root)
    if units.unit.exists() and root == Path("/") and (is_up(units) or is_enabled(units)):
        end = " ".join(units.systemctl("disable", "--now", "healerd"))
        raise ConfigError(f"the service runs, or starts with the {'session' if own else 'machine'}: say `{end}` first")
    there = [path for path in (units.strict, units.unit) if path.exists()]
    files = [str(path) for path in (there if dry_run else take_away(units))]
    show = Show(as_json=as_json)
    if as_json:
        show.json({"removed": files, "dry_run": dry_run})
        return
    show.pairs({"would remove" if dry_run else "removed": ", ".join(files)})
    show.note(f"tell systemd with `{' '.join(units.systemctl('daemon-reload'))}`")
    show.note("the state folder, its backups and the configuration are as they were")


@service.command(help="Show whether the unit is installed and how the service stands; ends with 3 when it is not up.")
@own_option
@root_option
@json_option
def status(*, own: bool, root: Path, as_json: bool) -> int:
    """Print what systemd says of it."""
    from healerd.client.service import places, standing

    told: Mapping[str, Any] = standing(places(own=own, root=root))
    show = Show(as_json=as_json)
    (show.json if as_json else show.pairs)(dict(told))
    if not told["systemd"]:
        show.note("systemd does not run this machine: only the files were looked at")
    return Exit.OK if told.get("active_state") == "active" else Exit.AWAY


def _texts(*, own: bool, strict: bool, **placed: Any) -> tuple[str, str | None]:
    from healerd.client.units import strict_profile, system_unit, user_unit

    render = user_unit if own else system_unit
    return render(*_read(**placed)), strict_profile() if strict else None


def _read(
    *, run_as: str, group: str, key: Path | None, memory_max: str, config: Path | None
) -> "tuple[Config, Placed]":
    from healerd.client.units import Placed
    from healerd.config import load_config

    file = (config or default_config()).absolute()
    placed = Placed(
        program=_program(),
        config_file=file,
        user=run_as,
        group=group,
        key=key.absolute() if key else None,
        memory_max=memory_max,
        python=Path(sys.executable).resolve(),
    )
    return load_config(file), placed


def _program() -> Path:
    """Find the installed command that runs this very Python."""
    beside = Path(sys.executable).with_name("healerd")
    found = str(beside) if beside.exists() else shutil.which("healerd")
    if found is None:
        raise ConfigError("no installed `healerd` was found beside this Python: install the package first")
    return Path(found)
