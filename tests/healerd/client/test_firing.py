"""How often each rule fired: counted from the recorded decisions, by their own words."""

from collections import Counter

import pytest

from healerd.client import firing
from healerd.model import Decision
from tests.healerd.client.conftest import Past
from tests.healerd.daemon.loop import RULES


def test_the_texts_in_force_are_the_files(past: Past, name: str) -> None:
    """The sources are those that were compiled, packs included, and each rule names a line of one of them."""
    view = past.client.rules(name, days=30)
    texts = {source["path"]: source["text"] for source in view["sources"]}
    (mine,) = [text for path, text in texts.items() if path.endswith("flights.heal")]
    assert mine == RULES
    for rule in view["rules"]:
        if rule["kind"] != "built in":
            line = texts[rule["path"]].splitlines()[rule["line"] - 1]
            assert rule["name"].split(".")[-1] in line


def test_what_fired_is_counted_as_recorded(past: Past, name: str) -> None:
    """A rule counts once for each decision in which it acted or proposed, and the others let it pass."""
    with past.store() as store:
        decisions = store.find(Decision, pipeline=name)
    fired, proposed = Counter[str](), Counter[str]()
    for decision in decisions:
        verdicts = [*decision.trace.get("first_pass", {}).values(), decision.trace.get("second_pass") or {}]
        fired.update({one["rule"] for verdict in verdicts for one in verdict.get("acting", ())})
        proposed.update({one["rule"] for one in decision.trace.get("proposals", ())})
    view = past.client.rules(name, days=30)
    assert view["decisions"] == len(decisions)
    told = {rule["name"]: rule for rule in view["rules"]}
    assert set(fired) | set(proposed) <= set(told)
    for rule, one in told.items():
        counts = one["fired"]
        assert sum(counts[each] for each in ("ask", "block", "advise")) == fired[rule]
        assert counts["propose"] == proposed[rule]
        if one["kind"] in firing.GUARDS:
            assert counts["allow"] == len(decisions) - fired[rule]
        assert (one["last_at"] is None) == (fired[rule] + proposed[rule] == 0)
        assert sum(one["day"]) == fired[rule] + proposed[rule]


def test_a_rule_that_never_fired_is_there(past: Past, name: str) -> None:
    """Silence is shown, so that a rule that is dead can be found."""
    view = past.client.rules(name, days=30)
    silent = [one for one in view["rules"] if one["last_at"] is None]
    assert silent
    assert all(set(one["day"]) == {0} for one in silent)


def test_a_span_that_is_too_long_says_so(past: Past, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more decisions are read than are allowed, and the view says that it was cut."""
    monkeypatch.setattr(firing, "DECISIONS_MAX", 3)
    view = past.client.rules(name, days=30)
    assert (view["decisions"], view["cut"]) == (3, True)
