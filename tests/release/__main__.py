"""Makes a release and tries it: `make release`, or `python -m tests.release [--out dist] [--python PATH ...] [--bare]`.

Builds twice in different folders and compares; checks what is in it; writes the bill of materials and the digests;
installs the wheel from the lock, outside the checkout, on every supported Python that is here, and uses it. Must never
publish anything, nor put what failed in the place of an earlier release.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.release import calls, installing
from tests.release.bill import bill
from tests.release.building import ROOT, Built, build, copy, epoch, without_digests
from tests.release.contents import flaws_of_sdist, flaws_of_wheel, version_and_requirements

BILL, SUMS, CONSTRAINTS = "healerd.cdx.json", "SHA256SUMS", "constraints.txt"
OURS = ("healerd-*.whl", "healerd-*.tar.gz", BILL, SUMS, CONSTRAINTS)
"""What a release consists of; nothing else in its folder is touched."""


def main() -> int:
    """Do it, and say each step."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the release goes")
    parser.add_argument("--python", type=Path, action="append", help="try this Python [default: all that are here]")
    parser.add_argument("--bare", action="store_true", help="build and check, install nowhere")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="healerd-release-") as folder:
        made = make(Path(folder))
        if not given.bare:
            chosen = given.python or list(installing.pythons().values())
            for python in chosen:
                try_on(python, made.wheel)
        put(made, given.out)
    return 0


def make(folder: Path) -> Built:
    """Build, compare and check."""
    seconds = epoch()
    first = build(copy(folder / "one" / "checkout"), folder / "first", seconds=seconds)
    second = build(copy(folder / "two"), folder / "second", seconds=seconds)
    assert first.digests == second.digests, f"two builds differ: {first.digests} {second.digests}"
    say(f"two builds in two folders give the same bytes, dated {seconds}")
    flaws = [*flaws_of_wheel(first.wheel), *flaws_of_sdist(first.sdist)]
    assert not flaws, "\n".join(flaws)
    say("the wheel holds the three packages and all they need, and no test; the sdist holds the project")
    installing.run(sys.executable, "-m", "twine", "check", "--strict", first.wheel, first.sdist)
    say("twine finds nothing to say")
    return first


def try_on(python: Path, wheel: Path) -> None:
    """Install the locked packages and the wheel into an environment of their own, and use it there."""
    with tempfile.TemporaryDirectory(prefix="healerd-installed-") as name:
        folder = Path(name)
        inside = installing.make_environment(python, folder / "environment")
        installing.install(inside, "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
        installing.install(inside, "--no-deps", str(wheel))
        there = folder / "there"
        there.mkdir()
        calls.prepare(there)
        healerd = inside.with_name("healerd")
        calls.imports(inside, there, code=calls.PARTS)
        calls.look(healerd, there, version=version_and_requirements(wheel)[0])
        calls.work(healerd, there)
        version = installing.run(inside, "--version").strip()
        say(f"{version}: installed from the lock and the wheel; rules, doctor and `try` work outside the checkout")


def put(made: Built, out: Path) -> None:
    """Put wheel, sdist, bill, digests and the locked versions into the place of an earlier release."""
    version, requires = version_and_requirements(made.wheel)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    text = bill(
        lock,
        version=version,
        requires=requires,
        digests=made.digests,
        seconds=epoch(),
    )
    out.mkdir(parents=True, exist_ok=True)
    for old in (path for pattern in OURS for path in out.glob(pattern)):
        old.unlink()
    for path in (made.wheel, made.sdist):
        shutil.copyfile(path, out / path.name)
    (out / BILL).write_text(text, encoding="utf-8")
    (out / CONSTRAINTS).write_text(without_digests(lock), encoding="utf-8")
    digests = "".join(f"{digest}  {name}\n" for name, digest in sorted(made.digests.items()))
    (out / SUMS).write_text(digests, encoding="utf-8")
    say(f"`{out}` holds {', '.join(sorted(path.name for path in out.iterdir()))}")


def say(text: str) -> None:
    """Tell one step, as it is done."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
