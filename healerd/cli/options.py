"""The options that verbs share, and where the state folder is found. Must never print or connect."""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from healerd.cli.show import Show
from healerd.client import Client
from healerd.errors import ConfigError

__all__ = [
    "CONFIG",
    "Moment",
    "WindowLength",
    "attached",
    "columns_of",
    "columns_options",
    "default_config",
    "dry_run_option",
    "ids_option",
    "is_interactive",
    "json_option",
    "locate",
    "pipeline_argument",
    "place_options",
    "read_id",
    "read_ids",
    "reason_option",
    "reason_or_ask",
    "yes_option",
    "yes_or_ask",
]

if TYPE_CHECKING:
    from healerd.offline.inspection import Columns

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = "healerd.toml"
COMPLETION_S = 0.3
"""Longer than this, a completion is worse than none."""


class WindowLength(click.ParamType[float]):
    """A duration such as `30m` or `1d`, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or say what one looks like."""
        from healerd.config import parse_duration

        try:
            return float(parse_duration(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """An ISO date or time; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it, or say what one looks like."""
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected a time such as 2013-03-01 or 2013-03-01T12:00, got `{value}`", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def json_option(f: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; its `schema` names the version.")(f)


def place_options(f: F) -> F:
    """Add --state and --config."""
    state = click.option("--state", metavar="DIR", type=click.Path(path_type=Path), help="State folder of the daemon.")
    config = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"Configuration file [default: ./{CONFIG}, else $HEALERD_CONFIG].",
    )
    return state(config(f))


def attached(f: Callable[..., Any]) -> Callable[..., Any]:
    """Add --state, --config and --json, and call `f` with a `client` and a `show` made from them."""

    @functools.wraps(f)
    def verb(*, state: Path | None, config: Path | None, as_json: bool, **rest: Any) -> Any:
        show = Show(as_json=as_json)
        folder, socket = locate(state, config)
        return f(client=Client(folder, socket=socket, attended=show.is_terminal), show=show, **rest)

    return place_options(json_option(verb))


def dry_run_option(f: F) -> F:
    """Add --dry-run."""
    return click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")(f)


def reason_option(f: F) -> F:
    """Add --reason."""
    return click.option("--reason", help="Why, in a few words; kept in the record.")(f)


def yes_option(f: F) -> F:
    """Add --yes."""
    return click.option("--yes", is_flag=True, help="Do not ask whether to go on.")(f)


def columns_options(f: F) -> F:
    """Add what the columns of a table are, and how it is cut into windows."""
    for option in reversed(_COLUMNS):
        f = option(f)
    return f


def columns_of(given: Mapping[str, Any]) -> "Columns":
    """Take the columns out of what `columns_options` gave."""
    from healerd.offline.inspection import Columns  # only for the verbs that read a table

    ignored = tuple(given["ignore"])
    return Columns(**{name: given[name] for name in _COLUMN_NAMES}, ignored=ignored)


_COLUMN_NAMES = ("label", "prediction", "score", "time", "label_time", "id")
_COLUMNS = (
    click.option("--label", metavar="COLUMN", help="The truth, where it is known."),
    click.option("--prediction", metavar="COLUMN", help="What the model said."),
    click.option("--score", metavar="COLUMN", help="How sure the model was: a probability, a margin, any number."),
    click.option("--time", metavar="COLUMN", help="When a row was served [default: rows in the file's order]."),
    click.option("--label-time", metavar="COLUMN", help="When a label became known."),
    click.option("--id", metavar="COLUMN", help="What tells a row from its copy."),
    click.option("--ignore", metavar="COLUMN", multiple=True, help="Leave a column out; may be given again."),
    click.option("--loss", metavar="LOSS", help='When a prediction is wrong: zero-one, "relative 10%", "absolute 5".'),
    click.option("--window", "window_s", type=WindowLength(), help="Length of a window, as in 1h [default: 1d]."),
    click.option("--window-rows", type=click.IntRange(min=1), help="Rows of a window, without times [default: 1000]."),
)


def ids_option(f: F) -> F:
    """Add the argument of one or more intent ids; `-` reads them from stdin, one a line."""
    return click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=_complete_intents)(f)


def pipeline_argument(*, required: bool = True) -> Callable[[F], F]:
    """Add the argument of a pipeline's name."""
    return click.argument("pipeline", required=required, shell_complete=_complete_pipelines)


def read_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Take ids as they are, or from stdin when they are `-`."""
    if ids != ("-",):
        return ids
    found = _ids_on_stdin()
    if not found:
        raise click.UsageError("no id came on stdin: nothing was done")
    return found


def read_id(id_: str) -> str:
    """Take an id as it is, or the only one on stdin when it is `-`."""
    if id_ != "-":
        return id_
    found = _ids_on_stdin()
    if len(found) != 1:
        raise click.UsageError(f"one id is needed on stdin, {len(found)} came; name one, or call once for each")
    return found[0]


def _ids_on_stdin() -> tuple[str, ...]:
    return tuple(line.split()[0] for line in sys.stdin if line.strip())


def is_interactive() -> bool:
    """Tell whether somebody sits at a terminal and can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def reason_or_ask(reason: str | None) -> str:
    """Take the reason given, ask for it at a terminal, or end naming the option."""
    if reason:
        return reason
    if not is_interactive():
        raise click.UsageError('nobody can be asked here: give --reason "..."')
    answer: str = click.prompt("reason", err=True)
    return answer


def yes_or_ask(what: str, *, yes: bool) -> None:
    """Ask at a terminal whether to do what cannot be taken back; end with no, or where nobody can be asked."""
    if yes:
        return
    if not is_interactive():
        raise click.UsageError("without a terminal, say --yes: it cannot be taken back")
    click.confirm(f"{what}?", abort=True, err=True)


def locate(state: Path | None, config: Path | None) -> tuple[Path, Path]:
    """Find the state folder and the control socket. Raises ConfigError with the ways to name them."""
    if state is not None:
        return state, state / "control.sock"
    from healerd.config import load_place  # not needed with --state, and it costs a fifth of the start-up time

    return load_place(config or default_config())


def default_config() -> Path:
    """Choose ./healerd.toml, else $HEALERD_CONFIG. Raises ConfigError when there is neither."""
    here, named = Path(CONFIG), os.environ.get("HEALERD_CONFIG")
    if here.exists():
        return here
    if named:
        return Path(named)
    raise ConfigError(f"no `{CONFIG}` here; name one with --config FILE, or a state folder with --state DIR")


def _complete_pipelines(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [view["name"] for view in _ask(ctx, "/v1/status", "pipelines") if view["name"].startswith(incomplete)]


def _complete_intents(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [view["id"] for view in _ask(ctx, "/v1/intents", "intents") if view["id"].startswith(incomplete)]


def _ask(ctx: click.Context, path: str, rows: str) -> list[dict[str, Any]]:
    """Ask the daemon for what could be meant; nothing when it is away, since a completion must never complain."""
    from healerd.errors import HealerdError

    try:
        folder, socket = locate(ctx.params.get("state"), ctx.params.get("config"))
        found: list[dict[str, Any]] = Client(folder, socket=socket, timeout_s=COMPLETION_S).link.get(path)[rows]
    except HealerdError:
        return []
    return found
