"""A trace told as prose, page and diagram: one object, and nothing that it does not hold."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.audit import canonical
from healerd.client.views import plain
from healerd.decision import Situation, Trace, chain, decide, diagram, prose, sentences, trace_page
from healerd.decision.aftermath import Deed, Move
from healerd.model import Answer, AnswerKind, Decision, IntentState, Outcome, Result
from tests.healerd.decision.numbers import unfounded
from tests.healerd.decision.situations import NOW, a_situation, an_intent, rules
from tests.healerd.decision.strategies import rule_texts, situations
from tests.healerd.decision.typical import FILE, told

REASONS = ("", "easter campaign, 3 days", "the error fell by 12.5%")
shares = st.floats(-1, 1, allow_nan=False)
moments = st.integers(0, 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds))


@st.composite
def answers(draw: Any, intent_id: str) -> Answer:
    return Answer(
        id=f"{intent_id}-answer",
        intent_id=intent_id,
        pipeline="churn",
        kind=draw(st.sampled_from(AnswerKind)),
        author=draw(st.sampled_from(["ana", "bo7", "simulated"])),
        roles=("operator",),
        reason=draw(st.sampled_from(REASONS)),
        revision=0,
        at=draw(moments),
    )


@st.composite
def outcomes(draw: Any, intent_id: str) -> Outcome:
    gain, low, high = draw(st.one_of(st.none(), st.tuples(shares, shares, shares))) or (None, None, None)
    return Outcome(
        intent_id=intent_id,
        at=draw(moments),
        result=draw(st.sampled_from(Result)),
        gain=gain,
        gain_low=low,
        gain_high=high,
        p_better=None,
        n=draw(st.integers(0, 10**6)),
        paired=draw(st.booleans()),
        note=draw(st.sampled_from(REASONS)),
    )


@st.composite
def deeds(draw: Any, id_: str = "act-1", action: str = "retrain", *, steps: bool = True) -> Deed:
    """An intent anywhere on its way, with what people said and what it came to; its moves lead to where it stands."""
    state, times = draw(st.sampled_from(IntentState)), sorted(draw(st.tuples(moments, moments, moments)))
    moves = [*draw(st.lists(st.sampled_from(IntentState), max_size=4)), state]
    intent = replace(
        an_intent(id=id_, action=action, state=state, reason=draw(st.sampled_from(REASONS))),
        target=draw(st.sampled_from([None, "v3"])),
        executed_at=draw(st.sampled_from([None, times[0]])),
        effect_at=draw(st.sampled_from([None, times[1]])),
        ended_at=draw(st.sampled_from([None, times[2]])),
    )
    after = [
        draw(deeds(f"{id_}-{step}", step, steps=False)) for step in ("promote", "undo") if steps and draw(st.booleans())
    ]
    return Deed(
        intent=intent,
        moves=tuple(
            Move(
                seq=number, at=draw(moments), actor=draw(st.sampled_from(["daemon", "ana"])), state=one, version=number
            )
            for number, one in enumerate(moves)
        ),
        answers=tuple(draw(st.lists(answers(id_), max_size=2))),
        outcome=draw(st.one_of(st.none(), outcomes(id_))),
        steps=tuple(after),
    )


@st.composite
def traces(draw: Any) -> Trace:
    situation: Situation = draw(situations())
    decision = decide(situation, rules(draw(rule_texts())))
    return Trace(decision=stored(decision), deeds=tuple(draw(st.lists(deeds(), max_size=2))))


def stored(decision: Decision) -> Decision:
    """The decision as the log gives it back."""
    return replace(decision, trace=json.loads(canonical(decision.trace)))


@given(trace=traces())
@settings(max_examples=60, deadline=None)
def test_no_form_states_what_the_trace_does_not_hold(trace: Trace) -> None:
    """Every number, time and name of the prose, the page and the diagram stands in the trace they are told from."""
    record, count = plain(trace), _counts(trace)
    assert unfounded(" ".join(prose(trace)), record) == set()
    assert unfounded("\n".join(line for link in chain(trace) for line in link.lines), [record, count]) == set()
    assert unfounded(trace_page(trace), [record, FIXED]) == set()


FIXED = [95.0, 1.0]
"""The level of an interval, and a probability that is rounded to one, are no findings."""


def _counts(trace: Trace) -> list[float]:
    measured = trace.decision.trace["situation"].get("measurements", ())
    alarms = [one.get("alarm", False) for one in measured]
    return [float(alarms.count(True)), float(alarms.count(None))]


@given(trace=traces())
@settings(max_examples=30, deadline=None)
def test_every_form_says_the_same_of_how_it_came_out(trace: Trace) -> None:
    """How each intent stands, what people said and what came of it is worded alike in the page and the diagram."""
    page, links = trace_page(trace), {link.step: "\n".join(link.lines) for link in chain(trace)}
    for deed in trace.deeds:
        assert f"`{deed.intent.id}`" in prose(trace)[2].replace("Retrain", "retrain")
        assert deed.intent.id in page
        assert deed.intent.id in links["intent"]
        for answer in deed.answers:
            assert f"`{answer.author}`" in prose(trace)[2]
            assert f"`{answer.author}`" in links["intent"]
        if deed.outcome is not None:
            assert deed.outcome.result.value in links["verification"]
            assert deed.outcome.result.value in prose(trace)[2]
    assert prose(trace)[:2] == sentences(trace.decision)[:2]


@given(trace=traces(), cells=st.integers(60, 100))
@settings(max_examples=30, deadline=None)
def test_a_diagram_fits(trace: Trace, cells: int) -> None:
    """No line is wider than asked for, and the form for plain terminals is ASCII, whatever the reasons hold."""
    drawn = diagram(trace, cells=cells)
    assert max(map(len, drawn.splitlines())) <= cells
    assert drawn.isascii()
    assert not diagram(trace, cells=cells, ascii_only=False).isascii()


def test_a_number_that_was_made_up_is_found() -> None:
    """The finder of unfounded numbers sees a wrong digit, a wrong time and a name that nobody bears."""
    record = plain(Trace(decision=stored(decide(a_situation(), rules()))))
    told = " ".join(prose(Trace(decision=decide(a_situation(), rules()))))
    assert unfounded(told, record) == set()
    assert unfounded(told.replace("25.0%", "25.7%"), record) == {"25.7"}
    assert unfounded("`nobody` did it 2031-01-01 00:00", record) == {"nobody", "2031-01-01 00:00"}


def test_nothing_is_said_to_have_worked_before_it_was_verified() -> None:
    """A heal in effect that is not verified is told as such, and its outcome only once there is one."""
    decision = decide(a_situation(), rules())
    intent = replace(an_intent(action="retrain", state=IntentState.VERIFYING), effect_at=NOW)
    came = prose(Trace(decision=decision, deeds=(Deed(intent=intent),)))[2]
    assert came == f"Retrain `{intent.id}` took effect 2026-05-07 12:00 and is being verified."


def test_while_nothing_came_of_it_what_happens_next_is_said() -> None:
    """Without an intent the third sentence is that of the decision."""
    decision = decide(a_situation(), rules())
    assert prose(Trace(decision=decision)) == sentences(decision)


def test_typical_traces_are_told_as_ever() -> None:
    """A hold, an announced retraining, an approval, a veto and an undo read as the golden file has them."""
    assert FILE.read_text(encoding="utf-8") == told(), "run `python -m tests.healerd.decision.typical` and read it"


def test_what_the_account_said_is_shown_where_it_is_recorded() -> None:
    """What barred the candidate, the ledger's sum and a coin stand among the gates; without them nothing is said."""
    decision = decide(a_situation(), rules())
    gate = {
        "sure_enough": 0.8,
        "p": 0.91,
        "deviates": False,
        "barred_by": "ledger",
        "ledger": {"mean": 1.25, "sd": 0.5, "upper": 2.07},
        "coin": {"key": "dec-1", "policy": "rollback", "rule": "retrain", "up": "retrain"},
    }
    judged = replace(decision, p_cheaper_than_rule=0.91, trace={**decision.trace, "gate": gate})
    lines = gates_of(Trace(decision=judged))
    assert "deviation: P(rollback cheaper than retrain) 0.91, needed 0.80: the rules' retrain stands" in lines
    assert "barred by: ledger" in lines
    assert "ledger with it: 1.25 +- 0.5, upper 2.07" in lines
    assert "coin between rollback (policy) and retrain (rules): retrain" in lines
    assert not any("ledger" in line or "coin" in line for line in gates_of(Trace(decision=decision)))


def gates_of(trace: Trace) -> tuple[str, ...]:
    return next(link.lines for link in chain(trace) if link.step == "gates")
