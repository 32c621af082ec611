"""The ablation: rules, policy and the gate between them, each left out in turn, in a closed loop of the product's code.

    python -m experiments.ablation [--quick] [--seed N] [--jobs N] [--scheduler ADDRESS] [--sites N] [--kept FILE]
        [--results DIR]

Declared before any run:

- A site is one learner run: a model, a truth, costs of its own. All systems meet the same scenarios of a site in the
  same order; only what the pipeline's log remembers is carried from one to the next. Eleven kinds of fault, dealt
  equally often. A simulated operator approves what asks, and trusts the pipeline (stage live) at each beginning.
- Costs, in one unit of money. Actions: drawn for each site, lognormal, with medians 60 (a training, promoted or not), 4
  (a rollback), 10 (a fallback) and log-sd .7, .5, .5. A served window: `degraded` (median 60, log-sd .7) times how far
  its expected error has risen above the site's usual one: nothing up to 2 points, the full price from 22 points on.
  Questions to people cost nothing and are counted.
- A scenario fails if its incident is not resolved (the expected error of the last 4 windows is in the mean more than 5
  points above the usual), or if harm was done (in 2 windows or more it is 5 points above what no action would serve).
- The unit of the intervals is the site, 40 of them; n = 1,400 paired scenarios for the six systems that are compared,
  the first 5 of each site, the brief's 200, for the others. Percentile bootstrap over sites, 95%.
- Shadow logs: 12 earlier scenarios of the same site, on which people tried retraining, rollback and fallback in turn.
- Tuned rules: the pack `default`; its wait between two fits is the best of 3, 5 and 8 windows on three sites apart.
- The bars are those of `statistics.BARS`. What is not met is printed.

Must never change what it runs: systems differ by rule file, policy, prior and lessons alone.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from experiments.ablation.figures import draw
from experiments.ablation.report import as_json, as_text, verdicts
from experiments.ablation.running import FULL, QUICK, run
from healerd.config import WorkersSettings
from healerd.workers import crew_of

SEED = 2
"""Sites of seed 1 were looked at while a lesson's definition was mended; the declared run is on others."""
RESULTS = Path(__file__).parents[1] / "results"


def main() -> int:
    """Run what is asked for, and write it down unless it is the quick form."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two sites in seconds; writes nothing unless told where")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=1, help="processes; each plays whole sites")
    parser.add_argument("--scheduler", help="a Dask cluster to play them on, such as tcp://10.0.0.5:8786")
    parser.add_argument("--sites", type=int, help="only the first so many sites: a preview, and marked so")
    parser.add_argument("--kept", type=Path, help="file of finished sites, a line each: a run broken off goes on there")
    parser.add_argument("--results", type=Path, help="folder to write tables and figures to")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    if asked.sites is not None:
        size = replace(size, sites=asked.sites)
    results = asked.results or (None if asked.quick else RESULTS)
    crew = crew_of(WorkersSettings(processes=asked.jobs, scheduler=asked.scheduler))
    runs = run(size, seed=asked.seed, kept=asked.kept, tell=_tell, crew=crew)
    text = as_text(runs, size, seed=asked.seed, declared=declared())
    print(text)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        (results / "ablation.md").write_text(text, encoding="utf-8")
        told = json.dumps(as_json(runs, size, seed=asked.seed), indent=1)
        (results / "ablation.json").write_text(told + "\n", encoding="utf-8")
        for path in draw(runs, results):
            _tell(f"drawn: {path.name}")
    for line in verdicts(runs):
        _tell(line)
    return 0


def declared() -> str:
    """Give what this module declares before a run, as it stands in its docstring."""
    lines = (__doc__ or "").split("Declared before any run:")[1].split("Must never")[0]
    return lines.strip()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
