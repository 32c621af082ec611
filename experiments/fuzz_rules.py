"""Feed the rule language millions of damaged texts, and count what it cannot bear.

    python -m experiments.fuzz_rules [--inputs N] [--seed S] [--workers W] [--slowest-s T]

Each text is a pack, an example or a generated rule set with a few damages in it. It must load or have findings, with
every place inside the text, in bounded time; it must be formatted to the same words, and formatting again must change
nothing. Prints one JSON object; exit 1 on any fault, with the seed of each.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from healerd.config import WorkersSettings
from healerd.decision import SCHEMA
from healerd.workers import carry_out, crew_of
from healerd_rules import CODES, Diagnostic, load_text
from healerd_rules.formatting import format_text
from healerd_rules.source import Source
from healerd_rules.sources import PACKS
from healerd_rules.tokens import tokens
from healerd_rules.words import CLOSED, KEYWORDS, STATEMENTS

Rng = np.random.Generator
Damage = Callable[[str, Rng, Sequence[str]], str]

EXAMPLES = Path(__file__).parents[1] / "rules" / "examples"
BATCH = 500
STATEMENTS_MAX = 4
"""Small texts: most faults need one statement, and a text of ten takes ten times as long."""

GENERATED = (
    "permit r0: retrain\n  when (rows > 5 and error_rate < 10%)\n",
    "forbid r1: any action\n  unless every feature where (psi < 0.2) or not (rows is missing)\n",
    'require r2: rollback, retrain\n  approval from "ops" within 2h else defer\n  when confidence < 90%\n',
    "require r3: retrain\n  veto within 10m\n  if unknown asks\n",
    "limit r4: retrain at most 10% of pipelines per 1h\n",
    "cooldown r5: retrain 6h per pipeline after retrain\n",
    'notify r6: "slack:#x" on not pipeline "a-*"\n  when rows is missing for 4 windows\n  repeat every 6h\n',
    "signal r7 = (rows > 3 implies drop(error_rate, 24h) > 5pp) for 3 of last 5 windows clears when incident\n",
    'calendar r8 = mon..fri 09:00..18:00, 2026-12-20..2027-01-03 tz "Europe/Berlin"\n',
    'scope r9 = (tag "a" or pipeline "b") and not tag "c"\n',
    'let ra = -rows * 2 / (3 - 1) between -5 and rate(rows, 1h) since stage == "live"\n',
    'test "rb" {\n  on pipeline "a" tags "b"\n  at 2026-11-23 10:00\n  given psi[age] = 0.3\n  expect not r7\n}\n',
    'invariant rc: autonomous(any action) implies confidence >= 80%\n  because "why"\n',
)
SPICE = (
    "",
    "\0",
    "\r",
    "\r\n",
    "\t",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\x85",
    "é",
    "中",
    "😀",
    "\ud800",
    "İ",
    "٣",
    "²",
    '"',
    '\\"',
    "\\",
    "#",
    "@",
    "((((((((",
    "))))))))",
    "(" * 300,
    "not " * 300,
    "-" * 300,
    "9" * 400,
    "1" * 14 + "." + "9" * 15 + "w",
    "$999999999999999",
    "0%",
    "0 windows",
    "999999999 windows",
    "99:99",
    "2026-13-45",
    "..",
    "a." * 100 + "a",
    "x" * 3000,
    "{",
    "}",
    "[",
    "]",
    "==",
    "=",
    "<",
    "/ 0",
    "\n\n",
    "\n@",
    "\nlet ",
    'import "x"\n',
    'import "default"\n',
    'import "drift" as d\n',
    "@enforce(soft)\n",
)


def main() -> int:
    """Run the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slowest-s", type=float, default=5.0, help="what takes longer is a fault")
    asked = parser.parse_args()
    found = run(inputs=asked.inputs, seed=asked.seed, workers=asked.workers, slowest_s=asked.slowest_s)
    print(json.dumps(found))
    return 1 if found["faults"] else 0


def run(*, inputs: int, seed: int, workers: int = 1, slowest_s: float = 5.0) -> dict[str, object]:
    """Try that many texts; the same seed gives the same texts, however many workers share them."""
    starts = range(0, inputs, BATCH)
    work = partial(_batch, seed=seed, inputs=inputs, slowest_s=slowest_s)
    began = time.monotonic()
    batches = list(carry_out(work, starts, crew_of(WorkersSettings(processes=workers))))
    codes: Counter[str] = sum((batch[0] for batch in batches), Counter())
    faults = [fault for batch in batches for fault in batch[1]]
    return {
        "inputs": inputs,
        "seed": seed,
        "faults": len(faults),
        "first_faults": faults[:20],
        "loaded": codes.pop("loaded", 0),
        "codes": dict(sorted(codes.items())),
        "slowest_s": round(max((batch[2] for batch in batches), default=0.0), 3),
        "elapsed_s": round(time.monotonic() - began, 1),
    }


def _batch(start: int, *, seed: int, inputs: int, slowest_s: float) -> tuple[Counter[str], list[str], float]:
    codes: Counter[str] = Counter()
    faults = []
    slowest = 0.0
    for number in range(start, min(start + BATCH, inputs)):
        text = damaged(seed, number)
        began = time.monotonic()
        try:
            codes.update(check(text))
        except Exception as error:  # a fuzzer reports whatever the language lets through
            faults.append(f"{seed}:{number}: {type(error).__name__}: {error}")
        took = time.monotonic() - began
        slowest = max(slowest, took)
        if took > slowest_s:
            faults.append(f"{seed}:{number}: took {took:.1f} s")
    return codes, faults, slowest


def check(text: str) -> set[str]:
    """Hold the language to its laws on one text; gives the codes of its findings. Raises AssertionError."""
    loaded = load_text(text, name="fuzz.heal", schema=SCHEMA)
    assert (loaded.ruleset is None) == bool(loaded.errors), "a rule set with an error, or none without"
    lines = Source.of("", text).text.split("\n")
    for found in loaded.diagnostics:
        assert found.code in CODES, f"unknown code {found.code}"
        assert found.path != "fuzz.heal" or inside(found, lines), f"outside the text: {found}"
    once = format_text(text).text
    assert format_text(once).text == once, "formatting is not idempotent"
    assert words(once) == words(text), "formatting changed a character"
    return {found.code for found in loaded.diagnostics} or {"loaded"}


def inside(found: Diagnostic, lines: Sequence[str]) -> bool:
    """Whether a finding's place lies in the text."""
    return 1 <= found.line <= len(lines) and 1 <= found.column < found.end <= len(lines[found.line - 1]) + 2


def words(text: str) -> str:
    """What stands in a text but blanks between words, which the parser may part otherwise: `2026-11-23` in a sum."""
    clean = Source.of("", text).text
    return "".join(clean[start:end].rstrip(" \t\f") for start, end, _ in tokens(clean))


def damaged(seed: int, number: int) -> str:
    """The text of that number: some statements with one to three damages."""
    rng = np.random.default_rng([seed, number])  # noqa: TID251
    pool = _seeds()
    text = "\n".join(pool[at] for at in rng.integers(len(pool), size=rng.integers(1, STATEMENTS_MAX + 1)))
    for _ in range(rng.integers(1, 4)):
        text = DAMAGES[rng.integers(len(DAMAGES))](text, rng, pool)
    return text[:20_000]


def _seeds() -> Sequence[str]:
    """Every statement of the packs and examples, and the generated ones."""
    if not _POOL:
        for path in sorted([*PACKS.glob("*.heal"), *EXAMPLES.glob("*.heal")]):
            _POOL.extend(f"{part}\n" for part in path.read_text(encoding="utf-8").split("\n\n"))
        _POOL.extend(GENERATED)
    return _POOL


_POOL: list[str] = []


def _place(text: str, rng: Rng) -> int:
    return int(rng.integers(len(text) + 1))


def _flip(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + chr(int(rng.integers(1, 256))) + text[at + 1 :]


def _cut(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + text[at + int(rng.integers(1, 30)) :]


def _end(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    return text[: _place(text, rng)]


def _spice(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    at = _place(text, rng)
    return text[:at] + SPICE[rng.integers(len(SPICE))] + text[at:]


def _splice(text: str, rng: Rng, pool: Sequence[str]) -> str:
    other = pool[rng.integers(len(pool))]
    at, cut = _place(text, rng), _place(other, rng)
    return text[:at] + other[cut:] + text[at:]


def _double(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    at, to = sorted((_place(text, rng), _place(text, rng)))
    return text[:to] + text[at:to] + text[to:]


def _word(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    """Put a word of the language in the place of another."""
    spans = list(tokens(text))
    if not spans:
        return _WORDS[rng.integers(len(_WORDS))]
    start, end, _ = spans[rng.integers(len(spans))]
    return f"{text[:start]}{_WORDS[rng.integers(len(_WORDS))]}{text[end:]}"


def _swap(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    """Let two words change places."""
    spans = list(tokens(text))
    if len(spans) < 2:
        return text
    first, second = sorted(rng.choice(len(spans), size=2, replace=False))
    (a, b, _), (c, d, _) = spans[first], spans[second]
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _squeeze(text: str, rng: Rng, _pool: Sequence[str]) -> str:
    """Take one blank away."""
    blanks = [at for at, char in enumerate(text) if char.isspace()]
    at = blanks[rng.integers(len(blanks))] if blanks else 0
    return text[:at] + text[at + 1 :]


_WORDS = (*sorted(KEYWORDS | CLOSED), *STATEMENTS, "rows", "psi", "retrain", "feature", "5", "80%", "2h", "3 windows")
DAMAGES: tuple[Damage, ...] = (_flip, _cut, _end, _spice, _spice, _splice, _double, _word, _word, _swap, _squeeze)

if __name__ == "__main__":
    sys.exit(main())
