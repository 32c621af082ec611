"""Run every bench of this folder, or those named: `python -m experiments.bench [NAME ...]`.

A bench is a module with a `main()` that prints JSON lines and returns whether its claims held.
"""

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import experiments.bench as folder


def main(names: Sequence[str]) -> int:
    """Run the named benches, all when none is named; 1 if a claim did not hold, 2 if a name is unknown."""
    known = sorted(one.name for one in pkgutil.iter_modules(folder.__path__) if one.name != "__main__")
    if unknown := [name for name in names if name not in known]:
        print(f"no bench `{unknown[0]}`; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    held = [importlib.import_module(f"experiments.bench.{name}").main() for name in names or known]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
