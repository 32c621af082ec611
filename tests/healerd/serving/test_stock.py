"""The gateway judged by others' tools, each in an environment of its own, skipped with the reason where it is not."""

import subprocess
from pathlib import Path

import pytest

from experiments.environments import SCHEMATHESIS, TRITONCLIENT, ask, environment
from tests.healerd.serving.live import live


def python_of(name: str, requirements: tuple[str, ...]) -> Path:
    found, reason = environment(name, requirements)
    if found is None:
        pytest.skip(reason)
    return found


@pytest.mark.slow
def test_the_stock_triton_client_passes_all_six_combinations(tmp_path: Path) -> None:
    """Inputs in JSON, binary and mixed, outputs in JSON and binary; packed bodies, loading, and what is told."""
    python = python_of("tritonclient", TRITONCLIENT)
    with live(tmp_path) as gateway:
        seen, reason = ask(python, Path(__file__).parent / "stock_triton.py", {"port": gateway.port})
    assert seen is not None, reason
    assert (seen["live"], seen["ready"], seen["model"], seen["unloaded"], seen["loaded"]) == (True,) * 5
    assert (seen["inputs"], seen["index"]) == (["a", "b"], ["m"])
    assert len(seen["answers"]) == 6
    assert all(each == [[2.0, 5.0, -3.0], 3, "r1"] for each in seen["answers"].values())
    assert seen["gzip"] == seen["deflate"] == [3.0, 7.0]


@pytest.mark.slow
def test_schemathesis_finds_no_server_error(tmp_path: Path) -> None:
    """Requests made from the description of the interface, right and wrong ones, never lead to a server error;
    but for those after the model was taken out of service, which are told to come back."""
    python = python_of("schemathesis", SCHEMATHESIS)
    with live(tmp_path, substitute={"m": 0.0}) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        options = (
            "--checks",
            "not_a_server_error",
            "--max-examples",
            "40",
            "--seed",
            "1",
            "--no-color",
            "--exclude-path-regex",
            "unload",
        )
        done = subprocess.run(
            [str(python.parent / "schemathesis"), "run", f"{url}/openapi.json", "--url", url, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
