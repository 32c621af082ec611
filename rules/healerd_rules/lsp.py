"""The language server: what editors ask about rule files, over the Language Server Protocol.

It never answers by itself, `lookup`, `completion` and `formatting` do; it never writes a file. Needs pygls, the extra
`lsp`, and is imported only when a server is wanted. An edit costs the statements it touches: `syntax` keeps the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from healerd_rules.completion import complete
from healerd_rules.diagnostics import Diagnostic, Severity
from healerd_rules.formatting import format_text
from healerd_rules.loading import Inspected, inspect
from healerd_rules.lookup import Symbol, define, meaning, outline
from healerd_rules.positions import edited, offset_at, position_at
from healerd_rules.schema import Schema
from healerd_rules.source import Source
from healerd_rules.sources import absolute, file_of
from healerd_rules.tree import Span

__all__ = ["make_server", "serve"]

SYMBOLS = {
    "const": types.SymbolKind.Constant,
    "metric": types.SymbolKind.Field,
    "dimension": types.SymbolKind.Enum,
    "action": types.SymbolKind.Method,
    "calendar": types.SymbolKind.Object,
    "scope": types.SymbolKind.Namespace,
    "let": types.SymbolKind.Variable,
    "signal": types.SymbolKind.Event,
    "pack": types.SymbolKind.Package,
    "invariant": types.SymbolKind.Interface,
    "test": types.SymbolKind.Struct,
}
ITEMS = {
    "fact": types.CompletionItemKind.Field,
    "action": types.CompletionItemKind.Method,
    "function": types.CompletionItemKind.Function,
    "alarm": types.CompletionItemKind.Event,
    "signal": types.CompletionItemKind.Event,
    "let": types.CompletionItemKind.Variable,
    "const": types.CompletionItemKind.Constant,
    "builtin": types.CompletionItemKind.Variable,
    "unit": types.CompletionItemKind.Unit,
    "type": types.CompletionItemKind.TypeParameter,
    "file": types.CompletionItemKind.File,
    "statement": types.CompletionItemKind.Keyword,
    "keyword": types.CompletionItemKind.Keyword,
}


Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds, on the server's own thread: a clock, which the language does not have."""
PAUSE_S = 0.1
"""Findings wait for a pause in typing of this length: nobody reads them sooner, and a long file takes a while."""


def serve(schema: Schema, *, stdin: BinaryIO, stdout: BinaryIO, later: Later | None = None) -> None:
    """Answer an editor until it says so or goes away; facts and actions are those of the schema.

    Without `later`, findings are told at every keystroke.
    """
    make_server(schema, later).start_io(stdin, stdout)


@dataclass(slots=True)
class _Desk:
    """The texts that are open in the editor, by their URIs, and what is known of each."""

    schema: Schema
    open: dict[str, Source] = field(default_factory=dict)
    known: dict[str, Inspected] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)

    def put(self, uri: str, source: Source) -> list[str]:
        """Take a text in; gives the open texts whose findings it may change, itself included."""
        self.open[uri] = source
        users = self._users(uri, source)
        self.stale.update((uri, *users))
        return [uri, *users]

    def drop(self, uri: str) -> list[str]:
        """Forget a text that was closed; gives the open texts that now read the file in its place."""
        source = self.open.pop(uri, None)
        self.known.pop(uri, None)
        users = [] if source is None else self._users(uri, source)
        self.stale.update(users)
        return users

    def _users(self, uri: str, source: Source) -> list[str]:
        path = absolute(Path(source.path))
        return [other for other, found in self.known.items() if other != uri and _uses(found, path)]

    def look(self, uri: str) -> Inspected:
        """What is known of an open text."""
        if uri not in self.known or uri in self.stale:
            drafts = {str(absolute(Path(source.path))): source.text for source in self.open.values()}
            source = self.open[uri]
            self.known[uri] = inspect(source.text, name=source.path, schema=self.schema, drafts=drafts)
            self.stale.discard(uri)
        return self.known[uri]


def _uses(found: Inspected, path: Path) -> bool:
    """Whether a text stands on the file, or on one that could not be found and may be this one."""
    missing = any(not place for _, _, place in found.loaded.trail.imports)
    return missing or any(absolute(file_of(module)) == path for module in found.loaded.modules)


def make_server(schema: Schema, later: Later | None = None) -> LanguageServer:
    """A server that has not started."""
    server = LanguageServer("healerd-rules", "1", text_document_sync_kind=types.TextDocumentSyncKind.Incremental)
    desk = _Desk(schema)
    _add_sync(server, desk, later or (lambda _pause_s, call: call()))
    _add_questions(server, desk)
    _add_formatting(server, desk)
    return server


def _encoding(server: LanguageServer) -> str:
    """How the editor counts characters, as agreed at the start."""
    agreed = server.server_capabilities.position_encoding or types.PositionEncodingKind.Utf16
    return str(getattr(agreed, "value", agreed))


def _add_sync(server: LanguageServer, desk: _Desk, later: Later) -> None:
    """Keep the texts as the editor has them, and tell what is wrong with them at every change."""

    def take(uri: str, source: Source) -> None:
        tell(source, desk.put(uri, source))

    def tell(source: Source, uris: list[str]) -> None:
        """Tell the findings, unless the text that they come from has changed meanwhile."""
        if desk.open.get(uris[0]) is source:
            for uri in uris:
                _publish(server, desk, uri)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        take(document.uri, Source.of(to_fs_path(document.uri) or document.uri, document.text))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        source = desk.open[uri]
        for change in params.content_changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = change.range.start, change.range.end
                places = (start.line, start.character), (end.line, end.character)
                source = edited(source, *places, change.text, _encoding(server))
            else:
                source = Source.of(source.path, change.text)
        uris = desk.put(uri, source)
        later(PAUSE_S, lambda: tell(source, uris))

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        take(params.text_document.uri, desk.open[params.text_document.uri])

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        users = desk.drop(params.text_document.uri)
        _send(server, params.text_document.uri, [])
        for uri in users:
            _publish(server, desk, uri)


def _publish(server: LanguageServer, desk: _Desk, uri: str) -> None:
    if uri not in desk.open:
        return
    found = desk.look(uri)
    own = found.module.source
    findings = [_finding(own, one, _encoding(server)) for one in found.loaded.diagnostics if one.path == own.path]
    _send(server, uri, [*findings, *_imported_faults(found, _encoding(server))])


def _send(server: LanguageServer, uri: str, findings: list[types.Diagnostic]) -> None:
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=uri, diagnostics=findings))


def _finding(source: Source, found: Diagnostic, encoding: str) -> types.Diagnostic:
    start = source.line_starts[found.line - 1]
    return types.Diagnostic(
        range=_range(source, Span(start + found.column - 1, start + found.end - 1), encoding),
        message=f"{found.message}\n{found.help}" if found.help else found.message,
        severity=_severity(found.severity),
        code=found.code,
        source="healerd",
    )


def _severity(severity: Severity) -> types.DiagnosticSeverity:
    error = severity is Severity.ERROR
    return types.DiagnosticSeverity.Error if error else types.DiagnosticSeverity.Warning


def _imported_faults(found: Inspected, encoding: str) -> Iterator[types.Diagnostic]:
    """One finding at the top for each other file with an error: this file does not load either."""
    for path in dict.fromkeys(one.path for one in found.loaded.errors if one.path != found.module.source.path):
        first = next(one for one in found.loaded.errors if one.path == path)
        yield types.Diagnostic(
            range=_range(found.module.source, Span(0, 0), encoding),
            message=f"an imported file has errors: {path}:{first.line}: {first.message}",
            severity=types.DiagnosticSeverity.Error,
            code="import",
            source="healerd",
        )


def _range(source: Source, span: Span, encoding: str) -> types.Range:
    start, end = position_at(source, span.start, encoding), position_at(source, span.end, encoding)
    return types.Range(start=types.Position(*start), end=types.Position(*end))


def _add_questions(server: LanguageServer, desk: _Desk) -> None:
    """Answer what a word means, where it is defined, what may stand here, and what the text defines."""

    def at(document: types.TextDocumentIdentifier, position: types.Position) -> tuple[Inspected, int]:
        found = desk.look(document.uri)
        place = (position.line, position.character)
        return found, offset_at(found.module.source, place, _encoding(server))

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        found, offset = at(params.text_document, params.position)
        said = meaning(found, offset)
        if said is None:
            return None
        content = types.MarkupContent(kind=types.MarkupKind.Markdown, value=said.text)
        return types.Hover(contents=content, range=_range(found.module.source, said.span, _encoding(server)))

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> types.Location | None:
        target = define(*at(params.text_document, params.position))
        if target is None:
            return None
        uri = str(from_fs_path(str(absolute(Path(target.path)))))
        if absolute(Path(target.path)) == absolute(Path(desk.open[params.text_document.uri].path)):
            uri = params.text_document.uri
        return types.Location(uri=uri, range=_range(target.source, target.span, _encoding(server)))

    options = types.CompletionOptions(trigger_characters=[" ", "(", '"', "@", ".", ":"])

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, options)
    def completion(params: types.CompletionParams) -> types.CompletionList:
        found, offset = at(params.text_document, params.position)
        source, encoding = found.module.source, _encoding(server)
        items = [
            types.CompletionItem(
                label=one.label,
                kind=ITEMS.get(one.kind, types.CompletionItemKind.Value),
                detail=one.detail or None,
                text_edit=types.TextEdit(range=_range(source, Span(one.start, offset), encoding), new_text=one.label),
            )
            for one in complete(found, offset)
        ]
        return types.CompletionList(is_incomplete=False, items=items)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        module = desk.look(params.text_document.uri).module
        return [_symbol(module.source, one, _encoding(server)) for one in outline(module)]


def _symbol(source: Source, symbol: Symbol, encoding: str) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=symbol.name,
        detail=symbol.kind,
        kind=SYMBOLS.get(symbol.kind, types.SymbolKind.Function),
        range=_range(source, symbol.span, encoding),
        selection_range=_range(source, symbol.name_span, encoding),
    )


def _add_formatting(server: LanguageServer, desk: _Desk) -> None:
    """Put a text into the one style; the editor applies and saves it."""

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        source = desk.open[params.text_document.uri]
        text = format_text(source.text).text
        whole = Span(0, len(source.text))
        if text == source.text:
            return []
        return [types.TextEdit(range=_range(source, whole, _encoding(server)), new_text=text)]
