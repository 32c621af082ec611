"""The words of the prompt: what would be done, why, how sure that is, what else could be done, and what silence means.

Pure: it must never leave out what follows from a number, and never say that the policy was asked when it was not.
It is long because the whole prompt is worded in one place: what it leaves out can be seen to be missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healerd.client.words import Z_80, say_stage
from healerd.model import AWAITED
from healerd_tui.formats import ago, say_count, say_number, say_p, say_share
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import pad, show, width, wrap
from healerd_tui.plots import countdown_bar, gate_bar, interval_bar
from healerd_tui.state import NEEDS_PERSON
from healerd_tui.view import Line, Part, line_width

__all__ = [
    "PRESETS",
    "REASON_MIN",
    "Question",
    "answered_by",
    "consequence",
    "evidence_lines",
    "expected_lines",
    "is_grave",
    "preset_lines",
    "question_lines",
    "reason_problem",
    "resolving",
    "summary",
]

Json = Mapping[str, Any]

PRESETS = ("known campaign", "data bug upstream", "bad timing", "prefer rollback", "unsure")
"""Reasons that need no more words; the sixth is one's own."""
REASON_MIN = 8
MARGIN = 11
"""Cells of the words at the left: WHAT, WHY, BLAST."""
COUNTDOWN_MIN = 12
"""Cells without which a countdown cannot be read."""
WINDOW_S = 600.0
"""What a countdown is drawn against where the window is not known."""
OPTIONS_WIDE = 100
"""From this width on the options have their intervals drawn."""


class Question:
    """One reading of an intent: `view` as the client gives it, and how long ago that was."""

    def __init__(self, view: Json) -> None:
        self.view, self.intent = view, view["intent"]
        self.review: Json = view.get("review") or {}
        self.decision: Json = view.get("decision") or {}

    @property
    def revision(self) -> int:
        """The revision of the evidence."""
        return int(self.intent["revision"])

    @property
    def waits(self) -> bool:
        """Tell whether it still waits for a person."""
        return self.intent["state"] in AWAITED

    @property
    def needs_person(self) -> bool:
        """Tell whether nobody knows if it took effect, so that somebody has to look."""
        return bool(self.intent["state"] == NEEDS_PERSON)

    @property
    def answers(self) -> tuple[str, ...]:
        """What the prompt can still say: a veto, an approval."""
        return tuple(each for each in self.view.get("answers") or () if each in {"veto", "approve"})

    @property
    def title(self) -> str:
        """The action and what it is done to."""
        target = _towards(self.intent)
        return (
            f"{self.intent['action'].upper()} {self.intent['pipeline']}  {self.intent.get('current') or '-'} → {target}"
        )


def _towards(intent: Json) -> str:
    """Name what an action leads to, where it has no target yet."""
    return str(intent.get("target") or ("the safe model" if intent["action"] == "fallback" else "a new version"))


def is_grave(question: Question) -> bool:
    """Tell whether approving wants the pipeline's name typed: a high blast radius, or no way back."""
    blast = question.review.get("blast") or {}
    return blast.get("level") == "high" or not blast.get("reversible", "yes")


def reason_problem(reason: str) -> str:
    """Say what is wrong with a reason, as the daemon would; empty when nothing is."""
    if reason.strip() in PRESETS or len(reason.strip()) >= REASON_MIN:
        return ""
    return f"a reason needs at least {REASON_MIN} characters, or one of 1 to 5"


def consequence(question: Question, answer: str) -> str:
    """Say in one sentence what an answer will do."""
    intent = question.intent
    what = f"{intent['action']} of {intent['pipeline']}"
    if answer == "veto":
        return f"the {what} does not run, and is barred until its incident closes, at least 24 h"
    back = (question.review.get("blast") or {}).get("reversible")
    way = f"; the way back: {back}" if back else "; there is no way back"
    others = [need["role"] for need in question.review.get("approvals") or () if not need.get("given_by")]
    when = "starts as soon as the guards agree once more" if len(others) < 2 else "waits for the other approvals"
    return f"the {what} to {_towards(intent)} {when}{way}"


def answered_by(question: Question) -> str:
    """Say who was faster, if somebody was: `vetoed by bo 3 s ago: reason`."""
    answered = question.review.get("answered") or ()
    if question.waits or not answered:
        return "" if question.waits else f"{question.intent['state']}: {question.intent['reason'] or 'decided'}"
    last = answered[-1]
    word = {"veto": "vetoed", "deny": "denied", "approve": "approved", "lift": "lifted"}.get(last["kind"], last["kind"])
    return f"{word} by {last['author']} {ago(last.get('seconds_ago'))} ago: {last['reason']}"


def resolving(question: Question) -> str:
    """Say how to answer what needs a person."""
    command = f"healerd resolve {question.intent['id']}"
    return f"look whether it took effect, then say so: `{command} --took-effect`, or `--no-effect`"


def summary(
    question: Question, *, left_s: float | None, of_s: float | None, cells: int, glyphs: GlyphSet
) -> tuple[Line, ...]:
    """Write what is asked, how long there is and what silence does: on one line, or on two where that is too long."""
    silence = str(question.review.get("on_silence") or question.intent["default"])
    title = show(question.title if glyphs is not GlyphSet.ASCII else question.title.replace("→", "->"))
    if question.needs_person:
        return (((f"{title}  ", "title"), ("it needs a person", "drift")),)
    if not question.waits:
        return (((f"{title}  ", "title"), (f"it is {show(question.intent['state'])}", "drift")),)
    default: Line = (("if nobody answers: ", "quiet"), (show(silence), "strong"))
    room = cells - width(title) - len("  decide within   ") - line_width(default)
    one_line = room >= COUNTDOWN_MIN
    space = room if one_line else cells - width(title) - len("  decide within ")
    if space < COUNTDOWN_MIN:
        bar = countdown_bar(left_s, of_s or WINDOW_S, width=min(34, cells - 14), glyphs=glyphs).lines[0]
        return (((title, "title"),), (("decide within ", "quiet"), *bar), default)
    bar = countdown_bar(left_s, of_s or WINDOW_S, width=min(34, space), glyphs=glyphs).lines[0]
    first: Line = ((f"{title}  ", "title"), ("decide within ", "quiet"), *bar)
    return ((*first, ("  ", ""), *default),) if one_line else (first, default)


def preset_lines(cells: int, *, open_: bool) -> tuple[Line, ...]:
    """Write the reasons that are worded already, with their numbers."""
    named = [f"{number} {reason}" for number, reason in enumerate((*PRESETS, "other"), 1)]
    lines: list[str] = [""]
    for each in named:
        if width(lines[-1]) + len(each) + 2 > cells - 8:
            lines.append("")
        lines[-1] += f"{each}  "
    role = "" if open_ else "quiet"
    return tuple(
        (("REASON  " if number == 0 else "        ", "label"), (line, role)) for number, line in enumerate(lines)
    )


def question_lines(
    question: Question, *, cells: int, glyphs: GlyphSet, open_evidence: bool = False
) -> tuple[Line, ...]:
    """Write everything a person needs, in lines of at most `cells` cells."""
    return tuple(_lines(question, cells, glyphs, open_evidence=open_evidence))


def _lines(question: Question, cells: int, glyphs: GlyphSet, *, open_evidence: bool) -> Iterator[Line]:
    prompt = question.view.get("prompt") or {}
    yield from _said("WHAT", prompt.get("what") or question.title, cells)
    yield from _said("WHY", prompt.get("why") or question.decision.get("reason") or "-", cells)
    if question.needs_person:
        yield from _said("NOW", question.intent["reason"] or "nobody knows whether it took effect", cells, "drift")
        yield from _said("ANSWER", resolving(question), cells)
    else:
        yield from _said("SILENCE", _silence(question), cells)
    if question.review.get("stage"):
        yield from _said("STAGE", say_stage(str(question.review["stage"])), cells)
    yield from _blast(question, cells)
    yield ()
    yield from _confidence(question, cells, glyphs)
    yield ()
    yield from _options(question, cells, glyphs)
    yield ()
    yield from _rules(question, cells, glyphs)
    yield from _approvals(question, cells)
    yield from _found(question, cells)
    yield from evidence_lines(question, cells, glyphs, everything=open_evidence)


def _said(word: str, text: str, cells: int, role: str = "") -> Iterator[Line]:
    for number, line in enumerate(wrap(text, max(10, cells - MARGIN))):
        yield ((pad(word if number == 0 else "", MARGIN), "label"), (line, role))


def _found(question: Question, cells: int) -> Iterator[Line]:
    """What was found when the incident was looked into, and the segments in which an alarm stands."""
    told = (*(question.review.get("diagnosis") or ()), *(question.review.get("segments") or ()))
    for number, line in enumerate(told):
        yield from _said("FOUND" if number == 0 else "", line, cells)


def _silence(question: Question) -> str:
    review, prompt = question.review, question.view.get("prompt") or {}
    said = str(prompt.get("default") or f"If nobody answers, {question.intent['default']}.")
    by = f" ({review['silence_by']})" if review.get("silence_by") else ""
    stands = review.get("veto_within_s") and not review.get("deadline_at") and not review.get("counting", True)
    idle = " The time does not run: nobody could have answered yet." if stands else ""
    return f"{said}{by}{idle}"


def _blast(question: Question, cells: int) -> Iterator[Line]:
    blast = question.review.get("blast")
    if not blast:
        return
    pipelines = blast.get("pipelines") or ()
    rows = blast.get("rows_per_day") or blast.get("rows_per_window")
    per = "a day" if blast.get("rows_per_day") else "a window"
    many = f"{len(pipelines)} pipelines ({', '.join(map(str, pipelines[:4]))})" if len(pipelines) > 1 else "1 pipeline"
    back = f"reversible: {blast['reversible']}" if blast.get("reversible") else "no way back"
    traffic = f", {say_count(rows)} predictions {per}" if rows else ""
    level = str(blast.get("level", "")).upper()
    lines = list(_said("BLAST", f"{many}{traffic} - {back}", cells - 6))
    for number, line in enumerate(lines):
        yield (*line, (f"  {level}", "failed" if level == "HIGH" else "ok")) if number == 0 else line


def _confidence(question: Question, cells: int, glyphs: GlyphSet) -> Iterator[Line]:
    review = question.review
    confidence, gate = question.intent.get("confidence"), float(review.get("gate") or 0.8)
    bar = gate_bar(confidence, gate, width=max(20, min(cells, 110) - MARGIN - 2), glyphs=glyphs)
    for number, line in enumerate(bar.lines):
        yield ((pad("SURE" if number == 0 else "", MARGIN), "label"), *line)
    follows, by = _what_follows(question, confidence, gate)
    if MARGIN + line_width((follows, by)) <= cells:
        yield ((pad("", MARGIN), ""), follows, ("  ", ""), by)
    else:
        for words, role in (follows, by):
            yield from _said("", words, cells, role)


def _what_follows(question: Question, confidence: float | None, gate: float) -> tuple[Part, Part]:
    consulted = question.review.get("consulted")
    asked = "; the policy was not consulted" if consulted is False else ""
    by = f"decided by {question.review.get('decided_by') or question.decision.get('rule') or 'the policy'}{asked}"
    if confidence is None:
        return ("unknown: it cannot run without a person", "drift"), (show(by), "quiet")
    if confidence < gate:
        words = f"{confidence:.2f} is below the gate: it cannot run without a person"
        return (words, "drift"), (show(by), "quiet")
    return (f"{confidence:.2f} sure that it costs less than doing nothing", "ok"), (show(by), "quiet")


# options ---------------------------------------------------------------------


def _options(question: Question, cells: int, glyphs: GlyphSet) -> Iterator[Line]:
    options: Sequence[Json] = question.review.get("alternatives") or _from_decision(question.decision)
    if not options:
        return
    wide = cells >= OPTIONS_WIDE
    costs = [
        x for each in options for x in (each.get("cost_low"), each.get("cost"), each.get("cost_high")) if x is not None
    ]
    scale = (min(costs, default=0.0), max(costs, default=1.0))
    heads = [pad("OPTION", 24), pad("COST", 8, align="right"), "  "]
    heads += (
        [pad("80% INTERVAL", 28), pad("P(best)", 8, align="right"), pad("  PAST", 22)] if wide else [pad("80%", 16)]
    )
    yield ((("".join(heads) + "NOTE")[:cells], "label"),)
    for option in options:
        yield _option(option, scale, cells, glyphs, wide=wide)


def _option(option: Json, scale: tuple[float, float], cells: int, glyphs: GlyphSet, *, wide: bool) -> Line:
    chosen = option.get("chosen")
    mark = sign("pointer", glyphs) if chosen else " "
    name = "do nothing" if option["action"] == "hold" else option["action"]
    target = f" {option['target']}" if option.get("target") else ""
    role = "strong" if chosen else "quiet" if not option.get("permitted", True) else ""
    parts: list[tuple[str, str]] = [
        (pad(f"{mark} {show(name)}{show(target)}", 24), role),
        (pad(say_number(option.get("cost"), 3), 8, align="right"), role),
        ("  ", ""),
    ]
    if wide:
        parts += [*_interval(option, scale, 26, glyphs), ("  ", "")]
        parts += [(pad(say_share(option.get("p_best")), 8, align="right"), role), (pad(_past(option), 22), "quiet")]
    else:
        low, high = option.get("cost_low"), option.get("cost_high")
        parts.append((pad(f"{say_number(low, 2)} to {say_number(high, 2)}", 16), "quiet"))
    used = sum(len(words) for words, _ in parts)
    parts.append((pad(show(_note(option)), max(0, cells - used)), "quiet"))
    return tuple(parts)


def _interval(option: Json, scale: tuple[float, float], cells: int, glyphs: GlyphSet) -> Line:
    middle, low, high = option.get("cost"), option.get("cost_low"), option.get("cost_high")
    if middle is None or low is None or high is None:
        return ((pad("-", cells), "quiet"),)
    return tuple(interval_bar(middle, low, high, scale=scale, width=cells, glyphs=glyphs).lines[0])


def _past(option: Json) -> str:
    past = option.get("past")
    return f"  {past['healed']} of {past['of']} healed" if past and past.get("of") else "  -"


def _note(option: Json) -> str:
    if option.get("chosen"):
        return "what is asked"
    if not option.get("permitted", True):
        return f"{option.get('level')}: {option.get('why_not') or ''}"
    return str(option.get("why_not") or "")


def expected_lines(decision: Json, *, actions: Sequence[str], cells: int) -> tuple[Line, ...]:
    """Write what the newest decision expected of some actions: cost with its 80% interval, and what the rules said."""
    options = {option["action"]: option for option in _from_decision(decision)}
    lines: list[Line] = [(((f"stage {say_stage(str(decision.get('stage') or 'unknown'))}")[:cells], "quiet"),)]
    for action in actions:
        option = options.get(action, {})
        cost = option.get("cost")
        words = "no estimate yet"
        if cost is not None:
            low, high = say_number(option["cost_low"], 3), say_number(option["cost_high"], 3)
            words = f"cost {say_number(cost, 3)}, 80% {low} to {high}"
        level = str(option.get("level") or "")
        lines.append(((pad(show(action), 10), ""), (words, ""), (f"  {show(level)}", "quiet")))
    return tuple(lines)


def _from_decision(decision: Json) -> list[Json]:
    return [
        {
            **option,
            "chosen": option["action"] == decision.get("chosen"),
            "cost": option.get("cost_mean"),
            "cost_low": _less(option, -Z_80),
            "cost_high": _less(option, +Z_80),
        }
        for option in decision.get("options") or ()
    ]


def _less(option: Json, z: float) -> float | None:
    if option.get("cost_mean") is None or option.get("cost_sd") is None:
        return None
    return float(option["cost_mean"] + z * option["cost_sd"])


# rules and evidence ----------------------------------------------------------

_EFFECTS = {"pass": "check", "block": "cross"}
_OTHERWISE = {"deny": "it does not run", "defer": "it does not run, and may be asked again"}


def _rules(question: Question, cells: int, glyphs: GlyphSet) -> Iterator[Line]:
    rules = question.review.get("rules") or ()
    if not rules:
        return
    words = []
    for rule in rules:
        mark = sign(_EFFECTS[rule["effect"]], glyphs) if rule["effect"] in _EFFECTS else "!"
        what = "" if rule["effect"] == "pass" else f": {rule['effect']}, {rule.get('because') or ''}"
        words.append(f"{mark} {rule['rule']}{what}")
    for number, line in enumerate(_flowing(words, max(10, cells - MARGIN))):
        yield ((pad("RULES" if number == 0 else "", MARGIN), "label"), (line, ""))


def _flowing(words: Sequence[str], cells: int) -> Iterator[str]:
    """Put words side by side, as many as a line holds; a sign is never parted from its word."""
    line = ""
    for word in words:
        joined = f"{line}   {show(word)}" if line else show(word)
        if width(joined) <= cells:
            line = joined
            continue
        if line:
            yield line
        *full, line = wrap(word, cells)
        yield from full
    if line:
        yield line


def _approvals(question: Question, cells: int) -> Iterator[Line]:
    needs = question.review.get("approvals") or question.intent.get("approvals") or ()
    for number, need in enumerate(needs):
        given = f"given by {need['given_by']}" if need.get("given_by") else "not given yet"
        otherwise = _OTHERWISE.get(need["otherwise"], need["otherwise"])
        words = f"approval from {need['role']} ({need['rule']}): {given}; otherwise {otherwise}"
        yield from _said("ASKS" if number == 0 else "", words, cells)


def evidence_lines(question: Question, cells: int, glyphs: GlyphSet, *, everything: bool) -> Iterator[Line]:
    """Write what was measured: the alarms, or everything."""
    evidence = question.review.get("evidence") or ()
    digest = str(question.review.get("evidence_hash") or "")[:8]
    hashed = f"  hash {digest}" if digest else ""
    more = f"  e: {'fewer' if everything else f'all {len(evidence)}'}" if evidence else ""
    yield ((pad("EVIDENCE", MARGIN), "label"), (f"revision {question.revision}{hashed}", ""), (more, "quiet"))
    shown = evidence if everything else [each for each in evidence if each.get("alarm")][:4]
    for each in shown:
        yield _measured(each, cells, glyphs)


def _measured(each: Json, cells: int, glyphs: GlyphSet) -> Line:
    fired = each.get("alarm")
    mark = "unknown" if fired is None else f"{sign('warn', glyphs)} ALARM" if fired else "-"
    name = " ".join(part for part in (each["name"], each.get("subject") or "") if part)
    strength = ""
    if each.get("log_evidence") is not None and each.get("log_limit") is not None:
        strength = f"evidence {say_number(each['log_evidence'], 2)} of {say_number(each['log_limit'], 2)}"
    p_value = f"p {say_p(each['p_value'])}" if each.get("p_value") is not None else ""
    words = [pad(name, 30), pad(say_number(each.get("value"), 3), 9, align="right"), pad(f"  {p_value}", 11)]
    words += [pad(f"n {say_count(each.get('n'))}", 12), pad(strength, 24)]
    text = "".join(words)[: max(0, cells - MARGIN - 9)]
    return ((pad("", MARGIN), ""), (text, ""), (f" {mark}", "drift" if fired else "quiet"))
