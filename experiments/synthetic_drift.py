"""Made drifts of known kind, course and size through the whole closed loop, against no action and an oracle.

    python -m experiments.synthetic_drift [--quick] [--seed S] [--out DIR]

Concept drift turns the plane that decides the label, covariate drift moves a feature; harmful where the plane bends in
what was rare, harmless where it does not. Each comes at once (abrupt), row by row over 14 windows (gradual), or by a
law that moves for 28 (incremental). Must never tune anything by what it finds.
"""

import sys
from dataclasses import replace

from experiments.output import Figure, Finding, Line, run_as_command
from experiments.scenarios import Case, curves_of, run_cases
from experiments.worlds import Change, Law, World

__all__ = ["cases", "find", "main"]

BENT = Law(bend=4.0)
"""A plane with a bend that healthy rows hardly show."""
SHOWN = ("healthy", "concept abrupt 45", "covariate harmful abrupt 2 sd")


def cases(*, quick: bool) -> list[Case]:
    """Every kind, course and size; in the quick form one of each kind."""
    plain = World(served=50, rows=100) if quick else World()
    found = [Case(name="healthy", world=plain, heals=False)]
    courses, angles, shifts = ("abrupt", "gradual", "incremental"), (20.0, 45.0, 90.0), (1.0, 2.0)
    if quick:
        courses, angles, shifts = ("abrupt",), (45.0,), (2.0,)
    for course in courses:
        for angle in angles:
            world = replace(plain, change=Change(to=Law(angle=angle), course=course))
            found.append(Case(name=f"concept {course} {angle:g}", world=world))
        for shift in shifts:
            bent = replace(plain, first=BENT, change=Change(to=replace(BENT, shift=shift), course=course))
            found.append(Case(name=f"covariate harmful {course} {shift:g} sd", world=bent))
            flat = replace(plain, change=Change(to=Law(shift=shift), course=course))
            found.append(Case(name=f"covariate harmless {course} {shift:g} sd", world=flat, heals=False))
    return found


def find(*, quick: bool, seed: int) -> Finding:
    """Run it: a row a case, and the curves of three of them."""
    wanted = cases(quick=quick)
    rows = run_cases(wanted, seeds=1 if quick else 2, seed=seed)
    shown = [case for case in wanted if case.name in SHOWN]
    figures = [_figure(case, seed) for case in shown]
    return Finding(
        name="synthetic_drift",
        title="Made drifts through the closed loop",
        seed=seed,
        tables={"cases": rows},
        figures=tuple(figures),
        notes=(
            "Means over the seeds. `recovered`: share of the accuracy that the change cost, from no action (0) to the "
            "oracle (1), over the 60 windows from the change on. `delay`: windows from the change to the incident.",
            "Costs in windows served with the harm; a window ten points above the oracle's error costs 1.",
        ),
    )


def _figure(case: Case, seed: int) -> Figure:
    curves = curves_of(case, seed=seed * 1000)
    lines = tuple(Line(name=name, values=tuple(values)) for name, values in curves.items())
    name = case.name.replace(" ", "_")
    return Figure(name=name, title=case.name, x="served window", y="accuracy", lines=lines, smooth=5)


def main() -> int:
    """Run the experiment."""
    return run_as_command(__doc__, find)


if __name__ == "__main__":
    sys.exit(main())
