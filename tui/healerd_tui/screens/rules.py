"""The rules in force with how often each fired. Must never change a rule: `healerd rules check` and a reload do."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll

from healerd_tui.actions import by_id, command
from healerd_tui.filters import compile_filter
from healerd_tui.formats import ago, say_count
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import inert, show
from healerd_tui.places import Place
from healerd_tui.plots import sparkline
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import KeyLine, Painted
from healerd_tui.screens.whatif import WhatIfScreen
from healerd_tui.state import instant
from healerd_tui.whatif import numbers_of
from healerd_tui.widgets import Column, HealSource, Highlighted, Row, RowTable, Selected

__all__ = ["RulesScreen"]

COLUMNS = (
    Column("rule", "RULE", 20, flex=True),
    Column("kind", "KIND", 9),
    Column("allow", "ALLOW", 6, align="right"),
    Column("ask", "ASK", 5, align="right"),
    Column("block", "BLOCK", 6, align="right"),
    Column("propose", "PROP", 5, align="right"),
    Column("last", "LAST", 6, align="right"),
    Column("day", "24H", 8),
)
NARROW = (COLUMNS[0], COLUMNS[3], COLUMNS[4], COLUMNS[5], COLUMNS[6])
SHIPPED = "healerd_rules/packs/"
"""Where the paths of shipped packs begin."""


class RulesScreen(Frame):
    """Source at the left, counts at the right."""

    PLACES: ClassVar[tuple[str, ...]] = ("rules", "list")
    BINDINGS: ClassVar[list[Any]] = bindings("rules")
    TRAIL = "healerd rules"
    ABOUT = (
        "The rule files in force and what each rule said in the last days: ALLOW, ASK and BLOCK count verdicts, PROP "
        "proposals, LAST how long ago. A rule that never fired stands out. m changes to the next pipeline, enter "
        "shows the decisions, i tries another number in the rule on past decisions."
    )

    pipeline = ""
    view: Mapping[str, Any] | None = None
    _wanted = ""
    _shown: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        """Give the source, the table and the words below."""
        with Horizontal(id="sides"):
            with VerticalScroll(id="source-panel", classes="panel"):
                yield HealSource()
            with Vertical(id="rules-panel", classes="panel"):
                yield RowTable(COLUMNS, glyphs=self.glyphs)
                yield Painted(id="foot")
        yield Painted(id="because")

    @property
    def table(self) -> RowTable:
        """The table."""
        return self.query_one(RowTable)

    def fetch(self) -> None:
        """Read the rules of the pipeline."""
        names = list(self.state.pipelines)
        self.pipeline = self.pipeline if self.pipeline in names else next(iter(sorted(names)), "")
        if not self.pipeline:
            return
        access, name = self.ui.access, self.pipeline
        self.ui.fetch(lambda: access.rules(name), self._take, group="rules")

    def _take(self, view: Mapping[str, Any]) -> None:
        if not self.ready:
            return
        self.view = view
        rows = {rule["name"]: rule for rule in view["rules"]}
        self.table.drop([key for key in self._keys if key not in rows])
        self._keys = tuple(rows)
        self._put_rows()
        self.refresh_all()
        if self._wanted:
            self.find_rule(self._wanted)

    _keys: tuple[str, ...] = ()

    def _put_rows(self) -> None:
        assert self.view is not None
        self.table.put(self._row(rule) for rule in self.view["rules"])
        places = {rule["name"]: (rule["path"], rule["line"]) for rule in self.view["rules"]}
        self.table.order(lambda key: places.get(key, ("", 0)))
        self.table.keep(self._keeps)

    def refresh_body(self) -> None:
        """Say what is counted; without a view, ask for it as soon as a pipeline is known."""
        if self.view is None:
            if self.state.pipelines and not self.pipeline:
                self.fetch()
            return
        view = self.view
        dead = sum(_is_dead(rule) for rule in view["rules"])
        words = f" {view['pipeline']}, {say_count(view['decisions'])} decisions"
        words += f", {dead} {'rule' if dead == 1 else 'rules'} never fired" if dead else ""
        self.query_one("#foot", Painted).put([((show(words), "drift" if dead else "quiet"),)])
        self.query_one("#rules-panel").border_title = "what each said"
        self._show_rule(self._highlighted())

    def _row(self, rule: Mapping[str, Any]) -> Row:
        fired = rule["fired"]
        dead = _is_dead(rule)
        at = self.ui.daemon_now()
        last = "never" if not rule["last_at"] else ago((at - instant(rule["last_at"])).total_seconds()) if at else "-"
        ascii_only = self.glyphs is GlyphSet.ASCII
        cells = {
            "rule": (rule["name"], "drift" if dead else ""),
            "kind": (rule["kind"], "quiet"),
            "allow": _count(fired.get("allow")),
            "ask": _count(fired.get("ask")),
            "block": _count(fired.get("block"), "failed"),
            "propose": _count(fired.get("propose")),
            "last": (last, "quiet"),
            "day": (("! dead?" if ascii_only else "⚠ dead?"), "drift")
            if dead
            else (sparkline(rule["day"], width=8, glyphs=self.glyphs).plain, "plot-line")
            if any(rule["day"])
            else ("-", "quiet"),
        }
        return Row(rule["name"], tuple(cells[column.key] for column in self._columns()), "")

    def _columns(self) -> tuple[Column, ...]:
        return NARROW if (self.size.width or self.ui.size.width) < 100 else COLUMNS

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self.table.set_columns(self._columns())
        if self.view is not None:
            self._put_rows()
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the table."""
        self.table.focus()

    def _keeps(self, key: str) -> bool:
        rule = next((each for each in (self.view or {}).get("rules", ()) if each["name"] == key), None)
        fields = {} if rule is None else {"rule": rule["name"], "kind": rule["kind"], "because": rule["because"] or ""}
        return rule is not None and (not self.filter_text or compile_filter(self.filter_text)(fields))

    def apply_filter(self) -> None:
        """Keep what the filter asks for."""
        self.table.keep(self._keeps)

    # the highlighted rule

    def _highlighted(self) -> Mapping[str, Any] | None:
        row = self.table.highlighted
        rules = (self.view or {}).get("rules", ())
        return next((rule for rule in rules if row is not None and rule["name"] == row.key), None)

    def on_row_table_highlighted(self, event: Highlighted) -> None:
        """Show where the rule stands, and what can be done with it."""
        self._show_rule(self._highlighted())
        self.query_one(KeyLine).refresh()

    def _show_rule(self, rule: Mapping[str, Any] | None) -> None:
        if self.view is None or rule is None:
            return
        source = next((each for each in self.view["sources"] if each["path"] == rule["path"]), None)
        panel = self.query_one("#source-panel")
        if source is None:
            built_in = rule["kind"] == "built in"
            panel.border_title = "built in: no file can change it" if built_in else "no text of this rule was kept"
            self._shown = ()
            self.query_one(HealSource).show("")
        shown = (self.view["pipeline"], self.view["rules_id"], rule["path"], rule["name"])
        if source is not None and self._shown != shown:
            self._shown = shown
            marks = {each["line"]: "rule-line" for each in self.view["rules"] if each["path"] == rule["path"]}
            self.query_one(HealSource).show(source["text"], marks=marks, at=rule["line"])
            panel.border_title = inert(f"{source['path']}  {self.view['rules_id'][:8]}")
        because = rule["because"] or "no reason is given"
        actions = ", ".join(rule["actions"]) or "every action"
        words = f" {rule['name']} ({rule['kind']}, {actions}): {because}"
        self.query_one("#because", Painted).put([((show(words), ""),)])

    def find_rule(self, text: str) -> None:
        """Highlight the first rule whose name holds `text`."""
        self._wanted = text
        if self.view is None:
            return
        self._wanted = ""
        found = next((rule["name"] for rule in self.view["rules"] if text.lower() in rule["name"].lower()), None)
        if found is None:
            self.ui.say(f"no rule `{text}`")
        else:
            self.table.move_to_key(found)

    def names(self) -> dict[str, str]:
        """Name the rule and the pipeline."""
        rule = self._highlighted()
        found = {"pipeline": self.pipeline}
        return {**found, "rule": rule["name"], "id": rule["name"]} if rule else found

    def as_command(self) -> str:
        """Write it as a command."""
        return command(by_id("rules"), self.names())

    def on_row_table_selected(self, event: Selected) -> None:
        """Show the decisions of the rule."""
        self.do_rule_traces()

    def do_rule_traces(self) -> None:
        """Show the decisions of the pipeline in which the rule acted or proposed."""
        self.ui.visit(Place("traces", self.pipeline, keep=f"rule={self.names()['rule']}"))

    def do_what_if(self) -> None:
        """Try another number in the rule."""
        rule, source = self._highlighted(), self._own_source()
        assert self.view is not None
        assert rule is not None
        assert source is not None
        self.ui.push_screen(
            WhatIfScreen(pipeline=self.view["pipeline"], rules_id=self.view["rules_id"], source=source, rule=rule)
        )

    def _own_source(self) -> Mapping[str, str] | None:
        """The file in which the highlighted rule stands, if it is one that can be edited."""
        rule = self._highlighted()
        if self.view is None or rule is None or rule["path"].startswith(SHIPPED):
            return None
        return next((each for each in self.view["sources"] if each["path"] == rule["path"]), None)

    def can(self) -> Iterable[str]:
        """Say whether the rule has a number to try."""
        rule, source = self._highlighted(), self._own_source()
        if rule is not None and source is not None and numbers_of(source["text"], int(rule["line"])):
            yield "number"

    def taken(self) -> Mapping[str, str]:
        """Say why there is no number to try."""
        if self._own_source() is None:
            return {"number": "the text ships with healerd, or was not kept: only rules of your own can be edited"}
        return {"number": "this rule has no number"}

    def do_other_pipeline(self) -> None:
        """Show the rules of the next pipeline."""
        names = sorted(self.state.pipelines)
        if len(names) < 2:
            self.ui.say("there is no other pipeline")
            return
        self.pipeline = names[(names.index(self.pipeline) + 1) % len(names)] if self.pipeline in names else names[0]
        self.fetch()


def _is_dead(rule: Mapping[str, Any]) -> bool:
    return not any(rule["fired"].values())


def _count(count: int | None, role: str = "") -> tuple[str, str]:
    return (say_count(count), role) if count else ("-", "quiet")
