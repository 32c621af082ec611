"""Asked from another process, in river's environment: at which labels do its detectors alarm.

Takes {"runs": ["0101...", ...]} on standard input, a loss a character, and prints {detector: [[index, ...], ...]}.
Must never import healerd.
"""

import json
import sys

from river import drift

DETECTORS = {
    "ADWIN": drift.ADWIN,
    "DDM": drift.binary.DDM,
    "EDDM": drift.binary.EDDM,
    "Page-Hinkley": drift.PageHinkley,
}


def alarms(name: str, losses: str) -> list[int]:
    """The labels at which a detector with its defaults alarms; each starts afresh by itself."""
    detector, found = DETECTORS[name](), []
    for at, loss in enumerate(losses):
        detector.update(int(loss))
        if detector.drift_detected:
            found.append(at)
    return found


asked = json.load(sys.stdin)
print(json.dumps({name: [alarms(name, one) for one in asked["runs"]] for name in DETECTORS}))
