"""Measure what the detectors promise: run length, delay, limits, and the alarms that usual rules raise instead.

    python -m experiments.detection [--quick] [--seed S] [--json] [PART ...]

Prints one Markdown table a part, all seeded: run_length, delay, limit, few_windows, features, labels. `--quick` takes
seconds. The last part asks river in an environment of its own, and says so where it cannot be had. Must never write a
file.
"""

import argparse
import json
import sys

from experiments.detection.looking import FULL, QUICK, Table
from experiments.detection.promises import delay, few_windows, limit, run_length
from experiments.detection.rules import features, labels

PARTS = {
    "run_length": run_length,
    "delay": delay,
    "limit": limit,
    "few_windows": few_windows,
    "features": features,
    "labels": labels,
}


def main() -> int:
    """Run the parts asked for, all when none is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of Markdown")
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in PARTS]:
        parser.error(f"no part `{unknown[0]}`; there are: {', '.join(PARTS)}")
    found = {}
    for name in asked.parts or PARTS:
        found[name] = PARTS[name](QUICK if asked.quick else FULL, asked.seed)
        if not asked.json:
            print(f"## {(PARTS[name].__doc__ or '').splitlines()[0]}\n\n{markdown(found[name])}\n", flush=True)
    if asked.json:
        print(json.dumps(found))
    return 0


def markdown(rows: Table) -> str:
    """A table with a line a row; its columns are the keys of the first."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_said(row.get(head)) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
