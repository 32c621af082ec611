"""Plots of the terminal UI: numbers in, a `Picture` of exactly the asked width and height out.

Pure; must never raise on a missing, infinite or huge number, and never say with colour alone what is meant.
"""

from healerd_tui.plots.bars import countdown_bar, gate_bar, interval_bar, meter, say_gate, sparkline
from healerd_tui.plots.lines import Band, Level, Mark, line_plot
from healerd_tui.plots.picture import Canvas, Picture, Span
from healerd_tui.plots.shares import categories, cumulate, ecdf_plot, histogram, largest_gap

__all__ = [
    "Band",
    "Canvas",
    "Level",
    "Mark",
    "Picture",
    "Span",
    "categories",
    "countdown_bar",
    "cumulate",
    "ecdf_plot",
    "gate_bar",
    "histogram",
    "interval_bar",
    "largest_gap",
    "line_plot",
    "meter",
    "say_gate",
    "sparkline",
]
