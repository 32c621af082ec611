"""Keep what must outlive the process: one SQLite file, one writer, an audit leaf for each change. See the README.

Must never lose a commit, change a leaf, or make a new database over a damaged one.
"""

from healerd.store.journal import Store, Transaction
from healerd.store.read import Checked, Holding, Range, Reader, ReadStore
from healerd.store.tables import TABLES, Epoch, Saved, SavedProfile, SigningKey, Watermark

__all__ = [
    "TABLES",
    "Checked",
    "Epoch",
    "Holding",
    "Range",
    "ReadStore",
    "Reader",
    "Saved",
    "SavedProfile",
    "SigningKey",
    "Store",
    "Transaction",
    "Watermark",
]
