"""A model server of KServe's own that serves what an alias names and writes down what it answered.

Run by the Python of an environment that has kserve, with ADDRESS MODEL CAPTURED as the last arguments; never imported.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import skops.io
from kserve import Model, ModelRepository, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response
from mlflow import MlflowClient

ADDRESS, NAME, CAPTURED = sys.argv[-3:]
COLUMNS = ("tenure", "spend")


class Aliased(Model):
    """Resolves the alias when it is loaded, as every stack does; `/v2/repository/models/NAME/load` loads it anew."""

    def load(self):
        """Take the version that the alias names now."""
        mlflow.set_tracking_uri(ADDRESS)
        version = MlflowClient().get_model_version_by_alias(self.name, "active")
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{self.name}/{version.version}"))
        (file,) = folder.rglob("*.skops")
        self.model, self.version = skops.io.load(file), version.tags["healerd.name"]
        self.number, self.ready = version.version, True
        return True

    async def get_input_types(self):
        """Name the features, which KServe tells in the model's metadata."""
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in COLUMNS]

    async def get_output_types(self):
        """Name what is answered."""
        return [{"name": "predict", "datatype": "INT64", "shape": [-1]}]

    def predict(self, payload, headers=None):
        """Answer by either protocol, and write a line a row, as a payload logger with a step behind it would."""
        rows = get_predict_input(payload)
        rows = rows[list(COLUMNS)].to_numpy() if hasattr(rows, "columns") else rows
        said = self.model.predict(rows)
        asked = getattr(payload, "id", None) or str(time.time_ns())
        at = datetime.now(UTC).isoformat()  # noqa: TID251 -- healerd's clock is not in this environment
        with Path(CAPTURED, f"{time.time_ns() // 10**10}.jsonl").open("a") as file:
            for i, (row, answer) in enumerate(zip(rows, said, strict=True)):
                line = {"id": f"{asked}-{i}", "served_at": at, "prediction": float(answer), "version": self.version}
                file.write(json.dumps({**line, **dict(zip(COLUMNS, map(float, row), strict=True))}) + "\n")
        return get_predict_response(payload, said, self.name)


class Reloading(ModelRepository):
    """Loads a model anew when it is asked to."""

    def load(self, name):
        """Load it again, or not if it is not ours."""
        model = self.get_model(name)
        return bool(model) and model.load()


if __name__ == "__main__":
    Path(CAPTURED).mkdir(parents=True, exist_ok=True)
    served = Aliased(NAME)
    served.load()
    ModelServer(registered_models=Reloading()).start([served])
