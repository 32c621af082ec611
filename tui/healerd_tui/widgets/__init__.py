"""Widgets of the terminal UI that know nothing of healerd's records: lists, plots, countdown, badges, source, keys.

Must never talk to the daemon, and never take an answer for granted: they post what a person asked for.
"""

from healerd_tui.widgets.layout import Cell, Column, Row
from healerd_tui.widgets.painted import Badge, Countdown, KeyHelp, KeyLines, Plot
from healerd_tui.widgets.rows import RowList, Source, source_of
from healerd_tui.widgets.source import HealSource
from healerd_tui.widgets.table import RowTable
from healerd_tui.widgets.view import Highlighted, Marked, Selected, SortAsked

__all__ = [
    "Badge",
    "Cell",
    "Column",
    "Countdown",
    "HealSource",
    "Highlighted",
    "KeyHelp",
    "KeyLines",
    "Marked",
    "Plot",
    "Row",
    "RowList",
    "RowTable",
    "Selected",
    "SortAsked",
    "Source",
    "source_of",
]
