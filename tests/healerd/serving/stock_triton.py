"""Asks a gateway with the stock tritonclient, in an environment of its own: `ask` hands it the address as JSON."""

import json
import sys

import numpy as np
import tritonclient.http as triton

COLUMNS = {
    "a": ("FP64", np.array([1.0, 2.0, -3.0])),
    "b": ("BYTES", np.array([["x"], ["xyz"], [""]], object)),
}


def infer(client, binary, wanted):
    """Ask once: inputs and outputs in JSON or in binary, or every other input of each."""
    inputs = []
    for place, (name, (datatype, values)) in enumerate(COLUMNS.items()):
        inputs.append(triton.InferInput(name, values.shape, datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=place % 2 == 0 if binary == "mixed" else binary)
    outputs = [triton.InferRequestedOutput(name, binary_data=wanted) for name in ("output", "prediction_id")]
    return client.infer("m", inputs, outputs=outputs, request_id="r1")


def main():
    """Write what the client saw."""
    client = triton.InferenceServerClient(f"127.0.0.1:{json.load(sys.stdin)['port']}")
    seen = {"live": client.is_server_live(), "ready": client.is_server_ready(), "model": client.is_model_ready("m")}
    seen["inputs"] = [each["name"] for each in client.get_model_metadata("m")["inputs"]]
    seen["index"] = [each["name"] for each in client.get_model_repository_index()]
    seen["answers"] = {}
    for binary in (False, True, "mixed"):
        for wanted in (False, True):
            found = infer(client, binary, wanted)
            ids = [each.decode() if isinstance(each, bytes) else each for each in found.as_numpy("prediction_id")]
            said = [found.as_numpy("output").tolist(), len(set(ids)), found.get_response()["id"]]
            seen["answers"][f"{binary} {wanted}"] = said
    matrix = triton.InferInput("all", [2, 2], "FP32")
    matrix.set_data_from_numpy(np.array([[1, 2], [3, 4]], np.float32))
    for packing in ("gzip", "deflate"):
        found = client.infer("m", [matrix], request_compression_algorithm=packing)
        seen[packing] = found.as_numpy("output").tolist()
    client.unload_model("m")
    seen["unloaded"] = not client.is_model_ready("m")
    client.load_model("m")
    seen["loaded"] = client.is_model_ready("m")
    sys.stdout.write(json.dumps(seen))


main()
