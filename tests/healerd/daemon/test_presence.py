"""Who is here: seen within the last seconds, in memory, bounded."""

import logging

from healerd.daemon.logs import LINES_MAX, LogTail
from healerd.daemon.presence import PEOPLE_MAX, PRESENT_S, QUESTIONS_MAX, Presence


def test_people_are_here_for_ten_seconds() -> None:
    """Whoever asked lately is listed by name, and gone when they ask no more."""
    presence = Presence()
    presence.seen("bo", "operator", 0.0)
    presence.seen("ana", "approver", 4.0)
    assert [(one["name"], one["role"], one["seen_s"]) for one in presence.here(5.0)] == [
        ("ana", "approver", 1.0),
        ("bo", "operator", 5.0),
    ]
    assert [one["name"] for one in presence.here(PRESENT_S + 1)] == ["ana"]
    assert presence.here(100.0) == []


def test_a_review_is_counted_from_its_beginning() -> None:
    """Looking again goes on with the same review; after a pause it begins anew, and each question has its own."""
    presence = Presence()
    for now_s in (0.0, 8.0, 16.0):
        presence.reviewing("act-1", "bo", "operator", now_s)
    assert presence.at("act-1", 17.0)[0]["seconds"] == 17.0
    assert presence.at("act-2", 17.0) == []
    presence.reviewing("act-1", "bo", "operator", 60.0)
    assert presence.at("act-1", 61.0)[0]["seconds"] == 1.0


def test_whoever_came_first_is_first() -> None:
    """Of several who review one question, the one who has looked longest is listed first."""
    presence = Presence()
    presence.reviewing("act-1", "bo", "operator", 0.0)
    presence.reviewing("act-1", "ana", "approver", 2.0)
    assert [one["name"] for one in presence.at("act-1", 3.0)] == ["bo", "ana"]


def test_presence_is_bounded() -> None:
    """However many come, only so many are remembered, the newest."""
    presence = Presence()
    for number in range(max(PEOPLE_MAX, QUESTIONS_MAX) + 50):
        presence.seen(f"p{number:04d}", "viewer", 0.0)
        presence.reviewing(f"act-{number}", "bo", "viewer", 0.0)
    assert len(presence.here(0.0)) == PEOPLE_MAX
    assert presence.at("act-0", 0.0) == []
    assert presence.at(f"act-{QUESTIONS_MAX + 49}", 0.0) != []


def test_the_tail_keeps_the_newest_lines() -> None:
    """Lines are numbered from the first, the oldest make room, and nothing is heard outside the block."""
    logger, tail = logging.Logger("test"), LogTail()
    with tail.listening(logger):
        for number in range(LINES_MAX + 3):
            logger.warning("line %d", number)
    logger.warning("unheard")
    lines = tail.lines()
    assert (lines[0]["n"], lines[-1]["n"], len(lines)) == (4, LINES_MAX + 3, LINES_MAX)
    assert (lines[-1]["message"], lines[-1]["level"], lines[-1]["from"]) == (f"line {LINES_MAX + 2}", "warning", "test")
