"""Which models are asked without a thread, and that it changes nothing but the time."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from healerd.actions.model_files import MatrixModel
from healerd.actions.safe_model import fit_safe_model
from healerd.offline.estimator import fit
from healerd.serving.computing import only_computes
from tests.healerd.serving.gate import Shelf, Sums, ask, opened, outputs, run

X = np.linspace(-1, 1, 60)
ROWS = {"a": X, "b": X**2}


class Own(LogisticRegression):
    """Somebody's own class: it may do anything."""


@pytest.mark.parametrize(
    ("model", "computes"),
    [
        (MatrixModel(LogisticRegression()), True),
        (MatrixModel(make_pipeline(StandardScaler(), HistGradientBoostingClassifier())), True),
        (fit(ROWS, (X > 0).astype(float)), True),
        (fit_safe_model(ROWS, (X > 0).astype(float)), True),
        (MatrixModel(Own()), False),
        (MatrixModel(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression())), False),
        (MatrixModel(make_pipeline(StandardScaler(), Own())), False),
        (MatrixModel(Sums()), False),
        (Sums(), False),
    ],
)
def test_only_what_is_known_to_compute_goes_without_a_thread(model: object, computes: bool) -> None:
    """healerd's and scikit-learn's own classes compute; a function or class of anybody else's within them may hang."""
    assert only_computes(model) is computes


def test_a_computing_model_answers_and_fails_as_any_other(tmp_path: Path) -> None:
    """Asked without its thread it gives the same answers, and what it raises has a substitute just so."""

    async def body() -> None:
        model = MatrixModel(LogisticRegression().fit(np.column_stack([X, X**2]), X > 0), ("a", "b"))
        async with opened(tmp_path, Shelf(one=model), substitute={"m": -7.0}, timeout=20) as gate:
            service = gate.service["m"]
            assert service.slot.current.computes
            assert outputs(await ask(gate, [1, -1], [1, 1])) == [1.0, 0.0]
            failed = await ask(gate, [None], [1])
            assert (outputs(failed), failed.json()["model_version"]) == ([-7.0], "substitute")
            assert service.recorder.recorded == 3
            assert service._worker is None, "nobody was there to ask in a thread"

    run(body)
