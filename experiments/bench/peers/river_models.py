"""Asked from another process, in river's environment: a model that is tested, then trained, row by row.

The first line of standard input is {"model", "rows", "labels", "alarm"}, and every further line {"begin", "end",
"reset", "learn"}: forget everything first or not, then predict each row of [begin, end) and, if asked to, learn it.
Each is answered by {"wrong": [0 or 1 a row], "resets": [rows]}. With an `alarm` of river the model resets itself. Must
never import healerd.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from river import drift, naive_bayes, tree

MODELS: dict[str, Callable[[], Any]] = {
    "HoeffdingTree": tree.HoeffdingTreeClassifier,
    "GaussianNB": naive_bayes.GaussianNB,
}
ALARMS: dict[str, Callable[[], Any]] = {
    "ADWIN": drift.ADWIN,
    "DDM": drift.binary.DDM,
    "EDDM": drift.binary.EDDM,
    "Page-Hinkley": drift.PageHinkley,
}

asked = json.loads(sys.stdin.readline())
make, rows, labels = MODELS[asked["model"]], asked["rows"], asked["labels"]
alarm = ALARMS[asked["alarm"]]() if asked["alarm"] else None
model = make()
for line in sys.stdin:
    order = json.loads(line)
    if order["reset"]:
        model = make()
    wrong, resets = [], []
    for at in range(order["begin"], order["end"]):
        missed = int(model.predict_one(rows[at]) != labels[at])
        wrong.append(missed)
        if order["learn"]:
            model.learn_one(rows[at], labels[at])
        if alarm is not None:
            alarm.update(missed)
            if alarm.drift_detected:
                model = make()
                resets.append(at)
    print(json.dumps({"wrong": wrong, "resets": resets}), flush=True)
