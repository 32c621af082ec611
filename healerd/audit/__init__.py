"""Make the record of what happened tamper-evident: canonical bytes, hashes, and the check of a whole log.

Must never read or write anything: leaves come in as values, and a report goes out. See the README beside this.
"""

from healerd.audit.canonical import canonical, stamp
from healerd.audit.leaves import EMPTY, Entry, Leaf, entry_of, leaf_hash, link, make_leaf
from healerd.audit.verify import AuditReport, Row, replay, verify_leaves

__all__ = [
    "EMPTY",
    "AuditReport",
    "Entry",
    "Leaf",
    "Row",
    "canonical",
    "entry_of",
    "leaf_hash",
    "link",
    "make_leaf",
    "replay",
    "stamp",
    "verify_leaves",
]
