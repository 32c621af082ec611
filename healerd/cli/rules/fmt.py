"""`healerd rules fmt`: rule files in the one style. Must never leave a file half written, or change what it means."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import default_config, json_option
from healerd.cli.rules.load import config_option, files_argument, is_pack
from healerd.cli.show import Show
from healerd.config import load_config
from healerd.errors import RulesError
from healerd_rules import Diagnostic, pack_file, render
from healerd_rules.formatting import format_text
from healerd_rules.source import Findings, Source
from healerd_rules.sources import MAX_BYTES, read_bounded
from healerd_rules.syntax import parse

__all__ = ["fmt"]

STDIN = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A rule text before and after, and what is wrong with it."""

    path: Path
    before: str
    after: str
    findings: tuple[Diagnostic, ...]

    @property
    def changed(self) -> bool:
        """Tell whether the style asks for anything."""
        return self.before != self.after


@click.command(
    help="Put rule files [default: those of the configuration] into the one style; `-` reads stdin and writes stdout. "
    "A statement that does not parse stays as it is, and so does a shipped pack."
)
@files_argument
@config_option
@click.option("--check", is_flag=True, help="Write nothing; name the files that are not in the style, and end with 7.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@json_option
def fmt(files: tuple[Path, ...], config: Path | None, check: bool, diff: bool, as_json: bool) -> int:
    """Rewrite, compare or name the files; ends with 7 when one does not parse, or does not pass --check."""
    show, code, views = Show(as_json=as_json), Exit.OK, []
    for path in files or _configured(config):
        try:
            text = _read(path)
            if text.changed and path != STDIN and not (check or diff or is_pack(path)):
                _replace(path, text.after)
        except RulesError as error:
            show.note(f"healerd: {error}")
            code = Exit.CHECK_FAILED
            continue
        if text.findings or (check and text.changed):
            code = Exit.CHECK_FAILED
        views.append(_view(text))
        if not as_json:
            _answer(text, show, check=check, diff=diff)
    if as_json:
        show.json({"files": views})
    return code


def _view(text: Text) -> Mapping[str, Any]:
    return {
        "path": str(text.path),
        "changed": text.changed,
        "diff": "".join(_diff(text)),
        "findings": [finding.to_json() for finding in text.findings],
    }


def _answer(text: Text, show: Show, *, check: bool, diff: bool) -> None:
    if text.findings:
        show.note(render(text.findings, {str(text.path): Source.of("", text.before).text}))
    if diff:
        click.echo("".join(_diff(text)), nl=False)
    elif check and text.changed:
        show.text(str(text.path))
    elif text.path == STDIN and not check:
        click.echo(text.after, nl=False)
    elif text.changed:
        show.note(f"formatted {text.path}")


def _configured(config: Path | None) -> Sequence[Path]:
    settings = load_config(config or default_config())
    return list(dict.fromkeys(settings.path(file) for each in settings.pipeline.values() for file in each.rules))


def _read(path: Path) -> Text:
    """Read and format one file. Raises RulesError when it is no text, or cannot be read."""
    try:
        place = pack_file(str(path)) if is_pack(path) else path
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if path == STDIN else read_bounded(place)
        if content is None or len(content) > MAX_BYTES:
            raise RulesError(f"`{path}` is larger than a rule text may be: split it and import the parts")
        before = content.decode("utf-8")
    except OSError as error:
        raise RulesError(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise RulesError(f"`{path}` is not UTF-8 text: byte {error.start}") from error
    source = Source.of(str(path), before)
    findings = Findings(source)
    parse(source, findings)
    return Text(path=path, before=before, after=format_text(before).text, findings=tuple(findings.found))


def _diff(text: Text) -> Iterator[str]:
    for line in unified_diff(_lines(text.before), _lines(text.after), str(text.path), f"{text.path} (formatted)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split at line feeds alone: what else a comment may hold ends no line."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + [last] * bool(last)


def _replace(path: Path, text: str) -> None:
    """Write a file anew with the mode, and for root the owner, it had: readers see the old text or the new one.

    Raises RulesError.
    """
    target = path.resolve()
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            was = target.stat()
            if os.geteuid() == 0:
                os.chown(draft, was.st_uid, was.st_gid)
            Path(draft).chmod(was.st_mode & 0o7777)
            Path(draft).replace(target)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise RulesError(f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error
