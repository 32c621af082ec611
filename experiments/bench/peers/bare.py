"""A starlette application around one model, as one writes it in ten minutes: nothing is checked or recorded."""

import json
import sys
from pathlib import Path

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from healerd.actions import FolderRegistry

MODEL = FolderRegistry(Path(sys.argv[1]), "m").load("one")


async def infer(request: Request) -> JSONResponse:
    """Answer in the form of the gateway."""
    asked = json.loads(await request.body())
    tensor = asked["inputs"][0]
    matrix = np.array(tensor["data"], np.float64).reshape(tensor["shape"])
    output = MODEL.predict({f"x{index}": matrix[:, index] for index in range(matrix.shape[1])})
    outputs = [{"name": "output", "datatype": "FP64", "shape": [len(output)], "data": output.tolist()}]
    return JSONResponse({"model_name": "m", "model_version": "one", "outputs": outputs})


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v2/models/m/infer", infer, methods=["POST"])])
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
