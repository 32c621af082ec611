"""Follow an alias with stacks that are not ours, by the commands that `docs/kserve-sagemaker.md` shows.

    python -m experiments.alias [--only kserve|sagemaker]

Real: an MLflow server, a model server of KServe's own (no Kubernetes), healerd's daemon and its gateway. A double:
moto's server in the place of SageMaker. KServe's server listens on all addresses, so everything runs in a network
namespace of its own (needs `unshare` and `ip`). Prints a table of claims and whether they held; 1 when one did not.
Nothing is seeded: it is a story on the wall clock. Must never reach beyond this machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from experiments.alias import on_kserve, on_sagemaker
from experiments.environments import KSERVE, MOTO, environment
from healerd.offline.mlflow_server import server_python

PARTS = {"kserve": ("kserve", KSERVE, on_kserve.tried), "sagemaker": ("moto", MOTO, on_sagemaker.tried)}
INSIDE = "HEALERD_ALIAS_INSIDE"


def main() -> int:
    """Make the environments, go into a namespace, and try each part."""
    parser = argparse.ArgumentParser(prog="python -m experiments.alias", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="this part alone")
    given = parser.parse_args()
    pythons, server = {}, server_python()
    for part in given.only or PARTS:
        name, wanted, _ = PARTS[part]
        pythons[part], reason = environment(name, wanted)
        if pythons[part] is None:
            print(f"{part}: not tried: {reason}")
    if INSIDE not in os.environ:
        return _again_inside()
    assert server
    print("| claim | held | seen |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="hd-") as folder:
        held = [PARTS[part][2](python, Path(folder, part)) for part, python in pythons.items() if python]
    return 0 if all(held) else 1


def _again_inside() -> int:
    missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"nothing was tried: {', '.join(missing)} is not installed")
    here = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    command = [*here, sys.executable, "-m", "experiments.alias", *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, INSIDE: "yes"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
