"""Run every experiment of this folder, keep tables and figures, and write the page that says what is claimed.

    python -m experiments.run_all [--quick] [--only NAME ...] [--seed S] [--out DIR] [--list]

Results go to experiments/results, those of `--quick` to experiments/results/quick, which is not kept. One that fails
does not stop the others; the exit code is 1 then. Must never let a failure look like a result.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.report import write_report

__all__ = ["EXPERIMENTS", "Experiment", "main", "run"]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LIMIT_S, QUICK_LIMIT_S = 4 * 3600.0, 600.0
LOG = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment: its module, its options in the full and in the quick form (None: it has no quick form).

    `keeps`: the option that names the folder it writes into itself; else what it prints is kept in the file `prints`.
    `seeded`: it takes a seed.
    """

    name: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ("--quick",)
    keeps: str = ""
    prints: str = ""
    seeded: bool = True


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(name="detection", prints="detection.md"),
    Experiment(name="estimates", quick=(), prints="estimates.txt", seeded=False),
    Experiment(name="nab", quick=None, prints="nab.json", seeded=False),
    Experiment(name="control", quick=None, prints="control.json"),
    Experiment(name="elec2_detectors", quick=None, prints="elec2.md"),
    Experiment(
        name="agreement", full=("--decisions", "100000"), quick=("--decisions", "2000"), prints="agreement.json"
    ),
    Experiment(name="alias", quick=None, prints="alias.md", seeded=False),
    Experiment(name="kills", full=("--kills", "20"), quick=None, prints="kills.json"),
    Experiment(name="tamper", quick=("--edits", "60", "--clean", "20"), prints="tamper.json"),
    Experiment(name="faults", full=("--minutes", "10"), prints="faults.txt", seeded=False),
    Experiment(name="fleet_ticks", full=("100", "1000"), quick=("20",), prints="fleet_ticks.jsonl", seeded=False),
    Experiment(
        name="soak", full=("--windows", "100000"), quick=("--windows", "400"), prints="soak.jsonl", seeded=False
    ),
    Experiment(name="synthetic_drift", keeps="--out"),
    Experiment(name="concept_shift", keeps="--out"),
    Experiment(name="noise_injection", keeps="--out"),
    Experiment(name="real_streams", full=("--demo",), keeps="--out"),
    Experiment(name="recalibrating", prints="recalibrating.md"),
    Experiment(name="one_step", quick=("--studies", "2"), prints="one_step.md"),
    Experiment(name="gate", keeps="--results", seeded=False),
    Experiment(name="ablation", keeps="--results", seeded=False),
)
"""Every experiment, the shorter ones first; one whose module is not there is left out, and said to be."""


def main() -> int:
    """Run the experiments asked for, all when none is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes; leaves out what has no short form")
    parser.add_argument("--only", action="append", metavar="NAME", help="one of them; may be given several times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--list", action="store_true", help="name them and stop")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(each.name for each in EXPERIMENTS))
        return 0
    known = {each.name: each for each in EXPERIMENTS}
    if unknown := [name for name in asked.only or () if name not in known]:
        parser.error(f"no experiment `{unknown[0]}`; there are: {', '.join(known)}")
    wanted = [known[name] for name in asked.only] if asked.only else list(EXPERIMENTS)
    folder = asked.out or (RESULTS / "quick" if asked.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    failed = run(wanted, folder, quick=asked.quick, seed=asked.seed)
    write_report(folder, quick=asked.quick)
    print(f"{folder / 'README.md'}: {len(failed)} failed{': ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


def run(wanted: Sequence[Experiment], folder: Path, *, quick: bool, seed: int) -> list[str]:
    """Run each in a process of its own; give the names of those that failed, and write down how each went."""
    log = folder / LOG
    told = json.loads(log.read_text(encoding="utf-8")) if log.exists() else {}
    failed = []
    for number, each in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {each.name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        said = _left_out(each, quick=quick) or _run(each, folder, quick=quick, seed=seed)
        seconds = round(time.monotonic() - begun, 1)
        print(f"    {said} after {seconds:g} s", file=sys.stderr, flush=True)
        failed += [each.name] if said.startswith("failed") else []
        told[each.name] = {"said": said, "seconds": seconds, "seed": seed if each.seeded else None, "quick": quick}
        log.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return failed


def _left_out(each: Experiment, *, quick: bool) -> str:
    if quick and each.quick is None:
        return "left out: it has no short form"
    if importlib.util.find_spec(f"experiments.{each.name}") is None:
        return "left out: it is not in this folder"
    return ""


def _run(each: Experiment, folder: Path, *, quick: bool, seed: int) -> str:
    options = (each.quick or ()) if quick else each.full
    seeded = ("--seed", str(seed)) if each.seeded else ()
    keeps = (each.keeps, str(folder)) if each.keeps else ()
    command = [sys.executable, "-m", f"experiments.{each.name}", *options, *seeded, *keeps]
    limit_s = QUICK_LIMIT_S if quick else LIMIT_S
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=limit_s,
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except subprocess.TimeoutExpired:
        return f"failed: it took over {limit_s:g} s"
    if done.returncode != 0:
        return f"failed: exit {done.returncode}"
    if each.prints:
        (folder / each.prints).write_text(done.stdout, encoding="utf-8")
    return "done"


if __name__ == "__main__":
    sys.exit(main())
