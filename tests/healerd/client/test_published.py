"""The published form of a trace holds to its schema, and joins everything that came of a decision."""

import json
from copy import deepcopy

from healerd.client.published import make_schema, trace_schema
from healerd.model import Decision, Intent
from tests.healerd.client.conftest import Past
from tests.healerd.client.schemas import problems, strict
from tests.healerd.decision.numbers import unfounded


def test_the_shipped_schema_is_that_of_the_records() -> None:
    """The file is made from the records: `python -m tests.house.published` writes it anew."""
    assert trace_schema() == json.loads(json.dumps(make_schema())), "run `python -m tests.house.published`"


def test_every_recorded_trace_holds_to_the_schema(past: Past) -> None:
    """Each trace of a lived run validates, also where nothing may stand that the schema does not describe."""
    closed = strict(trace_schema())
    with past.store() as store:
        ids = [decision.id for decision in store.find(Decision)]
    assert len(ids) > 10
    for id_ in ids:
        view = json.loads(json.dumps(past.client.trace(id_)))
        assert list(problems(view, closed, closed)) == []


def test_no_form_of_a_recorded_trace_makes_a_number_up(past: Past) -> None:
    """Every number, time and name of the prose, the page and the chain of a lived run stands in its trace."""
    with past.store() as store:
        ids = [decision.id for decision in store.find(Decision)]
    for id_ in ids:
        view = past.client.trace(id_)
        measured = view["decision"]["trace"]["situation"].get("measurements", ())
        alarms = [one.get("alarm", False) for one in measured]
        # Counts of what alarms and what is unknown; the level of intervals; a probability that is rounded to one.
        counts = [float(alarms.count(True)), float(alarms.count(None)), 95.0, 1.0]
        held = [view["decision"], view["deeds"], counts]
        told = [*view["said"], view["page"], *(line for link in view["chain"] for line in link["lines"])]
        assert unfounded("\n".join(told), held) == set()


def test_a_trace_that_breaks_the_schema_is_found(past: Past) -> None:
    """A missing field, a wrong type and a field that is not described are each a problem."""
    with past.store() as store:
        id_ = store.find(Decision)[0].id
    view, closed = past.client.trace(id_), strict(trace_schema())
    for spoil in ("without", "type", "more"):
        broken = deepcopy(view)
        match spoil:
            case "without":
                del broken["decision"]["trace"]["facts"]
            case "type":
                broken["decision"]["trace"]["situation"]["rows"] = "many"
            case "more":
                broken["decision"]["trace"]["gate"] = {"sure_enough": 0.8, "p": None, "deviates": False, "mood": 1}
        assert list(problems(broken, closed, closed)), spoil


def test_a_trace_goes_on_after_its_decision(past: Past) -> None:
    """Every intent ever made belongs to the trace of one decision or is a step there, with every move of the log."""
    with past.store() as store:
        intents = {intent.id: intent for intent in store.find(Intent)}
        views = [past.client.trace(decision.id) for decision in store.find(Decision)]
    heals = {deed["intent"]["id"]: deed for view in views for deed in view["deeds"]}
    steps = {step["intent"]["id"]: step for deed in heals.values() for step in deed["steps"]}
    assert intents.keys() == heals.keys() | steps.keys()
    healed = [deed for deed in heals.values() if deed["intent"]["action"] == "retrain" and deed["outcome"]]
    assert healed
    for deed in (*heals.values(), *steps.values()):
        last = deed["moves"][-1]
        assert (last["state"], last["version"]) == (deed["intent"]["state"], deed["intent"]["version"])
        assert [move["version"] for move in deed["moves"]] == list(range(len(deed["moves"])))


def test_the_chain_ends_with_what_came_of_it(past: Past) -> None:
    """The links stand in the order of causes, and each says something even where nothing is recorded."""
    with past.store() as store:
        for decision in store.find(Decision):
            chain = past.client.trace(decision.id)["chain"]
            assert [link["step"] for link in chain] == ORDER
            assert all(link["lines"] for link in chain)


ORDER = [
    "measurements",
    "alarms",
    "incident",
    "rules",
    "verdicts",
    "policy",
    "gates",
    "decision",
    "intent",
    "effect",
    "verification",
    "undo",
]
