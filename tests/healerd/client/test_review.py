"""The question that an intent puts to people: each number from the record, and who else looks at it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.client import Client
from healerd.client.plainly import say_plainly
from healerd.client.review import review_view
from healerd.client.words import say_intent
from healerd.clock import ManualClock
from healerd.daemon.messages import question
from healerd.decision import prompt
from healerd.model import Answer, AnswerKind, ApprovalNeed, Decision, Intent, IntentState, Option, Stage
from tests.healerd.client.conftest import Past
from tests.served import NOW, Served, a_decision, an_intent, served

ACTING = {
    "forbid": ("block", "hard"),
    "limit": ("defer", "hard"),
    "cooldown": ("defer", "hard"),
    "require": ("announce", "hard"),
    "ask": ("ask", "hard"),
    "advice": ("advise", "advisory"),
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, clock=ManualClock(NOW)) as running:
        running.store.put(a_decision())
        running.store.put(an_intent())
        yield running


def review(past: Past, intent: Intent, decision: Decision) -> dict:
    with past.store() as store:
        return review_view(store, intent, decision, at=NOW)


def test_the_question_of_a_real_heal_is_whole(past: Past) -> None:
    """Every option that was weighed, every measurement, the rules and the gate stand in it as recorded."""
    retrain = next(one for one in past.client.intents(all_states=True)["intents"] if one["action"] == "retrain")
    view = past.client.intent(retrain["id"])
    decision = past.client.trace(view["decision"]["id"])["decision"]
    question = view["review"]
    assert [one["action"] for one in question["alternatives"]] == [one["action"] for one in decision["options"]]
    assert [one["chosen"] for one in question["alternatives"]].count(True) == 1
    assert len(question["evidence"]) == len(decision["trace"]["situation"]["measurements"])
    assert question["evidence"][0]["alarm"]
    acting = {one["rule"] for one in decision["trace"]["second_pass"]["acting"]}
    told = {one["rule"]: one for one in question["rules"]}
    assert {rule for rule, one in told.items() if one["effect"] != "pass"} == acting
    assert told["announce_heavy"]["line"] > 0
    assert any(one["effect"] == "pass" for one in question["rules"])
    assert question["blast"]["pipelines"] == ["flights"]
    assert question["decided_by"] == "rule learn"


def test_the_interval_holds_the_expected_cost(past: Past) -> None:
    """The 80% interval is the mean and 1.28 standard deviations to either side, and no cost is negative."""
    option = Option(action="retrain", level="allowed", by=(), permitted=True, cost_mean=1.0, cost_sd=0.5)
    hold = replace(option, action="hold", cost_mean=None, cost_sd=None)
    unsure = replace(option, action="rollback", cost_sd=4.0)
    one, none, wide = review(past, an_intent(), a_decision(options=(option, hold, unsure)))["alternatives"]
    assert (one["cost_low"], one["cost_high"]) == pytest.approx((0.3592, 1.6408))
    assert (none["cost"], none["cost_low"], none["cost_high"]) == (None, None, None)
    assert wide["cost_low"] == 0.0


@pytest.mark.parametrize("kind", sorted(ACTING))
def test_each_kind_of_rule_says_what_it_does(past: Past, kind: str) -> None:
    """Forbidding blocks, limits and cooldowns defer, requirements ask or announce, and advice advises only."""
    effect, enforcement = ACTING[kind]
    acting = {
        "rule": "mine", "kind": "require" if kind in {"ask", "advice"} else kind, "path": "my.heal", "line": 12,
        "because": "so", "enforcement": enforcement, "leaves": [],
    }  # fmt: skip
    verdict = {"acting": [acting], "approvals": [{"rule": "mine"}] if kind == "ask" else []}
    (told,) = review(past, an_intent(), a_decision(trace={"second_pass": verdict}))["rules"]
    assert (told["effect"], told["path"], told["line"]) == (effect, "my.heal", 12)


@pytest.mark.parametrize("change", [{"revision": 4}, {"action": "rollback"}, {"target": "v9"}, {"severity": 4}])
def test_what_changes_the_question_changes_its_hash(past: Past, change: dict) -> None:
    """Evidence that a person saw can be told from evidence that has moved on; the state of the answer is no part."""
    hash_of = lambda intent: review(past, intent, a_decision())["evidence_hash"]  # noqa: E731
    assert hash_of(an_intent()) == hash_of(an_intent(state=IntentState.READY, approved_by=("bo",)))
    assert hash_of(an_intent()) != hash_of(an_intent(**change))


def test_what_is_asked_anew_shows_rules_and_evidence_of_by_then(daemon: Served) -> None:
    """What would be done is of the decision that chose it; why, of the newest one when it was asked anew."""
    first = a_decision(id="first", trace=seen("drift", rule="early"))
    newer = a_decision(id="newer", chosen="hold", stage=Stage.LIVE, trace=seen("harm", rule="late"))
    for decision in (first, newer):
        daemon.store.put(decision)
    once, anew = an_intent(), an_intent(revision=1, asked_on_id="newer")
    questions = [review_view(daemon.store, intent, first, at=NOW) for intent in (once, anew)]
    assert [[one["name"] for one in each["evidence"]] for each in questions] == [["drift"], ["harm"]]
    assert [[one["rule"] for one in each["rules"]] for each in questions] == [["early"], ["late"]]
    assert [each["stage"] for each in questions] == [first.stage.value, "live"]
    assert questions[0]["alternatives"] == questions[1]["alternatives"]


def seen(name: str, *, rule: str) -> dict:
    """A trace with one measurement, and one rule that speaks on the retraining."""
    acting = {"rule": rule, "kind": "require", "path": "my.heal", "line": 1, "because": "so"}
    return {
        "situation": {"measurements": [{"name": name, "layer": "harm", "value": 0.5, "n": 9}]},
        "first_pass": {"retrain": {"acting": [acting]}},
    }


def test_the_time_left_runs_to_the_approvals(past: Past) -> None:
    """The time left of what needs approval runs to its deadline, by the daemon's clock."""
    need = ApprovalNeed(role="operators", deadline_at=NOW + timedelta(seconds=40), otherwise="deny", rule="safe")
    asked = an_intent(deadline_at=NOW + timedelta(seconds=90), counted_at=NOW, approvals=(need,))
    question = review(past, asked, a_decision())
    assert (question["seconds_left"], question["counting"], question["silence_by"]) == (40.0, True, "safe")
    unseen = review(past, replace(asked, counted_at=None, deadline_at=None, veto_within_s=600.0), a_decision())
    assert (unseen["counting"], unseen["veto_within_s"]) == (False, 600.0)
    over = review(past, replace(asked, state=IntentState.VETOED), a_decision())
    assert (over["seconds_left"], over["counting"]) == (None, False)


def due(daemon: Served) -> set[str | None]:
    """Every deadline of the one question that is shown anywhere, to the minute."""
    client = Client(daemon.state)
    view, row = client.intent("act-2"), client.pipeline("churn")
    asked = daemon.store.get(Intent, "act-2")
    told = question(asked, daemon.store.find(Answer)).silence_at
    said = [view["review"]["deadline_at"], row["deadline_at"], row["open"][0]["deadline_at"]]
    said += [client.intents()["intents"][0]["deadline_at"], None if told is None else f"{told:%Y-%m-%dT%H:%M}"]
    by = view["prompt"]["default"].partition(" by ")[2].partition(",")[0].replace(" ", "T")
    return {None if each is None else each[:16] for each in (*said, by)}


def test_s3_what_lacks_an_approval_has_its_deadline_alone(daemon: Served) -> None:
    """With an approval and a veto window, every view names the approval's deadline first, and then the window's."""
    need = ApprovalNeed(role="operators", deadline_at=NOW + timedelta(hours=12), otherwise="defer", rule="safe")
    waits = {"state": IntentState.AWAITING_APPROVAL, "approvals": (need,), "default": "it does not run"}
    asked = an_intent(id="act-2", deadline_at=NOW + timedelta(minutes=10), counted_at=NOW, **waits)
    first = daemon.store.get(Intent, "act-1")
    daemon.store.put(replace(first, state=IntentState.EXPIRED), instead_of=first)
    daemon.store.put(asked)
    assert due(daemon) == {"2026-05-08T02:17"}
    assert Client(daemon.state).pipeline("churn")["deadline_kind"] == "approval"
    yes = Answer(
        id="b", intent_id="act-2", pipeline="churn", kind=AnswerKind.APPROVE, author="bo", roles=("operators",),
        reason="it looks right", revision=3, at=NOW,
    )  # fmt: skip
    daemon.store.put(yes)
    daemon.store.put(replace(asked, approved_by=("bo",)), instead_of=asked)
    assert due(daemon) == {"2026-05-07T14:27"}
    assert Client(daemon.state).pipeline("churn")["deadline_kind"] == "veto"


def test_s9_what_lacks_an_approval_names_no_veto_window() -> None:
    """Before its veto window counts, a question that lacks an approval without a deadline has none at all."""
    need = ApprovalNeed(role="operators", deadline_at=None, otherwise="defer", rule="safe")
    asked = an_intent(state=IntentState.AWAITING_APPROVAL, approvals=(need,), default="it does not run")
    assert prompt(asked, a_decision(), answers=()).default == "If nobody answers, it does not run."


def test_s9_silence_after_every_approval_lets_it_run(daemon: Served) -> None:
    """Once all who were asked have said yes, silence means that it runs after its veto window, and that is said."""
    need = ApprovalNeed(role="operators", deadline_at=NOW + timedelta(seconds=40), otherwise="defer", rule="safe")
    asked = an_intent(
        id="act-2", state=IntentState.AWAITING_APPROVAL, approvals=(need,), default="it does not run",
        deadline_at=NOW + timedelta(seconds=90), counted_at=NOW,
    )  # fmt: skip
    daemon.store.put(asked)
    before = Client(daemon.state).intent("act-2")
    assert (before["review"]["on_silence"], before["review"]["seconds_left"]) == ("it does not run", 40.0)
    yes = Answer(
        id="b", intent_id="act-2", pipeline="churn", kind=AnswerKind.APPROVE, author="bo", roles=("operators",),
        reason="it looks right", revision=3, at=NOW,
    )  # fmt: skip
    daemon.store.put(yes)
    daemon.store.put(replace(asked, approved_by=("bo",)), instead_of=asked)
    client = Client(daemon.state)
    after = client.intent("act-2")
    assert after["review"]["on_silence"].startswith("it runs")
    assert after["review"]["seconds_left"] == 90.0
    assert "unless somebody vetoes it" in after["prompt"]["default"]
    rows = [one["default"] for one in (*client.intents()["intents"], *client.pipeline("churn")["open"])]
    told = question(daemon.store.get(Intent, "act-2"), (yes,)).text
    said = "\n".join([*say_intent(after), *say_plainly(after), *rows, *client.trace("act-2")["said"], told])
    assert "does not run" not in said
    assert said.count("it runs, for everybody") == 5


def test_a_rule_alone_is_said_not_to_have_asked_the_policy(past: Past) -> None:
    """Where the policy was not consulted, or failed, the question says so."""
    failed = a_decision(trace={"policy": {"failure": "no prior", "estimates": []}})
    assert not review(past, an_intent(), a_decision())["consulted"]
    assert not review(past, an_intent(), failed)["consulted"]


def test_who_was_faster_is_said(daemon: Served) -> None:
    """Whoever comes second reads who answered, what, why and how long ago."""
    answer = Answer(
        id="a", intent_id="act-1", pipeline="churn", kind=AnswerKind.VETO, author="bo", roles=(),
        reason="known campaign", revision=3, at=NOW - timedelta(seconds=3),
    )  # fmt: skip
    daemon.store.put(answer)
    (said,) = Client(daemon.state).intent("act-1")["review"]["answered"]
    assert (said["author"], said["kind"], said["reason"], said["seconds_ago"]) == ("bo", "veto", "known campaign", 3.0)


def test_who_reviews_is_seen_by_the_others_and_recorded_nowhere(daemon: Served) -> None:
    """Saying that one reviews shows it to whoever asks next, and leaves no leaf in the audit log."""
    client, head = Client(daemon.state), daemon.store.head()
    assert client.intent("act-1")["reviewing"] == []
    assert [one["role"] for one in client.intent("act-1", reviewing=True)["reviewing"]] == ["admin"]
    assert len(client.intent("act-1")["reviewing"]) == 1
    assert client.intent("act-1")["reviewing"][0]["seconds"] == 0.0
    assert daemon.store.head() == head


# The same, line by line.


def test_plain_words_say_one_fact_a_line_and_no_signs(past: Past) -> None:
    """Every line is a sentence in letters that a screen reader says, and the whole question is in it."""
    for intent in past.client.intents(all_states=True)["intents"]:
        view = past.client.intent(intent["id"])
        lines = list(say_plainly(view))
        assert all(line.isascii() and line.strip() for line in lines)
        text = "\n".join(lines)
        for one in view["review"]["alternatives"]:
            assert ("do nothing" if one["action"] == "hold" else one["action"]) in text
        for rule in view["review"]["rules"]:
            assert (rule["effect"] == "pass") or f"Rule {rule['rule']}" in text
        assert view["review"]["on_silence"] in text


def test_plain_words_say_that_confidence_is_below_the_gate(past: Past) -> None:
    """A confidence too low to act alone is said to be below, an unknown one to be unknown."""
    view = past.client.intent(past.client.intents(all_states=True)["intents"][0]["id"])
    for confidence, said in ((0.42, "0.42, below the 0.80"), (None, "Confidence: unknown"), (0.9, "at or above")):
        view["review"]["confidence"] = confidence
        assert any(said in line for line in say_plainly(view))


def test_stage_costs_and_intervals_are_said(past: Past) -> None:
    """Both ways of reading a question name the stage with what it means, and each cost with its interval."""
    retrain = next(one for one in past.client.intents(all_states=True)["intents"] if one["action"] == "retrain")
    view = past.client.intent(retrain["id"])
    assert view["review"]["stage"] == view["decision"]["stage"]
    told, plainly = "\n".join(say_intent(view)), "\n".join(say_plainly(view))
    assert "stage       suggest: every action asks a person first" in told
    assert "Stage suggest: every action asks a person first." in plainly
    for option in view["decision"]["options"]:
        assert f"cost {option['cost_mean']:.1f} (80%: " in told
