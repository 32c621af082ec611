"""Whether the engines of the rule language agree, on many generated rule sets with missing data.

    python -m experiments.agreement [--decisions N] [--seed S]

A decision is one pass of the verdict on one action, asked of the tree walker, the generated function, the columns and
the oracle; which rules act, the veto windows, the approvals, the signals, the order of the proposals and the
notifications are compared too. Prints one JSON object; exit 1 on any disagreement.
"""

import argparse
import json
import sys
from collections import Counter

from tests.rules.engines import STORIES, differences, draw
from tests.rules.wide import ACTIONS

SHOWN = 5
PER_SET = STORIES * len(ACTIONS) * 2


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = run(decisions=asked.decisions, seed=asked.seed)
    print(json.dumps(found))
    return 1 if found["disagreements"] else 0


def run(*, decisions: int, seed: int) -> dict[str, object]:
    """Compare until so many decisions were made; the rule sets of one seed are the same in every run."""
    counted: Counter[str] = Counter()
    shown: list[str] = []
    for number in range(-(-decisions // PER_SET)):
        rules, stories = draw(seed * 1_000_000 + number)
        found = list(differences(rules, stories))
        counted.update(rule_sets=1, rules=len(rules.rules), decisions=PER_SET, disagreements=len(found))
        shown += [f"seed {seed * 1_000_000 + number}: {line}" for line in found][: SHOWN - len(shown)]
        if number % 50 == 49:
            print(dict(counted), file=sys.stderr, flush=True)
    return {"engines": ["walker", "scalar", "columns", "oracle"], **counted, "seed": seed, "shown": shown}


if __name__ == "__main__":
    sys.exit(main())
