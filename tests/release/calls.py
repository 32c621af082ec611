"""What an installation must be able to do, called in a folder that knows nothing of the checkout.

Must never import healerd: another Python may run it.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

from tests.release.installing import run

ROWS, A_WINDOW = 1200, 60
CONFIG = """
[pipeline.shop]
window = "1h"
source = { path = "served.csv", id = "id", label = "truth", features = ["x", "region"] }
reference = { path = "served.csv" }
"""
RULES = 'import "default"\n'
PARTS = "import healerd, healerd.daemon.app, healerd_rules, healerd_tui.app; print(healerd.__file__)"
BARE = "import healerd.cli, healerd_rules.textmate, healerd_tui.formats; print(healerd.cli.__file__)"
"""What needs no package that is built for one Python alone."""


def prepare(folder: Path) -> None:
    """Write a table, a configuration and a rule file; the table is the same each time."""
    start = datetime.fromisoformat("2026-01-01T00:00:00")
    lines = ["id,time,x,region,prediction,truth"]
    for row in range(ROWS):
        x, at = row * 37 % 100, start + timedelta(minutes=60 / A_WINDOW * row)
        truth = int((x > 50) != (row % 10 == 0))
        lines.append(f"r{row},{at.isoformat()},{x},{'north' if row % 3 else 'south'},{int(x > 50)},{truth}")
    (folder / "served.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "healerd.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "own.heal").write_text(RULES, encoding="utf-8")


def imports(python: Path, folder: Path, *, code: str) -> None:
    """Import the three packages from the environment, and from nowhere else."""
    found = Path(run(python, "-c", code, cwd=folder).strip())
    assert python.parents[1].resolve() in found.resolve().parents, f"imported from `{found}`"


def look(healerd: Path, folder: Path, *, version: str) -> None:
    """Call what needs neither a daemon nor time: the version, the rules, the shipped files, the doctor."""
    assert run(healerd, "--version", cwd=folder).strip() == f"healerd {version}"
    assert "base" in run(healerd, "rules", "packs", cwd=folder)
    run(healerd, "rules", "check", "own.heal", cwd=folder)
    run(healerd, "rules", "test", cwd=folder)
    json.loads(run(healerd, "trace", "schema", cwd=folder))
    run(healerd, "deploy", "monitoring", "boards", cwd=folder)
    assert {path.name for path in (folder / "boards").iterdir()} == {"grafana.json", "alerts.yml"}
    told = json.loads(run(healerd, "doctor", "--skip", "proofs", "--json", cwd=folder))
    assert told["healthy"], told


def work(healerd: Path, folder: Path) -> None:
    """Run the whole loop offline over the table."""
    told = run(healerd, "try", "served.csv", "--target", "truth", "--time", "time", "--train-rows", "400", cwd=folder)
    assert "verified" in told, told
