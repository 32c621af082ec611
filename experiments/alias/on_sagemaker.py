"""SageMaker's side of the page, against moto's server: a double of its API, which starts no machine and serves nothing,
and has one call added (`moto_server.py`).

Must never be called a trial of SageMaker.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from experiments.alias.claims import background, block, claim, last, outside, run, script, wait_for
from healerd.offline.mlflow_server import mlflow_server

SERVER = Path(__file__).with_name("moto_server.py")
ADDRESS = "http://127.0.0.1:5566"
VERSIONS = """
from mlflow import MlflowClient
client = MlflowClient()
client.create_registered_model("churn")
for each in ("one", "two"):
    client.create_model_version("churn", source=f"s3://models/churn/{each}")
"""
ALIAS = "from mlflow import MlflowClient; MlflowClient().set_registered_model_alias('churn', 'active', '{version}')"
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "eu-central-1"}
ENDPOINT = "aws sagemaker create-endpoint --endpoint-name churn --endpoint-config-name churn-1"


def tried(python: Path, folder: Path) -> bool:
    """Play the page's commands, and say which claims held."""
    folder.mkdir()
    with mlflow_server(folder / "mlflow") as registry, moto(python, folder):
        env = outside(
            **KEYS,
            AWS_ENDPOINT_URL=ADDRESS,
            AWS_PAGER="",
            MLFLOW_TRACKING_URI=registry,
            ROLE="arn:aws:iam::123456789012:role/serving",
            IMAGE="123456789012.dkr.ecr.eu-central-1.amazonaws.com/churn:1",
            PATH=f"{python.parent}:/usr/bin:/bin",
        )
        story = Story(python, folder, env)
        return all(
            [
                claim("SageMaker (a double, moto): `roll-out` makes model and configuration", story.first),
                claim("... follows the alias, also when it is called again", story.follows),
                claim("... `rolled-out` ends with 2 when registry or service cannot be asked", story.away),
            ]
        )


class Story:
    """The commands as the page shows them, and one after another what they are to do."""

    def __init__(self, python: Path, folder: Path, env: Mapping[str, str]) -> None:
        self.python, self.folder, self.env = python, folder, env
        version = block("sh", "get_model_version_by_alias")
        self.out = script(folder / "roll-out", version + "\n" + block("sh", "create-endpoint-config"))
        self.asked = script(folder / "rolled-out", version + "\n" + block("sh", "describe-endpoint "))
        self.must(python, "-c", VERSIONS)

    def first(self) -> str:
        """An endpoint that serves the first version; what is missing for it is made."""
        self.alias("1")
        made = self.call(self.out)
        assert made.returncode != 0, "there was no endpoint to update"
        self.must("sh", "-c", ENDPOINT)
        assert self.call(self.asked).returncode == 0
        return "churn-1 in service"

    def follows(self) -> str:
        """Another version: not served, rolled out, served; and the way back."""
        codes = []
        for version in ("2", "1"):
            self.alias(version)
            codes.append(self.call(self.asked).returncode)
            for _ in range(2):
                self.must(self.out)
            codes.append(self.call(self.asked).returncode)
            told = self.must("sh", "-c", "aws sagemaker describe-endpoint --endpoint-name churn --output text")
            assert f"churn-{version}" in told, told
        assert codes == [1, 0, 1, 0], codes
        return "1 before, 0 after; to version 2 and back"

    def away(self) -> str:
        """Neither is an answer."""
        nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
        patience = {"AWS_MAX_ATTEMPTS": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        for name, value in nowhere.items():
            done = self.call(self.asked, **patience, **{name: value})
            assert done.returncode == 2, f"{name}: {done.returncode} {last(done.stderr)}"
        return "2 and 2"

    def alias(self, version: str) -> None:
        """Move the alias by MLflow's own client."""
        self.must(self.python, "-c", ALIAS.format(version=version))

    def call(self, *words: object, **more: str) -> "subprocess.CompletedProcess[str]":
        """Call with the environment of the page, and more."""
        return run(*words, env={**self.env, **more}, cwd=self.folder)

    def must(self, *words: object) -> str:
        """Call what has to succeed, and give what it printed."""
        done = self.call(*words)
        assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {done.stderr[-500:]}"
        return done.stdout


@contextmanager
def moto(python: Path, folder: Path) -> Iterator[None]:
    """Run the double on loopback until the block ends."""
    words = (python, SERVER, "--host", "127.0.0.1", "--port", ADDRESS.rpartition(":")[2])
    with background(*words, env=outside(**KEYS), cwd=folder, log=folder / "moto.log"):
        wait_for(lambda: answers(ADDRESS))
        yield


def answers(address: str) -> bool:
    """Tell whether anybody is there."""
    try:
        httpx.get(address, timeout=2)
    except httpx.HTTPError:
        return False
    return True
