"""Looks the locked packages up among known vulnerabilities: `python -m tests.release.audited`.

Ends with 1 when one is known, and with 0 when nobody could be asked: then it says so, within seconds. Must never call
a lock sound that was not looked up.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.release.building import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
ANSWER_S, FIRST_S, ALL_S = 5, 10, 180
"""How long one answer may take, the question whether anybody answers at all, and a whole lock."""
Ask = Callable[[str, int], "Answer | None"]


@dataclass(frozen=True)
class Answer:
    """What is known of some packages: how many were looked up, which nobody knows, and what is wrong with which."""

    looked_up: int
    unknown: tuple[str, ...]
    found: tuple[str, ...]


def read(told: str) -> Answer | None:
    """Read what pip-audit printed; None where it printed no answer."""
    try:
        rows = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return Answer(
        looked_up=sum("vulns" in row for row in rows),
        unknown=tuple(row["name"] for row in rows if "skip_reason" in row),
        found=tuple(
            f"{row['name']} {row['version']}: {vuln['id']}, mended in {', '.join(vuln['fix_versions']) or 'no version'}"
            for row in rows
            for vuln in row.get("vulns", ())
        ),
    )


def ask(lock: str, patience_s: int) -> Answer | None:
    """Ask about every package of a lock; None when nobody answers in time."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lock)
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
        command += ["--progress-spinner", "off", "--timeout", str(ANSWER_S), "--requirement", file.name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s)
        except subprocess.TimeoutExpired:
            return None
    return read(done.stdout)


def first_of(lock: str) -> str:
    """Cut a lock down to its first package."""
    lines = lock.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if number and not line[:1].isspace()]
    return "".join(lines[: ends[0] if ends else None])


def audit(locks: Sequence[tuple[str, str]], *, asking: Ask = ask) -> tuple[int, list[str]]:
    """Audit locks, each a name and its text; give the exit code and what to print."""
    first = asking(first_of(locks[0][1]), FIRST_S)
    if first is None or not first.looked_up:
        return 0, ["known vulnerabilities: not reachable: skipped"]
    code, lines = 0, []
    for name, text in locks:
        answer = asking(text, ALL_S)
        if answer is None:
            lines.append(f"known vulnerabilities: `{name}`: not reachable: skipped")
            continue
        lines.append(f"known vulnerabilities: `{name}`: {len(answer.found)} in {answer.looked_up} packages")
        lines += [f"  {each}" for each in answer.found]
        lines += [f"  not looked up: {', '.join(answer.unknown)}"] if answer.unknown else []
        code = 1 if answer.found else code
    return code, lines


def main() -> int:
    """Audit both locks, where pip-audit is installed."""
    if importlib.util.find_spec("pip_audit") is None:
        print("known vulnerabilities: pip-audit is not installed: skipped")
        return 0
    code, lines = audit([(name, (ROOT / name).read_text(encoding="utf-8")) for name in LOCKS])
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
