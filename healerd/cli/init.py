"""`healerd init`: looks at predictions, proposes a configuration and rules that fit, and examines them.

Must never write over a file without a confirmed question.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import CONFIG, WindowLength, is_interactive, json_option
from healerd.cli.show import Show
from healerd.errors import ConfigError

if TYPE_CHECKING:
    from healerd.client.model_server import ServedModel
    from healerd.client.proposal import Proposal, Wishes
    from healerd.sources.record_sighting import RecordSighting
    from healerd.sources.sighting import Sighting

__all__ = ["init"]

ROLES = ("time", "id", "prediction", "label", "version", "score")
ASKED = ("time", "prediction", "label", "id")
"""The columns that are asked for at a terminal; the others are taken as they look."""


@click.command(help="Propose configuration and rules that fit a table or a running model, and examine them.")
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the pipeline [default: the file's, or the model's].")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), default=Path(), help="Where to write [default: here]."
)
@click.option("--url", help="A running model server (Open Inference Protocol), asked about its model.")
@click.option("--model-name", help="Which of its models [default: the only one].")
@click.option("--model", metavar="FILE", help="File of the version that serves: .skops or .onnx.")
@click.option("--train", metavar="MODULE:FUNCTION", help="What retrains: f(features, label) -> model.")
@click.option("--time", metavar="COLUMN", help="When a row was served [default: as it looks].")
@click.option("--id", metavar="COLUMN", help="What identifies a prediction [default: as it looks].")
@click.option("--prediction", metavar="COLUMN", help="What the model said [default: as it looks].")
@click.option("--label", metavar="COLUMN", help="The truth, where it is known [default: as it looks].")
@click.option("--version", metavar="COLUMN", help="Which version predicted [default: as it looks].")
@click.option("--score", metavar="COLUMN", help="How sure the model was [default: as it looks].")
@click.option("--loss", help='When a prediction is wrong: zero-one, "relative 10%", "absolute 5".')
@click.option("--window", "window_s", type=WindowLength(), help="Length of a window [default: by the rate of rows].")
@click.option("--label-horizon", "horizon_s", type=WindowLength(), help="How long labels take [default: as it looks].")
@click.option("--yes", is_flag=True, help="Take everything as it looks; files that exist are still asked for.")
@json_option
def init(*, data: Path | None, out: Path, yes: bool, as_json: bool, **given: Any) -> int:
    """Look, ask or take, write, examine; ends with 7 when something fails."""
    show = Show(as_json=as_json)
    served = _served(given)
    asks = is_interactive() and not yes and not as_json
    if data is not None:
        name, made = _of_data(data, out, given, served, asks=asks)
    elif served is not None:
        name, made = _of_server(out, given, served, asks=asks)
    else:
        raise click.UsageError("name a table of predictions, or a running model with `--url URL`")
    if not as_json:
        show.pairs({"pipeline": name, **made.said})
    for note in made.notes:
        show.note(f"note: {note}")
    files = {out / CONFIG: made.config, out / f"{name}.heal": made.rules}
    _write(files)
    return _examined(show, out, files, made)


def _of_data(
    data: Path, out: Path, given: Mapping[str, Any], served: "ServedModel | None", *, asks: bool
) -> "tuple[str, Proposal]":
    """Propose by a table of predictions, and what its model reads where a server tells that."""
    from healerd.client.proposal import propose  # readers make it slow to start
    from healerd.clock import SystemClock
    from healerd.sources.sighting import sight

    named = {role: given[role] for role in ROLES if given[role]}
    seen = sight(data.absolute(), named)
    wishes = _wishes(data.name.partition(".")[0], _beside(data, out), out, given, served)
    if asks:
        seen, wishes = _asked(data, seen, wishes)
    return wishes.name, propose(seen, wishes, now=SystemClock().now())


def _of_server(out: Path, given: Mapping[str, Any], served: "ServedModel", *, asks: bool) -> "tuple[str, Proposal]":
    """Propose by a running model alone, and its record where that lies on this machine."""
    from healerd.client.served_proposal import propose_served
    from healerd.clock import SystemClock
    from healerd.config import DaemonSettings, ServingSettings
    from healerd.sources.record_sighting import sight_record

    columns = [f"--{role}" for role in ROLES if given[role]]
    if columns:
        raise click.UsageError(f"`{columns[0]}` names a column of a table: name the table as well")
    record = Path(served.record or Path(DaemonSettings().state, ServingSettings().record, served.name))
    seen = sight_record(record, SystemClock().now()) if served.record and record.is_dir() else None
    wishes = _wishes(served.name, _beside(record, out) if served.record else str(record), out, given, served)
    if asks:
        wishes = _asked_of_server(wishes, served, seen)
    return wishes.name, propose_served(served, wishes, seen)


def _served(given: Mapping[str, Any]) -> "ServedModel | None":
    if not given["url"]:
        return None
    from healerd.client.model_server import ask_model  # only who names a server waits for it

    return ask_model(given["url"], given["model_name"])


def _wishes(usual: str, data: str, out: Path, given: Mapping[str, Any], served: "ServedModel | None") -> "Wishes":
    from healerd.client.proposal import Wishes

    name = given["name"] or (served.name if served else usual)
    return Wishes(
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:60] or "model",
        data=data,
        window_s=given["window_s"],
        horizon_s=given["horizon_s"],
        loss=_checked(given["loss"]),
        model=_beside(Path(given["model"]), out) if given["model"] else None,
        train=given["train"],
        features=served.features if served else (),
    )


def _beside(path: Path, out: Path) -> str:
    """Write a path as it is taken from the folder of the configuration."""
    full, folder = path.absolute(), out.absolute()
    return str(full.relative_to(folder)) if full.is_relative_to(folder) else str(full)


def _checked(loss: str | None) -> str | None:
    from healerd.profiles import parse_loss

    if loss is not None:
        parse_loss(loss)
    return loss


def _asked(data: Path, seen: "Sighting", wishes: "Wishes") -> "tuple[Sighting, Wishes]":
    """Ask for what was guessed; an empty answer takes the guess."""
    from healerd.client.proposal import horizon_for, window_for
    from healerd.sources.sighting import sight

    kept = {role: one.column for role, one in seen.roles.items() if role in ROLES and role not in ASKED}
    columns, without = click.Choice([*seen.columns, "none"]), set[str]()
    for role in ASKED:
        guess = seen.column(role) or "none"
        answer = click.prompt(f"column of the {role}", default=guess, err=True, type=columns, show_choices=False)
        if answer == "none":
            without.add(role)
        else:
            kept[role] = answer
    seen = sight(data.absolute(), kept, without=without)
    window_s = click.prompt(
        "window", default=f"{wishes.window_s or window_for(seen):g}s", err=True, type=WindowLength()
    )
    usual = wishes.horizon_s if wishes.horizon_s is not None else horizon_for(seen, window_s)
    horizon_s = click.prompt("how long labels take", default=f"{usual:g}s", err=True, type=WindowLength())
    loss = click.prompt("when a prediction is wrong", default=wishes.loss or seen.loss, err=True)
    return seen, replace(wishes, window_s=window_s, horizon_s=horizon_s, loss=_checked(loss))


def _asked_of_server(wishes: "Wishes", served: "ServedModel", seen: "RecordSighting | None") -> "Wishes":
    """Ask for what a server cannot tell; an empty answer takes what is usual."""
    from healerd.client.served_proposal import HORIZON_S, usual_loss, usual_window

    usual_s = wishes.window_s or usual_window(seen)
    window_s = click.prompt("window", default=f"{usual_s:g}s", err=True, type=WindowLength())
    horizon_s = HORIZON_S if wishes.horizon_s is None else wishes.horizon_s
    horizon_s = click.prompt("how long labels take", default=f"{horizon_s:g}s", err=True, type=WindowLength())
    loss = click.prompt("when a prediction is wrong", default=wishes.loss or usual_loss(served), err=True)
    return replace(wishes, window_s=window_s, horizon_s=horizon_s, loss=_checked(loss))


def _write(files: Mapping[Path, str]) -> None:
    there = [path for path in files if path.exists()]
    if there and not is_interactive():
        names = " and ".join(f"`{path}`" for path in there)
        raise ConfigError(f"{names} exist already, and nobody can be asked here: name another folder with `--out DIR`")
    for path in there:
        click.confirm(f"write over `{path}`?", abort=True, err=True)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _examined(show: Show, out: Path, files: Mapping[Path, str], made: "Proposal") -> int:
    """Run the checks of `doctor` on what was written."""
    from healerd.client import Client
    from healerd.client.checks import examine
    from healerd.config import load_config

    settings = load_config(out / CONFIG)
    findings = list(examine(Client(settings.state, socket=settings.socket), settings))
    failed = any(finding.level == "fail" for finding in findings)
    if show.as_json:
        rows = [{"check": f.check, "level": f.level, "said": f.said, "mend": f.mend} for f in findings]
        wrote = [str(path) for path in files]
        show.json({"wrote": wrote, "proposed": dict(made.said), "notes": list(made.notes), "findings": rows})
    else:
        show.table(["check", "level", "found", "mend"], [[f.check, f.level, f.said, f.mend] for f in findings])
        show.note(f"wrote {' and '.join(f'`{path}`' for path in files)}; next: `healerd run`, then `healerd status`")
    return Exit.CHECK_FAILED if failed else Exit.OK
