"""Propose a configuration for a model that is served already, by what its server tells. Must never guess in silence.

What metadata cannot tell (labels, the error that counts, where predictions are kept) is proposed as what is usual, and
named among the notes.
"""

from collections.abc import Iterator
from pathlib import Path

from healerd.client.model_server import ServedModel
from healerd.client.proposal import (
    ROWS_GOOD,
    WINDOWS_S,
    Proposal,
    Wishes,
    action_lines,
    length_text,
    quoted_text,
    rules_text,
)
from healerd.sources.record_sighting import RecordSighting

__all__ = ["HORIZON_S", "propose_served", "usual_loss", "usual_window"]

WINDOW_S, HORIZON_S = 1800.0, 86_400.0
"""Lengths to begin with where nothing is known."""
TOLERANCE = "relative 10%"
REGISTRY = "mlflow:"


def propose_served(served: ServedModel, wishes: Wishes, seen: RecordSighting | None) -> Proposal:
    """Propose what fits a served model; `wishes.data` is where its predictions are, or will be, recorded."""
    window_s = wishes.window_s or usual_window(seen)
    horizon_s = HORIZON_S if wishes.horizon_s is None else wishes.horizon_s
    loss = wishes.loss or usual_loss(served)
    rate = None if seen is None else seen.rows_per_s
    per_window = None if rate is None else max(1, round(rate * window_s))
    by_rate = "how many rows that are is not known" if per_window is None else f"about {per_window:,} rows"
    said = {
        "served by": served.server or "a server that does not say its name",
        "features": ", ".join(f"`{name}`" for name in _features(served, seen)) or "not told",
        "loss": loss,
        "window": f"{length_text(window_s)}: {by_rate}",
        "label horizon": length_text(horizon_s),
        "source": f"gateway `{wishes.data}`",
    }
    lines = _config(served, wishes, window=length_text(window_s), horizon=length_text(horizon_s), loss=loss)
    return Proposal(
        config="\n".join(lines) + "\n",
        rules=rules_text(wishes.name, per_window, labelled=False),
        said=said,
        notes=tuple(_notes(served, wishes, seen, loss)),
    )


def usual_window(seen: RecordSighting | None) -> float:
    """The shortest window that usually holds enough rows, by the rate of the record."""
    if seen is None or seen.rows_per_s is None:
        return WINDOW_S
    rate = seen.rows_per_s
    return float(next((one for one in WINDOWS_S if rate * one >= ROWS_GOOD), WINDOWS_S[-1]))


def usual_loss(served: ServedModel) -> str:
    """Answers that are no fractions, or come with probabilities, are classes; others are quantities."""
    datatypes = {kind for name, kind in served.outputs.items() if name not in {"prediction_id", "probabilities"}}
    classes = "probabilities" in served.outputs or not any(kind.startswith("FP") for kind in datatypes)
    return "zero-one" if classes and datatypes else TOLERANCE


def _features(served: ServedModel, seen: RecordSighting | None) -> tuple[str, ...]:
    return served.features or (seen.features if seen else ())


def _config(served: ServedModel, wishes: Wishes, *, window: str, horizon: str, loss: str) -> Iterator[str]:
    name = wishes.name
    yield f"# healerd's configuration for `{name}`, proposed from what its server tells. Change what you know better."
    yield f"[pipeline.{name}]"
    yield f"window = {quoted_text(window)}"
    yield f"label_horizon = {quoted_text(horizon)}  # how long after its window labels are waited for"
    yield f"loss = {quoted_text(loss)}  # when a prediction is wrong"
    yield f"rules = [{quoted_text(name + '.heal')}]"
    if wishes.model:
        yield f"model = {quoted_text(wishes.model)}"
    if (registry := _registry(served, wishes)) is not None:
        yield f"registry = {quoted_text(registry)}"
    yield '# reference = { path = "healthy.parquet" }  # healthy, labelled rows: without them nothing is measured'
    yield ""
    yield f"[pipeline.{name}.source]"
    yield 'kind = "gateway"  # what `healerd serve` records, and the labels that it is sent'
    yield f"path = {quoted_text(wishes.data)}"
    yield ""
    yield from action_lines(wishes)


def _registry(served: ServedModel, wishes: Wishes) -> str | None:
    """Say the registry of our gateway as the configuration does; None where that is another's, or has another name."""
    if served.registry is None:
        return None
    if "://" in served.registry:
        return f"{REGISTRY}{served.registry}"
    folder = Path(served.registry)
    return str(folder.parent) if folder.name == wishes.name else None


def _notes(served: ServedModel, wishes: Wishes, seen: RecordSighting | None, loss: str) -> Iterator[str]:
    if not served.is_ours:
        yield (
            "this server does not record what it answers: let `healerd serve` serve the model (`--model FILE`, then "
            "`healerd run`), or let your program write a table and name it in `source` (healerd/serving/README.md)"
        )
    if not _features(served, seen):
        yield "the names of the features are not told: one tensor holds them all, or the model does not say"
    if wishes.horizon_s is None:
        yield "how long labels take is not known: name it with `--label-horizon`"
    if wishes.loss is None and loss == TOLERANCE:
        yield f"which error counts is not known: `{TOLERANCE}` is a guess, name it with `--loss`"
    yield "no healthy, labelled rows are known: until `reference` names some, rows are counted and nothing is judged"
    if wishes.window_s is None and (seen is None or seen.rows_per_s is None):
        yield "how many rows come is not known: name the window with `--window`, or run `init` again after a day"
    if seen is not None and not seen.labelled:
        yield "no row of the last day has a label: send them to `/labels`, or with `healerd labels add`"
    if served.is_ours and _registry(served, wishes) is None:
        yield "where the versions are kept is not told under this name: set `registry`, or leave out `--name`"
