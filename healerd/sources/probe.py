"""Look at a source as the daemon would: can it be read, what are its columns, how far and how late does it come.

Must never change anything, nor take in more rows than a sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.columns import Column, Labels, Predictions, Times, is_missing, kind_of
from healerd.config import PipelineSettings
from healerd.errors import SourceError
from healerd.segments.times import aware, naive
from healerd.sources.prometheus import PrometheusSource
from healerd.sources.roles import guess_roles
from healerd.sources.source import Source
from healerd.sources.table import TableSource

__all__ = ["LabelsProbed", "MetricProbed", "Probe", "ProbedColumn", "Trouble", "probe", "probe_metrics"]

WINDOWS = (10, 1_000)
"""How many windows back rows are looked for at first, and then; after that, at all times."""
ROWS_MAX = 100_000
"""Rows that a sample may hold: enough to tell how late one in a thousand comes."""
MOMENT = timedelta(microseconds=1)
EVER = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedColumn:
    """A column: its type where it lies, how it travels, what it is for, how many sampled values there are."""

    name: str
    type: str
    kind: str
    role: str
    present: int | None = None
    distinct: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsProbed:
    """The labels of the sampled rows: how many, how many more of the same ids, and how long they took, in seconds."""

    labelled: int
    repeated: int
    contradicting: int
    delay_median_s: float | None
    delay_max_s: float | None
    past_horizon: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricProbed:
    """A metric of operation over the newest window: its points, the newest value, and what is wrong with it."""

    name: str
    points: int = 0
    newest: float | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong, or should be known, with its mend."""

    level: str
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a look at a source has found. Times are aware UTC; None where nobody can tell.

    `late_max_s` is the farthest that a sampled row lies behind a newer one above it: how late rows come, where they
    are appended as they come.
    """

    kind: str
    place: str
    columns: tuple[ProbedColumn, ...] = ()
    rows: int = 0
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    repeated: int = 0
    late_rows: int = 0
    late_max_s: float | None = None
    labels: LabelsProbed | None = None
    metrics: tuple[MetricProbed, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether the daemon could read it."""
        return all(one.level != "fail" for one in self.troubles) and not any(one.trouble for one in self.metrics)


def probe(source: Source, settings: PipelineSettings, *, now: datetime) -> Probe:
    """Look at a source with its settings, as of now."""
    own = settings.source
    place = own.path or ("source.query" if own.query else own.kind)
    found = Probe(kind=own.kind, place=place)
    types: Mapping[str, str] = {}
    try:
        if isinstance(source, TableSource):
            types = source.schema()
        rows, start, end = _sample(source, settings, now)
        labels = source.labels(start, end, now) if len(rows) else None
    except SourceError as error:
        troubles = (Trouble(level="fail", said=str(error), mend=_hint(source)),)
        return _with_columns(found, source, types, rows=None, troubles=troubles)
    found = _with_columns(found, source, types, rows=rows, troubles=())
    return _looked(found, settings, rows, labels, now=now)


def probe_metrics(settings: PipelineSettings, folder: Path, *, now: datetime) -> tuple[MetricProbed, ...]:
    """Ask for each metric of operation over the last window, as of now."""
    if settings.operations is None:
        return ()
    source, start = PrometheusSource(settings.operations, folder), now - timedelta(seconds=settings.window)
    return tuple(_metric(source, name, query, start, now) for name, query in settings.operations.queries.items())


def _metric(source: PrometheusSource, name: str, query: str, start: datetime, end: datetime) -> MetricProbed:
    try:
        points = source.points(query, start, end)
    except SourceError as error:
        return MetricProbed(name=name, trouble=str(error))
    values = [value for _, value in points if value is not None]
    empty = "" if values else "the query gives nothing over the last window"
    return MetricProbed(name=name, points=len(values), newest=values[-1] if values else None, trouble=empty)


def _sample(source: Source, settings: PipelineSettings, now: datetime) -> tuple[Predictions, datetime, datetime]:
    """Find the newest rows, looking farther back until there are some; at most ROWS_MAX of them where it can count."""
    length, end = timedelta(seconds=settings.window), now + timedelta(days=1)
    for far in (*(now - length * count for count in WINDOWS), EVER):
        start = far
        if isinstance(source, TableSource):
            count, oldest, newest = source.span(far, end)
            if not count:
                continue
            start, end = max(oldest, newest - (newest - oldest) * min(1.0, ROWS_MAX / count)), newest + MOMENT
        rows = source.fetch(start, end)
        if len(rows):
            return rows, start, end
    return source.fetch(now, now + MOMENT), now, now


def _with_columns(
    found: Probe, source: Source, types: Mapping[str, str], *, rows: Predictions | None, troubles: tuple[Trouble, ...]
) -> Probe:
    held = _held(rows) if rows is not None else {}
    roles = source.roles() if isinstance(source, TableSource) else {}
    columns = []
    for name in types or held:
        role = roles.get(name, "feature" if rows is None or name in rows.features else "not used")
        column = held.get(name if role in {"feature", "not used"} else f"({role})")
        columns.append(
            ProbedColumn(
                name=name,
                type=types.get(name, "" if column is None else str(column.dtype)),
                kind="" if column is None else kind_of(column) if column.dtype.kind != "M" else "time",
                role=role,
                present=None if column is None else _present(column),
                distinct=None if column is None else _distinct(column),
            )
        )
    return Probe(kind=found.kind, place=found.place, columns=tuple(columns), troubles=troubles)


def _held(rows: Predictions) -> dict[str, Column]:
    own = {"(time)": rows.at, "(id)": rows.ids, "(version)": rows.version, "(prediction)": rows.output}
    own["(label)"] = rows.label
    if rows.score is not None:
        own["(score)"] = rows.score
    return {**rows.features, **own}


def _present(column: Column) -> int:
    return len(column) if column.dtype.kind == "M" else int(len(column) - is_missing(column).sum())


def _distinct(column: Column) -> int:
    if column.dtype == np.object_:
        return len({value for value in column.tolist() if value is not None})
    return len(np.unique(column[~np.isnat(column)] if column.dtype.kind == "M" else column[~np.isnan(column)]))


def _looked(
    found: Probe, settings: PipelineSettings, rows: Predictions, labels: Labels | None, *, now: datetime
) -> Probe:
    if not len(rows):
        said = "no rows at any time up to now: see whether predictions are written, and the time column"
        nothing = Trouble(level="warn", said=said, mend="`source.time` names the column that holds the time")
        return Probe(kind=found.kind, place=found.place, columns=found.columns, troubles=(nothing,))
    behind = _behind_s(rows.at)
    repeated = len(rows) - len(set(rows.ids.tolist()))
    told = None if labels is None else _labels(rows, labels, horizon_s=settings.label_horizon)
    late_max_s = float(behind.max())
    return Probe(
        kind=found.kind,
        place=found.place,
        columns=found.columns,
        rows=len(rows),
        oldest_at=aware(rows.at.min()),
        newest_at=aware(rows.at.max()),
        repeated=repeated,
        late_rows=int((behind > settings.window).sum()),
        late_max_s=late_max_s,
        labels=told,
        troubles=tuple(_troubles(settings, rows, now, late_max_s=late_max_s, repeated=repeated, labels=told)),
    )


def _behind_s(at: Times) -> Column:
    """How far each row lies behind the newest above it, in seconds."""
    return (np.maximum.accumulate(at) - at) / np.timedelta64(1, "s")


def _labels(rows: Predictions, labels: Labels, *, horizon_s: float) -> LabelsProbed:
    served = dict(zip(rows.ids.tolist(), rows.at, strict=True))
    first: dict[str, tuple[object, np.datetime64]] = {}
    contradicting = set[str]()
    for id_, label, at in zip(labels.ids.tolist(), labels.label.tolist(), labels.at, strict=True):
        if id_ in first and first[id_][0] != label:
            contradicting.add(id_)
        first.setdefault(id_, (label, at))
    known = [(at - served[id_]) / np.timedelta64(1, "s") for id_, (_, at) in first.items() if id_ in served]
    return LabelsProbed(
        labelled=len(first),
        repeated=len(labels) - len(first),
        contradicting=len(contradicting),
        delay_median_s=float(np.median(known)) if known else None,
        delay_max_s=float(max(known)) if known else None,
        past_horizon=sum(bool(delay > horizon_s) for delay in known),
    )


def _troubles(
    settings: PipelineSettings,
    rows: Predictions,
    now: datetime,
    *,
    late_max_s: float,
    repeated: int,
    labels: LabelsProbed | None,
) -> list[Trouble]:
    told = []
    if repeated:
        said = f"{repeated:,} of {len(rows):,} rows have an id that came before: they are counted once"
        mend = "an id names one prediction: where it names a customer, name another column as `source.id`, or none"
        told.append(Trouble(level="warn", said=said, mend=mend))
    if late_max_s > settings.window + settings.source.late_s:
        said = (
            f"rows come up to {late_max_s:,.0f} s behind newer ones, and `source.late` is {settings.source.late_s:g} s"
        )
        told.append(Trouble(level="warn", said=said, mend=f'late = "{-(-late_max_s // 3600):.0f}h" in `source`'))
    ahead = int((rows.at > naive(now)).sum())
    if ahead:
        told.append(
            Trouble(level="warn", said=f"{ahead:,} rows lie in the future", mend="see the clock that wrote them")
        )
    if labels is not None and labels.contradicting:
        said = f"{labels.contradicting:,} ids have labels that contradict each other: the first that was known counts"
        told.append(Trouble(level="warn", said=said))
    timed = settings.source.labels is not None and settings.source.labels.at is not None
    if labels is not None and timed and labels.past_horizon:
        said = f"{labels.past_horizon:,} labels came after `label_horizon`: their windows were judged without them"
        told.append(Trouble(level="warn", said=said, mend="raise `label_horizon`"))
    return told


def _hint(source: Source) -> str:
    """What the columns look like, where they can be told but are named otherwise."""
    if not isinstance(source, TableSource):
        return ""
    try:
        guessed = guess_roles(source.kinds())
    except SourceError:
        return ""
    named = ", ".join(f"{role} = `{guess.column}`" for role, guess in guessed.items() if role != "label_at")
    return f"by their names the columns may be: {named}" if named else ""
