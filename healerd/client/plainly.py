"""A question to people, said line by line: for screen readers, and for whoever wants words and no picture.

Pure. Must never put two facts on one line, use a sign for a word, or leave out what the prompt on the screen shows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from healerd.client.words import duration, say_outcome, say_stage

__all__ = ["say_plainly"]

Json = Mapping[str, Any]

EFFECTS = {
    "ask": "asks a person",
    "announce": "lets it run after an announcement",
    "defer": "puts it off",
    "block": "forbids it",
    "advise": "advises against it",
}


def say_plainly(view: Json) -> Iterator[str]:
    """Say all of `Client.intent`, one fact a line."""
    intent, question = view["intent"], view["review"]
    yield f"Question {intent['id']}, revision {intent['revision']}."
    yield f"State: {intent['state']}."
    yield f"Action: {intent['action']} on pipeline {intent['pipeline']}."
    yield f"From version: {intent['current'] or 'none'}."
    yield f"To version: {intent['target'] or 'a new one'}."
    if view["prompt"] is not None:
        yield f"Why: {view['prompt']['why']}"
    if question is None:
        yield "The decision behind it is not stored."
        return
    yield from _clock(question)
    yield from _confidence(question)
    yield from _alternatives(question["alternatives"])
    yield from _rules(question["rules"])
    yield from _evidence(question["evidence"])
    yield from (f"Found: {line}" for line in (*question.get("diagnosis", ()), *question.get("segments", ())))
    yield from _blast(question["blast"])
    yield from _people(view, question)
    if view["outcome"] is not None:
        yield f"Outcome: {say_outcome(view['outcome'])}."
    yield f"You can answer: {', '.join(view['answers']) or 'nothing'}."


def _clock(question: Json) -> Iterator[str]:
    if question["seconds_left"] is not None:
        yield f"Time left: {duration(question['seconds_left'])}, until {question['deadline_at']}."
    window_s = question.get("veto_within_s")
    if not question["counting"] and window_s is not None:
        yield f"Its veto window of {duration(window_s)} counts while somebody who may answer looks, or was reached."
    elif not question["counting"]:
        yield "No veto window counts now."
    yield f"If nobody answers: {question['on_silence']}."
    if question["silence_by"] is not None:
        yield f"That is so by rule {question['silence_by']}."


def _confidence(question: Json) -> Iterator[str]:
    confidence, gate = question["confidence"], question["gate"]
    if confidence is None:
        yield f"Confidence: unknown. {gate:.2f} is needed to act without a person."
    else:
        side = "below" if confidence < gate else "at or above"
        yield f"Confidence: {confidence:.2f}, {side} the {gate:.2f} that is needed to act without a person."
    yield f"Stage {say_stage(question['stage'])}."
    yield f"Decided by: {question['decided_by']}."
    if not question["consulted"]:
        yield "The policy was not consulted."


def _alternatives(alternatives: list[Json]) -> Iterator[str]:
    yield f"Alternatives: {len(alternatives)}."
    for number, one in enumerate(alternatives, 1):
        chosen = ", which is proposed" if one["chosen"] else ""
        yield f"Alternative {number}: {'do nothing' if one['action'] == 'hold' else one['action']}{chosen}."
        yield f"  The rules say: {one['level']}."
        if one["cost"] is None:
            yield "  Expected cost: unknown."
        else:
            yield f"  Expected cost: {one['cost']:.2f}."
            yield f"  With 80 percent probability: between {one['cost_low']:.2f} and {one['cost_high']:.2f}."
        if one["p_better"] is not None:
            yield f"  Probability that it costs less than doing nothing: {one['p_better']:.2f}."
        if one["past"] is not None:
            yield f"  Past outcomes: {one['past']['healed']} of {one['past']['of']} healed."
        if one["why_not"]:
            yield f"  Why not: {one['why_not']}."


def _rules(rules: list[Json]) -> Iterator[str]:
    acting = [rule for rule in rules if rule["effect"] != "pass"]
    yield f"Rules: {len(acting)} act, {len(rules) - len(acting)} let it pass."
    for rule in acting:
        place = f", {rule['path']} line {rule['line']}" if rule["path"] else ""
        because = f": {rule['because']}" if rule["because"] else ""
        yield f"Rule {rule['rule']}{place} {EFFECTS[rule['effect']]}{because}."


def _evidence(evidence: list[Json]) -> Iterator[str]:
    alarms = [one for one in evidence if one["alarm"]]
    yield f"Evidence: {len(evidence)} measurements, {len(alarms)} alarm."
    for one in alarms:
        subject = f" of {one['subject']}" if one["subject"] else ""
        value = "unknown" if one["value"] is None else f"{one['value']:.4g}"
        yield f"Alarm: {one['name']}{subject} is {value}, from {one['n']} rows."


def _blast(blast: Json) -> Iterator[str]:
    yield f"It reaches {len(blast['pipelines'])} pipeline: {', '.join(blast['pipelines'])}."
    if blast["rows_per_day"] is not None:
        yield f"That is about {blast['rows_per_day']:.0f} predictions a day."
    yield f"Reversible: {blast['reversible'] or 'no'}."


def _people(view: Json, question: Json) -> Iterator[str]:
    for need in question["approvals"]:
        given = f"given by {need['given_by']}" if need["given_by"] else "not given yet"
        yield f"Needs the approval of {need['role']}: {given}."
    for answer in question["answered"]:
        yield f"{answer['author']} said {answer['kind']} {duration(answer['seconds_ago'])} ago: {answer['reason']}."
    for person in view["reviewing"]:
        yield f"{person['name']} has been looking at this for {duration(person['seconds'])}."
