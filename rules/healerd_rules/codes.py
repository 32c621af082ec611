"""Explains each finding: what it means, how to mend it, and a text that has it.

It never finds anything; the README shows the same under Findings, and a test compares.
"""

from dataclasses import dataclass

from healerd_rules.diagnostics import CODES

__all__ = ["MENDS", "Mend", "explain_code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """How to mend a finding; `example` is a text that has it, empty where no text can show it."""

    how: str
    example: str = ""


MENDS: dict[str, Mend] = {
    "annotation": Mend(
        how='write `@enforce(hard|soft|advisory)`, `@owner("x")` or `@ticket("x")` before a rule that takes it',
        example=("@enforce(maybe)\nforbid f: retrain"),
    ),
    "confidence": Mend(
        how="compare `confidence` in a `require`, `forbid` or `invariant`: elsewhere it is not yet known",
        example="signal s = confidence > 80%",
    ),
    "conflict": Mend(
        how="say of the metric or action what the host says, or leave the declaration out",
        example="metric rows: ratio",
    ),
    "cost": Mend(
        how="split the rule, and leave out of it what other definitions already say",
        example=(
            "let a = rows > 1 and rows > 2 and rows > 3 and rows > 4 "
            "and rows > 5 and rows > 6 and rows > 7 and rows > 8\n"
            "let b = a and a and a and a and a and a and a and a\n"
            "let c = b and b and b and b and b and b and b and b\n"
            "let d = c and c and c and c and c and c and c and c"
        ),
    ),
    "currency": Mend(
        how="write all money of one rule set in one currency",
        example=("action retrain cost $40\nlimit b: retrain at most €200 per 24h"),
    ),
    "cycle": Mend(
        how="take one step out of the circle; what two files need goes into a third",
        example=("let a = not b\nlet b = not a"),
    ),
    "dimension": Mend(
        how="say for which members: `any feature where (psi > 0.2)`, over the dimension the metric is measured per",
        example="forbid f: retrain when psi > 0.2",
    ),
    "duplicate": Mend(
        how="rename one of the two, or delete it",
        example=("forbid f: retrain\nforbid f: rollback"),
    ),
    "hidden-text": Mend(
        how="delete the character; write the text in the order in which it is to be read",
    ),
    "import": Mend(
        how="name a file beside this one without its `.heal`, or a shipped pack",
        example='import "nosuch"',
    ),
    "no-effect": Mend(
        how="delete the rule; where it was meant to restrict, write `forbid` or `require`",
        example="permit again: retrain when rows > 5",
    ),
    "permit": Mend(
        how="packs only tighten: ask whoever owns the pack to permit it, or delete the permit",
        example=('import "own_pack"\npermit more: reboot'),
    ),
    "price": Mend(
        how="say what the action costs, as in `action retrain cost $40`, where the configuration does not",
        example="limit m: fallback at most $200 per 24h",
    ),
    "raw-statistic": Mend(
        how="propose from an alarm, such as `alarm(drift)`, which keeps false alarms within their budget",
        example="propose p: retrain when any feature where (psi > 0.2)",
    ),
    "reserved": Mend(
        how="choose another name",
        example=("let forbid_ = rows > 5\nlet when = rows > 5"),
    ),
    "scale": Mend(
        how="write `20%` or `0.2`: a ratio lies between 0 and 1",
        example="forbid f: retrain when error_rate > 20",
    ),
    "syntax": Mend(
        how="the caret stands at the first word that does not fit; `help` says what could stand there",
        example="forbid f: retrain when rows = 5",
    ),
    "target": Mend(
        how="name the actions that the rule is about, such as `retrain`",
        example="propose p: any action",
    ),
    "too-deep": Mend(
        how="give a part a name with `let`; import less deeply",
        example="let a = ((((((((((((((((((((((rows > 5))))))))))))))))))))))",
    ),
    "too-large": Mend(
        how="split the file, and import the parts",
    ),
    "type": Mend(
        how="compare and add values of one kind; what is measured in time is compared with a time, as in `p99 > 400ms`",
        example="forbid f: retrain when p99 > 5%",
    ),
    "unit": Mend(
        how="write the unit that is wanted here, such as `10m` for a time",
        example="require r: retrain veto within 5%",
    ),
    "unknown-name": Mend(
        how="mend the spelling, import the file that defines it, or declare it with `metric`, `let` or `signal`",
        example="forbid f: retrain when error_rat > 5%",
    ),
    "unknown-policy": Mend(
        how="leave `if unknown` out: a permit waits until it knows, a guard acts until it knows",
        example="permit p: retrain when rows > 5 if unknown fires",
    ),
    "unreadable": Mend(
        how="save the file as UTF-8, and check its name and rights",
    ),
    "vacuous": Mend(
        how="delete the condition, or compare something that can change",
        example="forbid f: retrain when 1 > 2",
    ),
    "value": Mend(
        how="write a value within its range, such as a day that exists",
        example="calendar c = 2026-02-30..2026-03-01",
    ),
}


def explain_code(code: str) -> str:
    """A finding's meaning, mend and example as text. Raises KeyError for a code that does not exist."""
    mend = MENDS[code]
    parts = [f"{code}: {CODES[code]}", f"to mend it: {mend.how}"]
    if mend.example:
        parts.append("for example:\n\n" + "\n".join(f"    {line}" for line in mend.example.split("\n")))
    return "\n\n".join(parts)
