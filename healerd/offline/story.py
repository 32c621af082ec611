"""How a run is told to people: one line an event, a table at the end. Must never say what was not measured."""

from collections.abc import Iterator, Sequence

from healerd.offline.contract import Counts, EventKind, EventRecord, Metric, Report

__all__ = ["SIMULATED_NOTE", "counted", "event_line", "is_told", "table", "verdict"]

SIMULATED_NOTE = (
    "nobody is asked in this run: an operator recorded as `simulated` approves the first heals, then lets the pipeline "
    "act alone"
)
QUIET = frozenset({EventKind.ANNOUNCED, EventKind.ASKED, EventKind.ANSWERED})
"""What is not told where no person is asked: it is counted at the end. A person has seen the questions themselves."""
GAVE_WAY = frozenset({"unknown", "withdrawn"})
"""How an action ends that another one replaced: the other one is told."""
REASON_MAX = 160


def is_told(event: EventRecord, *, to_person: bool) -> bool:
    """Tell whether an event is worth a line as it happens; all of them are in the JSON and in the page."""
    if event.kind is EventKind.ENDED and event.outcome in GAVE_WAY:
        return False
    asked = event.kind in {EventKind.ANNOUNCED, EventKind.ASKED}
    return event.kind not in QUIET or (to_person and not asked)


def event_line(event: EventRecord) -> str:
    """Tell one event in a line: when, what, and why.

    >>> event_line(EventRecord(at="2013-03-03T00:00:00Z", kind=EventKind.ACTED, pipeline="flights", action="retrain"))
    '2013-03-03 00:00  acted            retrain'
    """
    what = ": ".join(part for part in (event.action, event.outcome) if part)
    said = event.reason if len(event.reason) <= REASON_MAX else f"{event.reason[: REASON_MAX - 3]}..."
    text = "; ".join(part for part in (what, said) if part)
    return f"{event.at[:16].replace('T', ' ')}  {event.kind.value:<15}  {text}".rstrip()


def table(lines: Sequence[tuple[str, float, int]], metric: Metric) -> Iterator[str]:
    """Tell what each way of serving reached."""
    width = max(len(name) for name, _, _ in lines)
    yield f"{'':<{width}}  {metric.name:>18}  retrains"
    for name, quality, retrains in lines:
        yield f"{name:<{width}}  {quality:>18.1%}  {retrains:>8}"


def verdict(report: Report) -> Iterator[str]:
    """Tell the result: the table, what healerd did for it, and whether the log holds."""
    rows = [(each.name, each.quality, each.retrains) for each in report.baselines]
    yield from table([*rows, ("healerd", report.healerd.quality, report.healerd.retrains)], report.metric)
    yield ""
    yield f"healerd: {counted(report.healerd)}"
    if not report.events:
        yield "nothing was wrong enough to open an incident, so nothing was done"
    answers = sum(event.kind is EventKind.ANSWERED for event in report.events)
    if answers:
        yield f"{answers} questions were answered by people or by the operator recorded as `simulated`"
    state = "verified" if report.audit.verified else "NOT VERIFIED"
    yield f"audit: {report.audit.leaves:,} leaves, {state}"


def counted(counts: Counts) -> str:
    """Tell what was done.

    >>> counted(Counts(quality=0.8, retrains=1, trainings=2, rollbacks=0, fallbacks=0, other=0))
    '2 trainings, 1 promotion, 0 rollbacks, 0 fallbacks, 0 undos and returns'
    """
    parts = (
        (counts.trainings, "training"),
        (counts.retrains, "promotion"),
        (counts.rollbacks, "rollback"),
        (counts.fallbacks, "fallback"),
    )
    told = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts]
    return ", ".join([*told, f"{counts.other} undos and returns"])
