"""The reason that is recorded is the one that was typed, also where it begins with a digit."""

import asyncio
from pathlib import Path

from textual.widgets import Input

from tests.served import served
from tests.tui.playing import ask, playing

CASES = {
    "2": "data bug upstream",
    "65% is a canary": "5% is a canary",
    "10% of the rows": "10% of the rows",
    "5 days of holidays": "5 days of holidays",
    "x<3 days late": "3 days late",
    "4<": "prefer rollbac",
}
NAMES = {" ": "space", "%": "percent_sign", "<": "backspace"}


def test_a_digit_is_a_reason_only_where_it_stands_alone(tmp_path: Path) -> None:
    """A digit names a reason as the first key of an untouched field; typed on, it is a digit again; `<` deletes."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path) as played:
                await played.live()
                screen = await played.open_prompt()
                for typed, recorded in CASES.items():
                    await played.press("v")
                    for sign in typed:
                        await played.press(NAMES.get(sign, sign))
                        await played.pilot.pause()
                    assert screen.query_one("#reason", Input).value == recorded
                    await played.press("escape")

    asyncio.run(story())
