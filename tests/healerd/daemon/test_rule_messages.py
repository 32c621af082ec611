"""What `notify` rules say reaches people, as often as the rule says, and says what is not known."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from healerd.daemon.messages import Message, Outbox, about
from healerd.daemon.rule_messages import said_by_rules
from healerd.daemon.rulebook import Rulebook
from healerd.listen_settings import NotifySettings
from healerd.model import Decision
from tests.healerd.daemon.loop import NAME, RULES, Loop
from tests.healerd.daemon.test_app import NOON
from tests.healerd.daemon.test_core import Slow

NOTIFY = """
notify page: "pager:ml" when error_rate > 0.3
  repeat every 1h
  because "one answer in three is wrong"
notify blind: "mail:ops" when p_stored_better > 50%
"""


def test_what_a_notify_rule_says_is_told(tmp_path: Path) -> None:
    """The newest window's notifications are messages with the rule, its reason, its channel and what is not known."""
    loop = Loop(tmp_path, rules=RULES + "metric p_stored_better: ratio\n" + NOTIFY)
    loop.play(2)
    loop.told.clear()
    loop.play(1, turned=True)
    messages = {each.key: each for each in loop.told if isinstance(each, Message)}
    assert {each.kind for each in messages.values()} == {"rule"}
    assert messages.keys() == {f"rule:{NAME}:page", f"rule:{NAME}:blind"}
    page, blind = messages[f"rule:{NAME}:page"], messages[f"rule:{NAME}:blind"]
    assert (page.text, page.repeat_s) == ("one answer in three is wrong\nfor pager:ml", 3600)
    assert (blind.text, blind.repeat_s) == ("its condition is unknown, and counts as true\nfor mail:ops", None)
    rules = Rulebook(loop.config)
    decision = loop.decision()
    past = replace(decision, trace={**decision.trace, "notifications": []})
    assert [each.key for each in said_by_rules([past, decision], rules)] == list(messages)
    assert list(said_by_rules([decision, past], rules)) == []
    erased = replace(decision, trace={"notifications": decision.trace["notifications"]})
    assert list(said_by_rules([erased], rules)) == []
    loop.core.close()


def test_of_a_backlog_only_the_newest_window_tells(tmp_path: Path) -> None:
    """However many runs a backlog takes, what rules said in the past is not told: the newest window's word is."""
    loop = Loop(tmp_path, rules=RULES + "metric p_stored_better: ratio\n" + NOTIFY)
    loop.core.close()
    loop.source = Slow(loop.clock)
    loop.open()
    for _ in range(8):
        loop.serve()
    runs = [loop.core.run_due() for _ in range(5)]
    assert [sum(isinstance(each, Decision) for each in told) for told in runs] == [2, 2, 2, 2, 0]
    assert [[each.key for each in told if isinstance(each, Message)] for told in runs] == [
        [], [], [], [f"rule:{NAME}:blind"], []
    ]  # fmt: skip
    loop.core.close()


def test_a_message_is_told_as_it_is() -> None:
    """What is a message already needs no other words."""
    message = Message(key="rule:p:page", kind="rule", what="page on p", text="why")
    assert list(about([message])) == [message]


def test_a_rule_is_told_again_as_often_as_it_says() -> None:
    """`repeat every` holds, be it shorter or longer than `notify.repeat`, which holds without it."""
    for repeat_s, expected_h in ((3600.0, 1), (12 * 3600.0, 12), (None, 6)):
        box = Outbox(NotifySettings())
        hours = []
        for hour in range(13):
            now = NOON + timedelta(hours=hour)
            box.add(Message(key="rule:p:page", kind="rule", what="page on p", text="why", repeat_s=repeat_s), now)
            hours += [hour] * len(box.take(now))
        assert hours == list(range(0, 13, expected_h))
