"""What the clocks did while no daemon ran: a set clock is told at the start, and no reboot shortens a rest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healerd.daemon.clocks import meanwhile
from healerd.model import Decision
from healerd.store import Store
from tests.healerd.daemon.loop import NAME, ROLES, RULES, Loop

Make = Callable[..., Loop]
REST = RULES + "\ncooldown rest: any action 12h per pipeline\n"
HOUR_S = 3600.0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds loops, and closes their cores at the end."""
    made: list[Loop] = []

    def build(**changes: object) -> Loop:
        made.append(Loop(tmp_path / str(len(made)), **changes))
        return made[-1]

    yield build
    for loop in made:
        loop.core.close()


@pytest.fixture
def loop(make: Make) -> Loop:
    """A loop that has judged two windows."""
    made = make()
    made.play(2)
    return made


@pytest.fixture
def healed(make: Make) -> Loop:
    """A loop whose last heal ended three hours ago, of the twelve that must pass."""
    made = make(rules=REST)
    made.add("second", 1.0, activate=False)
    made.play(2)
    assert propose(made, "second").chosen == "rollback"
    made.approve()
    made.run()
    made.play(3)
    return made


def propose(loop: Loop, to: str) -> Decision:
    return loop.core.propose(NAME, "rollback", to=to, author="ada", roles=ROLES, reason="go back")


def start_anew(loop: Loop, *, set_s: float = 0.0, off_s: float = 0.0, boot: str | None = None) -> None:
    """Stop the daemon, set the clock, let time pass, perhaps reboot, and start it."""
    loop.core.close()
    loop.clock.jump(set_s)
    loop.clock.advance(off_s)
    if boot is not None:
        loop.clock.reboot(boot)
    loop.open()


def told(loop: Loop, kind: str) -> list[float]:
    return [leaf.record["by_s"] for leaf in loop.core.store.leaves(kind=kind)]


@pytest.mark.parametrize("set_s", [HOUR_S, -HOUR_S, 3.0])
def test_s16_a_clock_set_while_no_daemon_ran_is_told_at_the_start_once(loop: Loop, set_s: float) -> None:
    """In one boot the record's newest line says how the clocks stood: what differs now was set, and holds what acts."""
    start_anew(loop, set_s=set_s, off_s=20.0)
    assert told(loop, "clock set") == [pytest.approx(set_s)]
    assert "clock was set" in loop.core._moment(NAME).on_hold
    start_anew(loop, off_s=20.0)
    assert len(told(loop, "clock set")) == 1


@pytest.mark.parametrize("off_s", [0.0, 20.0, 86400.0])
def test_s16_time_that_passes_while_no_daemon_runs_is_no_jump(loop: Loop, off_s: float) -> None:
    """Both clocks went on: nothing is written down and nothing holds."""
    start_anew(loop, off_s=off_s)
    assert (told(loop, "clock set"), told(loop, "rebooted")) == ([], [])
    assert loop.core._moment(NAME).on_hold == ""


def test_s16_a_line_that_no_daemon_wrote_hides_no_jump(loop: Loop) -> None:
    """A verb that writes into the record after the clock was set, or a start that broke off, does not make it right."""
    loop.core.close()
    loop.clock.jump(HOUR_S)
    with Store.open(loop.folder / "state", clock=loop.clock) as store, store.transaction() as tx:
        tx.note("key rotated", {}, actor="ada")
    loop.open()
    assert told(loop, "clock set") == [pytest.approx(HOUR_S)]


def test_s16_a_clock_set_while_no_daemon_ran_does_not_shorten_a_cooldown(healed: Loop) -> None:
    """After half a day by the wall clock alone, the rest of twelve hours still lasts."""
    start_anew(healed, set_s=13 * HOUR_S, off_s=20.0)
    healed.play(4)
    held = propose(healed, "first")
    assert (held.chosen, held.level) == ("hold", "deferred"), held.reason


@pytest.mark.parametrize("set_s", [0.0, 13 * HOUR_S])
def test_s16_over_a_reboot_only_the_time_since_boot_counts(healed: Loop, set_s: float) -> None:
    """Whether the machine was off for that long or its clock was set, nobody can tell: it does not shorten the rest."""
    start_anew(healed, set_s=set_s, off_s=13 * HOUR_S - set_s, boot="second")
    assert told(healed, "rebooted") == [pytest.approx(13 * HOUR_S)]
    assert healed.core._moment(NAME).on_hold == ""
    healed.play(5)
    assert propose(healed, "first").level == "deferred"
    healed.play(5)
    assert propose(healed, "first").chosen == "rollback"


def test_a_quick_reboot_is_not_worth_a_line(loop: Loop) -> None:
    """Where the time since boot is all that has passed, nothing is uncounted."""
    loop.core.close()
    loop.clock.reboot("second")
    loop.clock.advance(40.0)
    loop.open()
    assert (told(loop, "rebooted"), told(loop, "clock set")) == ([], [])


@pytest.mark.parametrize("behind_s", [4 * HOUR_S, 60 * 24 * HOUR_S])
def test_s16_a_boot_whose_clock_is_behind_the_record_shortens_no_rest_once_it_is_set(
    healed: Loop, behind_s: float
) -> None:
    """Without a battery the clock starts behind what was done; set right later, it counts no time that nobody saw."""
    start_anew(healed, set_s=-behind_s, boot="second")
    assert told(healed, "rebooted") == [pytest.approx(-behind_s)]
    healed.clock.advance(60.0)
    healed.clock.jump(behind_s + 13 * HOUR_S)
    healed.core.clock_jumped(behind_s + 13 * HOUR_S)
    healed.play(5)
    assert propose(healed, "first").level == "deferred"


def test_a_clock_behind_the_record_does_not_lengthen_a_rest_by_as_much(healed: Loop) -> None:
    """What is done lies before the start, not in its future: the nine hours left of the rest are enough."""
    start_anew(healed, set_s=-4 * HOUR_S, boot="second")
    healed.clock.advance(4 * HOUR_S)
    healed.play(4)
    assert propose(healed, "first").level == "deferred"
    healed.play(2)
    assert propose(healed, "first").chosen == "rollback"


@pytest.mark.parametrize("set_s", [-4.0, -6.0])
def test_s16_of_a_record_from_another_machine_no_time_is_known_to_have_passed(loop: Loop, set_s: float) -> None:
    """A machine that has been up for longer than the record is old says nothing of the time since it was written."""
    loop.core.close()
    loop.clock.reboot("elsewhere")
    loop.clock.advance(5 * HOUR_S)
    loop.clock.jump(set_s * HOUR_S)
    loop.open()
    assert told(loop, "rebooted") == [pytest.approx((5 + set_s) * HOUR_S)]
    assert told(loop, "clock set") == []


def test_a_start_finds_the_newest_line_of_a_daemon_by_an_index(loop: Loop) -> None:
    """INVARIANT: the lines of all windows that ever were are neither read nor sorted for it."""
    store, asked = loop.core.store, list[str]()
    store._connection().set_trace_callback(asked.append)
    meanwhile(store, loop.clock.read())
    store._connection().set_trace_callback(None)
    plans = [step[-1] for text in asked for step in store._connection().execute(f"EXPLAIN QUERY PLAN {text}")]
    assert any("audit_leaf" in plan for plan in plans)
    assert {plan for plan in plans if "TEMP B-TREE" in plan or plan.startswith("SCAN")} == set()
