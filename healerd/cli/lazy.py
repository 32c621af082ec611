"""A group of verbs that are imported only when they are called. Must never import a verb to list the verbs."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

__all__ = ["LazyGroup", "Sections"]

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""Section -> verb -> (module:function, short help); a test compares the short helps with those of the verbs."""


class LazyGroup(click.Group):
    """A group whose table says where each command is; `package` is where its modules lie."""

    def __init__(self, *args: Any, sections: Sections, package: str, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.sections, self.package = sections, package
        self.verbs = {verb: row for rows in sections.values() for verb, row in rows.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every verb, in the order of the table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one verb that is wanted."""
        if cmd_name not in self.verbs:
            return None
        module, _, function = self.verbs[cmd_name][0].partition(":")
        command = getattr(import_module(f"{self.package}.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or end with the nearest one."""
        if not args[0].startswith("-") and args[0] not in self.verbs:
            near = get_close_matches(args[0], self.verbs, n=1)
            help_ = f"did you mean `{near[0]}`?" if near else f"`{ctx.command_path} --help` lists them"
            raise click.UsageError(f"no verb `{args[0]}`; {help_}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table, section by section."""
        for section, rows in self.sections.items():
            with formatter.section(section):
                formatter.write_dl([(verb, short_help) for verb, (_, short_help) in rows.items()])
