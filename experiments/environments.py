"""A peer in a Python environment of its own, spoken to through a script and JSON. Must never be imported by one.

Peers pin old versions of what the project needs, so each lives alone (see healerd/offline/environments.py). A peer that
cannot be had is a reason, never an error.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from healerd.offline.environments import environment, last_line

__all__ = ["KSERVE", "MLSERVER", "MOTO", "NANNYML", "RIVER", "SCHEMATHESIS", "TRITONCLIENT", "ask", "environment"]

NANNYML = ("nannyml==0.13.1", "pandas<3", "statsmodels<0.15")
"""It leaves statsmodels out of what it says it needs, and does not know the pandas of today."""
RIVER = ("river==0.26.1", "pandas<3")
MLSERVER = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
KSERVE = ("kserve==0.21.0", "mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "skops==0.16.0")
MOTO = ("moto[sagemaker,server]==5.2.5", "boto3==1.44.8", "awscli==1.46.3", "mlflow-skinny==3.17.2")
SCHEMATHESIS = ("schemathesis==4.32.5",)
TRITONCLIENT = ("tritonclient[http]==2.73.0",)

ANSWER_S = 1800.0


def ask(python: Path, script: Path, question: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Run a script with a JSON object on its standard input; give the one it prints, or None with the reason why not.

    One thread only, so that a peer is measured as the project's own code is.
    """
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    quiet = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [str(python), str(script)],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_S,
            env={**kept, **alone, **quiet},
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {ANSWER_S:g} s"
    if done.returncode != 0:
        return None, last_line(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), ""
