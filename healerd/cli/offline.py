"""`healerd try` and `healerd demo`: the whole loop offline. Must never load it before it is asked for.

Here `--json` takes a file: what these two print is a story for people.
"""

from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import Moment, WindowLength

__all__ = ["demo", "try_"]

json_file = click.option(
    "--json", type=click.Path(path_type=Path), metavar="OUT", help="Write the result to this file."
)
html_file = click.option("--html", type=click.Path(path_type=Path), metavar="OUT", help="Write a report page here.")
registry_place = click.option(
    "--registry",
    metavar="WHERE",
    help="Keep the models on an MLflow server: `mlflow` starts one, `mlflow:http://HOST:PORT` names one.",
)
state_folder = click.option(
    "--state", type=click.Path(path_type=Path), metavar="DIR", help="Keep everything in this folder [default: nothing]."
)


@click.command("try", help="Run the whole loop over a table of your own, offline.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="What the model predicts.")
@click.option("--time", metavar="COLUMN", help="When a row is served [default: rows are taken in the file's order].")
@click.option(
    "--ignore",
    "ignored",
    metavar="COLUMN",
    multiple=True,
    help="Leave a column out, such as an id; may be given again.",
)
@click.option("--train-rows", type=click.IntRange(min=1), help="The first so many rows train the first model.")
@click.option("--train-until", type=Moment(), help="The rows before this time train the first model.")
@click.option("--window", "window_s", type=WindowLength(), help="Length of the windows, as in 30m or 1d.")
@click.option("--rules", type=click.Path(path_type=Path), metavar="FILE", help="Rules in place of the pack `default`.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="How this configuration's pipeline is judged and decided holds here too: rules, costs, segments, policy.",
)
@click.option("--pipeline", metavar="NAME", help="Which pipeline of that configuration, where it has several.")
@click.option("--estimator", metavar="MODULE:NAME", help="A scikit-learn estimator, as in sklearn.linear_model:Ridge.")
@click.option("--retrain-cost", type=click.FloatRange(min=0), help="In windows served with the harm.")
@registry_place
@state_folder
@json_file
@html_file
def try_(**given: Any) -> int:
    """Hand the options on."""
    if given["train_rows"] is not None and given["train_until"] is not None:
        raise click.UsageError("give --train-rows or --train-until, not both")
    if given["pipeline"] is not None and given["config"] is None:
        raise click.UsageError("`--pipeline` says which pipeline of `--config` is meant: name the file too")
    from healerd.offline import TryOptions, run_try

    try:
        return run_try(TryOptions(**given))
    except KeyboardInterrupt:
        return _broken_off(given["state"])


@click.command(help="Watch the whole loop on a year of real flights.")
@click.option("--headless", is_flag=True, help="Ask nothing: a simulated operator answers, and is said to.")
@registry_place
@state_folder
@json_file
@html_file
def demo(**given: Any) -> int:
    """Hand the options on."""
    from healerd.offline import DemoOptions, run_demo

    try:
        return run_demo(DemoOptions(**given))
    except KeyboardInterrupt:
        return _broken_off(given["state"])


def _broken_off(state: Path | None) -> Exit:
    """Say what is left of a run that a person stopped, and how to go on."""
    lines = ["", "broken off; nothing was kept: with `--state DIR` a run can be looked into, and goes on from there"]
    if state is not None:
        lines = ["", "broken off; the same command goes on from here. Look into it:"]
        lines += [f"  healerd {verb} --state {state}" for verb in ("status", "trace list", "audit verify")]
    click.echo("\n".join(lines), err=True)
    return Exit.INTERRUPTED
