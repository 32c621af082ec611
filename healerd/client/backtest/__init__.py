"""What other rules, another policy, gate or costs would have done on recorded decisions. See the client's README.

Must never write, nor conclude anything from a record that does not reproduce.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from healerd.client.backtest.evidence import Evidence
from healerd.client.backtest.figures import AUTOMATIC, FORBIDDEN, Figures, counted_of
from healerd.client.backtest.instead import KEYS, Instead, instead_of
from healerd.client.backtest.lanes import Lanes
from healerd.client.backtest.recorded import brief_of
from healerd.client.backtest.shares import Period, walk_in_shares
from healerd.client.reproduce import kept_rules, reproduce
from healerd.client.views import Json, plain
from healerd.decision.erasure import is_erased
from healerd.errors import NotFound
from healerd.model import EVERYTHING, Decision
from healerd.store import Range, Reader, Saved, Watermark
from healerd.workers import ALONE, Crew

__all__ = ["AUTOMATIC", "CHECKED", "FORBIDDEN", "KEYS", "Instead", "Period", "backtest", "instead_of"]

CHECKED = 200
"""Recorded decisions that are decided again as they were, evenly spread, before anything is concluded."""
Progress = Callable[[int, int], None]
"""Told how many decisions are done, of how many."""


def backtest(
    reader: Reader,
    instead: Instead,
    period: Period,
    *,
    checked: int = CHECKED,
    progress: Progress | None = None,
    place: Path | None = None,
    crew: Crew = ALONE,
) -> Json:
    """Try something on the record, and give everything that came of it as plain JSON values.

    With `reproduced.problem`, nothing is concluded. A `crew` opens the record at `place` by itself, and shares the
    pipelines out; the view is the same.
    Raises NotFound when there is no such decision, StoreError when one cannot be read.
    """
    count, first, last = reader.tally(Decision, **period.filters)
    if not count:
        raise NotFound(_nothing(reader, period))
    view: Json = {"schema": 1, "tried": instead.name, "period": _told(period), "recorded": count}
    view["reproduced"] = _reproduced(reader, period, (first, last), checked)
    if view["reproduced"]["problem"]:
        return view
    lanes = Lanes(reader, instead)
    figures, reads = Figures(evidence=Evidence(reader)), _reads(reader, lanes, period, (first, last))
    shared = None
    if place is not None and crew.open is not None:
        shared = walk_in_shares(reader, place, instead, period, last=last, quiet=reads.all, crew=crew)
    alone = (counted_of(met, figures.evidence) for met in lanes.walk(reads.bodies, period.holds))
    for done, one in enumerate(alone if shared is None else shared[0], 1):
        figures.add(one)
        if progress is not None:
            progress(done, reads.count or count)
    books = list(lanes.books.values()) if shared is None else shared[1]
    return {**view, **figures.view(books), "decisions": count, "read": figures.met, "quiet_read": reads.all}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reads:
    """What has to be read: every decision, or those alone in which something was wrong."""

    bodies: Iterator[tuple[int, bytes]]
    count: int
    all: bool


def _reads(reader: Reader, lanes: Lanes, period: Period, ends: tuple[int, int]) -> _Reads:
    """A quiet window holds whatever the guards say: it is read only where a rule would propose, or remember, anew."""
    if any(lanes.contrast_of(rules_id).quiet_counts for rules_id in _rule_sets(reader, ends)):
        if period.pipeline is None:
            return _Reads(bodies=reader.stretch(Decision, *ends), count=0, all=True)
        numbers = reader.numbers(Decision, **period.filters)
        return _Reads(bodies=reader.bodies(Decision, numbers), count=len(numbers), all=True)
    numbers = reader.numbers(Decision, **period.filters, incident_id=Range(""))
    return _Reads(bodies=reader.bodies(Decision, numbers), count=len(numbers), all=False)


def _rule_sets(reader: Reader, ends: tuple[int, int]) -> Iterator[str]:
    """Name the rule sets that were in force before the last decision, as far as their texts are kept and still load."""
    for saved in reader.find(Saved, pipeline=EVERYTHING, seq=Range(None, ends[1] + 1)):
        kind, _, rules_id = saved.name.partition(" ")
        if kind == "rules" and kept_rules(reader, rules_id) is not None:
            yield rules_id


def _reproduced(reader: Reader, period: Period, ends: tuple[int, int], checked: int) -> Json:
    """Decide some again as they were: half evenly over the period, half among those where something was wrong."""
    busy = reader.numbers(Decision, **period.filters, incident_id=Range(""))
    step = max(1, (ends[1] - ends[0]) // max(1, checked // 2))
    spread = {reader.nearest(Decision, seq) for seq in range(ends[0], ends[1] + 1, step)}
    among = busy[:: max(1, len(busy) // max(1, checked - checked // 2))]
    numbers = sorted({seq for seq in (*spread, *among) if seq is not None and seq <= ends[1]})
    read = (msgspec.json.decode(body, type=Decision) for _, body in reader.bodies(Decision, numbers))
    found = [decision for decision in read if not is_erased(decision)]
    failed = next((one for one in reproduce(reader, found) if one.problem), None)
    told: Json = {"checked": len(found), "problem": None}
    if failed is not None:
        told |= {"problem": failed.problem, "decision": failed.decision.id, "pipeline": failed.decision.pipeline}
        told |= {"field": failed.field, "was": plain(failed.was), "now": plain(failed.now)}
    return told


def _told(period: Period) -> Json:
    return {"since": plain(period.since), "until": plain(period.until), "pipeline": period.pipeline}


def _nothing(reader: Reader, period: Period) -> str:
    """Say why no decision is there, with what there is."""
    whole = Period(pipeline=period.pipeline)
    count, first, last = reader.tally(Decision, **whole.filters)
    if not count and period.pipeline is not None:
        names = sorted({mark.pipeline for mark in reader.find(Watermark)})
        return f"no decision about `{period.pipeline}`; there are {', '.join(f'`{name}`' for name in names) or 'none'}"
    if not count:
        return "no decision was ever recorded here; let the daemon judge a window first"
    ends = [brief_of(body).at for _, body in reader.bodies(Decision, (first, last))]
    return f"no decision in this period; there are {count} from {ends[0]:%Y-%m-%dT%H:%M} to {ends[-1]:%Y-%m-%dT%H:%M}"
