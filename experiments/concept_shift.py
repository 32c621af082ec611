"""Changes of the relation between inputs and labels alone: is it seen, and is the right heal chosen.

    python -m experiments.concept_shift [--quick] [--seed S] [--out DIR]

The plane turns at once, in part of the rows, to its opposite, or for a while and back; beside them a shift of the
inputs alone. Right is: retrain after a change that stays, rollback after one that goes back, nothing where only inputs
move. Must never tune anything by what it finds.
"""

import sys
from collections.abc import Sequence

from experiments.output import Figure, Finding, Line, run_as_command
from experiments.scenarios import Case, Row, curves_of, run_cases
from experiments.worlds import Change, Law, World

__all__ = ["cases", "find", "main"]

TURN = Law(angle=60.0)
SHOWN = ("turned for 30 windows, then back",)


def cases(*, quick: bool) -> list[Case]:
    """Every change; in the quick form three of them, and shorter."""
    served, rows = (50, 100) if quick else (80, 200)

    def case(name: str, to: Law, *, back: int | None = None, heals: bool = True) -> Case:
        world = World(change=Change(to=to, back=back), served=served, rows=rows)
        return Case(name=name, world=world, heals=heals)

    found = [
        case("turned by 60 degrees", TURN),
        case("turned for 30 windows, then back", TURN, back=15 if quick else 30),
        case("inputs alone move by 2 sd", Law(shift=2.0), heals=False),
    ]
    if quick:
        return found
    return [
        *found,
        case("opposite", Law(angle=180.0)),
        case("turned in a third of the rows", Law(angle=90.0, share=1 / 3)),
        case("turned, and inputs move by 1 sd", Law(angle=60.0, shift=1.0)),
        case("glitch of 2 windows", TURN, back=2),
    ]


def find(*, quick: bool, seed: int) -> Finding:
    """Run it: a row a case, and the curves of a change that goes back."""
    wanted = cases(quick=quick)
    rows = run_cases(wanted, seeds=1 if quick else 2, seed=seed)
    return Finding(
        name="concept_shift",
        title="Changes of the concept through the closed loop",
        seed=seed,
        tables={"cases": rows},
        figures=tuple(_figure(case, seed) for case in wanted if case.name in SHOWN),
        notes=("Read as the table of `synthetic_drift`; `rollbacks` are part of the heals.",),
        claims=_claims(rows),
    )


def _claims(rows: Sequence[Row]) -> tuple[tuple[str, bool], ...]:
    by_name = {row["case"]: row for row in rows}
    turned, alone = by_name["turned by 60 degrees"], by_name["inputs alone move by 2 sd"]
    back = by_name["turned for 30 windows, then back"]
    return (
        ("a change that stays is seen in every run", turned["missed"] == 0),
        ("after it, healerd has more right than no action", turned["accuracy"] > turned["no action"]),
        ("a change that goes back brings a stored version back", back["rollbacks"] > 0),
        ("where inputs alone move nothing is healed", alone["heals"] == 0),
    )


def _figure(case: Case, seed: int) -> Figure:
    curves = curves_of(case, seed=seed * 1000)
    lines = tuple(Line(name=name, values=tuple(values)) for name, values in curves.items())
    return Figure(name="back", title=case.name, x="served window", y="accuracy", lines=lines, smooth=3)


def main() -> int:
    """Run the experiment."""
    return run_as_command(__doc__, find)


if __name__ == "__main__":
    sys.exit(main())
