"""`healerd rules fired`: how often each rule in force fired. Must never count what no decision recorded."""

import click

from healerd.cli.options import attached, pipeline_argument
from healerd.cli.show import Show
from healerd.client import Client

__all__ = ["fired"]


@click.command(help="Count how often each rule in force on a pipeline fired, and name those that never did.")
@pipeline_argument()
@click.option("--days", default=7, show_default=True, help="How far back.")
@attached
def fired(client: Client, show: Show, pipeline: str, days: int) -> None:
    """Print one line a rule."""
    view = client.rules(pipeline, days=days)
    if show.as_json:
        show.json(view)
        return
    effects = ("allow", "ask", "block", "propose", "advise")
    rows = [
        [rule["name"], rule["kind"], *(str(rule["fired"][each]) for each in effects), rule["last_at"], _place(rule)]
        for rule in view["rules"]
    ]
    show.table(["rule", "kind", *effects, "last", "place"], rows)
    silent = sum(rule["last_at"] is None for rule in view["rules"])
    cut = ", and no further back: there are too many" if view["cut"] else ""
    show.note(f"{view['decisions']} decisions since {view['since']}{cut}; {silent} rules never fired")


def _place(rule: dict[str, object]) -> str:
    return f"{rule['path']}:{rule['line']}" if rule["path"] else "built in"
