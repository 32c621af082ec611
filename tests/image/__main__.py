"""Builds the container's image from what `healerd deploy render` writes, runs it, and says which claims held.

`make image`, or `python -m tests.image [--stand-in] [--compose PATH] [--keep]`; needs podman. The public base image is
pulled by podman, unless `--stand-in` makes one here (needs root, debootstrap and the Python that the image asks for).
Where that Python is here, the locked packages are downloaded first by its pip and the build needs no network.
Must never push an image, nor leave anything running.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

from tests.image.base import base_of, stand_in
from tests.image.claims import CLAIMS, Claim, World, found_compose
from tests.image.engine import BUILDING_S, Engine, is_here
from tests.release.building import ROOT, build, copy, without_digests
from tests.release.installing import pythons, run
from tests.system.installation import install

IMAGE, NEXT = "localhost/healerd-trial:this", "localhost/healerd-trial:next"
RULES = 'import "base"\npropose again: retrain when alarm(harm) priority 50 severity high\n'
CHANGED = {
    'state = "state"': 'state = "/var/lib/healerd/state"\nsocket = "/run/healerd/control.sock"',
    '"served.csv"': '"/data/served.csv"',
    '"reference.csv"': '"/data/reference.csv"',
    'model = "model.joblib"': 'model = "/data/model.joblib"\nrules = ["own.heal"]',
}
"""What a configuration of this machine needs to become one of the container."""


def main() -> int:
    """Do it, and print a table; 1 when a claim did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stand-in", action="store_true", help="make the base here instead of pulling it")
    parser.add_argument("--compose", help="the podman-compose to call [default: the one on the path, else none]")
    parser.add_argument("--keep", action="store_true", help="keep the images")
    given = parser.parse_args()
    if missing := is_here():
        print(f"nothing was tried: {missing}")
        return 1
    with tempfile.TemporaryDirectory(prefix="healerd-image-") as name:
        # The daemon's user in the container reads what is mounted from below here.
        os.chmod(name, 0o755)  # noqa: PTH101
        engine = Engine(Path(name))
        try:
            return 0 if tried(engine, given) else 1
        finally:
            engine.clean()
            if not given.keep:
                engine.call("image", "rm", "--force", IMAGE, NEXT)


def tried(engine: Engine, given: argparse.Namespace) -> bool:
    """Build both images and try every claim on them."""
    data = table(engine.folder / "data")
    first = rendered(engine.folder / "first", data, bump=False)
    base, version = base_of((first / "Containerfile").read_text(encoding="utf-8"))
    row("claim", "held", "seen")
    row("---", "---", "---")
    source = stand_in(engine, base, version) if given.stand_in else pulled(engine, base)
    row(f"base `{base}`", "", source)
    row("podman", "", f"{engine.must('--version').split()[-1]}, {engine.settle(base)}")
    words = offline(engine, version)
    for folder, tag in ((first, IMAGE), (rendered(engine.folder / "second", data, bump=True), NEXT)):
        engine.must("build", "--pull=never", "--isolation=chroot", *words, "--tag", tag, folder, patience_s=BUILDING_S)
    row("the rendered files build", "yes", sizes(engine, base))
    world = World(
        engine=engine, image=IMAGE, next_image=NEXT, rendered=first, data=data, compose=found_compose(given.compose)
    )
    world.state = engine.volume("healerd-trial-state")
    world.start(IMAGE, on=world.state)
    each = [held(world, claim) for claim in CLAIMS]  # also those after one that did not hold
    return all(each)


def held(world: World, claim: Claim) -> bool:
    """Try one claim and print its row."""
    text = (claim.__doc__ or "").splitlines()[0].rstrip(".")
    try:
        seen = claim(world)
    except AssertionError as problem:
        row(text, "NO", " ".join(str(problem).split())[:400])
        return False
    row(text, "yes", seen)
    return True


def table(folder: Path) -> Path:
    """Write rows that go wrong in the end, a reference and a model: what the tests of the system watch."""
    folder.mkdir()
    install(folder)
    return folder


def rendered(folder: Path, data: Path, *, bump: bool) -> Path:
    """Call `healerd deploy render` of a wheel of this checkout; `bump` makes it one of the next version."""
    source = copy(folder.with_name(f"{folder.name}-source"))
    if bump:
        init = source / "healerd/__init__.py"
        init.write_text(re.sub(r'(?m)^(__version__ = "[\d.]+)"', r'\g<1>.1"', init.read_text()), encoding="utf-8")
    built = build(source, folder.with_name(f"{folder.name}-dist"), seconds=1)
    constraints = built.wheel.with_name("constraints.txt")
    constraints.write_text(without_digests((ROOT / "requirements.lock").read_text(encoding="utf-8")), encoding="utf-8")
    text = (data / "healerd.toml").read_text(encoding="utf-8")
    for old, new in CHANGED.items():
        assert old in text
        text = text.replace(old, new)
    config = folder.with_suffix(".toml")
    config.write_text(text + '\n[listen]\naddress = "127.0.0.1:9464"\n', encoding="utf-8")
    config.with_name("own.heal").write_text(RULES, encoding="utf-8")
    config.with_name("models.py").write_bytes((data / "models.py").read_bytes())
    words = ["--config", str(config), "--package", str(built.wheel), "--constraints", str(constraints)]
    run(sys.executable, "-m", "healerd", "deploy", "render", "--provider", "compose", folder, *words, cwd=source)
    return folder


def pulled(engine: Engine, base: str) -> str:
    if engine.call("image", "exists", base).code == 0:
        return f"was here already, {engine.must('image', 'inspect', base, '--format', '{{.Id}}')[:12]}"
    engine.must("pull", base, patience_s=BUILDING_S)
    return "pulled"


def offline(engine: Engine, version: str) -> list[str]:
    """Download the locked packages with the Python of the image, if it is here, and mount them while building."""
    python = pythons().get(version)
    if python is None:
        return []
    wheels, conf = engine.folder / "wheels", engine.folder / "pip.conf"
    lock = ROOT / "requirements.lock"
    run(python, "-m", "pip", "download", "--quiet", "--require-hashes", "--requirement", lock, "--dest", wheels)
    conf.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
    return [f"--volume={wheels}:/wheels:ro", f"--volume={conf}:/etc/pip.conf:ro"]


def sizes(engine: Engine, base: str) -> str:
    whole, below = (
        int(engine.must("image", "inspect", image, "--format", "{{.Size}}")) / 1e6 for image in (IMAGE, base)
    )
    return f"{whole:.0f} MB, of which the base {below:.0f} MB and healerd with what it needs {whole - below:.0f} MB"


def row(*cells: str) -> None:
    """Print one row of the table, as soon as it is known."""
    print("|", " | ".join(cell.replace("|", "/") for cell in cells), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
