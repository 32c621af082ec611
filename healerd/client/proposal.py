"""Propose a configuration and a rule file for predictions that were looked at. Must never read or write a file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from healerd.client.words import duration
from healerd.sources.sighting import Sighting

__all__ = [
    "ROWS_GOOD",
    "WINDOWS_S",
    "Proposal",
    "Wishes",
    "action_lines",
    "horizon_for",
    "length_text",
    "propose",
    "quoted_text",
    "rules_text",
    "window_for",
]

WINDOWS_S = (60, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800)
"""Lengths of windows that people can say."""
ROWS_GOOD = 500
"""Rows of a window from which an error can be told within some points."""
WINDOWS_MIN = 14
"""Windows that the file's time should make: half of them are the reference."""
REFERENCE_WINDOWS_MAX = 60
THIN = 5
"""A window with less than a fifth of the usual rows is no window to learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What somebody knows better than a look at the file; None where they do not."""

    name: str
    data: str
    window_s: float | None = None
    horizon_s: float | None = None
    loss: str | None = None
    model: str | None = None
    train: str | None = None
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Two files' texts, and what to know about them."""

    config: str
    rules: str
    said: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def propose(seen: Sighting, wishes: Wishes, *, now: datetime) -> Proposal:
    """Propose what fits the predictions that were seen."""
    window_s = wishes.window_s or window_for(seen)
    horizon_s = wishes.horizon_s if wishes.horizon_s is not None else horizon_for(seen, window_s)
    per_window = max(1, round(seen.rows * window_s / max(window_s, (seen.newest_at - seen.oldest_at).total_seconds())))
    begin, split = reference_for(seen, window_s)
    said = {
        **{role: f"`{one.column}`, {one.why}" for role, one in seen.roles.items()},
        "loss": f"{wishes.loss or seen.loss}, {'as named' if wishes.loss else seen.loss_why}",
        "window": f"{length_text(window_s)}: about {per_window:,} rows",
        "label horizon": length_text(horizon_s),
        "reference": f"{begin:%Y-%m-%d %H:%M} to {split:%Y-%m-%d %H:%M}"
        if seen.labelled
        else "none: no row has a label",
    }
    lines = _config(seen, wishes, window_s=window_s, horizon_s=horizon_s, begin=begin, split=split)
    return Proposal(
        config="\n".join(lines) + "\n",
        rules=rules_text(wishes.name, per_window, labelled=seen.labelled > 0),
        said=said,
        notes=tuple(_notes(seen, wishes, window_s, now)),
    )


def window_for(seen: Sighting) -> float:
    """The shortest window that usually holds enough rows, and makes enough windows of the file's time."""
    span_s = max(1.0, (seen.newest_at - seen.oldest_at).total_seconds())
    fit = [one for one in WINDOWS_S if one * WINDOWS_MIN <= span_s] or [WINDOWS_S[0]]
    return float(next((one for one in fit if seen.rows / span_s * one >= ROWS_GOOD), fit[-1]))


def horizon_for(seen: Sighting, window_s: float) -> float:
    """How long labels take by the look of it, in whole windows."""
    return float(-(-seen.horizon_s // window_s) * window_s)


def reference_for(seen: Sighting, window_s: float) -> tuple[datetime, datetime]:
    """The first half of the labelled windows, at most sixty of them, from the start of one to the start of another."""
    low, high = seen.oldest_at.timestamp() // window_s, (seen.newest_at.timestamp() - seen.horizon_s) // window_s
    half = max(1.0, min(REFERENCE_WINDOWS_MAX, (high - low) // 2))
    begin = datetime.fromtimestamp(low * window_s, tz=UTC)
    return begin, begin + timedelta(seconds=half * window_s)


def _config(
    seen: Sighting, wishes: Wishes, *, window_s: float, horizon_s: float, begin: datetime, split: datetime
) -> Iterator[str]:
    name = wishes.name
    yield f"# healerd's configuration for `{name}`, proposed from {seen.rows:,} rows. Change what you know better."
    yield f"[pipeline.{name}]"
    yield f"window = {quoted_text(length_text(window_s))}"
    yield f"label_horizon = {quoted_text(length_text(horizon_s))}  # how long after its window labels are waited for"
    yield f"loss = {quoted_text(wishes.loss or seen.loss)}  # when a prediction is wrong"
    yield f"rules = [{quoted_text(name + '.heal')}]"
    yield f"start = {split.isoformat()}  # from when windows are judged" if seen.labelled else "# start = 2026-01-01"
    if wishes.model:
        yield f"model = {quoted_text(wishes.model)}"
    if seen.labelled:
        yield f"reference = {{ start = {begin.isoformat()}, end = {split.isoformat()} }}  # healthy, labelled rows"
    else:
        yield '# reference = { path = "healthy.parquet" }  # healthy, labelled rows: without them nothing is measured'
    yield ""
    yield f"[pipeline.{name}.source]"
    yield from _source(seen, wishes)
    yield ""
    yield from action_lines(wishes)


def _source(seen: Sighting, wishes: Wishes) -> Iterator[str]:
    prediction = seen.column("prediction")
    assert prediction is not None, "a sighting has one"
    if seen.is_probability:
        column, where = _doubled(prediction), _literal(wishes.data)
        yield 'kind = "duckdb"  # the prediction is a probability: the answer is made from it'
        answered = f"SELECT *, (\"{column}\" >= 0.5)::DOUBLE AS healerd_answer FROM '{where}'"  # noqa: S608 - quoted
        yield f"query = {quoted_text(answered)}"
        yield 'prediction = "healerd_answer"'
        yield f"score = {quoted_text(prediction)}"
    else:
        yield f"path = {quoted_text(wishes.data)}"
        yield f"prediction = {quoted_text(prediction)}"
        if (score := seen.column("score")) is not None:
            yield f"score = {quoted_text(score)}"
    for role in ("time", "id", "label", "version"):
        if (named := seen.column(role)) is not None:
            yield f"{role} = {quoted_text(named)}"
    features = _features(seen, wishes)
    if features:
        yield f"features = {json.dumps(features, ensure_ascii=False)}"


def _features(seen: Sighting, wishes: Wishes) -> list[str]:
    """Name the features where others would be taken for some: a label's own time, or what the model does not read."""
    if wishes.features:
        return [name for name in wishes.features if name in seen.columns]
    known_at = seen.column("label_at")
    if known_at is None:
        return []
    taken = {one.column for one in seen.roles.values()}
    return [name for name in seen.columns if name not in taken]


def action_lines(wishes: Wishes) -> Iterator[str]:
    """Write the table of actions: retraining, or how it would be written."""
    name = wishes.name
    if wishes.train:
        yield f"[pipeline.{name}.actions.retrain]"
        yield f"entry = {quoted_text(wishes.train)}"
        yield "cost = 1.0  # in any one unit; the cost of a window served with the harm is `degraded_cost`"
        yield "failure = 0.2  # how likely it is to help nothing"
    else:
        yield f"# [pipeline.{name}.actions.retrain]"
        yield '# entry = "training:fit"  # f(features, label) -> model, in a module beside this file'
        yield "# cost = 1.0"
        yield "# failure = 0.2"


def rules_text(name: str, per_window: int | None, *, labelled: bool) -> str:
    """Write a rule file that fits; `per_window` are the rows of a usual window, None where nobody knows."""
    pack = "default" if labelled else "observe"
    why = (
        ""
        if labelled
        else "\n# No row has a label: rules are only watched until there is something to be held against."
    )
    begin = f'# The rules of `{name}`. Check them with `healerd rules check {name}.heal`.{why}\nimport "{pack}"\n'
    if per_window is None:
        return begin
    thin = max(1, per_window // THIN)
    return f"""{begin}
# a window usually holds about {per_window:,} predictions; with far fewer, something upstream is broken
const ROWS_MIN = {thin}

metric rows: count

forbid thin_window: retrain, promote
  unless rows >= ROWS_MIN
  because "too few predictions came: what is left is no sample of what is served"
"""


def _notes(seen: Sighting, wishes: Wishes, window_s: float, now: datetime) -> Iterator[str]:
    age_s = (now - seen.newest_at).total_seconds()
    if age_s > 200 * window_s:
        yield (
            f"the newest row is {duration(age_s)} old: where the file is finished, `healerd try` plays it through at "
            f"once; the daemon judges {age_s / window_s:,.0f} empty windows up to now"
        )
    if age_s < 0:
        yield "the newest row lies in the future: see the clock that wrote it"
    if not seen.labelled:
        yield "no row has a label: name them with `--label COLUMN`, or add `source.labels` to the configuration"
    if seen.column("id") is None:
        yield "no column is an id: ids are made of each row's content; name one with `--id COLUMN`"
    if not wishes.model:
        yield "no model was named (`--model FILE`): versions can be watched, and none can be brought back"


def length_text(seconds: float) -> str:
    """Write a length of time as the configuration does."""
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def quoted_text(text: str) -> str:
    """Write text as TOML does."""
    return json.dumps(text, ensure_ascii=False)


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def _literal(text: str) -> str:
    return text.replace("'", "''")
