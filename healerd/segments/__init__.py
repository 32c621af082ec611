"""Raw predictions and labels as Parquet files: write, read, sweep.

Must never decide which of them count: the manifest does.

This face stays light, so that a reader of records loads neither numpy nor DuckDB; the files themselves are handled
in `write`, `read` and `spool`.
"""

from healerd.segments.manifest import FOLDER, ColumnSpec, Content, Segment

__all__ = ["FOLDER", "ColumnSpec", "Content", "Segment"]
