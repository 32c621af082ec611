"""Asked from another process, in a peer's environment: CPU seconds of its report on every feature of a window.

`python covariates.py` takes {"peer", "features", "reference_rows", "rows", "repetitions"} on standard input and prints
{"seconds", "loop_s"}, medians. What a peer can do with the reference beforehand is done before the clock starts.
Must never import healerd.
"""

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np


def normal(seed: int, features: int, rows: int) -> Any:
    """Rows x features, standard normal."""
    return np.random.Generator(np.random.Philox(seed)).normal(size=(rows, features))


def nannyml(reference: Any, window: Any) -> Callable[[], object]:
    """The fitted calculator, its Kolmogorov-Smirnov method alone, the window as one chunk."""
    import pandas as pd
    from nannyml import UnivariateDriftCalculator

    names = [f"x{k}" for k in range(reference.shape[1])]
    calculator = UnivariateDriftCalculator(
        column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_size=len(window)
    )
    calculator.fit(pd.DataFrame(reference, columns=names))
    frame = pd.DataFrame(window, columns=names)
    return lambda: calculator.calculate(frame)


def alibi_detect(reference: Any, window: Any) -> Callable[[], object]:
    """`KSDrift` made beforehand, its prediction timed."""
    from alibi_detect.cd import KSDrift

    detector = KSDrift(reference, p_val=0.05)
    return lambda: detector.predict(window)


def frouros(reference: Any, window: Any) -> Callable[[], object]:
    """`KSTest` fitted for each feature beforehand, the comparisons timed."""
    from frouros.detectors.data_drift import KSTest

    detectors = [KSTest() for _ in range(reference.shape[1])]
    for detector, column in zip(detectors, reference.T, strict=True):
        detector.fit(X=np.ascontiguousarray(column))
    columns = [np.ascontiguousarray(column) for column in window.T]
    return lambda: [detector.compare(X=column) for detector, column in zip(detectors, columns, strict=True)]


def evidently(reference: Any, window: Any) -> Callable[[], object]:
    """The preset for data drift with its defaults; it has no step of fitting."""
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [f"x{k}" for k in range(reference.shape[1])]
    first, second = (Dataset.from_pandas(pd.DataFrame(rows, columns=names)) for rows in (reference, window))
    return lambda: Report([DataDriftPreset()]).run(second, first).dict()


def loop() -> None:
    """A fixed piece of plain Python that both sides time, so that a busy machine slows both."""
    total = 0
    for number in range(1_000_000):
        total += number & 7


def seconds(thing: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    before = time.process_time()
    thing()
    return time.process_time() - before


PEERS = {"nannyml": nannyml, "alibi-detect": alibi_detect, "frouros": frouros, "evidently": evidently}

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    report = PEERS[asked["peer"]](
        normal(1, asked["features"], asked["reference_rows"]), normal(2, asked["features"], asked["rows"])
    )
    report()
    pairs = [(seconds(loop), seconds(report)) for _ in range(asked["repetitions"])]
    print(json.dumps({"loop_s": median(a for a, _ in pairs), "seconds": median(b for _, b in pairs)}))
