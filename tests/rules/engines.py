"""Asks every engine about the same rule set and stories, and tells where they differ; it never judges by itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from healerd_rules import Evaluation, RuleSet, Schema, SignalState, Verdict, advance, evaluate, load_text
from healerd_rules import render as show
from healerd_rules.compiling import Answer, Columns, Said, Scalar, compile_columns, compile_scalar, row_of, stack
from healerd_rules.verdicts import Approval
from tests.rules.generated import Dice, Story, WideSet, render
from tests.rules.wide import ACTIONS, Expected, Judged, expect

SCHEMA = Schema(alarms=("harm", "drift"))
STORIES = 8


def load(rules: WideSet) -> RuleSet:
    """The rule set as the language loads it."""
    loaded = load_text(render(rules), name="generated.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, show(loaded.diagnostics, loaded.sources)
    assert tuple(action.name for action in loaded.ruleset.actions) == ACTIONS
    return loaded.ruleset


def draw(seed: int) -> tuple[WideSet, list[Story]]:
    """A rule set with stories, the same for the same seed; half of the seeds have a log."""
    dice = Dice(np.random.Generator(np.random.Philox(seed)))
    return dice.rule_set(), [dice.story(logged=seed % 2 == 0) for _ in range(STORIES)]


def state_of(ruleset: RuleSet, story: Story) -> SignalState:
    """What is remembered after the story's windows."""
    state = SignalState()
    for window in story.windows:
        state = advance(ruleset, window, state)
    return state


def answers(rules: WideSet, stories: list[Story]) -> dict[str, list[Expected]]:
    """What each engine says at the moment of each story; an engine that joins the comparison is a line here."""
    ruleset = load(rules)
    scalar, columns = compile_scalar(ruleset), compile_columns(ruleset)
    states = [state_of(ruleset, story) for story in stories]
    told = list(zip(stories, states, strict=True))
    rows = [row_of(scalar.layout, story.moment, state) for story, state in told]
    return {
        "walker": [_walked(ruleset, story, state) for story, state in told],
        "oracle": [expect(rules, story) for story in stories],
        "scalar": [_scalar(scalar, row, story) for row, story in zip(rows, stories, strict=True)],
        "columns": list(_columns(columns, rows, stories)),
    }


def differences(rules: WideSet, stories: list[Story]) -> Iterator[str]:
    """One line for each thing on which an engine does not agree with the walker."""
    walker, *others = answers(rules, stories).items()
    for engine, said in others:
        for number, (theirs, walked) in enumerate(zip(said, walker[1], strict=True)):
            for part in Expected.__dataclass_fields__:
                if (one := getattr(theirs, part)) != (other := getattr(walked, part)):
                    yield f"story {number}, {part}: {engine} says {one}, walker says {other}"


# the tree walker -----------------------------------------------------------------


def _walked(ruleset: RuleSet, story: Story, state: SignalState) -> Expected:
    second = evaluate(ruleset, story.moment, state, confidence=story.confidence)
    first = evaluate(ruleset, story.moment, state, confidence=None)
    return Expected(
        second=_bare(second),
        first=_bare(first),
        signals=dict(second.signals),
        proposals=tuple((proposal.action, proposal.rule) for proposal in second.proposals),
        notifications=tuple((note.rule, note.unknown) for note in second.notifications),
    )


def _bare(evaluation: Evaluation) -> dict[str, Judged]:
    return {action: _bare_one(evaluation.verdicts[action]) for action in ACTIONS}


def _bare_one(verdict: Verdict) -> Judged:
    return Judged(
        level=int(verdict.level),
        acting=frozenset(acting.rule for acting in verdict.acting if acting.rule != "default"),
        veto=_hours(verdict.veto_within_s),
        approvals=frozenset(map(_approval, verdict.approvals)),
    )


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None or np.isnan(seconds) else seconds / 3600


def _approval(approval: Approval) -> tuple[Any, ...]:
    return approval.rule, approval.role, _hours(approval.within_s), approval.otherwise


# the compiled engines ---------------------------------------------------------------


def _scalar(scalar: Scalar, row: Any, story: Story) -> Expected:
    second, first = scalar.verdicts(row, story.confidence), scalar.verdicts(row, None)
    return _expected(_judged(scalar, second), _judged(scalar, first), scalar.say(row))


def _judged(scalar: Scalar, answer: Answer) -> dict[str, Judged]:
    return {
        action: Judged(
            level=answer.levels[place],
            acting=frozenset(rule.id for rule in scalar.acting(answer, action)),
            veto=_hours(scalar.veto_within_s(answer, action)),
            approvals=frozenset(map(_approval, scalar.approvals(answer, action))),
        )
        for place, action in enumerate(scalar.layout.actions)
    }


def _expected(second: dict[str, Judged], first: dict[str, Judged], said: Said) -> Expected:
    return Expected(
        second=second,
        first=first,
        signals=dict(said.signals),
        proposals=tuple((proposal.action, proposal.rule) for proposal in said.proposals),
        notifications=tuple((rule.id, unknown) for rule, unknown in said.notifications),
    )


def _columns(columns: Columns, rows: list[Any], stories: list[Story]) -> Iterator[Expected]:
    table = stack(columns.layout, rows)
    asked = [[story.confidence.get(action) for action in ACTIONS] for story in stories]
    confidence = np.array(asked, dtype=np.float64)
    second, first, said = columns.verdicts(table, confidence), columns.verdicts(table, None), columns.say(table)
    per_row = Scalar(columns.ruleset, columns.written, *[_nothing] * 3)  # reads answers, asks nothing
    vetoes = {action: [columns.veto_within_s(found, action) for found in (second, first)] for action in ACTIONS}
    for number in range(len(rows)):
        judged = []
        for which, found in enumerate((second, first)):
            answer = Answer(tuple(found.levels[number].tolist()), tuple(bool(seat[number]) for seat in found.acts))
            judged.append(_judged(per_row, answer))
            for action in ACTIONS:
                assert judged[-1][action].veto == _hours(float(vetoes[action][which][number]))
                acting = {rule.id for rule, column in columns.acting(found, action) if column[number]}
                assert judged[-1][action].acting == acting
        yield _expected(*judged, said[number])


def _nothing(*_: Any) -> Any:
    raise AssertionError("only the columns are asked")
