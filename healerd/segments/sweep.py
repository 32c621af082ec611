"""Remove the segment files that a crash left behind. Must never remove one that is on the manifest."""

from collections.abc import Collection
from pathlib import Path

__all__ = ["sweep"]


def sweep(folder: Path, known: Collection[str]) -> tuple[str, ...]:
    """Remove the files below `folder` that are on no manifest, as a crash leaves them; give their names.

    Only for the single writer, while it writes no segment.
    """
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix in {".parquet", ".part"})
    orphans = sorted(name for file in files if (name := str(file.relative_to(folder))) not in known)
    for name in orphans:
        (folder / name).unlink()
    return tuple(orphans)
