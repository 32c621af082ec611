"""Random keys, clicks, pastes and sizes: nothing acts without a confirmed prompt, and nothing crashes."""

import pytest

from tests.tui import battery


@pytest.mark.parametrize("seed", [3, 7])
def test_random_keys_never_act_without_a_confirmed_prompt(seed: int) -> None:
    """Whatever is pressed, every change had an open question that was confirmed, and the program goes on."""
    done, unasked, changes = battery.run(220, seed)
    assert list(unasked) == []
    assert len(changes) <= len(done)


def test_random_keys_in_a_read_only_ui_change_nothing() -> None:
    """In a read-only UI nothing at all reaches the core."""
    done, unasked, changes = battery.run(120, 5, read_only=True)
    assert (list(done), list(unasked), list(changes)) == ([], [], [])


@pytest.mark.slow
def test_a_thousand_random_keys() -> None:
    """The same over a thousand keys; `python -m tests.tui.battery 10000` is the long form."""
    done, unasked, _ = battery.run(1_000, 11)
    assert list(unasked) == []
    assert done
