"""A finished run held against the baselines, as curves and as the JSON contract. Must never judge on other rows."""

from collections.abc import Iterator, Sequence

from healerd.columns import Mask
from healerd.config import Config
from healerd.offline.baselines import Line, never, previous_label, same_count
from healerd.offline.beside import Beside, Task
from healerd.offline.contract import Baseline, EventRecord, Report
from healerd.offline.score import audit_of, counts_of, data_of, done_in, line_of, metric_of
from healerd.offline.session import Session
from healerd.offline.setup import Setup

__all__ = ["lines_of", "report_of", "task_of"]


def task_of(setup: Setup, config: Config) -> Task:
    """Say what the plain schedules are played on: the same stream, training as healerd trains."""
    healing = config.pipeline[setup.stream.name].healing
    return Task(
        stream=setup.stream,
        model=setup.first.model,
        loss=setup.loss,
        fit=setup.fit,
        train_windows=healing.train_windows,
        rows_min=healing.rows_min,
    )


def lines_of(setup: Setup, session: Session, beside: Beside, *, played: Sequence[int]) -> Iterator[Line]:
    """Gather the baselines, among them a period that retrains about as often as healerd did; healerd comes last.

    `played` are the periods that are played beside.
    """
    stream, loss, store = setup.stream, setup.loss, session.core.store
    retrains = len(done_in(store, stream.name).of("promote"))
    yield never(stream, setup.first.model, loss)
    if stream.task == "classification":
        yield previous_label(stream, loss)
    equal = same_count(stream, retrains)
    if equal is not None and equal not in played:
        yield task_of(setup, session.core.config).play(equal)
    yield from beside.lines()
    yield line_of(store, stream, loss, retrains=retrains)


def report_of(
    setup: Setup,
    session: Session,
    lines: Sequence[Line],
    events: Sequence[EventRecord],
    *,
    judged: Mask,
    seconds: float,
) -> Report:
    """Count everything for the contract; `judged` marks the served rows that quality is taken over."""
    *baselines, healerd = lines
    store = session.core.store
    return Report(
        data=data_of(setup.stream),
        baselines=tuple(
            Baseline(name=line.name, quality=line.quality(judged), retrains=line.retrains) for line in baselines
        ),
        healerd=counts_of(done_in(store, setup.stream.name), healerd.quality(judged)),
        metric=metric_of(setup.loss),
        events=tuple(events),
        audit=audit_of(store),
        seconds=seconds,
    )
