"""Where predictions and labels come from. Must never guess: what cannot be read is an error that says where and why.

`SOURCES` is the table of kinds; a new one is a file here and a line there. See the README.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from healerd.config import SourceSettings
from healerd.sources.file import TableFile, read_table
from healerd.sources.gateway import GatewaySource
from healerd.sources.memory import MemorySource
from healerd.sources.probe import Probe, probe
from healerd.sources.profiling import Part, fit_maps, parts_of, profile_parts
from healerd.sources.prometheus import Point, PrometheusSource
from healerd.sources.source import Lossy, Source
from healerd.sources.survey import Flaw, Survey, survey
from healerd.sources.table import TableSource

__all__ = [
    "SOURCES",
    "Flaw",
    "GatewaySource",
    "Lossy",
    "MemorySource",
    "Part",
    "Point",
    "Probe",
    "PrometheusSource",
    "Source",
    "Survey",
    "TableFile",
    "TableSource",
    "fit_maps",
    "parts_of",
    "probe",
    "profile_parts",
    "read_table",
    "survey",
]

SOURCES: Mapping[str, Callable[[SourceSettings, Path, Callable[[], str]], Source]] = {
    "table": TableSource,
    "duckdb": TableSource,
    "memory": MemorySource,
    "gateway": GatewaySource,
}
"""Kind -> how it is made: from its settings, the configuration's folder, and what tells the active version's name."""
