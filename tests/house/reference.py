"""Writes the references: `python -m tests.house.reference`.

That of the verbs goes into healerd/cli/README.md, that of the configuration (`configuration`) into
docs/configuration.md.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from healerd.cli.exits import Exit
from healerd.cli.group import SECTIONS, cli
from healerd.cli.options import json_option, place_options
from tests.house import configuration

README = Path(__file__).parents[2] / "healerd" / "cli" / "README.md"
BEGIN, END = "<!-- verbs: written by `python -m tests.house.reference` -->", "<!-- end of verbs -->"


def reference() -> str:
    """The reference as it should stand between the two marks."""
    return "\n".join([BEGIN, "", *_lines(), END])


def written() -> str:
    """The reference as it stands."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) : text.index(END) + len(END)]


def _lines() -> Iterator[str]:
    for section, verbs in SECTIONS.items():
        yield f"### {section}"
        yield ""
        for verb in verbs:
            command = cli.get_command(click.Context(cli, info_name="healerd"), verb)
            assert command is not None
            yield from _describe(f"healerd {verb}", command)


def _describe(words: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            assert each is not None
            yield from _describe(f"{words} {name}", each)
        return
    arguments = " ".join(each.make_metavar(click.Context(command)) for each in command.params if _is_argument(each))
    yield f"**`{f'{words} {arguments}'.strip()}`** — {command.help}"
    yield ""
    options = {option.opts[0]: option for option in command.params if isinstance(option, click.Option)}
    shared = [name for name, help_ in SHARED.items() if name in options and options[name].help == help_]
    yield from (
        f"- `{_spelling(option)}` {option.help}{_default(option)}"
        for name, option in options.items()
        if name not in shared
    )
    if shared:
        yield f"- {', '.join(f'`{name}`' for name in shared)} as above."
    yield ""


@place_options
@json_option
def _shared() -> None:
    """Takes the options that most verbs take."""


SHARED = {option.opts[0]: option.help for option in click.command(_shared).params if isinstance(option, click.Option)}
"""What the text above the reference explains once."""


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _spelling(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.make_metavar(click.Context(click.Command('x')))}"
    return " / ".join([*option.opts[:1], *option.secondary_opts]) + value


def _default(option: click.Option) -> str:
    return f" Default: `{option.default}`." if option.show_default else ""


def exit_codes() -> Iterator[str]:
    """The table of exit codes, one row each."""
    yield from (f"| {code.value} | {code.name.lower().replace('_', ' ')} |" for code in Exit)


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(text.replace(written(), reference()), encoding="utf-8")
    configuration.write()
