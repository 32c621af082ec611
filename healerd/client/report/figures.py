"""The figures of a report, each from what was gathered out of the log, with its interval, its number and its traces.

Pure. Must never guess: what the log cannot know has the value None and says why. The definitions stand in the README.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from healerd.client.report.gather import Episode, Gathered, IntentLine
from healerd.client.report.quantiles import quantile, share
from healerd.model import ACTIONS_THAT_HEAL, DAEMON, OPEN_STATES, STEPS, Answer, AnswerKind, IntentState, Result

__all__ = ["FIGURES", "Figure", "figures", "heals"]

TRACES_MAX = 20
SMALL = 20
"""Below so many values a figure says that they are few."""
SIMULATED = "simulated"
FEWER = "below 0: fewer failures than by rules alone"
PARTLY = "of what was pruned only windows that acted are left"
OF_WINDOWS = {
    "windows", "observed", "degraded", "degraded_share", "safe", "detect_median", "detect_p90", "false_alarms",
    "retrains_avoided", "deviations", "saved_expected",
}  # fmt: skip
"""Figures that stand on decisions which a pruning drops; what acted, incidents and what people said stay."""
NOT_RUN = {IntentState.VETOED, IntentState.EXPIRED, IntentState.WITHDRAWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: None is unknown, infinite is not over. `traces` are decision ids, the first of `of` altogether."""

    key: str
    title: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""
    traces: tuple[str, ...] = ()
    of: int = 0


def figures(found: Gathered, at: datetime) -> tuple[Figure, ...]:
    """Make every figure, in the order of the table; `at` is the moment up to which what is open has lasted."""
    made = (figure for make in FIGURES for figure in make(found, at))
    return tuple(_noted(figure) if found.partly and figure.key in OF_WINDOWS else figure for figure in made)


def _noted(figure: Figure) -> Figure:
    return replace(figure, note=f"{figure.note}; {PARTLY}" if figure.note else PARTLY)


# windows and time ------------------------------------------------------------


def _windows(found: Gathered, at: datetime) -> Iterator[Figure]:
    observed = sum(day.observed_s for day in found.days.values())
    yield Figure(key="windows", title="windows judged", unit="", value=found.windows, n=found.windows)
    yield Figure(key="observed", title="time observed", unit="s", value=observed, n=found.windows)


def _degraded(found: Gathered, at: datetime) -> Iterator[Figure]:
    days, ids = found.days.values(), found.degraded_ids
    observed, degraded = sum(day.observed_s for day in days), sum(day.degraded_s for day in days)
    unknown = sum(day.unknown_s for day in days)
    blind = f"for {unknown / observed:.0%} of the time nobody could tell" if unknown and observed else ""
    spent = Figure(key="degraded", title="degraded time", unit="s", value=degraded, n=found.windows, note=blind)
    yield replace(_linked(spent, ids), of=found.degraded)
    yield Figure(
        key="degraded_share",
        title="degraded share",
        unit="%",
        value=100 * degraded / observed if observed else None,
        n=found.windows,
        note="" if observed else "no window was judged",
    )
    safe = sum(day.safe_s for day in days)
    yield Figure(key="safe", title="time on the safe model", unit="s", value=safe, n=found.windows)


# incidents -------------------------------------------------------------------


def _incidents(found: Gathered, at: datetime) -> Iterator[Figure]:
    episodes = list(found.episodes.values())
    yield _count("incidents", "incidents opened", [_trace(one) for one in episodes])
    standing = [one for one in episodes if one.incident.closed_at is None]
    yield _count("incidents_open", "incidents still open", [_trace(one) for one in standing])


def _detect(found: Gathered, at: datetime) -> Iterator[Figure]:
    """How long after the onset that the alarm itself dates back to an incident was opened."""
    known = [one for one in found.episodes.values() if one.onset_at is not None]
    took = [((one.incident.opened_at - one.onset_at).total_seconds(), one) for one in known if one.onset_at]
    lost = len(found.episodes) - len(known)
    yield from _quantiles(
        "detect", "time to detect", took, _lost(lost, "has no recorded onset", "have no recorded onset")
    )


def _recover(found: Gathered, at: datetime) -> Iterator[Figure]:
    """How long an incident was open. One that is not over lasts longer than every other."""
    took = [(_lasted(one), one) for one in found.episodes.values()]
    standing = sum(math.isinf(seconds) for seconds, _ in took)
    yield from _quantiles("recover", "time to recover", took, _lost(standing, "is still open", "are still open"))


def _lasted(one: Episode) -> float:
    closed = one.incident.closed_at
    return math.inf if closed is None else (closed - one.incident.opened_at).total_seconds()


def _quantiles(key: str, title: str, took: Sequence[tuple[float, Episode]], note: str) -> Iterator[Figure]:
    longest = sorted(took, key=lambda pair: -pair[0])
    traces = tuple(_trace(one) for _, one in longest[:TRACES_MAX])
    for name, q in (("median", 0.5), ("p90", 0.9)):
        found = quantile([seconds for seconds, _ in took], q)
        if found is None:
            said = f"no incident to measure{'; ' if note else ''}{note}"
            yield Figure(key=f"{key}_{name}", title=f"{title}, {name}", unit="s", value=None, note=said)
            continue
        notes = [note, "few" if found.n < SMALL else "", "" if found.high is not None else "no upper end with so few"]
        yield Figure(
            key=f"{key}_{name}",
            title=f"{title}, {name}",
            unit="s",
            value=found.value,
            low=found.low,
            high=found.high,
            n=found.n,
            note="; ".join(part for part in notes if part),
            traces=traces,
            of=len(took),
        )


def _false_alarms(found: Gathered, at: datetime) -> Iterator[Figure]:
    """Incidents that an alarm opened and that ended without harm being seen: candidates, for the truth is not known."""
    over = [one for one in found.episodes.values() if one.incident.opened_by == "alarm" and one.incident.closed_at]
    judged = [one for one in over if one.harm is not None]
    never = [one for one in judged if one.harm is False]
    bounds = share(len(never), len(judged))
    blind = _lost(len(over) - len(judged), "could not be judged", "could not be judged")
    note = "; ".join(part for part in ("at most: a drift without harm may be real", blind) if part)
    figure = Figure(
        key="false_alarms",
        title="alarms never confirmed by harm",
        unit="%",
        value=None,
        n=len(judged),
        note=note if bounds is not None else f"no incident of an alarm is over{'; ' if blind else ''}{blind}",
    )
    if bounds is not None:
        figure = replace(figure, value=100 * bounds[0], low=100 * bounds[1], high=100 * bounds[2])
    yield _linked(figure, [_trace(one) for one in never])


# people ----------------------------------------------------------------------


def _vetoes(found: Gathered, at: datetime) -> Iterator[Figure]:
    said = [one for one in found.answers if one.kind in (AnswerKind.VETO, AnswerKind.DENY)]
    judged = [(_hindsight(answer, found), answer) for answer in said]
    yield _count("vetoes", "vetoes and denials", [_decision(found, answer) for answer in said])
    for verdict, title in (
        ("right", "right in hindsight"),
        ("wrong", "wrong in hindsight"),
        ("unknown", "nobody can tell"),
    ):
        own = [_decision(found, answer) for each, answer in judged if each == verdict]
        yield _count(f"vetoes_{verdict}", f"vetoes: {title}", own)


def _hindsight(answer: Answer, found: Gathered) -> str:
    """Judge a veto by what followed in its incident: the same action later, or a recovery without any heal."""
    intent = found.intents.get(answer.intent_id)
    episode = found.episodes.get(intent.incident_id or "") if intent else None
    if intent is None or episode is None:
        return "unknown"
    later = [
        one
        for one in found.intents.values()
        if one.incident_id == intent.incident_id and one.effect_at is not None and one.effect_at >= answer.at
    ]
    results = {
        found.outcomes[one.id].result for one in later if one.action == intent.action and one.id in found.outcomes
    }
    if Result.WORSE in results:
        return "right"
    if Result.HEALED in results:
        return "wrong"
    return "right" if episode.incident.closed_at is not None and not later else "unknown"


def _interventions(found: Gathered, at: datetime) -> Iterator[Figure]:
    """What people did, and apart from them what a simulated operator did (SAFETY S19)."""
    deeds = [(one.author, _decision(found, one)) for one in found.answers]
    deeds += [(one.author, "") for one in found.pauses]
    deeds += [(one.author, "") for one in found.stages if one.author != DAEMON]
    deeds += [(one.author, one.decision_id) for one in found.intents.values() if one.author != DAEMON]
    for key, title, simulated in (
        ("interventions", "manual interventions", False),
        ("interventions_simulated", "interventions of a simulated operator", True),
    ):
        own = [trace for author, trace in deeds if (author == SIMULATED) is simulated]
        yield _count(key, title, own)


# heals -----------------------------------------------------------------------


def heals(found: Gathered) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Count heals and their steps by action and by what came of them: (action, result) -> decision ids."""
    rows: dict[tuple[str, str], list[str]] = {}
    for intent in found.intents.values():
        rows.setdefault((intent.action, _came(intent, found)), []).append(intent.decision_id)
    order = {name: place for place, name in enumerate((*ACTIONS_THAT_HEAL, *STEPS))}
    return {key: tuple(rows[key]) for key in sorted(rows, key=lambda key: (order.get(key[0], len(order)), key))}


def _came(intent: IntentLine, found: Gathered) -> str:
    outcome = found.outcomes.get(intent.id)
    if intent.state in OPEN_STATES:
        return "not over"
    if intent.state in NOT_RUN or intent.state is IntentState.REFUSED:
        return intent.state.value
    return outcome.result.value if outcome is not None else intent.state.value


def _heals(found: Gathered, at: datetime) -> Iterator[Figure]:
    for (action, result), ids in heals(found).items():
        yield _count(f"heals.{action}.{result}", f"{action}: {result}", ids)


def _avoided(found: Gathered, at: datetime) -> Iterator[Figure]:
    """Incidents in which rules asked for a retraining, that are over, and in which none was started."""
    begun = {one.incident_id for one in found.intents.values() if one.action == "retrain" and one.executed_at}
    over = [one for one in found.episodes.values() if one.retrain_proposed and one.incident.closed_at]
    own = [one.retrain_proposed for one in over if one.incident.id not in begun]
    yield _count(
        "retrains_avoided", "retrains avoided", own, note=f"of {len(over)} incidents that asked for one and are over"
    )
    refused = [
        one.decision_id
        for one in found.intents.values()
        if one.action == "retrain" and one.state is IntentState.REFUSED and one.effect_at is not None
    ]
    yield _count("candidates_rejected", "candidates trained and not promoted", refused)


# the policy against the rules -------------------------------------------------


def _against_rules(found: Gathered, at: datetime) -> Iterator[Figure]:
    ids = [id_ for id_, _ in found.deviations]
    yield _count("deviations", "decisions in which the policy deviated from the rules", ids)
    saved = [amount for _, amount in found.deviations if amount is not None]
    expected = Figure(
        key="saved_expected",
        title="saved against rules only, as the policy expected",
        unit="cost",
        value=math.fsum(saved) if saved else None,
        n=len(saved),
        note="the policy's own estimate, no evidence" if saved else "unknown: it never deviated",
    )
    yield _linked(expected, ids)
    yield _randomised(found)


def _randomised(found: Gathered) -> Figure:
    """The failure rates of the two sides of the coin: the only evidence against rules alone."""
    sides: dict[bool, Counter[bool]] = {True: Counter(), False: Counter()}
    ids = list[str]()
    for intent in found.intents.values():
        outcome, policy = found.outcomes.get(intent.id), found.tossed.get(intent.decision_id)
        if outcome is not None and policy is not None:
            sides[policy][outcome.result is Result.HEALED] += 1
            ids.append(intent.decision_id)
    ours, rules = (share(side[False], side.total()) for side in (sides[True], sides[False]))
    figure = Figure(
        key="failures_against_rules",
        title="failure rate against rules only, where a coin decided",
        unit="points",
        value=None,
        n=len(ids),
        note="unknown: no coin decided for both sides and was judged",
    )
    if ours is None or rules is None:
        return _linked(figure, ids)
    # Newcombe (1998), method 10: the interval of a difference from the Wilson intervals of its two shares.
    moved = ours[0] - rules[0]
    down, up = math.hypot(ours[0] - ours[1], rules[2] - rules[0]), math.hypot(ours[2] - ours[0], rules[0] - rules[1])
    known = replace(figure, value=100 * moved, low=100 * (moved - down), high=100 * (moved + up), note=FEWER)
    return _linked(known, ids)


# parts -----------------------------------------------------------------------


def _count(key: str, title: str, ids: Sequence[str], *, note: str = "") -> Figure:
    return _linked(Figure(key=key, title=title, unit="", value=len(ids), n=len(ids), note=note), ids)


def _linked(figure: Figure, ids: Iterable[str]) -> Figure:
    """Link a figure to the newest of its traces."""
    known = tuple(dict.fromkeys(id_ for id_ in ids if id_))
    return replace(figure, traces=known[-TRACES_MAX:], of=len(known))


def _trace(one: Episode) -> str:
    return one.opened_by or one.newest


def _decision(found: Gathered, answer: Answer) -> str:
    intent = found.intents.get(answer.intent_id)
    return intent.decision_id if intent else ""


def _lost(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


FIGURES: tuple[Callable[[Gathered, datetime], Iterator[Figure]], ...] = (
    _windows,
    _incidents,
    _detect,
    _recover,
    _degraded,
    _heals,
    _avoided,
    _vetoes,
    _interventions,
    _false_alarms,
    _against_rules,
)
