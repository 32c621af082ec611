"""The language server, asked by a real client over stdin and stdout, as an editor asks."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from healerd_rules.sources import PACKS

ROOT = Path(__file__).parents[3]
SERVER = (sys.executable, "-m", "healerd", "rules", "lsp", "--stdio")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "rules", "tui"))}
GUARD_S = 60.0
"""Only so that a server that hangs ends the test."""


class Editor:
    """A client with one folder, and the findings that were sent to it."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.sent: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.version = 0

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(uri=self.uri(name))

    def open(self, name: str, text: str) -> None:
        item = types.TextDocumentItem(uri=self.uri(name), language_id="heal", version=0, text=text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))

    def change(self, name: str, text: str, place: types.Range | None = None) -> None:
        self.version += 1
        change = (
            types.TextDocumentContentChangeWholeDocument(text=text)
            if place is None
            else types.TextDocumentContentChangePartial(range=place, text=text)
        )
        document = types.VersionedTextDocumentIdentifier(uri=self.uri(name), version=self.version)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(text_document=document, content_changes=[change])
        )

    async def findings(self, name: str) -> list[tuple[Any, ...]]:
        """The next findings about a file: code, line, columns."""
        while True:
            sent = await self.sent.get()
            if sent.uri == self.uri(name):
                return [
                    (one.code, one.range.start.line, one.range.start.character, one.range.end.character)
                    for one in sent.diagnostics
                ]


def span(line: int, start: int, end: int) -> types.Range:
    return types.Range(start=types.Position(line, start), end=types.Position(line, end))


def session(folder: Path, talk: Callable[[Editor], Awaitable[None]]) -> int:
    """Start the server, talk to it, shut it down; gives its exit code."""

    async def run() -> int:
        client = LanguageClient("test", "1")
        editor = Editor(client, folder)

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def told(params: types.PublishDiagnosticsParams) -> None:
            editor.sent.put_nowait(params)

        await client.start_io(*SERVER, env=ENVIRONMENT, cwd=folder)
        process = client._server
        assert process is not None
        await client.initialize_async(types.InitializeParams(capabilities=types.ClientCapabilities()))
        client.initialized(types.InitializedParams())
        await talk(editor)
        await client.shutdown_async(None)
        client.exit(None)
        code = await process.wait()
        await client.stop()
        return code

    return asyncio.run(asyncio.wait_for(run(), GUARD_S))


def test_a_session_with_an_editor(tmp_path: Path) -> None:
    """An editor opens a broken file, mends it, asks about its words, formats it and goes; the server ends with 0."""
    text = '# 😀\nsignal few = rows < 500 because "😀" \nforbid  f: retrain when few and nosuch > 5\n'

    async def talk(editor: Editor) -> None:
        client, document = editor.client, editor.document("a.heal")
        editor.open("a.heal", text)
        assert await editor.findings("a.heal") == [("unknown-name", 2, 32, 38)]
        editor.change("a.heal", "rows", span(2, 32, 38))
        assert await editor.findings("a.heal") == []

        at = types.Position(2, 34)
        hover = await client.text_document_hover_async(types.HoverParams(text_document=document, position=at))
        assert hover is not None
        assert isinstance(hover.contents, types.MarkupContent)
        assert hover.contents.value.startswith("`rows`: count\n\n")
        assert hover.range == span(2, 32, 36)

        asked = types.CompletionParams(text_document=document, position=types.Position(2, 34))
        offered = await client.text_document_completion_async(asked)
        assert isinstance(offered, types.CompletionList)
        item = next(one for one in offered.items if one.label == "error_rate")
        assert isinstance(item.text_edit, types.TextEdit)
        assert item.text_edit.range == span(2, 32, 34)

        where = types.DefinitionParams(text_document=document, position=types.Position(2, 25))
        found = await client.text_document_definition_async(where)
        assert found == types.Location(uri=document.uri, range=span(1, 7, 10))
        where = types.DefinitionParams(text_document=document, position=types.Position(2, 13))
        found = await client.text_document_definition_async(where)
        assert isinstance(found, types.Location)
        assert found.uri == (PACKS / "base.heal").as_uri()

        symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text_document=document))
        assert symbols is not None
        assert [one.name for one in symbols] == ["few", "f"]

        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        edits = await client.text_document_formatting_async(
            types.DocumentFormattingParams(text_document=document, options=options)
        )
        assert edits is not None
        assert [edit.new_text for edit in edits] == [
            '# 😀\nsignal few = rows < 500\n  because "😀"\nforbid f: retrain\n  when few and rows > 5\n'
        ]
        editor.change("a.heal", edits[0].new_text, edits[0].range)
        assert await editor.findings("a.heal") == []
        again = types.DocumentFormattingParams(text_document=document, options=options)
        assert not await client.text_document_formatting_async(again)

    assert session(tmp_path, talk) == 0


def test_columns_count_utf16_units(tmp_path: Path) -> None:
    """After a character outside the basic plane, columns and edits count two units for it, as the protocol says."""
    line = 'forbid f: retrain when incident_kind == "😀" and nosuch > 5'

    async def talk(editor: Editor) -> None:
        editor.open("a.heal", line)
        start = line.index("nosuch") + 1
        assert await editor.findings("a.heal") == [("unknown-name", 0, start, start + 6)]
        editor.change("a.heal", "rows", span(0, start, start + 6))
        assert await editor.findings("a.heal") == []

    assert session(tmp_path, talk) == 0


def test_a_change_reaches_the_files_that_import_it(tmp_path: Path) -> None:
    """What is typed into an imported file is seen in the file that imports it, before it is saved."""
    (tmp_path / "lib.heal").write_text("let few = rows < 5\n")

    async def talk(editor: Editor) -> None:
        editor.open("a.heal", 'import "lib"\nforbid f: retrain when few\n')
        assert await editor.findings("a.heal") == []
        editor.open("lib.heal", "let few = rows < 5\n")
        assert await editor.findings("a.heal") == []
        editor.change("lib.heal", "let other = rows < 5\n")
        assert await editor.findings("a.heal") == [("unknown-name", 1, 23, 26)]
        editor.change("lib.heal", "let few = nosuch < 5\n")
        assert ("import", 0, 0, 0) in await editor.findings("a.heal")
        editor.change("lib.heal", "let few = rows < ")
        editor.change("lib.heal", "let few = rows < 6\n")
        while await editor.findings("a.heal"):  # what stood between two keystrokes may be told, or not
            pass
        client = editor.client
        client.text_document_did_save(types.DidSaveTextDocumentParams(text_document=editor.document("lib.heal")))
        assert await editor.findings("lib.heal") == []
        client.text_document_did_close(types.DidCloseTextDocumentParams(text_document=editor.document("lib.heal")))

    assert session(tmp_path, talk) == 0


def test_what_was_never_saved_is_forgotten_when_it_is_closed(tmp_path: Path) -> None:
    """A text that is opened in the place of a missing import is seen by its importer, until it is closed."""

    async def talk(editor: Editor) -> None:
        editor.open("a.heal", 'import "lib"\nforbid f: retrain when few\n')
        assert [found[0] for found in await editor.findings("a.heal")] == ["import"]
        editor.open("lib.heal", "let few = rows < 5\n")
        assert await editor.findings("a.heal") == []
        client = editor.client
        client.text_document_did_close(types.DidCloseTextDocumentParams(text_document=editor.document("lib.heal")))
        assert [found[0] for found in await editor.findings("a.heal")] == ["import"]

    assert session(tmp_path, talk) == 0


def test_without_pygls_it_says_what_to_install(tmp_path: Path) -> None:
    """Where pygls is missing the verb ends with 1 and names the extra; no other verb needs it."""
    (tmp_path / "pygls").mkdir()
    hidden = "import sys; sys.modules['pygls'] = None; from healerd.cli.group import invoke; sys.exit(invoke({}))"
    done = subprocess.run(
        [sys.executable, "-c", hidden.format(["rules", "lsp"])],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'healerd: the language server needs pygls: run `pip install "healerd[lsp]"`\n'


def test_an_editor_that_vanishes_ends_the_server(tmp_path: Path) -> None:
    """When stdin closes, the server ends by itself."""
    done = subprocess.run(SERVER, env=ENVIRONMENT, input=b"", capture_output=True, check=False, timeout=GUARD_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
